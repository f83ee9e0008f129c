//! The built gateway over real sockets: the scenario table, its document, the sandbox, the drain.
//!
//! `scenarios/` holds the table: what a provider does, and what the caller gets. `run` stages each
//! row with a scripted provider and the built binary; `docs` writes docs/errors.md from the same rows.

mod cases;
mod circuit;
mod comes_back;
mod docs;
mod drain;
mod errors;
mod frames;
mod late_bodies;
mod persons;
mod probes;
mod reported;
mod requests;
mod run;
mod sandbox;
mod scenarios;
mod stage;
mod table;
mod wire_rules;
