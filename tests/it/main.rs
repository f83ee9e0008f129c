//! The built gateway over real sockets: the scenario table, its document, the sandbox, the drain.
//!
//! `scenarios/` holds the table: what a provider does, and what the caller gets. `run` stages each
//! row with a scripted provider and the built binary; `docs` writes docs/errors.md from the same rows.

#![recursion_limit = "256"]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

mod cases;
mod circuit;
mod client;
mod docs;
mod drain;
mod errors;
mod frames;
mod gateway;
mod late_bodies;
mod logs;
mod persons;
mod probes;
mod provider;
mod reported;
mod requests;
mod run;
mod sandbox;
mod scenarios;
mod stage;
mod table;
mod wire;
