//! What operators see of calls, without seeing persons: traces, metrics, and a log line for each.

pub mod admin;
mod b3;
pub mod call_end;
pub(crate) mod export;
pub mod labels;
mod log_filter;
mod log_line;
pub mod logging;
pub mod metrics;
pub mod names;
mod otel_env;
pub(crate) mod otlp;
mod otlp_http;
pub mod panics;
mod propagation;
pub mod reloads;
pub(crate) mod resource;
pub mod sampled;
mod sampling;
pub mod settings;
pub mod setup;
pub mod spans;
pub mod token;
