//! One provider's HTTP connection pool: one attempt, from the first byte sent to the last byte read.
//!
//! An attempt fails in one of three phases, and the phase decides what the caller is told:
//!
//! | phase | failure | billing |
//! |---|---|---|
//! | no connection was made | the request never left | not billed |
//! | sent, no whole answer | it may have been charged | unknown |
//! | answered | the adapter reads it | what the provider's document says |
//!
//! Whether there is an attempt, and a further one, is the guard's to say.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use jiff::Timestamp;
use reqwest::Proxy;
use rustls::ClientConfig;
use tokio::sync::watch;
use url::Url;

use super::{
    Answer, Priced, Request,
    address::Address,
    breaker::Circuit,
    guard::{Guard, Limits},
    retry,
};
use crate::{
    config::Price,
    domain::{
        failure::{Failure, Kind},
        redaction::Secret,
        verification::Provider,
    },
    policy::Policy,
    telemetry::{
        call_facts::CallFacts,
        metrics::{PendingCharge, UnderWay},
        spans::{AttemptSpan, Target},
    },
};

/// Idle connections are closed after this long. Node closes its side after 5 s by default, and a
/// request that meets a closing connection has an unknown outcome: better to dial anew.
const POOL_IDLE: Duration = Duration::from_secs(4);
/// Headers of an answer. Their bytes are bounded by HTTP/1's buffer (about 400 KiB) and HTTP/2's own limit.
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: u32 = 64 * 1024;
/// The longest `Retry-After` that is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// How one provider is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The provider.
    pub provider: Provider,
    /// Where its paths begin.
    pub base_url: Url,
    /// How long a whole attempt may take.
    pub timeout: Duration,
    /// The proxy on the way there; none for the direct way.
    pub proxy: Option<Secret>,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How many bytes an answer may have.
    pub max_response_bytes: usize,
    /// What may be sent, and how often.
    pub limits: Limits,
    /// What a billed result costs.
    pub price: Option<Price>,
}

/// The way to one provider.
#[derive(Debug)]
pub struct Upstream {
    client: reqwest::Client,
    target: Target,
    guard: Guard,
    address: Address,
    settings: Settings,
}

impl Upstream {
    /// Prepares the way; nothing is dialled yet.
    ///
    /// # Errors
    ///
    /// If the HTTP client cannot be made.
    pub fn new(settings: Settings, tls: ClientConfig) -> Result<Self, reqwest::Error> {
        let builder = reqwest::Client::builder();
        // A proxy of the environment's would see every request, and nobody here has asked for it.
        let builder = match &settings.proxy {
            None => builder.no_proxy(),
            Some(proxy) => builder.proxy(Proxy::all(proxy.expose()).map_err(|e| e.without_url())?),
        };
        // With none to make, reqwest keeps no copy of each request for them.
        let never = reqwest::retry::never().max_retries_per_request(0);
        let client = builder
            .tls_backend_preconfigured(tls)
            .http1_max_headers(MAX_HEADERS)
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(settings.limits.max_in_flight)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(never)
            .user_agent(concat!("identity-gateway/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            client,
            target: Target::new(settings.provider, &settings.base_url),
            guard: Guard::new(settings.provider, settings.limits.clone()),
            address: Address::new(settings.base_url.clone()),
            settings,
        })
    }

    /// The state of the provider's circuit, and every change of it.
    #[must_use]
    pub fn circuit(&self) -> watch::Receiver<Circuit> {
        self.guard.circuit()
    }

    /// Sends a request under the RPC's policy, if need be and allowed more than once, and reads the
    /// answer.
    ///
    /// # Errors
    ///
    /// The failure of the last attempt, or what `read` makes of the answer.
    pub async fn call<T: Priced>(
        &self,
        facts: &CallFacts,
        policy: &Policy,
        request: &Request,
        read: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Settings {
            provider,
            limits,
            price,
            ..
        } = &self.settings;
        let sent = AtomicU32::new(0);
        let attempt = || async {
            // What is given up while it is out is counted too, as unknown.
            let mut charge = PendingCharge::new(*provider, policy.charge, price.as_ref());
            let resend = sent.fetch_add(1, Ordering::Relaxed);
            let read = self.attempt(request, resend).await.and_then(|answer| {
                read(&answer).map_err(|failure| Failure {
                    retry_after: answer.retry_after,
                    ..failure
                })
            });
            charge.is(match &read {
                Ok(answer) => Some(answer.billing()),
                Err(failure) => retry::judge(policy, limits.errors, failure.clone()).billing,
            });
            read
        };
        self.guard
            .call(facts, policy, || request.subject(), attempt)
            .await
    }

    /// One attempt, within its time; its span ends with it, or when it is given up.
    async fn attempt(&self, request: &Request, resend: u32) -> Result<Answer, Failure> {
        let _counted = UnderWay::in_flight(self.settings.provider);
        let span = AttemptSpan::start(&self.target, &request.method, &request.template, resend);
        let exchange = self.exchange(request, &span);
        let answered = tokio::time::timeout(self.settings.timeout, exchange).await;
        let answered = answered.unwrap_or_else(|_elapsed| {
            let provider = self.settings.provider;
            Err(Failure::after_sending(Kind::TimedOut, provider))
        });
        match &answered {
            Ok(answer) => span.answered(answer.status),
            Err(failure) => span.failed(failure.kind, failure.http_status),
        }
        answered
    }

    async fn exchange(&self, request: &Request, span: &AttemptSpan<'_>) -> Result<Answer, Failure> {
        let provider = self.settings.provider;
        let mut sent = reqwest::Request::new(request.method.clone(), self.address.of(request));
        *sent.headers_mut() = request.headers.clone();
        span.inject(sent.headers_mut());
        *sent.body_mut() = request.body.clone().map(Into::into);
        let mut response = self.client.execute(sent).await.map_err(|error| {
            if error.is_connect() || error.is_builder() {
                Failure::before_sending(Kind::NotConnected, provider)
            } else {
                Failure::after_sending(Kind::OutcomeUnknown, provider)
            }
        })?;
        let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
        let body = self.body(&mut response, status).await?;
        Ok(Answer {
            status,
            retry_after,
            body,
            was_read: false,
        })
    }

    /// The whole body, unless it is larger than it may be or breaks off.
    async fn body(&self, response: &mut reqwest::Response, status: u16) -> Result<Bytes, Failure> {
        let provider = self.settings.provider;
        let failed = |kind| Failure {
            http_status: Some(status),
            ..Failure::after_sending(kind, provider)
        };
        let limit = self.settings.max_response_bytes;
        let stated = response.content_length().unwrap_or_default();
        if stated > u64::try_from(limit).unwrap_or(u64::MAX) {
            return Err(failed(Kind::TooLarge));
        }
        let mut whole = BytesMut::new();
        let mut first: Option<Bytes> = None;
        loop {
            let chunk = response.chunk().await;
            let Some(chunk) = chunk.map_err(|_| failed(Kind::OutcomeUnknown))? else {
                break;
            };
            let so_far = whole.len() + first.as_ref().map_or(0, Bytes::len);
            if so_far + chunk.len() > limit {
                return Err(failed(Kind::TooLarge));
            }
            // Most answers come in one chunk, which is then not copied.
            if first.is_none() && whole.is_empty() {
                first = Some(chunk);
                continue;
            }
            if let Some(first) = first.take() {
                // The length is the provider's word, and the limit was tested above.
                whole.reserve(usize::try_from(stated).unwrap_or_default());
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(first.unwrap_or_else(|| whole.freeze()))
    }
}

/// `Retry-After`: seconds, or an HTTP date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let at = jiff::fmt::rfc2822::DateTimeParser::new();
        let at = at.parse_timestamp(text).ok()?;
        Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn wait(text: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        retry_after(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait("999999999"), Some(3600));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(0));
        assert_eq!(wait("Wed, 21 Oct 2099 07:28:00 GMT"), Some(3600));
        assert_eq!(wait("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
