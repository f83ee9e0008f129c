//! The way to one provider: one attempt, from the connection to the last byte read.
//!
//! An attempt fails in one of three phases, and the phase decides what the caller is told:
//!
//! | phase | failure | billing |
//! |---|---|---|
//! | no connection takes the request, or the provider gives it back unread | it surely did nothing | not billed |
//! | sent, no whole answer | it may have been charged | unknown |
//! | answered | the adapter reads it | what the provider's document says |
//!
//! A request is sent from the moment that it is handed to a connection that is ready for it; until then it costs
//! nothing, and giving it up keeps it from leaving. Whether there is an attempt, and a further one, is the
//! guard's to say.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, header, response::Parts};
use jiff::Timestamp;
use rustls::ClientConfig;
use tokio::{sync::watch, time::Instant};
use url::Url;

use super::{
    Answer, Credentials, Priced, Progress, Request,
    answer_memory::{AnswerMemory, Room},
    body,
    breaker::Circuit,
    client::{self, AddressError, Body, Client, Connection, KeepAlive, Lost, NotConnected, Ready},
    credentials::Credential,
    guard::{Guard, Limits},
    retry,
};
use crate::{
    domain::{
        failure::{Failure, Kind},
        price::Price,
        redaction::Secret,
        verification::Provider,
    },
    policy::Policy,
    telemetry::{
        metrics::{PendingCharge, UnderWay},
        spans::{AttemptSpan, Target},
    },
};

/// So many connections may turn out to be closing before one takes the request.
const CONNECTIONS: u32 = 3;
/// The longest `Retry-After` that is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What a provider hears of the traces that its requests belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// The `traceparent`, if anybody follows the trace.
    Traceparent,
    /// Nothing.
    Nothing,
}

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
    /// When an HTTP/2 connection counts as dead.
    pub keep_alive: KeepAlive,
    /// What it hears of traces.
    pub trace: Trace,
    /// How many bytes an answer may have.
    pub max_response_bytes: usize,
    /// How many bytes all answers that are being read may have together.
    pub answer_memory: usize,
    /// What may be sent, and how often.
    pub limits: Limits,
    /// What a billed result costs.
    pub price: Option<Price>,
}

/// The way to one provider.
#[derive(Debug)]
pub struct Upstream {
    client: Client,
    credentials: Credentials,
    target: Target,
    guard: Guard,
    memory: AnswerMemory,
    settings: Settings,
    /// Whether there was an answer.
    has_answered: AtomicBool,
}

/// One answer in so many is searched for fields that no document lists, the first among them.
const SAMPLED: u32 = 16;

/// An answer, and the room that it takes until it is read.
struct Received<'a> {
    answer: Answer,
    _room: Room<'a>,
}

/// An attempt's request, and whether it has left.
struct Leaving<'a> {
    progress: &'a Progress,
    charge: PendingCharge<'a>,
    left: bool,
    /// Of its time.
    end: Instant,
}

impl Leaving<'_> {
    fn leaves(&mut self) {
        self.left = true;
        self.charge.sent();
        self.progress.answered_by(self.end);
        self.progress.sent();
    }

    /// It has not left after all.
    fn stays(&mut self) {
        self.left = false;
        self.charge.stayed();
        self.progress.settled();
    }
}

impl Upstream {
    /// Prepares the way; nothing is dialled yet.
    ///
    /// # Errors
    ///
    /// If the provider or its proxy cannot be dialled.
    pub fn new(
        settings: Settings,
        credentials: Credentials,
        tls: ClientConfig,
    ) -> Result<Self, AddressError> {
        let reached = client::Settings {
            provider: settings.provider,
            base_url: &settings.base_url,
            proxy: settings.proxy.as_ref(),
            connect_timeout: settings.connect_timeout,
            keep_alive: settings.keep_alive,
            max_in_flight: settings.limits.max_in_flight,
            unread: settings.answer_memory,
        };
        Ok(Self {
            client: Client::new(&reached, tls)?,
            credentials,
            target: Target::new(settings.provider, &settings.base_url),
            guard: Guard::new(settings.provider, settings.limits.clone()),
            memory: AnswerMemory::new(settings.answer_memory),
            has_answered: AtomicBool::new(false),
            settings,
        })
    }

    /// The provider.
    #[must_use]
    pub const fn provider(&self) -> Provider {
        self.settings.provider
    }

    /// The longest that a call may take: every attempt with its wait for a place and the wait after it.
    #[must_use]
    pub fn longest_call(&self) -> Duration {
        let Settings {
            timeout, limits, ..
        } = &self.settings;
        let attempt = limits.queue_timeout + *timeout + retry::MAX_WAIT;
        attempt.saturating_mul(limits.max_attempts)
    }

    /// What a billed result costs.
    #[must_use]
    pub const fn price(&self) -> Option<&Price> {
        self.settings.price.as_ref()
    }

    /// The credential in force.
    #[must_use]
    pub fn credential(&self) -> Arc<Credential> {
        self.credentials.current()
    }

    /// The state of the provider's circuit, and every change of it.
    #[must_use]
    pub fn circuit(&self) -> watch::Receiver<Circuit> {
        self.guard.circuit()
    }

    /// Nobody waits any more for what was sent with this progress, and it is finished all the same.
    pub fn left(&self, progress: &Progress) {
        self.guard.left(progress);
    }

    /// Sends a request under the RPC's policy, if need be and allowed more than once, and reads the
    /// answer.
    ///
    /// # Errors
    ///
    /// The failure of the last attempt, or what `read` makes of the answer.
    pub async fn call<T: Priced>(
        &self,
        progress: &Progress,
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
            let mut leaving = Leaving {
                progress,
                charge: PendingCharge::new(*provider, policy.charge, price.as_ref()),
                left: false,
                end: Instant::now() + self.settings.timeout,
            };
            let resend = sent.fetch_add(1, Ordering::Relaxed);
            let answered = self.attempt(request, resend, &mut leaving).await;
            let read = answered.and_then(|Received { answer, _room }| {
                read(&answer).map_err(|failure| failure.no_sooner_than(answer.retry_after))
            });
            leaving.charge.is(match &read {
                Ok(answer) => Some(answer.billing()),
                Err(failure) => retry::judge(policy, limits.errors, failure.clone()).billing,
            });
            read
        };
        self.guard
            .call(progress, policy, || request.subject(), attempt)
            .await
    }

    /// One attempt, within its time; its span ends with it, or when it is given up.
    async fn attempt(
        &self,
        request: &Request,
        resend: u32,
        leaving: &mut Leaving<'_>,
    ) -> Result<Received<'_>, Failure> {
        let span = AttemptSpan::start(&self.target, &request.method, &request.template, resend);
        let exchange = self.exchange(request, &span, leaving);
        let answered = tokio::time::timeout(self.settings.timeout, exchange).await;
        let answered = answered.unwrap_or_else(|_elapsed| {
            let provider = self.settings.provider;
            Err(match leaving.left {
                true => Failure::after_sending(Kind::TimedOut, provider),
                false => Failure::before_sending(Kind::NotConnected, provider),
            })
        });
        match &answered {
            Ok(received) => span.answered(received.answer.status),
            Err(failure) => span.failed(failure.kind, failure.http_status),
        }
        answered
    }

    async fn exchange(
        &self,
        request: &Request,
        span: &AttemptSpan<'_>,
        leaving: &mut Leaving<'_>,
    ) -> Result<Received<'_>, Failure> {
        let provider = self.settings.provider;
        let credential = request.credential.clone();
        let credential = credential.unwrap_or_else(|| self.credential());
        let mut headers = request.headers.clone();
        let known_by = credential.headers.iter();
        headers.extend(known_by.map(|(name, value)| (name.clone(), value.clone())));
        if self.settings.trace == Trace::Traceparent {
            span.inject(&mut headers);
        }
        for _ in 0..CONNECTIONS {
            let begun = Instant::now();
            let Some((ready, _counted)) = self.ready().await? else {
                continue;
            };
            self.guard.in_time(leaving.progress, begun)?;
            let headers = headers.clone();
            let sending = self
                .client
                .send(ready, request, headers, || leaving.leaves());
            let (head, mut body) = match sending.await {
                Ok(answered) => answered.into_parts(),
                // The connection was closing, and nothing has left: another one is no repeat.
                Err(Lost::NotSent) => {
                    leaving.stays();
                    continue;
                }
                Err(Lost::NotProcessed) => break,
                Err(Lost::Unknown) => {
                    return Err(Failure::after_sending(Kind::OutcomeUnknown, provider));
                }
            };
            return self.receive(&head, &mut body).await;
        }
        Err(Failure::before_sending(Kind::NotConnected, provider))
    }

    /// The whole answer, and the room that it takes.
    async fn receive(&self, head: &Parts, body: &mut Body) -> Result<Received<'_>, Failure> {
        let Settings {
            provider,
            max_response_bytes: limit,
            ..
        } = self.settings;
        let status = head.status.as_u16();
        let stated = body::stated_length(head);
        let most = stated.and_then(|length| usize::try_from(length).ok());
        let mut room = self.memory.room(most.unwrap_or(limit));
        let body = body::read(body, stated, limit, &mut room).await;
        let body = body.map_err(|kind| Failure {
            http_status: Some(status),
            ..Failure::after_sending(kind, provider)
        })?;
        Ok(Received {
            answer: Answer {
                status,
                retry_after: retry_after(&head.headers),
                body,
                is_sampled: self.is_sampled(),
            },
            _room: room,
        })
    }

    /// By chance: what comes at regular intervals must not be left out for ever.
    fn is_sampled(&self) -> bool {
        !self.has_answered.swap(true, Ordering::Relaxed) || fastrand::u32(..SAMPLED) == 0
    }

    /// A place on a connection, dialled if need be, waited for if it takes no more at the moment. None if the
    /// connection was closed meanwhile.
    async fn ready(&self) -> Result<Option<(Ready, UnderWay)>, Failure> {
        let provider = self.settings.provider;
        let counted = UnderWay::in_flight(provider);
        let connection = self.client.connection().await;
        let not_connected = |NotConnected| Failure::before_sending(Kind::NotConnected, provider);
        let http2 = match connection.map_err(not_connected)? {
            Connection::Http1(http1) => return Ok(Some((Ready::Http1(http1), counted))),
            Connection::Http2(http2) => http2,
        };
        if let Some(stream) = http2.try_open() {
            return Ok(Some((Ready::Http2(stream), counted)));
        }
        drop(counted);
        let stream = self.guard.queue(http2.open()).await?;
        Ok(stream.map(|stream| (Ready::Http2(stream), UnderWay::in_flight(provider))))
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
