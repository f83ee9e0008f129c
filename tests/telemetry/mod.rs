//! What leaves the built gateway as traces, metrics and logs, seen by a collector in this process.
//!
//! The gateway is a child process behind real sockets.

mod audit;
mod canaries;
mod dashboards;
mod exports;
mod labels;
mod names;
mod otlp;
pub mod stage;
mod status_page;
mod traces;
