//! AccuAuth: the Mexican population registry (`POST /verify/id_check`).
//!
//! Source: accuauth-mx-id-check.md and findings.md, "AccuAuth".

mod document;
mod record;

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
        lookup::CurpLookup,
        provider_code::ProviderCode,
        redaction::Secret,
        verification::{Billing, Outcome, Provider, Verified},
    },
    proto::identity::v1::CurpRecord,
    transport::{Answer, Credentials, Request, credentials},
};

const PROVIDER: Provider = Provider::Accuauth;
const PATH: &str = "/verify/id_check";
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
    credentials: Credentials,
    encoding: BodyEncoding,
}

#[derive(Serialize)]
struct Check<'a> {
    id_number: &'a str,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(deserialize_with = "lenient::trimmed")]
    status: Option<String>,
    #[serde(deserialize_with = "lenient::trimmed")]
    result_code: Option<String>,
    #[serde(deserialize_with = "lenient::trimmed")]
    result_message: Option<String>,
    #[serde(borrow, deserialize_with = "lenient::object")]
    result: Option<record::Registration<'a>>,
    #[serde(deserialize_with = "lenient::trimmed")]
    request_id: Option<String>,
}

impl Accuauth {
    /// The adapter with its credential.
    #[must_use]
    pub const fn new(credentials: Credentials, encoding: BodyEncoding) -> Self {
        Self {
            credentials,
            encoding,
        }
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

    /// What to send for a lookup.
    #[must_use]
    pub fn request(&self, lookup: &CurpLookup) -> Request {
        let request = Request::new(Method::POST, PATH).known_by(&self.credentials);
        let id_number = lookup.curp.reveal();
        match self.encoding {
            BodyEncoding::Json => request.json(&Check { id_number }),
            BodyEncoding::Form => request.form(&[("id_number", id_number)]),
        }
    }

    /// Reads the answer to a lookup.
    ///
    /// # Errors
    ///
    /// The provider's fault, or [`Kind::Malformed`].
    pub fn read(
        &self,
        lookup: &CurpLookup,
        answer: &Answer,
    ) -> Result<Verified<CurpRecord>, Failure> {
        if answer.status != 200 {
            return Err(error(answer));
        }
        let (body, document) = document::apart(&answer.body);
        let envelope: Envelope<'_> = error_body::parse_watched(PROVIDER, answer, &body)?;
        if let Some(status) = &envelope.status
            && !status.eq_ignore_ascii_case("OK")
        {
            if known_error(status).is_some() {
                return Err(error(answer));
            }
            // A status that the document does not list is no fault that could be named.
            return Ok(inconclusive(envelope.status, envelope.request_id));
        }
        let code = envelope.result_code;
        let code = code.ok_or_else(|| malformed(PROVIDER, answer))?;
        // Section 3.1: codes 0 to 3 are billable, 5 is not.
        let (outcome, billing) = match code.as_str() {
            "0" => (Outcome::Found, Billing::Billed),
            "1" => (Outcome::NotFound, Billing::Billed),
            "2" | "3" => (Outcome::InvalidIdentifier, Billing::Billed),
            "5" => return Err(data_error(answer, &code)),
            _ => (Outcome::Inconclusive, Billing::Unknown),
        };
        let message = envelope
            .result_message
            .or_else(|| envelope.result.as_ref()?.mensaje.clone());
        let record = match (outcome, envelope.result) {
            (Outcome::Found, Some(result)) if result.curp.is_some() => {
                Some(Box::new(result.into_record(lookup, document)))
            }
            (Outcome::Found, _) => return Err(malformed(PROVIDER, answer)),
            _ => None,
        };
        Ok(Verified {
            outcome,
            reference: envelope.request_id,
            code: Some(code),
            message,
            billing,
            record,
        })
    }
}

/// Result code 5: the document says in so many words that it is free.
fn data_error(answer: &Answer, code: &str) -> Failure {
    Failure {
        provider_code: ProviderCode::new(code),
        http_status: Some(answer.status),
        ..Failure::before_sending(Kind::DataError, PROVIDER)
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

fn inconclusive(status: Option<String>, reference: Option<String>) -> Verified<CurpRecord> {
    Verified {
        outcome: Outcome::Inconclusive,
        reference,
        code: status,
        message: None,
        billing: Billing::Unknown,
        record: None,
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
