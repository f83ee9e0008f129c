//! The built program as a child process, over real sockets. Each suite says what it is about.

#![recursion_limit = "256"]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing
)]

mod abuse;
mod access;
mod audit;
mod it;
#[allow(dead_code, reason = "tests/inside.rs uses the rest")]
mod kit;
mod telemetry;
mod tls;
