//! TLS on both sides, and what is read again while the built program runs under load: certificates, CAs,
//! credentials.

mod client_certificates;
mod commands;
mod http2;
mod identity;
mod key_set;
mod load;
mod mistakes;
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
