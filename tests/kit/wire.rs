//! Short words for what the table is written in: HTTP answers.

use std::path::Path;

use serde_json::Value;

use crate::kit::provider::{Answer, Does};

/// A sample answer of a provider's document: a file of `samples/`, without its ending.
pub fn sample(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).expect(name);
    serde_json::from_str(&text).expect(name)
}

/// A JSON answer.
pub fn json(status: u16, body: Value) -> Answer {
    bytes(status, body.to_string()).header("content-type", "application/json")
}

/// An answer of any bytes.
pub fn bytes(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: body.into(),
    }
}

/// One JSON answer, as a script.
pub fn says(status: u16, body: Value) -> Vec<Does> {
    vec![Does::Answers(json(status, body))]
}

/// One answer of any bytes, as a script.
pub fn sends(status: u16, body: &str) -> Vec<Does> {
    vec![Does::Answers(bytes(status, body))]
}

/// Base64 as proto JSON and the providers write it.
pub fn base64(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}
