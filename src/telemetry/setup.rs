//! Starts telemetry before the first call and ends it after the last.
//!
//! What goes where is said by OpenTelemetry's own variables (`OTEL_*`); `/metrics` on the admin port and
//! the log on standard output are always there. A variable that cannot be followed is a warning, never
//! a reason not to serve.

use std::time::Duration;

use opentelemetry::{global, metrics::MeterProvider as _};
use opentelemetry_sdk::{
    logs::SdkLoggerProvider,
    metrics::SdkMeterProvider,
    trace::{Sampler, SdkTracerProvider},
};

use super::{
    export,
    labels::Signal,
    logging::{self, Style},
    metrics::{self, prometheus},
    names, otel_env, propagation,
    resource::resource,
    sampling,
    settings::{Log, Settings},
    spans,
};

/// How long the last export may take.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);

/// What has to be ended in order.
#[derive(Debug)]
#[must_use = "the last spans are lost unless it is ended"]
pub struct Telemetry {
    /// How the log is written.
    pub style: Style,
    tracers: Option<SdkTracerProvider>,
    meters: SdkMeterProvider,
    loggers: Option<SdkLoggerProvider>,
}

impl Telemetry {
    /// Starts log, traces and metrics. Needs a runtime.
    ///
    /// # Errors
    ///
    /// If the log's filter is none, or the log was started before.
    pub fn start(
        log: &Log,
        settings: &Settings,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let disabled = export::is_disabled();
        let wanted = |signal| !disabled && export::is_wanted(signal);
        let resource = resource();
        let mut problems = Vec::new();

        let loggers = wanted(Signal::Logs)
            .then(export::logs)
            .and_then(|made| {
                made.map_err(|error| problems.push((Signal::Logs, error)))
                    .ok()
            })
            .map(|exporter| {
                SdkLoggerProvider::builder()
                    .with_resource(resource.clone())
                    .with_batch_exporter(exporter)
                    .build()
            });
        let style = logging::start(log, loggers.as_ref())?;

        let exporter = wanted(Signal::Traces).then(export::spans).and_then(|made| {
            made.map_err(|error| problems.push((Signal::Traces, error)))
                .ok()
        });
        let tracers = SdkTracerProvider::builder().with_resource(resource.clone());
        let tracers = match exporter {
            // The sampler is the SDK's affair: OTEL_TRACES_SAMPLER, by default parentbased_always_on.
            Some(exporter) => Some(tracers.with_batch_exporter(exporter)),
            None if disabled => None,
            // Nobody collects: calls still have ids for the log, and a caller's decision is passed on.
            None => Some(tracers.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))),
        };
        let tracers = tracers.map(|tracers| tracers.build());
        if let Some(tracers) = &tracers {
            global::set_tracer_provider(tracers.clone());
        }
        sampling::start(settings.caller_sampled_percent);
        spans::start();
        let unknown = propagation::start();

        let reader = prometheus::Reader::default();
        let meters = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader.clone());
        let exporter = wanted(Signal::Metrics)
            .then(export::metrics)
            .and_then(|made| {
                made.map_err(|error| problems.push((Signal::Metrics, error)))
                    .ok()
            });
        let meters = match exporter {
            Some(exporter) => meters.with_periodic_exporter(exporter),
            None => meters,
        };
        let meters = meters.build();
        metrics::start(&meters.meter(names::SCOPE));
        reader.publish();

        for (variable, problem) in otel_env::problems() {
            tracing::warn!(variable, problem, "OTEL_*: ignored");
        }
        for (signal, error) in problems {
            tracing::warn!(signal = signal.as_str(), %error, "OTEL_*: invalid configuration, this signal is not exported");
        }
        if !unknown.is_empty() {
            tracing::warn!(propagators = %unknown.join(","), "OTEL_PROPAGATORS: unsupported propagators ignored");
        }
        Ok(Self {
            style,
            tracers,
            meters,
            loggers,
        })
    }

    /// Sends what has not been sent yet, for as long as that may take.
    pub async fn end(self) {
        // The exporters work on this runtime: waiting for them on one of its threads might wait for ever.
        let ended = tokio::task::spawn_blocking(move || {
            if let Some(tracers) = self.tracers {
                let _lost_if_it_failed = tracers.shutdown_with_timeout(FLUSH_LIMIT);
            }
            let _lost_if_it_failed = self.meters.shutdown_with_timeout(FLUSH_LIMIT);
            if let Some(loggers) = self.loggers {
                let _lost_if_it_failed = loggers.shutdown_with_timeout(FLUSH_LIMIT);
            }
        });
        let _given_up = tokio::time::timeout(FLUSH_LIMIT * 2, ended).await;
    }
}
