//! What leaves the built gateway as traces, metrics and logs, seen by a collector in this process.
//!
//! The gateway is a child process behind real sockets; the parts that talk to it are those of tests/it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]
#![allow(dead_code, reason = "tests/it uses more of what is shared")]

mod audit;
mod canaries;
#[path = "../it/client.rs"]
mod client;
mod collector;
mod dashboards;
mod exports;
#[path = "../it/gateway.rs"]
mod gateway;
mod labels;
#[path = "../it/logs.rs"]
mod logs;
mod names;
#[path = "../it/provider.rs"]
mod provider;
#[path = "../redis/server.rs"]
mod redis_server;
mod stage;
mod traces;
#[path = "../it/wire.rs"]
mod wire;
