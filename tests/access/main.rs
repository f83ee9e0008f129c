//! Who may call what, see what, and how often: the built gateway over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod budgets;
mod commands;
mod documents;
#[allow(dead_code)]
mod issuer;
mod masks;
mod mesh;
mod persons;
mod records;
mod rig;
mod rotation;
mod settings;
mod share;
mod strangers;
mod walk;

#[allow(dead_code)]
#[path = "../it/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "../it/gateway.rs"]
mod gateway;
#[allow(dead_code)]
#[path = "../it/logs.rs"]
mod logs;
