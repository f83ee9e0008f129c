//! Verifik: Peru's foreigners, and person records.
//!
//! Source: verifik-pe-foreigner-id.md, verifik-persons.md and findings.md, "Verifik".

mod dni;
mod errors;
pub mod foreigner_id;
mod lookup;
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

use self::settings::Settings;
use crate::{
    domain::{redaction::Secret, verification::Provider},
    provider::{Company, CredentialPart},
    transport::credentials,
};

const PROVIDER: Provider = Provider::Verifik;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The adapter.
#[derive(Debug)]
pub struct Verifik {
    persons_path: String,
    dni_path: String,
}

impl Company for Verifik {
    const PROVIDER: Provider = PROVIDER;
    const FILE_KEY: &'static str = "providers.verifik.token_file";
    const CA_FILE_KEY: &'static str = "providers.verifik.ca_file";

    type Settings = Settings;

    fn new(settings: &Settings) -> Self {
        Self {
            persons_path: settings.persons_path.clone(),
            dni_path: settings.dni_path.clone(),
        }
    }

    fn credential(settings: &Settings) -> Vec<CredentialPart> {
        let part = CredentialPart::of(settings.token.as_ref(), settings.token_file.as_ref());
        part.into_iter().collect()
    }

    fn headers(parts: &[Secret]) -> Result<HeaderMap, InvalidHeaderValue> {
        let bearer = |token: &Secret| Zeroizing::new(format!("Bearer {}", token.expose()));
        credentials::headers(
            parts
                .iter()
                .map(|token| (header::AUTHORIZATION, bearer(token))),
        )
    }
}
