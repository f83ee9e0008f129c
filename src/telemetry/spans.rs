//! The spans: one for each call, one for each attempt at a provider, one for each wait.
//!
//! They are guards: a span ends when it is dropped, so also when its call is cancelled. They use
//! OpenTelemetry's own interface and not the spans of `tracing`: so nothing that a library says in
//! its spans can reach the collector, and the log's level does not decide what is traced.

use std::time::Instant;

use http::{HeaderMap, Method};
use opentelemetry::{
    Context, KeyValue,
    global::{self, BoxedTracer},
    trace::{SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use tonic::Code;
use url::Url;

use super::{call_facts::CallFacts, labels::Rpc, metrics, names, propagation};
use crate::{
    domain::{
        failure::Kind,
        verification::{Billing, Outcome, Provider, Source},
    },
    status,
};

fn tracer() -> BoxedTracer {
    global::tracer(names::SCOPE)
}

/// Whether the convention calls the code an error of the server.
const fn is_server_error(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The span of a call of the contract.
#[derive(Debug)]
#[must_use = "the span ends when this is dropped"]
pub struct CallSpan(Context);

impl CallSpan {
    /// Begins it, as a child of the caller's span if the headers name one.
    pub fn start(rpc: Rpc, headers: &HeaderMap) -> Self {
        let parent = propagation::extract(headers);
        let tracer = tracer();
        let builder = tracer
            .span_builder(rpc.as_str())
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new(names::RPC_SYSTEM_NAME, names::GRPC),
                KeyValue::new(names::RPC_METHOD, rpc.as_str()),
            ]);
        let span = tracer.build_with_context(builder, &parent);
        Self(parent.with_span(span))
    }

    /// The context in which the call runs.
    #[must_use]
    pub fn context(&self) -> Context {
        self.0.clone()
    }

    /// Its ids.
    #[must_use]
    pub fn span_context(&self) -> SpanContext {
        self.0.span().span_context().clone()
    }

    /// Notes how the call ended and what is known of it.
    pub fn tell(&self, code: Code, facts: &CallFacts) {
        let span = self.0.span();
        if !span.is_recording() {
            return;
        }
        let word = status::code_name(code);
        span.set_attribute(KeyValue::new(names::RPC_STATUS_CODE, word));
        if code != Code::Ok {
            span.set_attribute(KeyValue::new(names::ERROR_TYPE, word));
        }
        if is_server_error(code) {
            span.set_status(Status::error(""));
        }
        if let Some(rule) = facts.rule() {
            span.set_attribute(KeyValue::new(names::CALLER, rule.to_owned()));
        }
        if let Some(id) = facts.verification_id() {
            span.set_attribute(KeyValue::new(names::VERIFICATION_ID, id.to_string()));
        }
        let words = [
            (names::PROVIDER, facts.provider().map(Provider::as_str)),
            (names::OUTCOME, facts.outcome().map(Outcome::as_str)),
            (names::BILLING, facts.billing().map(Billing::as_str)),
            (names::SOURCE, facts.source().map(Source::as_str)),
            (names::REASON, facts.reason()),
        ];
        for (name, word) in words {
            if let Some(word) = word {
                span.set_attribute(KeyValue::new(name, word));
            }
        }
        if facts.provider().is_some() {
            let attempts = i64::from(facts.attempts());
            span.set_attribute(KeyValue::new(names::ATTEMPTS, attempts));
        }
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        self.0.span().end();
    }
}

/// Where an attempt goes.
#[derive(Debug, Clone)]
pub struct Target {
    /// The provider.
    pub provider: Provider,
    /// Its base URL, without a slash at the end.
    pub base: String,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Target {
    /// The target of a base URL.
    #[must_use]
    pub fn new(provider: Provider, base: &Url) -> Self {
        Self {
            provider,
            base: base.as_str().trim_end_matches('/').to_owned(),
            host: base.host_str().unwrap_or_default().to_owned(),
            port: base.port_or_known_default().unwrap_or_default(),
        }
    }
}

/// The span of one attempt, and its figures.
#[derive(Debug)]
#[must_use = "the span ends when this is dropped"]
pub struct AttemptSpan {
    context: Context,
    started: Instant,
    labels: Vec<KeyValue>,
    ended: bool,
}

impl AttemptSpan {
    /// Begins it; `resend` is how many attempts the call has made before.
    pub fn start(target: &Target, method: &Method, template: &str, resend: u32) -> Self {
        let labels = vec![
            KeyValue::new(names::HTTP_METHOD, method.as_str().to_owned()),
            KeyValue::new(names::URL_TEMPLATE, template.to_owned()),
            KeyValue::new(names::SERVER_ADDRESS, target.host.clone()),
            KeyValue::new(names::SERVER_PORT, i64::from(target.port)),
            KeyValue::new(names::PROVIDER, target.provider.as_str()),
        ];
        let mut attributes = labels.clone();
        let url = format!("{}{template}", target.base);
        attributes.push(KeyValue::new(names::URL_FULL, url));
        if resend > 0 {
            let resend = i64::from(resend);
            attributes.push(KeyValue::new(names::HTTP_RESEND_COUNT, resend));
        }
        let tracer = tracer();
        let builder = tracer
            .span_builder(format!("{method} {template}"))
            .with_kind(SpanKind::Client)
            .with_attributes(attributes);
        let parent = Context::current();
        let span = tracer.build_with_context(builder, &parent);
        Self {
            context: parent.with_span(span),
            started: Instant::now(),
            labels,
            ended: false,
        }
    }

    /// Adds traceparent, tracestate and baggage.
    pub fn inject(&self, headers: &mut HeaderMap) {
        propagation::inject(&self.context, headers);
    }

    /// It was answered, with this HTTP status.
    pub fn answered(mut self, status: u16) {
        if (100..600).contains(&status) {
            self.note(names::HTTP_STATUS, i64::from(status));
        }
        if status >= 400 {
            self.fail(if status < 600 {
                status.to_string()
            } else {
                names::OTHER.to_owned()
            });
        }
        self.ended = true;
    }

    /// There was no whole answer; the HTTP status may have come.
    pub fn failed(mut self, kind: Kind, status: Option<u16>) {
        if let Some(status) = status.filter(|status| (100..600).contains(status)) {
            self.note(names::HTTP_STATUS, i64::from(status));
        }
        self.fail(match kind {
            Kind::NotConnected => "connect",
            Kind::TimedOut => "timeout",
            Kind::OutcomeUnknown => "broken",
            Kind::Malformed => "malformed",
            _ => names::OTHER,
        });
        self.ended = true;
    }

    fn note(&mut self, name: &'static str, value: impl Into<opentelemetry::Value>) {
        let pair = KeyValue::new(name, value);
        self.context.span().set_attribute(pair.clone());
        self.labels.push(pair);
    }

    fn fail(&mut self, kind: impl Into<opentelemetry::Value>) {
        self.note(names::ERROR_TYPE, kind);
        self.context.span().set_status(Status::error(""));
    }
}

impl Drop for AttemptSpan {
    fn drop(&mut self) {
        if !self.ended {
            // The caller gave up, or its time was over.
            self.fail("cancelled");
        }
        let span = self.context.span();
        metrics::attempted(&self.labels, self.started.elapsed(), span.span_context());
        span.end();
    }
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// A place in flight at the provider.
    Queue,
    /// The moment of the next attempt.
    Backoff,
    /// The cache.
    Cache,
    /// The answer to an identical call.
    Coalesced,
}

impl Wait {
    const fn name(self) -> &'static str {
        match self {
            Self::Queue => names::WAIT_QUEUE,
            Self::Backoff => names::WAIT_BACKOFF,
            Self::Cache => names::WAIT_CACHE,
            Self::Coalesced => names::WAIT_COALESCED,
        }
    }
}

/// The span of a wait.
#[derive(Debug)]
#[must_use = "the span ends when this is dropped"]
pub struct WaitSpan(Context);

impl WaitSpan {
    /// Begins it.
    pub fn start(wait: Wait, provider: Provider) -> Self {
        let tracer = tracer();
        let builder = tracer
            .span_builder(wait.name())
            .with_kind(SpanKind::Internal)
            .with_attributes([KeyValue::new(names::PROVIDER, provider.as_str())]);
        let parent = Context::current();
        let span = tracer.build_with_context(builder, &parent);
        Self(parent.with_span(span))
    }

    /// Links the wait to the span of the call that does the work.
    pub fn link(&self, worker: SpanContext) {
        if worker.is_valid() {
            self.0.span().add_link(worker, Vec::new());
        }
    }
}

impl Drop for WaitSpan {
    fn drop(&mut self) {
        self.0.span().end();
    }
}
