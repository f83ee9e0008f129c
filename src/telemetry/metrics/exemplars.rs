//! The trace of the last call that fell into each bucket of a histogram.
//!
//! OpenTelemetry's Rust SDK (0.33) has the type for an exemplar and never makes one, so they are kept
//! here and written out by `prometheus.rs`. Only sampled spans are kept: a link that leads nowhere is
//! worse than none. Series are as few as the labels are bounded.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use opentelemetry::{KeyValue, trace::SpanContext};

use super::{prometheus::labels, seconds_since_epoch};
use crate::telemetry::names::{Instrument, Metric};

/// One exemplar.
#[derive(Debug, Clone)]
pub(super) struct Exemplar {
    pub trace_id: String,
    pub span_id: String,
    pub value: f64,
    /// Unix time.
    pub at: f64,
}

type Series = (&'static str, String);

/// The exemplars of all histograms.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<HashMap<Series, Vec<Option<Exemplar>>>>);

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
            trace_id: span.trace_id().to_string(),
            span_id: span.span_id().to_string(),
            value,
            at: seconds_since_epoch(SystemTime::now()),
        };
        let bucket = bounds.iter().take_while(|bound| value > **bound).count();
        let series = (metric.name, labels(attributes.iter()));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = kept
            .entry(series)
            .or_insert_with(|| vec![None; bounds.len() + 1]);
        if let Some(place) = buckets.get_mut(bucket) {
            *place = Some(exemplar);
        }
    }

    /// The exemplar of a bucket.
    pub fn of(&self, metric: &'static str, labels: &str, bucket: usize) -> Option<Exemplar> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = kept.get(&(metric, labels.to_owned()))?;
        buckets.get(bucket)?.clone()
    }
}
