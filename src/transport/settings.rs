//! The settings that every provider has: where it is reached, how long that may take, how much may be sent.
//!
//! They are defined once, by the macro `with_common_keys`, beside the keys that are a company's own:
//! `#[serde(flatten)]` would do the same but loses the path of a key in errors. Which company has which keys of its
//! own is nothing that is known here.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use url::Url;

use super::{client::KeepAlive, guard::Limits, rate::Rate, retry, upstream::Trace};
use crate::domain::{price::Price, redaction::Secret, verification::Environment};

/// What the transport needs to know of a provider.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where it is reached. The path is `/` or a prefix that does not end in a slash.
    pub base_url: Url,
    /// From the first byte sent to the last byte read, connecting included.
    pub timeout: Duration,
    /// The CAs that its certificate is checked against; none for the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy on the way there; none for the direct way.
    pub proxy: Option<Secret>,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// When an HTTP/2 connection counts as dead.
    pub keep_alive: KeepAlive,
    /// Whether it hears of traces.
    pub trace: Trace,
    /// Largest answer that is read, in bytes.
    pub max_response_bytes: usize,
    /// Whether the answers are about real people.
    pub environment: Environment,
    /// What may be sent, and how often.
    pub limits: Limits,
    /// What a billed result costs.
    pub price: Option<Price>,
}

impl Upstream {
    /// The longest that a call may take: every attempt with its wait for a place and the wait after it.
    #[must_use]
    pub fn longest_call(&self) -> Duration {
        let attempt = self.limits.queue_timeout + self.timeout + retry::MAX_WAIT;
        attempt.saturating_mul(self.limits.max_attempts)
    }

    /// What the schema cannot say: the key, and the problem.
    #[must_use]
    pub fn problem(&self) -> Option<(&'static str, String)> {
        Some(("proxy", proxy_problem(self.proxy.as_ref()?)?.to_owned()))
    }
}

/// What is wrong with a proxy.
#[must_use]
pub fn proxy_problem(proxy: &Secret) -> Option<&'static str> {
    const EXPECTED: &str = "expected a URL such as http://proxy.internal:3128 or http://user:password@proxy.internal:3128";
    (!is_proxy(proxy.expose())).then_some(EXPECTED)
}

/// Whether it is the URL of an HTTP proxy.
fn is_proxy(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

/// The rate, unless it is 0.
pub(crate) fn rate(per_second: u32, burst: u32) -> Option<Rate> {
    let per_second = NonZeroU32::new(per_second)?;
    let burst = NonZeroU32::new(burst).unwrap_or(per_second);
    Some(Rate { per_second, burst })
}

/// Defines a provider's settings: its base URL, its own keys with their defaults, then the common ones.
macro_rules! with_common_keys {
    (
        $(#[$about:meta])* pub struct $name:ident at $base_url:literal;
        $($(#[$key_about:meta])* $key:ident: $kind:ty = $default:expr;)*
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, ::serde::Deserialize, ::serde::Serialize, ::schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// The provider's base URL: https, or http on a loopback host; no user, query or fragment.
            pub base_url: $crate::setting::BaseUrl,
            $($(#[$key_about])* pub $key: $kind,)*
            /// Timeout of one request to the provider, connecting included. Keep it below
            /// `server.default_deadline`, so that a caller without a deadline gets PROVIDER_TIMEOUT and not
            /// just DEADLINE_EXCEEDED.
            #[schemars(extend("x-min" = "1ms", "x-max" = "10m"))]
            pub timeout: $crate::setting::Span,
            /// A PEM file with the CAs that the provider's certificate is verified against, instead of the
            /// system's; reloaded when it changes.
            #[schemars(with = "::std::path::PathBuf")]
            pub ca_file: Option<::std::path::PathBuf>,
            /// The HTTP proxy to the provider, such as `http://user:password@proxy.internal:3128`. Without it
            /// the provider is called directly: `HTTPS_PROXY` and the like are ignored. A secret, because it
            /// may contain a password.
            #[serde(serialize_with = "crate::setting::redacted")]
            #[schemars(with = "String", extend("x-secret" = true))]
            pub proxy: Option<$crate::domain::redaction::Secret>,
            /// A file that contains the proxy's URL, instead of `proxy`; read at start.
            #[schemars(with = "::std::path::PathBuf")]
            pub proxy_file: Option<::std::path::PathBuf>,
            /// Timeout for connecting to the provider, TLS handshake included.
            #[schemars(extend("x-min" = "1ms", "x-max" = "1m"))]
            pub connect_timeout: $crate::setting::Span,
            /// After how long without data from the provider an HTTP/2 keep-alive PING is sent, even while no
            /// call is in flight.
            #[schemars(extend("x-min" = "100ms", "x-max" = "10m"))]
            pub http2_keep_alive_interval: $crate::setting::Span,
            /// How long the acknowledgement of that PING may take. After that the connection gets no further
            /// calls and the next call opens a new one; calls in flight keep their own timeout.
            #[schemars(extend("x-min" = "100ms", "x-max" = "1m"))]
            pub http2_keep_alive_timeout: $crate::setting::Span,
            /// Whether a `traceparent` is sent to the provider, where a caller sent one or the trace is
            /// sampled. `tracestate` and `baggage` are never sent.
            pub send_traceparent: bool,
            /// The concurrency limit: most requests in flight to the provider; further ones queue.
            #[schemars(range(min = 1, max = 100_000))]
            pub max_in_flight: usize,
            /// Most requests queued at the concurrency limit; further ones are refused as OVERLOADED at once.
            #[schemars(range(min = 0, max = 100_000))]
            pub queue: usize,
            /// How long a request may be queued before it is refused as OVERLOADED.
            #[schemars(extend("x-min" = "1ms", "x-max" = "1m"))]
            pub queue_timeout: $crate::setting::Span,
            /// The rate limit: how many requests a second the agreement with the provider allows, sustained;
            /// further ones are refused as RATE_LIMITED. 0 is no limit.
            #[schemars(range(min = 0, max = 1_000_000))]
            pub rate_per_second: u32,
            /// The burst of the rate limit: how many requests may be sent at once after a pause; 0 is the
            /// same as `rate_per_second`.
            #[schemars(range(min = 0, max = 1_000_000))]
            pub rate_burst: u32,
            /// Most attempts of a call, the first included. A call that can be charged is retried only after
            /// a failure that is known to be free.
            #[schemars(range(min = 1, max = 10))]
            pub max_attempts: u32,
            /// The circuit breaker opens after this many consecutive failed calls; 0 disables this condition, as `serve --sandbox` does.
            #[schemars(range(min = 0, max = 1_000_000))]
            pub breaker_consecutive_failures: u32,
            /// The circuit breaker opens if this percentage of the calls within `breaker_window` failed.
            #[schemars(range(min = 1, max = 100))]
            pub breaker_failure_rate: u32,
            /// Fewest calls within `breaker_window` for `breaker_failure_rate` to apply.
            #[schemars(range(min = 1, max = 1_000_000))]
            pub breaker_minimum_calls: u32,
            /// The sliding window of the failure rate.
            #[schemars(extend("x-min" = "1s", "x-max" = "10m"))]
            pub breaker_window: $crate::setting::Span,
            /// Longest time that the circuit breaker stays open before a trial call (half-open); it starts at
            /// 1 s and doubles. At most 25 s, so that a recovered provider is used again within 30 s.
            #[schemars(extend("x-min" = "1s", "x-max" = "25s"))]
            pub breaker_max_open: $crate::setting::Span,
            /// A request that its callers have left counts as failed if the provider answered no request at all
            /// for this long; one that is cancelled with its caller also if it was itself in flight for this
            /// long. Set it longer than the provider usually takes.
            #[schemars(extend("x-min" = "1ms", "x-max" = "10m"))]
            pub breaker_abandoned_after: $crate::setting::Span,
            /// Longest backoff for all other requests after a 429 on one number; requests for that number are
            /// held back for as long as `Retry-After` says. After 429s on several numbers in a row,
            /// `Retry-After` applies to all requests.
            #[schemars(extend("x-min" = "1ms", "x-max" = "1h"))]
            pub rate_limit_hold: $crate::setting::Span,
            /// Largest provider response accepted, in bytes; a larger one is PROVIDER_RESPONSE_MALFORMED.
            #[schemars(range(min = 1, max = 1_073_741_824))]
            pub max_response_bytes: usize,
            /// Whether the provider's answers are about real people; returned in every verification as
            /// `environment`.
            pub environment: $crate::domain::verification::Environment,
            /// Whether the provider's own error responses (4xx, 5xx, or an error inside a 200) are treated as
            /// not charged. If false, those that clients would retry are reported as UNKNOWN, and all have
            /// `billing = unknown`.
            pub errors_are_free: bool,
            /// The price of one billed result: an amount, a space and an ISO 4217 currency, such as `0.35 USD`,
            /// `12 KES` or `0 MXN`. The amount is in the currency's main unit: digits, with a decimal point and at most
            /// nine decimals, no sign and no separator of thousands, up to 1000000000. Nothing is decided by it: it is
            /// what `cost` says in responses, log and audit, and the metrics `idgw.cost`, `idgw.answers.left.cost` and
            /// `idgw.rule.cost`.
            #[schemars(with = "crate::domain::price::Price")]
            pub price: Option<$crate::domain::price::Price>,
        }

        impl $name {
            /// What the transport needs to know of it.
            #[must_use]
            pub fn upstream(&self) -> $crate::transport::settings::Upstream {
                $crate::transport::settings::Upstream {
                    base_url: self.base_url.get().clone(),
                    timeout: self.timeout.get(),
                    ca_file: self.ca_file.clone(),
                    proxy: self.proxy.clone(),
                    connect_timeout: self.connect_timeout.get(),
                    keep_alive: $crate::transport::client::KeepAlive {
                        interval: self.http2_keep_alive_interval.get(),
                        timeout: self.http2_keep_alive_timeout.get(),
                    },
                    trace: match self.send_traceparent {
                        true => $crate::transport::upstream::Trace::Traceparent,
                        false => $crate::transport::upstream::Trace::Nothing,
                    },
                    max_response_bytes: self.max_response_bytes,
                    environment: self.environment,
                    limits: $crate::transport::guard::Limits {
                        max_in_flight: self.max_in_flight,
                        queue: self.queue,
                        queue_timeout: self.queue_timeout.get(),
                        rate: $crate::transport::settings::rate(self.rate_per_second, self.rate_burst),
                        max_attempts: self.max_attempts,
                        breaker: $crate::transport::breaker::Settings {
                            consecutive_failures: self.breaker_consecutive_failures,
                            failure_percent: self.breaker_failure_rate,
                            minimum_calls: self.breaker_minimum_calls,
                            window: self.breaker_window.get(),
                            max_open: self.breaker_max_open.get(),
                            abandoned_after: self.breaker_abandoned_after.get(),
                        },
                        rate_limit_hold: self.rate_limit_hold.get(),
                        errors: match self.errors_are_free {
                            true => $crate::transport::retry::Errors::AreFree,
                            false => $crate::transport::retry::Errors::MayBeCharged,
                        },
                    },
                    price: self.price,
                }
            }

            /// Sends everything to the sandbox there. No proxy may see it.
            pub fn point_at_sandbox(&mut self, base_url: $crate::setting::BaseUrl) {
                self.base_url = base_url;
                self.proxy = None;
                self.environment = $crate::domain::verification::Environment::Sandbox;
                // Who tries one documented failure after the other shall see them all and no open circuit; the
                // failure rate still opens it.
                self.breaker_consecutive_failures = 0;
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    base_url: $crate::setting::BaseUrl::built_in($base_url),
                    $($key: $default,)*
                    timeout: $crate::setting::Span::seconds(20),
                    ca_file: None,
                    proxy: None,
                    proxy_file: None,
                    connect_timeout: $crate::setting::Span::seconds(3),
                    http2_keep_alive_interval: $crate::setting::Span::seconds(5),
                    http2_keep_alive_timeout: $crate::setting::Span::seconds(2),
                    send_traceparent: true,
                    max_in_flight: 256,
                    queue: 64,
                    queue_timeout: $crate::setting::Span::new(::std::time::Duration::from_millis(250)),
                    rate_per_second: 0,
                    rate_burst: 0,
                    max_attempts: 3,
                    breaker_consecutive_failures: 5,
                    breaker_failure_rate: 50,
                    breaker_minimum_calls: 20,
                    breaker_window: $crate::setting::Span::seconds(10),
                    breaker_max_open: $crate::setting::Span::seconds(15),
                    breaker_abandoned_after: $crate::setting::Span::seconds(1),
                    rate_limit_hold: $crate::setting::Span::seconds(3),
                    max_response_bytes: 16 * 1024 * 1024,
                    environment: $crate::domain::verification::Environment::Live,
                    errors_are_free: true,
                    price: None,
                }
            }
        }
    };
}

pub(crate) use with_common_keys;
