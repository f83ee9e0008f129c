//! Verifik: Peru's foreigners, and person records.
//!
//! Source: verifik-pe-foreigner-id.md, verifik-persons.md and findings.md, "Verifik".

mod errors;
pub mod foreigner_id;
mod person_json;
pub mod persons;

use http::{HeaderValue, header::InvalidHeaderValue};

use crate::domain::{redaction::Secret, verification::Provider};

const PROVIDER: Provider = Provider::Verifik;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The adapter.
#[derive(Debug)]
pub struct Verifik {
    authorization: HeaderValue,
    persons_path: String,
}

impl Verifik {
    /// The adapter with its credential; `persons_path` is where person records live, from `/`.
    ///
    /// # Errors
    ///
    /// If the token cannot stand in an HTTP header.
    pub fn new(token: &Secret, persons_path: String) -> Result<Self, InvalidHeaderValue> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose()))?;
        authorization.set_sensitive(true);
        Ok(Self {
            authorization,
            persons_path,
        })
    }
}
