//! One instrument for each metric of names.rs that is reported rather than observed.

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};

use crate::telemetry::names::{self, Instrument, Metric};

#[derive(Debug)]
pub(super) struct Instruments {
    pub rpc_duration: Histogram<f64>,
    pub http_duration: Histogram<f64>,
    pub calls: UpDownCounter<i64>,
    pub failures: Counter<u64>,
    pub callers_refused: Counter<u64>,
    pub verifications: Counter<u64>,
    pub results: Counter<u64>,
    pub cost: Counter<f64>,
    pub rule_refused: Counter<u64>,
    pub rule_verifications: Counter<u64>,
    pub rule_cost: Counter<f64>,
    pub retries: Counter<u64>,
    pub retry_budget: Gauge<f64>,
    pub breaker: Gauge<u64>,
    pub breaker_transitions: Counter<u64>,
    pub in_flight: UpDownCounter<i64>,
    pub queued: UpDownCounter<i64>,
    pub unattended: UpDownCounter<i64>,
    pub left: Counter<u64>,
    pub left_cost: Counter<f64>,
    pub refused: Counter<u64>,
    pub cache: Counter<u64>,
    pub cache_age: Histogram<f64>,
    pub drifts: Counter<u64>,
    pub cache_failures: Counter<u64>,
    pub cache_connected: Gauge<u64>,
    pub cache_primary_changes: Counter<u64>,
    pub request_ids_dropped: Counter<u64>,
    pub request_ids_lost: Counter<u64>,
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
            callers_refused: counter(meter, &names::CALLERS_REFUSED),
            verifications: counter(meter, &names::VERIFICATIONS),
            results: counter(meter, &names::RESULTS),
            cost: money(meter, &names::COST),
            rule_refused: counter(meter, &names::RULE_REFUSED),
            rule_verifications: counter(meter, &names::RULE_VERIFICATIONS),
            rule_cost: money(meter, &names::RULE_COST),
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
            breaker: gauge(meter, &names::BREAKER),
            breaker_transitions: counter(meter, &names::BREAKER_TRANSITIONS),
            in_flight: up_down(meter, &names::IN_FLIGHT),
            queued: up_down(meter, &names::QUEUED),
            unattended: up_down(meter, &names::UNATTENDED),
            left: counter(meter, &names::LEFT),
            left_cost: money(meter, &names::LEFT_COST),
            refused: counter(meter, &names::REFUSED),
            cache: counter(meter, &names::CACHE),
            cache_age: histogram(meter, &names::CACHE_AGE),
            drifts: counter(meter, &names::DRIFTS),
            cache_failures: counter(meter, &names::CACHE_FAILURES),
            cache_connected: gauge(meter, &names::CACHE_CONNECTED),
            cache_primary_changes: counter(meter, &names::CACHE_PRIMARY_CHANGES),
            request_ids_dropped: counter(meter, &names::REQUEST_IDS_DROPPED),
            request_ids_lost: counter(meter, &names::REQUEST_IDS_LOST),
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

fn gauge(meter: &Meter, metric: &Metric) -> Gauge<u64> {
    let builder = meter.u64_gauge(metric.name).with_unit(metric.unit);
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

fn money(meter: &Meter, metric: &Metric) -> Counter<f64> {
    let builder = meter.f64_counter(metric.name).with_unit(metric.unit);
    builder.with_description(metric.meaning).build()
}
