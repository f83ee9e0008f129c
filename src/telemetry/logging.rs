//! Sets up the log: one JSON object a line, or readable text on a terminal; OTLP beside it if asked for.
//!
//! Two rules stand above the configured filter and cannot be configured away:
//! libraries say nothing below INFO, because what hyper, h2 or tonic say at DEBUG and TRACE may be
//! a header or a body; and OpenTelemetry's own complaints are not heard at all (see export.rs).

use std::{
    io::{self, IsTerminal as _},
    sync::{Arc, OnceLock},
};

use anstream::{AutoStream, ColorChoice};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing::{Level, Metadata};
use tracing_subscriber::{
    Layer as _, filter::filter_fn, fmt, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use super::{
    export,
    log_filter::{self, LogFilter},
    log_line::Line,
    settings::{Log, LogFormat},
};

/// The filter in force, to be changed while the process runs.
static FILTER: OnceLock<Arc<LogFilter>> = OnceLock::new();

/// How the log is written, once it is known where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// The style that the configuration and the terminal ask for.
#[must_use]
pub fn style(settings: &Log) -> Style {
    match settings.format {
        LogFormat::Text => Style::Text,
        LogFormat::Json => Style::Json,
        LogFormat::Auto if io::stdout().is_terminal() => Style::Text,
        LogFormat::Auto => Style::Json,
    }
}

/// Whether a line may be written at all, whatever the filter says.
fn is_allowed(line: &Metadata<'_>) -> bool {
    allows(line.target(), *line.level())
}

fn allows(target: &str, level: Level) -> bool {
    let is_ours = target == "identity_gateway" || target.starts_with("identity_gateway::");
    is_ours || (level <= Level::INFO && !target.starts_with("opentelemetry"))
}

/// Starts the log on standard output, and to a collector if there is one.
///
/// # Errors
///
/// If the filter is none, or the log was started before.
pub(super) fn start(
    settings: &Log,
    collector: Option<&SdkLoggerProvider>,
) -> Result<Style, Box<dyn std::error::Error + Send + Sync>> {
    let style = style(settings);
    let (filter, handle) = reload::Layer::new(log_filter::parse(&settings.filter)?);
    let line = match style {
        Style::Text if AutoStream::choice(&io::stdout()) != ColorChoice::Never => Line::Colours,
        Style::Text => Line::Text,
        Style::Json => Line::Json,
    };
    let collected = collector.map(|collector| {
        let not_about_itself = filter_fn(|line| line.target() != export::TARGET);
        OpenTelemetryTracingBridge::new(collector).with_filter(not_about_itself)
    });
    tracing_subscriber::registry()
        .with(filter)
        .with(filter_fn(is_allowed))
        .with(fmt::layer().event_format(line))
        .with(collected)
        .try_init()?;
    let _started_before = FILTER.set(LogFilter::new(handle, &settings.filter));
    Ok(style)
}

/// The filter, to be changed while the process runs; none before the log is started.
pub fn changeable() -> Option<&'static Arc<LogFilter>> {
    FILTER.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_not_heard_below_info_and_opentelemetry_never() {
        for (target, level, allowed) in [
            ("identity_gateway::transport", Level::TRACE, true),
            ("identity_gateway", Level::TRACE, true),
            ("identity_gateway_of_another", Level::DEBUG, false),
            ("hyper_util::client", Level::DEBUG, false),
            ("h2::codec", Level::TRACE, false),
            ("rustls", Level::WARN, true),
            ("opentelemetry_sdk", Level::ERROR, false),
            ("opentelemetry-otlp", Level::ERROR, false),
        ] {
            assert_eq!(allows(target, level), allowed, "{target} {level}");
        }
    }
}
