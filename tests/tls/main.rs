//! TLS on both sides, and what is read again while the built program runs under load: certificates, CAs,
//! credentials.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]
#![allow(dead_code, reason = "tests/it uses more of what is shared")]

mod certs;
#[path = "../it/client.rs"]
mod client;
mod client_certificates;
mod commands;
mod h2_provider;
mod http2;
mod identity;
mod load;
#[path = "../it/logs.rs"]
mod logs;
mod process;
mod rotation;
mod server;
mod tls_provider;
mod upstream;

use serde_json::{Value, json};

const CURP: &str = "idgw.identity.v1.IdentityService/CheckCurp";

/// A CURP that the sandbox knows.
fn curp() -> Value {
    json!({"curp": "AAPR630321HDFLRC09"})
}
