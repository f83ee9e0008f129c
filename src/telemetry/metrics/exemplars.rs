//! The trace of the last call that fell into each bucket of a histogram.
//!
//! OpenTelemetry's Rust SDK (0.33) has the type for an exemplar and never makes one, so they are kept
//! here and written out by `prometheus.rs`. Only sampled spans are kept: a link that leads nowhere is
//! worse than none. Series are as few as the labels are bounded.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use opentelemetry::{
    KeyValue,
    trace::{SpanContext, SpanId, TraceId},
};

use super::prometheus::labels;
use crate::telemetry::names::{Instrument, Metric};

/// One exemplar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exemplar {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub value: f64,
    pub at: SystemTime,
}

/// The exemplars of one series, with its name as it is written.
#[derive(Debug)]
struct Series {
    metric: &'static str,
    labels: String,
    buckets: Vec<Option<Exemplar>>,
}

/// The exemplars of all histograms, by a hash of their series: a call must not pay for writing labels.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<HashMap<u64, Series>>);

impl Exemplars {
    /// Keeps the span as the last of its bucket, if it is sampled.
    pub fn note(&self, metric: &Metric, attributes: &[KeyValue], value: f64, span: &SpanContext) {
        let Instrument::Histogram(bounds) = metric.kind else {
            return;
        };
        if !span.is_sampled() {
            return;
        }
        let exemplar = Exemplar {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            value,
            at: SystemTime::now(),
        };
        let bucket = bounds.iter().take_while(|bound| value > **bound).count();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let series = kept
            .entry(hash(metric, attributes))
            .or_insert_with(|| Series {
                metric: metric.name,
                labels: labels(attributes.iter()),
                buckets: vec![None; bounds.len() + 1],
            });
        if let Some(place) = series.buckets.get_mut(bucket) {
            *place = Some(exemplar);
        }
    }

    /// The exemplar of a bucket.
    pub fn of(&self, metric: &'static str, labels: &str, bucket: usize) -> Option<Exemplar> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |series: &&Series| series.metric == metric && series.labels == labels;
        let series = kept.values().find(is_it)?;
        *series.buckets.get(bucket)?
    }
}

/// Label sets are bounded, and no caller can add one: nobody can look for two with the same hash.
fn hash(metric: &Metric, attributes: &[KeyValue]) -> u64 {
    let mut hasher = DefaultHasher::new();
    metric.name.hash(&mut hasher);
    attributes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{TraceFlags, TraceState};

    use super::*;
    use crate::telemetry::names::{HTTP_DURATION, RPC_DURATION};

    fn span(id: u64, flags: TraceFlags) -> SpanContext {
        let (trace, span) = (TraceId::from(u128::from(id)), SpanId::from(id));
        SpanContext::new(trace, span, flags, false, TraceState::default())
    }

    #[test]
    fn the_last_sampled_call_of_each_bucket_is_kept_for_each_series() {
        let exemplars = Exemplars::default();
        let [found, failed] = ["OK", "UNKNOWN"].map(|code| [KeyValue::new("code", code)]);
        let sampled = TraceFlags::SAMPLED;
        for (metric, labels, value, id, flags) in [
            (&RPC_DURATION, &found, 0.001, 1, sampled),
            (&RPC_DURATION, &found, 0.002, 2, sampled),
            (&RPC_DURATION, &found, 0.003, 3, TraceFlags::default()),
            (&RPC_DURATION, &found, 0.007, 4, sampled),
            (&RPC_DURATION, &failed, 0.001, 5, sampled),
            (&HTTP_DURATION, &found, 99.0, 6, sampled),
        ] {
            exemplars.note(metric, labels, value, &span(id, flags));
        }
        let of = |metric: &Metric, code, bucket| {
            let labels = format!("code=\"{code}\"");
            let found = exemplars.of(metric.name, &labels, bucket);
            found.map(|found| found.span_id)
        };
        assert_eq!(of(&RPC_DURATION, "OK", 0), Some(SpanId::from(2)));
        assert_eq!(of(&RPC_DURATION, "OK", 1), Some(SpanId::from(4)));
        assert_eq!(of(&RPC_DURATION, "OK", 2), None);
        assert_eq!(of(&RPC_DURATION, "UNKNOWN", 0), Some(SpanId::from(5)));
        assert_eq!(of(&HTTP_DURATION, "OK", 0), None);
        assert_eq!(of(&HTTP_DURATION, "OK", 16), Some(SpanId::from(6)));
    }
}
