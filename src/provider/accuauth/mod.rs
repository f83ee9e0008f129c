//! AccuAuth: the Mexican population registry (`POST /verify/id_check`).
//!
//! Source: accuauth-mx-id-check.md and findings.md, "AccuAuth".

mod curp;
mod document;
mod record;

use http::{HeaderMap, HeaderName, header::InvalidHeaderValue};
use zeroize::Zeroizing;

use super::{
    Company,
    error_body::{ErrorBody, kind_of_status, named_fields, reached_nobody, refused},
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

const PROVIDER: Provider = Provider::Accuauth;
const API_ID: HeaderName = HeaderName::from_static("x-df-api-id");
const API_SECRET: HeaderName = HeaderName::from_static("x-df-api-secret");

/// How the body is written: the document does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEncoding {
    /// `application/json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// The adapter.
#[derive(Debug)]
pub struct Accuauth {
    encoding: BodyEncoding,
}

impl Company for Accuauth {
    const PROVIDER: Provider = PROVIDER;
}

impl Accuauth {
    /// The adapter.
    #[must_use]
    pub const fn new(encoding: BodyEncoding) -> Self {
        Self { encoding }
    }

    /// The headers that carry an id and its secret.
    ///
    /// # Errors
    ///
    /// If one cannot stand in an HTTP header.
    pub fn headers(api_id: &Secret, api_secret: &Secret) -> Result<HeaderMap, InvalidHeaderValue> {
        let text = |secret: &Secret| Zeroizing::new(secret.expose().to_owned());
        credentials::headers([(API_ID, text(api_id)), (API_SECRET, text(api_secret))])
    }
}

/// What the document's words for errors mean (section 4).
fn known_error(status: &str) -> Option<Kind> {
    match status {
        "INVALID_ARGUMENT" => Some(Kind::RejectedArgument),
        "VERIFY_FAILED" => Some(Kind::VerifyFailed),
        "PENDING" => Some(Kind::Pending),
        "ABNORMAL_BEHAVIOURS_DETECTED" => Some(Kind::RepeatedRequest),
        "UNAUTHORIZED" | "KEY_EXPIRED" | "NO_PERMISSION" => Some(Kind::CredentialsRejected),
        "OUT_OF_QUOTA" => Some(Kind::QuotaExhausted),
        "RATE_LIMIT_EXCEEDED" => Some(Kind::ProviderRateLimited),
        "NOT_FOUND" => Some(Kind::Misconfigured),
        "INTERNAL_ERROR" | "SOURCE_SERVICE_UNAVAILABLE" => Some(Kind::ProviderDown),
        "SOURCE_SERVICE_TIMEOUT" => Some(Kind::SourceTimeout),
        _ => None,
    }
}

/// Section 4: the status field decides, HTTP's status where it says nothing known.
fn error(answer: &Answer) -> Failure {
    let body = ErrorBody::read(&answer.body);
    let kind = kind(answer.status, &body);
    let code = body.status.as_deref().and_then(ProviderCode::new);
    let mut failure = refused(PROVIDER, answer.status, kind, code);
    if kind == Kind::RejectedArgument {
        failure.violations = named_fields(body.reason.as_deref(), [("id_number", "curp")]);
    }
    failure
}

fn kind(status: u16, body: &ErrorBody) -> Kind {
    let word = body.status.as_deref().unwrap_or_default();
    // The document's shape: a word, a reason, a request id. Others have a `status` too: a number, or a
    // word alone.
    let is_own = word.contains(|c: char| c.is_ascii_alphabetic())
        && (body.reason.is_some() || body.request_id.is_some());
    let may_be_of_another = status == 408 || status >= 500;
    let known = known_error(word).filter(|_| is_own || !may_be_of_another);
    match (status, known) {
        (status, _) if reached_nobody(status) => Kind::ProviderDown,
        (_, Some(known)) => known,
        (500 | 512, None) if is_own => Kind::ProviderDown,
        (513, None) if is_own => Kind::SourceTimeout,
        _ => kind_of_status(status),
    }
}
