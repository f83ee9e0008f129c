//! Sets up the log: one JSON object a line, or readable text on a terminal.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::{Log, LogFormat};

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

/// Starts the log on standard output.
///
/// # Errors
///
/// If the filter is none, or the log was started before.
pub fn start(settings: &Log) -> Result<Style, Box<dyn std::error::Error + Send + Sync>> {
    let style = style(settings);
    let filter = EnvFilter::try_new(&settings.filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    match style {
        Style::Text => registry
            .with(
                fmt::layer()
                    .compact()
                    .with_target(false)
                    .with_ansi(io::stdout().is_terminal()),
            )
            .try_init()?,
        Style::Json => registry
            .with(fmt::layer().json().flatten_event(true).with_target(false))
            .try_init()?,
    }
    Ok(style)
}
