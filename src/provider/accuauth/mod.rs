//! AccuAuth: the Mexican population registry (`POST /verify/id_check`).
//!
//! Source: accuauth-mx-id-check.md and findings.md, "AccuAuth".

mod curp;
mod document;
mod record;
pub mod settings;

use http::{HeaderMap, HeaderName, header::InvalidHeaderValue};
use zeroize::Zeroizing;

pub use self::settings::BodyEncoding;
use self::settings::Settings;
use super::{
    Company, CredentialPart,
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

/// The adapter.
#[derive(Debug)]
pub struct Accuauth {
    encoding: BodyEncoding,
}

impl Company for Accuauth {
    const PROVIDER: Provider = PROVIDER;
    const FILE_KEY: &'static str = "providers.accuauth.api_secret_file";
    const CA_FILE_KEY: &'static str = "providers.accuauth.ca_file";

    type Settings = Settings;

    fn new(settings: &Settings) -> Self {
        Self {
            encoding: settings.body_encoding,
        }
    }

    fn credential(settings: &Settings) -> Vec<CredentialPart> {
        let id = CredentialPart::of(settings.api_id.as_ref(), settings.api_id_file.as_ref());
        let secret = &settings.api_secret;
        let secret = CredentialPart::of(secret.as_ref(), settings.api_secret_file.as_ref());
        let both = id.zip(secret).map(|(id, secret)| vec![id, secret]);
        both.unwrap_or_default()
    }

    fn headers(parts: &[Secret]) -> Result<HeaderMap, InvalidHeaderValue> {
        let text = |secret: &Secret| Zeroizing::new(secret.expose().to_owned());
        let named = [API_ID, API_SECRET].into_iter().zip(parts);
        credentials::headers(named.map(|(name, part)| (name, text(part))))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_accuauths_own_by_a_word_and_a_reason_or_a_request_id() {
        for (body, is_own) in [
            (r#"{"status": "NEW_WORD", "reason": "r"}"#, true),
            (r#"{"status": "NEW_WORD", "request_id": "1"}"#, true),
            (
                r#"{"status": "PENDING", "reason": "r", "request_id": "1"}"#,
                true,
            ),
            (r#"{"status": "NEW_WORD"}"#, false),
            (r#"{"status": "PENDING"}"#, false),
            (
                r#"{"status": 512, "reason": "r", "request_id": "1"}"#,
                false,
            ),
            (r#"{"reason": "r", "request_id": "1"}"#, false),
        ] {
            let body = ErrorBody::read(body.as_bytes());
            // Something in between may have done the work, and leaves open what it cost.
            let is_of_another = kind(512, &body) == Kind::OutcomeUnknown;
            assert_eq!(!is_of_another, is_own, "{:?}", body.status);
        }
    }
}
