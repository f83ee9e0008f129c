//! The way out to a collector, which may be dead: then nothing is waited for, nothing grows, and the log
//! says so at most once a minute.
//!
//! The SDK's queues are bounded (`OTEL_BSP_*`, `OTEL_BLRP_*`) and drained by threads of their own. Its
//! own complaints, one for each failed export, are never logged (see logging.rs); [`Quiet`] stands
//! around each exporter, counts the failures, and complains seldom.

use std::{
    env,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter as ExportsLogs},
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter as ExportsSpans},
};

use super::{
    labels::Signal,
    metrics,
    otlp::{End, Way, WayError},
};

/// At most one complaint in this time, over all signals.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);
/// The target of the complaint: it is not sent to the collector that it is about.
pub(super) const TARGET: &str = "identity_gateway::telemetry::export";

/// Whether a signal goes to a collector: if `OTEL_<SIGNAL>_EXPORTER` says `otlp`, or says nothing and an
/// endpoint is named. Logs go only if it is said of them.
pub(super) fn is_wanted(signal: Signal) -> bool {
    let name = signal.as_str().to_ascii_uppercase();
    let set = |variable: String| {
        env::var(variable)
            .ok()
            .filter(|value| !value.trim().is_empty())
    };
    let endpoint = set(format!("OTEL_EXPORTER_OTLP_{name}_ENDPOINT"));
    let any_endpoint = set("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned());
    match set(format!("OTEL_{name}_EXPORTER")) {
        Some(exporters) => exporters.split(',').any(|one| one.trim() == "otlp"),
        None if signal == Signal::Logs => endpoint.is_some(),
        None => endpoint.or(any_endpoint).is_some(),
    }
}

/// Whether `OTEL_SDK_DISABLED` is `true`.
pub(crate) fn is_disabled() -> bool {
    env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

/// An exporter that counts its failures and complains seldom.
#[derive(Debug)]
pub(crate) struct Quiet<E> {
    exporter: E,
    signal: Signal,
    end: End,
}

pub(super) fn spans() -> Result<Quiet<SpanExporter>, WayError> {
    let way = Way::of(Signal::Traces)?;
    Ok(Quiet {
        exporter: way.spans()?,
        signal: Signal::Traces,
        end: way.end(),
    })
}

pub(super) fn metrics() -> Result<Quiet<MetricExporter>, WayError> {
    let way = Way::of(Signal::Metrics)?;
    Ok(Quiet {
        exporter: way.metrics()?,
        signal: Signal::Metrics,
        end: way.end(),
    })
}

pub(crate) fn logs() -> Result<Quiet<LogExporter>, WayError> {
    let way = Way::of(Signal::Logs)?;
    Ok(Quiet {
        exporter: way.logs()?,
        signal: Signal::Logs,
        end: way.end(),
    })
}

impl<E> Quiet<E> {
    fn judged(&self, exported: OTelSdkResult) -> OTelSdkResult {
        if let Err(error) = &exported {
            metrics::export_failed(self.signal);
            if may_complain() {
                tracing::warn!(
                    target: TARGET,
                    signal = self.signal.as_str(),
                    endpoint = self.end.endpoint,
                    cause = self.end.cause(error),
                    "telemetry export failed; calls are not affected"
                );
            }
        }
        exported
    }
}

fn may_complain() -> bool {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let quiet = last.is_some_and(|last| last.elapsed() < COMPLAINT_INTERVAL);
    if !quiet {
        *last = Some(Instant::now());
    }
    !quiet
}

impl<E: ExportsSpans> ExportsSpans for Quiet<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.judged(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: ExportsLogs> ExportsLogs for Quiet<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.judged(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Quiet<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.judged(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
