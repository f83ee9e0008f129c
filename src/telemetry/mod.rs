//! What operators see of calls, without seeing persons: traces, metrics, and a log line for each.

pub mod admin;
pub mod call_end;
pub(crate) mod export;
pub mod labels;
mod log_filter;
mod log_line;
pub mod logging;
pub mod metrics;
pub mod names;
pub mod panics;
mod propagation;
pub mod sampled;
mod sampling;
pub mod settings;
pub mod setup;
pub mod spans;
pub mod token;
