//! Verifik: Peru's foreigners, and person records.
//!
//! Source: verifik-pe-foreigner-id.md, verifik-persons.md and findings.md, "Verifik".

mod errors;
pub mod foreigner_id;
mod person_json;
pub mod person_list;
pub mod persons;
mod stored_person;

use http::{
    HeaderMap, HeaderValue,
    header::{self, InvalidHeaderValue},
};
use zeroize::Zeroizing;

use crate::{
    domain::{redaction::Secret, verification::Provider},
    provider::Company,
    transport::credentials,
};

const PROVIDER: Provider = Provider::Verifik;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The adapter.
#[derive(Debug)]
pub struct Verifik {
    persons_path: String,
}

impl Company for Verifik {
    const PROVIDER: Provider = PROVIDER;
}

impl Verifik {
    /// The adapter; `persons_path` is where person records live, from `/`.
    #[must_use]
    pub const fn new(persons_path: String) -> Self {
        Self { persons_path }
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
