//! The spans: one for each call, one for each attempt at a provider, one for each wait.
//!
//! They are guards: a span ends when it is dropped, so also when its call is cancelled. They use
//! OpenTelemetry's own interface and not the spans of `tracing`: so nothing that a library says in
//! its spans can reach the collector, and the log's level does not decide what is traced.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::Instant,
};

use http::{HeaderMap, Method};
use opentelemetry::{
    Context, KeyValue,
    global::{self, BoxedTracer},
    trace::{SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use tonic::Code;
use url::Url;

use super::{
    call_end::CallEnd,
    labels::Rpc,
    metrics::{self, Attempts},
    names, propagation,
};
use crate::{
    domain::{
        failure::Kind,
        verification::{Billing, Outcome, Provider, Source},
    },
    status,
};

/// The tracer of the process. Asking for it takes a lock and three allocations, so it is asked for once.
static TRACER: OnceLock<BoxedTracer> = OnceLock::new();

/// Takes the provider of tracers that is in force now.
pub(super) fn start() {
    let _started_before = TRACER.set(global::tracer(names::SCOPE));
}

/// Begins a span. Its attributes come after, and only if it is recorded: most are not.
fn begin(name: impl Into<Cow<'static, str>>, kind: SpanKind, parent: &Context) -> Context {
    let builder = SpanBuilder::from_name(name).with_kind(kind);
    let span = match TRACER.get() {
        Some(tracer) => tracer.build_with_context(builder, parent),
        // Nobody has started telemetry, as in a test that watches spans in its own way.
        None => global::tracer(names::SCOPE).build_with_context(builder, parent),
    };
    parent.with_span(span)
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
        let context = begin(rpc.as_str(), SpanKind::Server, &parent);
        if context.span().is_recording() {
            context.span().set_attributes([
                KeyValue::new(names::RPC_SYSTEM_NAME, names::GRPC),
                KeyValue::new(names::RPC_METHOD, rpc.as_str()),
            ]);
        }
        Self(context)
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
    pub fn tell(&self, end: &CallEnd<'_>) {
        let span = self.0.span();
        if !span.is_recording() {
            return;
        }
        let code = end.code;
        let word = status::code_name(code);
        span.set_attribute(KeyValue::new(names::RPC_STATUS_CODE, word));
        if code != Code::Ok {
            span.set_attribute(KeyValue::new(names::ERROR_TYPE, word));
        }
        if is_server_error(code) {
            span.set_status(Status::error(""));
        }
        if let Some(rule) = end.rule {
            span.set_attribute(KeyValue::new(names::CALLER, rule.to_owned()));
        }
        if let Some(id) = end.verification_id {
            span.set_attribute(KeyValue::new(names::VERIFICATION_ID, id.to_string()));
        }
        let words = [
            (names::PROVIDER, end.provider.map(Provider::as_str)),
            (names::OUTCOME, end.outcome.map(Outcome::as_str)),
            (names::BILLING, end.billing.map(Billing::as_str)),
            (names::SOURCE, end.source.map(Source::as_str)),
            (names::REASON, end.reason),
            (
                names::CAUSE,
                end.refused.map(|refused| refused.cause.as_str()),
            ),
        ];
        for (name, word) in words {
            if let Some(word) = word {
                span.set_attribute(KeyValue::new(name, word));
            }
        }
        if end.provider.is_some() {
            let attempts = i64::from(end.attempts);
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
    attempts: Arc<Attempts>,
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
            attempts: Arc::default(),
        }
    }
}

/// The span of one attempt, and its figures.
#[derive(Debug)]
#[must_use = "the span ends when this is dropped"]
pub struct AttemptSpan<'a> {
    context: Context,
    started: Instant,
    target: &'a Target,
    method: &'a Method,
    template: &'a str,
    status: Option<u16>,
    error: Option<Cow<'static, str>>,
    ended: bool,
}

impl<'a> AttemptSpan<'a> {
    /// Begins it; `resend` is how many attempts the call has made before.
    pub fn start(target: &'a Target, method: &'a Method, template: &'a str, resend: u32) -> Self {
        let begun = Self {
            context: begin("", SpanKind::Client, &Context::current()),
            started: Instant::now(),
            target,
            method,
            template,
            status: None,
            error: None,
            ended: false,
        };
        let span = begun.context.span();
        if span.is_recording() {
            span.update_name(format!("{method} {template}"));
            span.set_attributes(begun.labels());
            let url = format!("{}{template}", target.base);
            span.set_attribute(KeyValue::new(names::URL_FULL, url));
            if resend > 0 {
                let resend = i64::from(resend);
                span.set_attribute(KeyValue::new(names::HTTP_RESEND_COUNT, resend));
            }
        }
        begun
    }

    /// Adds `traceparent`.
    pub fn inject(&self, headers: &mut HeaderMap) {
        propagation::inject(&self.context, headers);
    }

    /// It was answered, with this HTTP status.
    pub fn answered(mut self, status: u16) {
        self.status = is_http_status(status).then_some(status);
        if status >= 400 {
            self.error = Some(match self.status {
                Some(status) => status.to_string().into(),
                None => names::OTHER.into(),
            });
        }
        self.ended = true;
    }

    /// There was no whole answer; the HTTP status may have come.
    pub fn failed(mut self, kind: Kind, status: Option<u16>) {
        self.status = status.filter(|status| is_http_status(*status));
        self.error = Some(Cow::Borrowed(match kind {
            Kind::NotConnected => "connect",
            Kind::Overloaded => "overloaded",
            Kind::TimedOut => "timeout",
            Kind::OutcomeUnknown => "broken",
            Kind::Malformed | Kind::TooLarge => "malformed",
            _ => names::OTHER,
        }));
        self.ended = true;
    }

    /// What its figures, and its span, say of it.
    fn labels(&self) -> Vec<KeyValue> {
        let target = self.target;
        let mut labels = vec![
            KeyValue::new(names::HTTP_METHOD, self.method.as_str().to_owned()),
            KeyValue::new(names::URL_TEMPLATE, self.template.to_owned()),
            KeyValue::new(names::SERVER_ADDRESS, target.host.clone()),
            KeyValue::new(names::SERVER_PORT, i64::from(target.port)),
            KeyValue::new(names::PROVIDER, target.provider.as_str()),
        ];
        labels.extend(self.ending());
        labels
    }

    /// How it ended.
    fn ending(&self) -> impl Iterator<Item = KeyValue> {
        let status = self.status.map(i64::from);
        let status = status.map(|status| KeyValue::new(names::HTTP_STATUS, status));
        let error = self.error.clone();
        let error = error.map(|error| KeyValue::new(names::ERROR_TYPE, error));
        status.into_iter().chain(error)
    }
}

const fn is_http_status(status: u16) -> bool {
    matches!(status, 100..600)
}

impl Drop for AttemptSpan<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // The caller gave up, or its time was over.
            self.error = Some(Cow::Borrowed("cancelled"));
        }
        let span = self.context.span();
        if span.is_recording() {
            span.set_attributes(self.ending());
            if self.error.is_some() {
                span.set_status(Status::error(""));
            }
        }
        let answered = self.status.filter(|_| self.error.is_none());
        metrics::attempted(
            &self.target.attempts,
            (self.method, self.template, answered),
            || self.labels(),
            self.started.elapsed(),
            span.span_context(),
        );
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
        let context = begin(wait.name(), SpanKind::Internal, &Context::current());
        if context.span().is_recording() {
            let provider = KeyValue::new(names::PROVIDER, provider.as_str());
            context.span().set_attribute(provider);
        }
        Self(context)
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
