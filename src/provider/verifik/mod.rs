//! Verifik: Peru's foreigners, and person records.
//!
//! Source: verifik-pe-foreigner-id.md, verifik-persons.md and findings.md, "Verifik".

mod errors;
pub mod foreigner_id;
mod person_json;
pub mod person_list;
pub mod persons;
pub mod settings;
mod stored_person;

use http::{
    HeaderMap, HeaderValue,
    header::{self, InvalidHeaderValue},
};
use zeroize::Zeroizing;

use crate::{
    domain::{redaction::Secret, verification::Provider},
    transport::{Credentials, credentials},
};

const PROVIDER: Provider = Provider::Verifik;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The adapter.
#[derive(Debug)]
pub struct Verifik {
    credentials: Credentials,
    persons_path: String,
}

impl Verifik {
    /// The adapter with its credential; `persons_path` is where person records live, from `/`.
    #[must_use]
    pub const fn new(credentials: Credentials, persons_path: String) -> Self {
        Self {
            credentials,
            persons_path,
        }
    }

    /// The headers that carry a token.
    ///
    /// # Errors
    ///
    /// If the token cannot stand in an HTTP header.
    pub fn headers(token: &Secret) -> Result<HeaderMap, InvalidHeaderValue> {
        let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
        credentials::headers([(header::AUTHORIZATION, bearer)])
    }
}
