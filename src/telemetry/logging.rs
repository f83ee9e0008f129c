//! Sets up the log: one JSON object a line, or readable text on a terminal; OTLP beside it if asked for.
//!
//! Two rules stand above the configured filter and cannot be configured away:
//! libraries say nothing below INFO, because what hyper, h2, reqwest or tonic say at DEBUG and TRACE may be
//! a header or a body; and OpenTelemetry's own complaints are not heard at all (see export.rs).

use std::{
    io::{self, IsTerminal as _},
    sync::OnceLock,
};

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, filter::filter_fn, fmt, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use super::{export, log_line::Line};
use crate::config::{Log, LogFormat};

/// The filter in force, to be changed while the process runs.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();
/// Longest filter that is taken at run time, in bytes.
const MAX_FILTER: usize = 4096;

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
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(&settings.filter)?);
    let line = match style {
        Style::Text if io::stdout().is_terminal() => Line::Colours,
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
    let _started_before = FILTER.set(handle);
    Ok(style)
}

/// The filter in force.
#[must_use]
pub fn filter() -> Option<String> {
    FILTER.get()?.with_current(ToString::to_string).ok()
}

/// Why the filter cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// What was asked for is no filter.
    #[error("expected log directives such as info or info,identity_gateway=debug")]
    NotAFilter,
    /// There is no log.
    #[error("the log is not started")]
    NotStarted,
}

/// Changes the filter, until the process ends or it is changed again.
///
/// # Errors
///
/// If the text is no filter; nothing is changed then.
pub fn set_filter(text: &str) -> Result<(), FilterError> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_FILTER {
        return Err(FilterError::NotAFilter);
    }
    let filter = EnvFilter::try_new(text).map_err(|_| FilterError::NotAFilter)?;
    let handle = FILTER.get().ok_or(FilterError::NotStarted)?;
    handle.reload(filter).map_err(|_| FilterError::NotStarted)?;
    tracing::warn!("the log filter was changed on the admin port");
    Ok(())
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
