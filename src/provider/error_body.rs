//! What all three providers' error answers have in common: a body of words, and an HTTP status.

use serde::Deserialize;

use super::{lenient, watched};
use crate::{
    domain::{
        failure::{Failure, Kind, ProviderCode},
        verification::{Billing, Provider},
        violation::Violation,
    },
    telemetry::{labels::Drift, metrics},
    transport::Answer,
};

/// The words of an error answer. All are absent if the body is no JSON object.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ErrorBody {
    /// Verifik's code.
    #[serde(deserialize_with = "lenient::trimmed")]
    pub code: Option<String>,
    /// Verifik's and YouVerify's message.
    #[serde(deserialize_with = "lenient::trimmed")]
    pub message: Option<String>,
    /// Verifik's error, where it sends no code.
    #[serde(deserialize_with = "lenient::trimmed")]
    pub error: Option<String>,
    /// YouVerify's name of the error.
    #[serde(deserialize_with = "lenient::trimmed")]
    pub name: Option<String>,
    /// YouVerify's own status, the same as HTTP's.
    #[serde(rename = "statusCode", deserialize_with = "lenient::integer")]
    pub status_code: Option<i32>,
    /// AccuAuth's status.
    #[serde(deserialize_with = "lenient::trimmed")]
    pub status: Option<String>,
    /// AccuAuth's reason.
    #[serde(deserialize_with = "lenient::trimmed")]
    pub reason: Option<String>,
}

impl ErrorBody {
    /// Reads what words there are.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }
}

/// Reads an answer that must be JSON of a certain shape.
///
/// # Errors
///
/// [`Kind::Malformed`] if it is not.
pub fn parse<'a, T: Deserialize<'a>>(provider: Provider, answer: &'a Answer) -> Result<T, Failure> {
    serde_json::from_slice(&answer.body).map_err(|_| malformed(provider, answer))
}

/// The same of an answer's body as it is given, and reports once if it has fields that nobody here
/// reads: the provider's document lists every field that is read.
///
/// # Errors
///
/// [`Kind::Malformed`] if it is not.
pub fn parse_watched<'a, T: Deserialize<'a>>(
    provider: Provider,
    answer: &Answer,
    body: &'a [u8],
) -> Result<T, Failure> {
    let (read, has_unread) = watched::read(body);
    if has_unread && !answer.was_read {
        metrics::drifted(provider, Drift::Field);
    }
    read.ok_or_else(|| malformed(provider, answer))
}

/// An answer that is not what the provider's document describes. It may have been charged.
#[must_use]
pub fn malformed(provider: Provider, answer: &Answer) -> Failure {
    Failure {
        http_status: Some(answer.status),
        ..Failure::after_sending(Kind::Malformed, provider)
    }
}

/// An explicit error answer, taken as not charged.
#[must_use]
pub fn refused(provider: Provider, status: u16, kind: Kind, code: Option<&str>) -> Failure {
    let billing = match kind {
        Kind::Malformed => Billing::Unknown,
        _ => Billing::NotBilled,
    };
    Failure {
        provider: Some(provider),
        provider_code: code.and_then(ProviderCode::new),
        http_status: Some(status),
        billing: Some(billing),
        ..Failure::new(kind)
    }
}

/// What an HTTP status says where the provider's words say nothing.
#[must_use]
pub const fn kind_of_status(status: u16) -> Kind {
    match status {
        400 | 411 | 412 | 413 | 414 | 422 | 431 => Kind::RejectedArgument,
        401 | 403 | 407 => Kind::CredentialsRejected,
        402 => Kind::QuotaExhausted,
        404 | 405 | 406 | 410 | 415 => Kind::Misconfigured,
        408 | 513 => Kind::SourceTimeout,
        429 => Kind::ProviderRateLimited,
        500..=599 => Kind::ProviderDown,
        _ => Kind::Malformed,
    }
}

/// The fields of the contract whose provider names stand in a message as whole words.
#[must_use]
pub fn named_fields(
    message: Option<&str>,
    names: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> Vec<Violation> {
    let message = message.unwrap_or_default();
    let words: Vec<&str> = message
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .collect();
    names
        .into_iter()
        .filter(|(theirs, _)| words.contains(theirs))
        .map(|(_, field)| Violation {
            field,
            rule: "was refused by the provider",
        })
        .collect()
}
