//! YouVerify: the Kenyan registry (`POST /v2/api/identity/ke/id-scrub`).
//!
//! Source: youverify-ke-id-scrub.md and findings.md, "YouVerify".

mod id_types;
mod record;
pub mod settings;

pub use self::id_types::IdTypes;

use http::{HeaderMap, HeaderName, Method, header::InvalidHeaderValue};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    error_body::{
        self, ErrorBody, kind_of_status, malformed, named_fields, reached_nobody, refused,
    },
    lenient,
};
use crate::{
    domain::{
        failure::{Failure, Kind},
        lookup::KenyaLookup,
        provider_code::ProviderCode,
        redaction::Secret,
        verification::{Billing, Outcome, Provider, Verified},
    },
    proto::identity::v1::KenyaIdRecord,
    transport::{Answer, Credentials, Request, credentials},
};

const PROVIDER: Provider = Provider::Youverify;
const PATH: &str = "/v2/api/identity/ke/id-scrub";
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
    credentials: Credentials,
    id_types: IdTypes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Scrub<'a> {
    id: &'a str,
    id_type: &'a str,
    is_subject_consent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a serde_json::Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope {
    #[serde(deserialize_with = "lenient::flag")]
    success: Option<bool>,
    #[serde(rename = "statusCode", deserialize_with = "lenient::integer")]
    status_code: Option<i32>,
    #[serde(deserialize_with = "lenient::trimmed")]
    message: Option<String>,
    #[serde(deserialize_with = "lenient::object")]
    data: Option<Box<record::Data>>,
    links: Option<serde_json::Value>,
}

impl Youverify {
    /// The adapter with its credential.
    #[must_use]
    pub const fn new(credentials: Credentials, id_types: IdTypes) -> Self {
        Self {
            credentials,
            id_types,
        }
    }

    /// The headers that carry a token.
    ///
    /// # Errors
    ///
    /// If the token cannot stand in an HTTP header.
    pub fn headers(token: &Secret) -> Result<HeaderMap, InvalidHeaderValue> {
        credentials::headers([(TOKEN, Zeroizing::new(token.expose().to_owned()))])
    }

    /// What to send for a lookup.
    #[must_use]
    pub fn request(&self, lookup: &KenyaLookup) -> Request {
        let id_type = self.id_types.word(lookup.id.kind());
        Request::new(Method::POST, PATH)
            // The same number with other metadata is the same number.
            .about([id_type, lookup.id.reveal()])
            .known_by(&self.credentials)
            .json(&Scrub {
                id: lookup.id.reveal(),
                id_type,
                // The lookup holds the consent: it cannot exist without.
                is_subject_consent: true,
                metadata: lookup.metadata.as_ref().map(|metadata| metadata.reveal()),
            })
    }

    /// Reads the answer to a lookup. Only `data.status` decides the outcome.
    ///
    /// # Errors
    ///
    /// The provider's fault, or [`Kind::Malformed`].
    pub fn read(&self, answer: &Answer) -> Result<Verified<KenyaIdRecord>, Failure> {
        if !(200..300).contains(&answer.status) {
            return Err(error(answer));
        }
        let envelope: Envelope = error_body::parse_watched(PROVIDER, answer, &answer.body)?;
        let failed = envelope.success == Some(false);
        if failed || envelope.status_code.is_some_and(|status| status >= 400) {
            return Err(error(answer));
        }
        let data = envelope.data.ok_or_else(|| malformed(PROVIDER, answer))?;
        let status = data.status.clone();
        let status = status.ok_or_else(|| malformed(PROVIDER, answer))?;
        let outcome = match status.trim() {
            "found" => Outcome::Found,
            "not_found" => Outcome::NotFound,
            _ => Outcome::Inconclusive,
        };
        let reference = data.id.clone();
        let reason = data
            .reason
            .as_deref()
            .map(|reason| reason.trim().to_owned());
        let message = match outcome {
            Outcome::Found => reason.or(envelope.message),
            // "success" beside a number that was not found would mislead.
            _ => reason,
        };
        let found = outcome == Outcome::Found;
        Ok(Verified {
            outcome,
            reference,
            code: Some(status.trim().to_owned()),
            message,
            // The document does not say what a result costs.
            billing: Billing::Unknown,
            record: found.then(|| Box::new(data.into_record(&self.id_types, envelope.links))),
        })
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
