//! YouVerify: the Kenyan registry (`POST /v2/api/identity/ke/id-scrub`).
//!
//! Source: youverify-ke-id-scrub.md and findings.md, "YouVerify".

mod id_types;
mod kenya_id;
mod record;
pub mod settings;

pub use self::settings::IdTypes;
use self::settings::Settings;

use http::{HeaderMap, HeaderName, header::InvalidHeaderValue};
use zeroize::Zeroizing;

use super::{
    Company, CredentialPart,
    error_body::{ErrorBody, kind_of_status, malformed, named_fields, reached_nobody, refused},
};
use crate::{
    domain::{
        failure::{Failure, Kind},
        provider_code::ProviderCode,
        redaction::Secret,
        verification::Provider,
    },
    transport::{Answer, credentials},
};

const PROVIDER: Provider = Provider::Youverify;
const TOKEN: HeaderName = HeaderName::from_static("token");
/// Names of the request's fields: theirs, ours.
const FIELDS: [(&str, &str); 4] = [
    ("id", "id"),
    ("idType", "id_type"),
    ("isSubjectConsent", "subject_consent"),
    ("metadata", "metadata"),
];

/// The adapter.
#[derive(Debug)]
pub struct Youverify {
    id_types: IdTypes,
}

impl Company for Youverify {
    const PROVIDER: Provider = PROVIDER;
    const FILE_KEY: &'static str = "providers.youverify.token_file";
    const CA_FILE_KEY: &'static str = "providers.youverify.ca_file";

    type Settings = Settings;

    fn new(settings: &Settings) -> Self {
        Self {
            id_types: settings.id_types.clone(),
        }
    }

    fn credential(settings: &Settings) -> Vec<CredentialPart> {
        let part = CredentialPart::of(settings.token.as_ref(), settings.token_file.as_ref());
        part.into_iter().collect()
    }

    fn headers(parts: &[Secret]) -> Result<HeaderMap, InvalidHeaderValue> {
        let text = |token: &Secret| Zeroizing::new(token.expose().to_owned());
        credentials::headers(parts.iter().map(|token| (TOKEN, text(token))))
    }
}

fn error(answer: &Answer) -> Failure {
    let body = ErrorBody::read(&answer.body);
    let status = match answer.status {
        // An error inside an HTTP success: their own status is the one that counts.
        200..=299 => body
            .status_code
            .and_then(|status| u16::try_from(status).ok()),
        status => Some(status),
    };
    let Some(status) = status.filter(|status| *status >= 300) else {
        return malformed(PROVIDER, answer);
    };
    let kind = kind(status, &body);
    let code = body.name.as_deref().and_then(ProviderCode::new);
    let mut failure = refused(PROVIDER, status, kind, code);
    if kind == Kind::RejectedArgument {
        failure.violations = named_fields(body.sentences(), FIELDS);
    }
    failure
}

/// The status speaks, but for what YouVerify says of the gateway's account in a 400 or a 403.
fn kind(status: u16, body: &ErrorBody) -> Kind {
    // Their document: `success`, `statusCode`, `message`, `name`, `data`. The frameworks' own bodies and
    // those of what stands in between have no `success`.
    let is_own = body.success == Some(false) && (body.name.is_some() || body.status_code.is_some());
    match status {
        status if reached_nobody(status) => Kind::ProviderDown,
        424 => Kind::ProviderDown,
        500 if is_own => Kind::ProviderDown,
        400 | 403 | 409 | 412 | 422 if body.is_about_credit() => Kind::QuotaExhausted,
        400 | 403 | 409 | 412 | 422 if is_switched_off(body) => Kind::CredentialsRejected,
        status => kind_of_status(status),
    }
}

/// Whether the account may not use the service.
fn is_switched_off(body: &ErrorBody) -> bool {
    const WHAT: [&str; 4] = ["service", "product", "endpoint", "account"];
    const OFF: [&str; 5] = [
        "disabled",
        "not enabled",
        "not active",
        "deactivated",
        "suspended",
    ];
    body.sentences().any(|sentence| {
        let sentence = sentence.to_lowercase();
        let holds = |words: &[&str]| words.iter().any(|word| sentence.contains(word));
        holds(&WHAT) && holds(&OFF)
    })
}
