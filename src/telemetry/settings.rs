//! The settings of the log and of traces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Traces, beside what OpenTelemetry's own variables (`OTEL_*`) say.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The highest percentage of all calls that may be traced because the caller's `traceparent` is
    /// `sampled`, where `OTEL_TRACES_SAMPLER` follows callers (`parentbased_…`); beyond it the flag is
    /// ignored. Lower it where callers are not trusted to decide on sampling.
    #[schemars(range(min = 0, max = 100))]
    pub caller_sampled_percent: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            caller_sampled_percent: 100,
        }
    }
}

/// The log.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What is logged: a level, or directives such as `info,identity_gateway=debug`. The environment variable
    /// `RUST_LOG` is read too where `IDGW_LOG__FILTER` is not set.
    #[schemars(length(min = 1), extend("title" = "log directives such as info or info,identity_gateway=debug"))]
    pub filter: String,
    /// The format of log lines.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Auto,
        }
    }
}

impl Log {
    /// What the schema cannot say: the key, and the problem.
    #[must_use]
    pub fn problem(&self) -> Option<(&'static str, String)> {
        let problem = super::log_filter::parse(&self.filter).err()?;
        Some(("log.filter", problem.to_string()))
    }
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `text` on a terminal, `json` otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
