//! Gateways within this process: many of them, quickly, with settings of any kind. Each suite says what it is about.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing
)]

mod billing_property;
mod call_cli;
mod delivery;
#[allow(dead_code, reason = "tests/program.rs uses the rest")]
mod kit;
mod redis;
mod sharing;
