//! identity-gateway: one typed gRPC contract in front of commercial identity providers.
//!
//! A call travels one way: `server` → `service` → `domain` ← `provider` → `transport`. CONTRIBUTING.md
//! has the plan of the rooms.

pub mod access;
pub mod audit;
pub mod auth;
pub mod call;
pub mod cli;
pub mod config;
pub mod domain;
#[cfg(test)]
mod explore;
pub mod files;
pub mod hex;
pub mod json_line;
pub mod nearest;
pub mod policy;
pub mod process;
pub mod proto;
pub mod provider;
pub mod reload;
pub mod sandbox;
pub mod server;
pub mod service;
pub mod setting;
pub mod sha256;
pub mod sharing;
pub mod status;
pub mod telemetry;
pub mod transport;
pub mod x509;
