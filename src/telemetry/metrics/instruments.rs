//! One instrument for each metric of names.rs that is reported rather than observed.

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};

use crate::telemetry::names::{self, Instrument, Metric};

#[derive(Debug)]
pub(super) struct Instruments {
    pub rpc_duration: Histogram<f64>,
    pub http_duration: Histogram<f64>,
    pub calls: UpDownCounter<i64>,
    pub failures: Counter<u64>,
    pub verifications: Counter<u64>,
    pub results: Counter<u64>,
    pub cost: Counter<f64>,
    pub retries: Counter<u64>,
    pub retry_budget: Gauge<f64>,
    pub breaker: Gauge<u64>,
    pub breaker_transitions: Counter<u64>,
    pub in_flight: UpDownCounter<i64>,
    pub queued: UpDownCounter<i64>,
    pub refused: Counter<u64>,
    pub cache: Counter<u64>,
    pub cache_age: Histogram<f64>,
    pub drifts: Counter<u64>,
    pub request_ids_dropped: Counter<u64>,
    pub audit: Counter<u64>,
    pub connections: UpDownCounter<i64>,
    pub connections_refused: Counter<u64>,
    pub reloads: Counter<u64>,
    pub export_failures: Counter<u64>,
    pub panics: Counter<u64>,
}

impl Instruments {
    pub fn new(meter: &Meter) -> Self {
        Self {
            rpc_duration: histogram(meter, &names::RPC_DURATION),
            http_duration: histogram(meter, &names::HTTP_DURATION),
            calls: up_down(meter, &names::CALLS),
            failures: counter(meter, &names::FAILURES),
            verifications: counter(meter, &names::VERIFICATIONS),
            results: counter(meter, &names::RESULTS),
            cost: {
                let Metric {
                    name,
                    unit,
                    meaning,
                    ..
                } = names::COST;
                let builder = meter.f64_counter(name).with_unit(unit);
                builder.with_description(meaning).build()
            },
            retries: counter(meter, &names::RETRIES),
            retry_budget: {
                let Metric {
                    name,
                    unit,
                    meaning,
                    ..
                } = names::RETRY_BUDGET;
                let builder = meter.f64_gauge(name).with_unit(unit);
                builder.with_description(meaning).build()
            },
            breaker: {
                let Metric {
                    name,
                    unit,
                    meaning,
                    ..
                } = names::BREAKER;
                let builder = meter.u64_gauge(name).with_unit(unit);
                builder.with_description(meaning).build()
            },
            breaker_transitions: counter(meter, &names::BREAKER_TRANSITIONS),
            in_flight: up_down(meter, &names::IN_FLIGHT),
            queued: up_down(meter, &names::QUEUED),
            refused: counter(meter, &names::REFUSED),
            cache: counter(meter, &names::CACHE),
            cache_age: histogram(meter, &names::CACHE_AGE),
            drifts: counter(meter, &names::DRIFTS),
            request_ids_dropped: counter(meter, &names::REQUEST_IDS_DROPPED),
            audit: counter(meter, &names::AUDIT),
            connections: up_down(meter, &names::CONNECTIONS),
            connections_refused: counter(meter, &names::CONNECTIONS_REFUSED),
            reloads: counter(meter, &names::RELOADS),
            export_failures: counter(meter, &names::EXPORT_FAILURES),
            panics: counter(meter, &names::PANICS),
        }
    }
}

fn counter(meter: &Meter, metric: &Metric) -> Counter<u64> {
    let builder = meter.u64_counter(metric.name).with_unit(metric.unit);
    builder.with_description(metric.meaning).build()
}

fn up_down(meter: &Meter, metric: &Metric) -> UpDownCounter<i64> {
    let builder = meter
        .i64_up_down_counter(metric.name)
        .with_unit(metric.unit);
    builder.with_description(metric.meaning).build()
}

fn histogram(meter: &Meter, metric: &Metric) -> Histogram<f64> {
    let builder = meter.f64_histogram(metric.name).with_unit(metric.unit);
    let builder = builder.with_description(metric.meaning);
    match metric.kind {
        Instrument::Histogram(buckets) => builder.with_boundaries(buckets.to_vec()).build(),
        _ => builder.build(),
    }
}
