//! Trace context: taken from the caller, and its ids passed on to the provider, as W3C (`traceparent`) or B3 writes them.
//!
//! A provider gets ids and nothing else: what callers write into `tracestate` and `baggage` is free
//! text, and may be about a person. Baggage is not read at all, because nobody here could use it.

use std::env;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector, TextMapCompositePropagator, TextMapPropagator},
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::{
    b3::{self, B3},
    sampling,
};

/// The only headers of a trace that a provider gets.
const TRACEPARENT: &str = "traceparent";

/// Takes the propagators that `OTEL_PROPAGATORS` names; by default `tracecontext,baggage`, of which baggage
/// is known and goes nowhere. Returns the words that name none here.
pub(super) fn start() -> Vec<String> {
    let named = env::var("OTEL_PROPAGATORS").unwrap_or_default();
    let mut propagators: Vec<Box<dyn TextMapPropagator + Send + Sync>> = Vec::new();
    let mut unknown = Vec::new();
    let named = match named.trim() {
        "" => "tracecontext,baggage",
        named => named,
    };
    for name in named.split(',').map(str::trim) {
        match name {
            "tracecontext" => propagators.push(Box::new(TraceContextPropagator::new())),
            "b3" => propagators.push(Box::new(B3::single())),
            "b3multi" => propagators.push(Box::new(B3::multi())),
            "baggage" | "none" | "" => {}
            other => unknown.push(other.to_owned()),
        }
    }
    global::set_text_map_propagator(TextMapCompositePropagator::new(propagators));
    unknown
}

/// Marks a context that a caller gave.
struct FromCaller;

/// The caller's context; it is sampled as far as callers may decide that.
pub(super) fn extract(headers: &HeaderMap) -> Context {
    let context = global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &Headers(headers))
    });
    if !context.has_active_span() {
        return context;
    }
    let bounded = sampling::bounded(context.span().span_context());
    let context = match bounded {
        Some(bounded) => context.with_remote_span_context(bounded),
        None => context,
    };
    context.with_value(FromCaller)
}

/// Writes the ids of a context into the headers of a request, if anybody follows the trace: a
/// caller that gave its own, or a collector. Else the request stays exactly what the provider's document says.
pub(super) fn inject(context: &Context, headers: &mut HeaderMap) {
    if context.get::<FromCaller>().is_none() && !context.span().span_context().is_sampled() {
        return;
    }
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(context, &mut HeadersMut(headers));
    });
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        let mut known = b3::HEADERS.iter().chain([&TRACEPARENT]);
        let Some(name) = known.find(|name| **name == key) else {
            return;
        };
        if let Ok(value) = HeaderValue::try_from(value) {
            self.0.insert(HeaderName::from_static(name), value);
        }
    }
}
