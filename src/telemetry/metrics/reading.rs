//! The metrics as figures, for whoever shows them otherwise than Prometheus does: the status page. It reads what
//! calls report anyway, and costs them nothing.

use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};

use super::prometheus;
use crate::telemetry::names::Metric;

/// One series, as it is now.
#[derive(Debug)]
pub struct Series<'a> {
    /// The metric's name, from [`names`](crate::telemetry::names).
    pub metric: &'static str,
    /// What it has come to.
    pub figure: Figure,
    labels: Vec<&'a KeyValue>,
}

/// What a series has come to.
#[derive(Debug, Clone, PartialEq)]
pub enum Figure {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a histogram: how many fell into each bucket, the last without an upper bound.
    Buckets(Vec<u64>),
}

impl Series<'_> {
    /// A label's value, if it is a word.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        let known = self.labels.iter().find(|label| label.key.as_str() == name);
        match &known?.value {
            Value::String(word) => Some(word.as_str()),
            _ => None,
        }
    }

    /// Whether it has a label, of whatever value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label.key.as_str() == name)
    }

    /// The figure of a counter or a gauge.
    #[must_use]
    pub const fn number(&self) -> f64 {
        match self.figure {
            Figure::Number(number) => number,
            Figure::Buckets(_) => 0.0,
        }
    }

    /// The figure of a counter of things.
    #[must_use]
    pub const fn count(&self) -> u64 {
        // What is negative or none becomes 0, and nobody counts beyond 2^53.
        self.number() as u64
    }
}

/// Shows every series, as it is now; none before telemetry is started.
pub fn visit(mut show: impl FnMut(&Series<'_>)) {
    let Some(collected) = prometheus::collect() else {
        return;
    };
    for (metric, data) in prometheus::ours(&collected) {
        match data {
            AggregatedMetrics::F64(data) => points(metric, data, |value| value, &mut show),
            AggregatedMetrics::I64(data) => points(metric, data, |value| value as f64, &mut show),
            AggregatedMetrics::U64(data) => points(metric, data, |value| value as f64, &mut show),
        }
    }
}

fn points<T: Copy>(
    metric: &'static Metric,
    data: &MetricData<T>,
    number: impl Fn(T) -> f64,
    show: &mut impl FnMut(&Series<'_>),
) {
    let mut show = |labels: Vec<&KeyValue>, figure| {
        show(&Series {
            metric: metric.name,
            figure,
            labels,
        });
    };
    match data {
        MetricData::Gauge(gauge) => {
            for point in gauge.data_points() {
                let figure = Figure::Number(number(point.value()));
                show(point.attributes().collect(), figure);
            }
        }
        MetricData::Sum(sum) => {
            for point in sum.data_points() {
                let figure = Figure::Number(number(point.value()));
                show(point.attributes().collect(), figure);
            }
        }
        MetricData::Histogram(histogram) => {
            for point in histogram.data_points() {
                let figure = Figure::Buckets(point.bucket_counts().collect());
                show(point.attributes().collect(), figure);
            }
        }
        MetricData::ExponentialHistogram(_) => {}
    }
}
