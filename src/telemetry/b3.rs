//! B3, as Zipkin and older meshes propagate traces: one header (`b3`) or several (`x-b3-…`).
//!
//! Either form is read, whichever of the two is asked for; it is written as it was asked for.

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};

const SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

/// The headers that are written.
pub(super) const HEADERS: [&str; 4] = [SINGLE, TRACE_ID, SPAN_ID, SAMPLED];

/// The propagator.
#[derive(Debug)]
pub(super) struct B3 {
    fields: Vec<String>,
    is_single: bool,
}

impl B3 {
    pub fn single() -> Self {
        Self {
            fields: vec![SINGLE.to_owned()],
            is_single: true,
        }
    }

    pub fn multi() -> Self {
        let fields = [TRACE_ID, SPAN_ID, SAMPLED, FLAGS];
        Self {
            fields: fields.map(str::to_owned).to_vec(),
            is_single: false,
        }
    }
}

impl TextMapPropagator for B3 {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let sampled = if span.is_sampled() { "1" } else { "0" };
        let (trace, id) = (span.trace_id(), span.span_id());
        if self.is_single {
            injector.set(SINGLE, format!("{trace}-{id}-{sampled}"));
        } else {
            injector.set(TRACE_ID, trace.to_string());
            injector.set(SPAN_ID, id.to_string());
            injector.set(SAMPLED, sampled.to_owned());
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let of_one = extractor.get(SINGLE).and_then(|header| {
            let mut parts = header.trim().split('-');
            let (trace, span) = (parts.next()?, parts.next()?);
            read(trace, span, parts.next())
        });
        let of_several = || {
            let sampled = match extractor.get(FLAGS).map(str::trim) {
                Some("1") => Some("d"),
                _ => extractor.get(SAMPLED),
            };
            read(extractor.get(TRACE_ID)?, extractor.get(SPAN_ID)?, sampled)
        };
        match of_one.or_else(of_several) {
            Some(span) => context.with_remote_span_context(span),
            None => context.clone(),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

/// A trace id has 32 or 16 digits, of which the short one is the lower half.
fn read(trace: &str, span: &str, sampled: Option<&str>) -> Option<SpanContext> {
    let (trace, span) = (trace.trim(), span.trim());
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !matches!(trace.len(), 16 | 32) || span.len() != 16 || !is_hex(trace) || !is_hex(span) {
        return None;
    }
    let sampled = match sampled.map(str::trim) {
        Some("1" | "d" | "true") => TraceFlags::SAMPLED,
        _ => TraceFlags::default(),
    };
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        sampled,
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const TRACE: &str = "463ac35c9f6413ad48485a3953bb6124";
    const SPAN: &str = "0020000000000001";

    #[test]
    fn both_forms_are_read_and_written_as_asked_for() {
        let short = "48485a3953bb6124";
        let padded = format!("{:0>32}", short);
        let one = |value: String| vec![(SINGLE, value)];
        let several = |trace: &str, sampled: &str| {
            let (trace, sampled) = (trace.to_owned(), sampled.to_owned());
            vec![
                (TRACE_ID, trace),
                (SPAN_ID, SPAN.to_owned()),
                (SAMPLED, sampled),
            ]
        };
        for (headers, expected) in [
            (one(format!("{TRACE}-{SPAN}-1")), Some((TRACE, true))),
            (
                one(format!("{TRACE}-{SPAN}-d-05e3ac9a4f6e3b90")),
                Some((TRACE, true)),
            ),
            (one(format!("{TRACE}-{SPAN}-0")), Some((TRACE, false))),
            (one(format!("{TRACE}-{SPAN}")), Some((TRACE, false))),
            (one(format!("{short}-{SPAN}-1")), Some((&*padded, true))),
            (several(TRACE, "1"), Some((TRACE, true))),
            (several(short, "0"), Some((&*padded, false))),
            (one("0".to_owned()), None),
            (one(format!("{TRACE}-{SPAN}x-1")), None),
            (one(format!("{}-{SPAN}-1", "0".repeat(32))), None),
            (several("ü", "1"), None),
        ] {
            for propagator in [B3::single(), B3::multi()] {
                let headers: HashMap<_, _> = headers.iter().cloned().collect();
                let headers: HashMap<String, String> = headers
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect();
                let context = propagator.extract_with_context(&Context::new(), &headers);
                let span = context.span().span_context().clone();
                let read = span
                    .is_valid()
                    .then(|| (span.trace_id().to_string(), span.is_sampled()));
                let read = read.as_ref().map(|(trace, sampled)| (&**trace, *sampled));
                assert_eq!(read, expected, "{headers:?}");
                let mut written = HashMap::<String, String>::new();
                propagator.inject_context(&context, &mut written);
                let again = propagator.extract_with_context(&Context::new(), &written);
                assert_eq!(again.span().span_context(), &span);
                assert_eq!(
                    written.contains_key(SINGLE),
                    propagator.is_single && span.is_valid()
                );
                assert!(written.keys().all(|name| HEADERS.contains(&&**name)));
            }
        }
    }
}
