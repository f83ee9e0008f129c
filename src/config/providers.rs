//! The settings of the three providers: what each needs of its own, and what they have in common.
//!
//! The common keys are defined once, by the macro `provider!`: `#[serde(flatten)]` would do the same but
//! loses the path of a key in errors. A provider without credential is not configured: its RPCs say
//! PROVIDER_NOT_CONFIGURED and the others work.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use super::base_url::BaseUrl;
use super::price::Price;
use super::span::Span;
pub use crate::domain::verification::Environment;
use crate::domain::{redaction::Secret, verification::Provider};
use crate::transport::{
    breaker,
    client::KeepAlive,
    guard::Limits,
    rate::Rate,
    retry::{self, Errors},
    upstream::Trace,
};

/// What stands for a secret wherever settings are shown.
pub(super) const REDACTED: &str = "[redacted]";

/// Writes a secret's presence, never its content.
pub(super) fn redacted<S: Serializer>(
    secret: &Option<Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_some(REDACTED),
        None => serializer.serialize_none(),
    }
}

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
}

/// How the body of a request to AccuAuth is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BodyEncoding {
    /// `application/json`.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// Whether a provider can be asked, and about whom it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderState {
    /// It has a credential and answers about real people.
    Live,
    /// It has a credential and is a test service.
    Sandbox,
    /// It has no credential.
    NotConfigured,
}

impl fmt::Display for ProviderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Sandbox => "sandbox",
            Self::NotConfigured => "not configured",
        })
    }
}

/// The identity providers behind the gateway.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Providers {
    /// Verifik: Peruvian foreigner ids, person records.
    pub verifik: Verifik,
    /// YouVerify: Kenyan identity scrub.
    pub youverify: Youverify,
    /// AccuAuth: Mexican CURP.
    pub accuauth: Accuauth,
}

impl Providers {
    /// The key of every provider's proxy, and the proxy.
    pub(super) fn proxies(&self) -> [(&'static str, Option<&Secret>); 3] {
        [
            ("providers.verifik.proxy", self.verifik.proxy.as_ref()),
            ("providers.youverify.proxy", self.youverify.proxy.as_ref()),
            ("providers.accuauth.proxy", self.accuauth.proxy.as_ref()),
        ]
    }

    /// Every provider by name, with its state.
    #[must_use]
    pub fn states(&self) -> [(&'static str, ProviderState); 3] {
        [
            ("verifik", self.verifik.state()),
            ("youverify", self.youverify.state()),
            ("accuauth", self.accuauth.state()),
        ]
    }

    /// About whom each answers.
    #[must_use]
    pub const fn environments(&self) -> Environments {
        Environments {
            verifik: self.verifik.environment,
            youverify: self.youverify.environment,
            accuauth: self.accuauth.environment,
        }
    }
}

/// About whom each provider answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Environments {
    verifik: Environment,
    youverify: Environment,
    accuauth: Environment,
}

impl Environments {
    /// About whom one answers.
    #[must_use]
    pub const fn of(self, provider: Provider) -> Environment {
        match provider {
            Provider::Verifik => self.verifik,
            Provider::Youverify => self.youverify,
            Provider::Accuauth => self.accuauth,
        }
    }
}

/// The rate, unless it is 0.
fn rate(per_second: u32, burst: u32) -> Option<Rate> {
    let per_second = NonZeroU32::new(per_second)?;
    let burst = NonZeroU32::new(burst).unwrap_or(per_second);
    Some(Rate { per_second, burst })
}

/// Defines a provider's settings: its base URL, its own keys with their defaults, then the common ones.
macro_rules! provider {
    (
        $(#[$about:meta])* $name:ident at $base_url:literal, configured when |$this:ident| $configured:expr;
        $($(#[$key_about:meta])* $key:ident: $kind:ty = $default:expr;)*
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// Where the provider is reached: https, or http on a loopback host; no user, query or fragment.
            pub base_url: BaseUrl,
            $($(#[$key_about])* pub $key: $kind,)*
            /// How long one request to the provider may take, connecting included. Kept below
            /// `server.default_deadline`, so that a caller who sets no deadline is told that the provider was
            /// slow and not only that time ran out.
            #[schemars(extend("x-min" = "1ms", "x-max" = "10m"))]
            pub timeout: Span,
            /// A PEM file with the CAs that the provider's certificate is checked against, in place of the
            /// system's; read again when it changes.
            #[schemars(with = "PathBuf")]
            pub ca_file: Option<PathBuf>,
            /// The HTTP proxy to the provider, such as `http://user:password@proxy.internal:3128`. Without it the
            /// provider is reached directly: `HTTPS_PROXY` and its like are not read. A secret, because it may
            /// hold a password.
            #[serde(serialize_with = "redacted")]
            #[schemars(with = "String", extend("x-secret" = true))]
            pub proxy: Option<Secret>,
            /// A file that holds the proxy's URL, instead of `proxy`; read at start.
            #[schemars(with = "PathBuf")]
            pub proxy_file: Option<PathBuf>,
            /// How long connecting to the provider may take, TLS included.
            #[schemars(extend("x-min" = "1ms", "x-max" = "1m"))]
            pub connect_timeout: Span,
            /// After how long a silence of the provider an HTTP/2 connection is tested by a PING, also while no
            /// call is in flight.
            #[schemars(extend("x-min" = "100ms", "x-max" = "10m"))]
            pub http2_keep_alive_interval: Span,
            /// How long the answer to that PING may take. Without it no further call is sent on the connection, and
            /// the next one dials; calls in flight keep their time.
            #[schemars(extend("x-min" = "100ms", "x-max" = "1m"))]
            pub http2_keep_alive_timeout: Span,
            /// Whether the provider gets a `traceparent`, where a caller sent one or the trace is sampled. It never
            /// gets `tracestate` or `baggage`.
            pub send_traceparent: bool,
            /// Most requests in flight to the provider; further ones queue.
            #[schemars(range(min = 1, max = 100_000))]
            pub max_in_flight: usize,
            /// Most requests that wait for a place in flight; one more is refused as OVERLOADED at once.
            #[schemars(range(min = 0, max = 100_000))]
            pub queue: usize,
            /// How long a request waits for a place in flight before it is refused as OVERLOADED.
            #[schemars(extend("x-min" = "1ms", "x-max" = "1m"))]
            pub queue_timeout: Span,
            /// How many requests a second the contract with the provider allows, in the long run; more are
            /// refused as RATE_LIMITED. 0 is no limit.
            #[schemars(range(min = 0, max = 1_000_000))]
            pub rate_per_second: u32,
            /// How many requests may go at once after a pause; 0 is as many as `rate_per_second`.
            #[schemars(range(min = 0, max = 1_000_000))]
            pub rate_burst: u32,
            /// How often a call is sent at most, the first time included. A call that can be charged is
            /// repeated only after a failure that surely was free.
            #[schemars(range(min = 1, max = 10))]
            pub max_attempts: u32,
            /// The circuit opens after this many failed calls in a row; 0 is never for that reason.
            #[schemars(range(min = 0, max = 1_000_000))]
            pub breaker_consecutive_failures: u32,
            /// The circuit opens if this many percent of the calls within `breaker_window` failed.
            #[schemars(range(min = 1, max = 100))]
            pub breaker_failure_rate: u32,
            /// How many calls there must be within `breaker_window` before their failure rate counts.
            #[schemars(range(min = 1, max = 1_000_000))]
            pub breaker_minimum_calls: u32,
            /// How far back the failure rate looks.
            #[schemars(extend("x-min" = "1s", "x-max" = "10m"))]
            pub breaker_window: Span,
            /// How long the circuit stays open at most before a call is let through to try; it begins with 1 s
            /// and doubles. At most 25 s, so that a provider that is back is used again within 30 s.
            #[schemars(extend("x-min" = "1s", "x-max" = "25s"))]
            pub breaker_max_open: Span,
            /// A request whose caller gave up counts as failed if it was out for this long, or if no answer at all
            /// came from the provider for this long. Longer than the provider usually takes.
            #[schemars(extend("x-min" = "1ms", "x-max" = "10m"))]
            pub breaker_abandoned_after: Span,
            /// How long at most a 429 that answers a request about one number holds back requests about others;
            /// that number is held for as long as `Retry-After` says. When 429s come for several numbers in a
            /// row, everything is.
            #[schemars(extend("x-min" = "1ms", "x-max" = "1h"))]
            pub rate_limit_hold: Span,
            /// Largest answer that is read, in bytes; a larger one is PROVIDER_RESPONSE_MALFORMED.
            #[schemars(range(min = 1, max = 1_073_741_824))]
            pub max_response_bytes: usize,
            /// Whether the answers are about real people; shown in every verification.
            pub environment: Environment,
            /// Whether an error answer of the provider's own (4xx, 5xx, or an error inside a 200) is taken as not
            /// charged. Where false, one that a client would repeat is reported as UNKNOWN, and all have
            /// `billing = unknown`.
            pub errors_are_free: bool,
            /// What one billed result costs; only the metric `idgw.cost` is made of it.
            #[schemars(with = "Price")]
            pub price: Option<Price>,
        }

        impl $name {
            /// What the transport needs to know of it.
            #[must_use]
            pub fn upstream(&self) -> Upstream {
                Upstream {
                    base_url: self.base_url.get().clone(),
                    timeout: self.timeout.get(),
                    ca_file: self.ca_file.clone(),
                    proxy: self.proxy.clone(),
                    connect_timeout: self.connect_timeout.get(),
                    keep_alive: KeepAlive {
                        interval: self.http2_keep_alive_interval.get(),
                        timeout: self.http2_keep_alive_timeout.get(),
                    },
                    trace: match self.send_traceparent {
                        true => Trace::Traceparent,
                        false => Trace::Nothing,
                    },
                    max_response_bytes: self.max_response_bytes,
                    environment: self.environment,
                    limits: Limits {
                        max_in_flight: self.max_in_flight,
                        queue: self.queue,
                        queue_timeout: self.queue_timeout.get(),
                        rate: rate(self.rate_per_second, self.rate_burst),
                        max_attempts: self.max_attempts,
                        breaker: breaker::Settings {
                            consecutive_failures: self.breaker_consecutive_failures,
                            failure_percent: self.breaker_failure_rate,
                            minimum_calls: self.breaker_minimum_calls,
                            window: self.breaker_window.get(),
                            max_open: self.breaker_max_open.get(),
                            abandoned_after: self.breaker_abandoned_after.get(),
                        },
                        rate_limit_hold: self.rate_limit_hold.get(),
                        errors: match self.errors_are_free {
                            true => Errors::AreFree,
                            false => Errors::MayBeCharged,
                        },
                    },
                    price: self.price.clone(),
                }
            }

            /// Whether it can be asked, and about whom it answers.
            #[must_use]
            pub const fn state(&self) -> ProviderState {
                let $this = self;
                match (($configured), self.environment) {
                    (false, _) => ProviderState::NotConfigured,
                    (true, Environment::Live) => ProviderState::Live,
                    (true, Environment::Sandbox) => ProviderState::Sandbox,
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    base_url: BaseUrl::built_in($base_url),
                    $($key: $default,)*
                    timeout: Span::seconds(20),
                    ca_file: None,
                    proxy: None,
                    proxy_file: None,
                    connect_timeout: Span::seconds(3),
                    http2_keep_alive_interval: Span::seconds(5),
                    http2_keep_alive_timeout: Span::seconds(2),
                    send_traceparent: true,
                    max_in_flight: 256,
                    queue: 64,
                    queue_timeout: Span::new(Duration::from_millis(250)),
                    rate_per_second: 0,
                    rate_burst: 0,
                    max_attempts: 3,
                    breaker_consecutive_failures: 5,
                    breaker_failure_rate: 50,
                    breaker_minimum_calls: 20,
                    breaker_window: Span::seconds(10),
                    breaker_max_open: Span::seconds(15),
                    breaker_abandoned_after: Span::seconds(1),
                    rate_limit_hold: Span::seconds(3),
                    max_response_bytes: 16 * 1024 * 1024,
                    environment: Environment::Live,
                    errors_are_free: true,
                    price: None,
                }
            }
        }
    };
}

provider! {
    /// Verifik: Peruvian foreigner ids, person records.
    Verifik at "https://api.verifik.co", configured when |this| this.token.is_some();
    /// The access token, sent as `Authorization: Bearer`.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    token: Option<Secret> = None;
    /// A file that holds the token, instead of `token`; read again when it changes.
    #[schemars(with = "PathBuf")]
    token_file: Option<PathBuf> = None;
    /// The path of person records below `base_url`. `/v2/face-recognition/persons`, of Verifik's newer pages, is
    /// refused: what is there is asked for in another way.
    #[schemars(extend("x-form" = "a path such as /v2/persons: a slash first, none last"))]
    persons_path: String = "/v2/persons".to_owned();
}

provider! {
    /// YouVerify: Kenyan identity scrub.
    Youverify at "https://api.youverify.co", configured when |this| this.token.is_some();
    /// The API token, sent in the header `token`.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    token: Option<Secret> = None;
    /// A file that holds the token, instead of `token`; read again when it changes.
    #[schemars(with = "PathBuf")]
    token_file: Option<PathBuf> = None;
    /// What YouVerify calls each kind of Kenyan document (`idType`).
    id_types: IdTypes = IdTypes::default();
}

provider! {
    /// AccuAuth: Mexican CURP.
    Accuauth at "https://cloudapi.mexico.accuauth.com",
        configured when |this| this.api_id.is_some() && this.api_secret.is_some();
    /// The API id, sent in the header `X-DF-API-ID`; hidden like a secret. Needs `api_secret` beside it.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    api_id: Option<Secret> = None;
    /// A file that holds the API id, instead of `api_id`; read again when it changes.
    #[schemars(with = "PathBuf")]
    api_id_file: Option<PathBuf> = None;
    /// The API secret, sent in the header `X-DF-API-SECRET`. Needs `api_id` beside it.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    api_secret: Option<Secret> = None;
    /// A file that holds the API secret, instead of `api_secret`; read again when it changes.
    #[schemars(with = "PathBuf")]
    api_secret_file: Option<PathBuf> = None;
    /// How the body of a request is encoded; AccuAuth's document does not say.
    body_encoding: BodyEncoding = BodyEncoding::Json;
}

/// What YouVerify calls each kind of Kenyan document.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdTypes {
    /// The `idType` of a national id.
    #[schemars(length(min = 1))]
    pub national_id: String,
    /// The `idType` of a passport.
    #[schemars(length(min = 1))]
    pub passport: String,
    /// The `idType` of a service id.
    #[schemars(length(min = 1))]
    pub service_id: String,
    /// The `idType` of an alien id.
    #[schemars(length(min = 1))]
    pub alien_id: String,
}

impl Default for IdTypes {
    fn default() -> Self {
        Self {
            national_id: "national-id".to_owned(),
            passport: "passport".to_owned(),
            service_id: "service-id".to_owned(),
            alien_id: "alien-registration".to_owned(),
        }
    }
}
