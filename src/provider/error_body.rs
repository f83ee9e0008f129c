//! What all three providers' error answers have in common: a body of words, an HTTP status, and the
//! question whose answer it is.
//!
//! An error answer is the provider's own if its document lists the status or the code, and the body is
//! in the provider's shape. Of the others the status alone speaks ([`kind_of_status`]): a proxy, a load
//! balancer or a CDN has written them, and behind it the provider may have done the work, and charged.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::lenient;
use crate::{
    domain::{
        failure::{Failure, Kind},
        provider_code::ProviderCode,
        verification::{Billing, Drift, Provider},
    },
    transport::Answer,
};

mod named;
#[cfg(test)]
mod tests;

pub use named::named_fields;

/// A larger body is no error answer, and not worth its memory.
const MAX_BYTES: usize = 64 * 1024;
/// A text that is no JSON is read as a message up to this size.
const MAX_TEXT: usize = 512;
/// How many sentences of one answer are read, and how deep they may lie.
const MAX_SENTENCES: usize = 32;
const MAX_DEPTH: u8 = 8;

/// The words of an error answer. All are absent if the body holds none.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ErrorBody {
    /// Verifik's code.
    #[serde(deserialize_with = "lenient::trimmed")]
    pub code: Option<String>,
    /// Verifik's and YouVerify's message: one, or a list of them.
    #[serde(deserialize_with = "sentences")]
    message: Vec<String>,
    /// What validators write beside or instead of it.
    #[serde(deserialize_with = "sentences")]
    errors: Vec<String>,
    #[serde(deserialize_with = "sentences")]
    details: Vec<String>,
    /// Verifik's error, where it sends no code.
    #[serde(deserialize_with = "lenient::trimmed")]
    pub error: Option<String>,
    /// YouVerify's name of the error.
    #[serde(deserialize_with = "lenient::trimmed")]
    pub name: Option<String>,
    /// YouVerify's own status, the same as HTTP's.
    #[serde(rename = "statusCode", deserialize_with = "lenient::integer")]
    pub status_code: Option<i32>,
    /// YouVerify's word for it that something went wrong.
    #[serde(deserialize_with = "lenient::flag")]
    pub success: Option<bool>,
    /// AccuAuth's status.
    #[serde(deserialize_with = "lenient::trimmed")]
    pub status: Option<String>,
    /// AccuAuth's reason.
    #[serde(deserialize_with = "lenient::trimmed")]
    pub reason: Option<String>,
    /// AccuAuth's id of the request.
    #[serde(deserialize_with = "lenient::trimmed")]
    pub request_id: Option<String>,
    /// Whether the body is a JSON object, as all of the providers' own are.
    #[serde(skip)]
    pub is_object: bool,
}

impl ErrorBody {
    /// Reads what words there are: of an object, or else of a short text.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        let body = body.trim_ascii();
        if body.len() > MAX_BYTES {
            return Self::default();
        }
        if body.starts_with(b"{") {
            let read = serde_json::from_slice(body);
            return read.map_or_else(
                |_| Self::default(),
                |read: Self| Self {
                    is_object: true,
                    ..read
                },
            );
        }
        let message = match serde_json::from_slice::<Value>(body) {
            Ok(value) => said(&value),
            Err(_) => plain_text(body).into_iter().collect(),
        };
        Self {
            message,
            ..Self::default()
        }
    }

    /// The first message.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.sentences().next()
    }

    /// Everything that is said in sentences.
    pub fn sentences(&self) -> impl Iterator<Item = &str> {
        let all = [&self.message, &self.errors, &self.details];
        all.into_iter().flatten().map(String::as_str)
    }

    /// Whether the account's money or quota is said to be spent.
    #[must_use]
    pub fn is_about_credit(&self) -> bool {
        const SPENT: [&str; 7] = [
            "insufficient",
            "not enough",
            "run out",
            "out of",
            "exhausted",
            "exceeded",
            "low ",
        ];
        const MONEY: [&str; 5] = ["fund", "credit", "balance", "quota", "wallet"];
        self.sentences().any(|sentence| {
            let sentence = sentence.to_lowercase();
            let holds = |words: &[&str]| words.iter().any(|word| sentence.contains(word));
            holds(&SPENT) && holds(&MONEY)
        })
    }
}

/// A short text that is no page of HTML.
fn plain_text(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let is_text = !text.is_empty() && text.len() <= MAX_TEXT && !text.starts_with('<');
    is_text.then(|| text.to_owned())
}

fn sentences<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Value::deserialize(deserializer).map(|value| said(&value))
}

/// The texts of a message, of a list of them, or of what validators make of one: objects with a
/// property and its constraints. What they repeat of the request is no sentence.
fn said(value: &Value) -> Vec<String> {
    const REPEATED: [&str; 5] = ["value", "target", "context", "input", "received"];
    fn collect(value: &Value, depth: u8, into: &mut Vec<String>) {
        match value {
            _ if depth > MAX_DEPTH || into.len() >= MAX_SENTENCES => {}
            Value::String(text) if !text.trim().is_empty() => into.push(text.trim().to_owned()),
            Value::Array(list) => list
                .iter()
                .for_each(|value| collect(value, depth + 1, into)),
            Value::Object(object) => object
                .iter()
                .filter(|(name, _)| !REPEATED.contains(&name.as_str()))
                .for_each(|(_, value)| collect(value, depth + 1, into)),
            _ => {}
        }
    }
    let mut all = Vec::new();
    collect(value, 0, &mut all);
    all
}

/// Reads an answer that must be JSON of a certain shape.
///
/// # Errors
///
/// [`Kind::Malformed`] if it is not.
pub fn parse<'a, T: Deserialize<'a>>(provider: Provider, answer: &'a Answer) -> Result<T, Failure> {
    serde_json::from_slice(&answer.body).map_err(|_| malformed(provider, answer))
}

/// The same of an answer's body as it is given. If the answer is a sampled one, it says whether the body has fields that
/// nobody here reads: the provider's document lists every field that is read.
///
/// # Errors
///
/// [`Kind::Malformed`] if it is not.
pub fn parse_watched<'a, T: Deserialize<'a>>(
    provider: Provider,
    answer: &Answer,
    body: &'a [u8],
) -> Result<(T, Drift), Failure> {
    let mut drift = Drift::default();
    // Tested once here, and not by the parser string by string.
    let text = std::str::from_utf8(body).map_err(|_| malformed(provider, answer))?;
    let read = if answer.is_sampled {
        let mut json = serde_json::Deserializer::from_str(text);
        serde_ignored::deserialize(&mut json, |_| drift.field = true)
            .and_then(|read| json.end().map(|()| read))
    } else {
        serde_json::from_str(text)
    };
    let malformed = |_| Failure {
        drift,
        ..malformed(provider, answer)
    };
    Ok((read.map_err(malformed)?, drift))
}

/// An answer that is not what the provider's document describes. It may have been charged.
#[must_use]
pub fn malformed(provider: Provider, answer: &Answer) -> Failure {
    Failure {
        http_status: Some(answer.status),
        ..Failure::after_sending(Kind::Malformed, provider)
    }
}

/// An error answer. Taken as not charged, unless it leaves open what the provider has done.
#[must_use]
pub fn refused(provider: Provider, status: u16, kind: Kind, code: Option<ProviderCode>) -> Failure {
    let failure = Failure {
        provider: Some(provider),
        provider_code: code,
        http_status: Some(status),
        ..Failure::new(kind)
    };
    let billing = match failure.leaves_outcome_unknown() {
        true => Billing::Unknown,
        false => Billing::NotBilled,
    };
    Failure {
        billing: Some(billing),
        ..failure
    }
}

/// Whether the status says that the provider was not reached, whoever wrote it and whatever stands in
/// the body: 503, and what Cloudflare has for a host that it cannot connect to.
#[must_use]
pub const fn reached_nobody(status: u16) -> bool {
    matches!(status, 503 | 521 | 522 | 523 | 530)
}

/// What an HTTP status says where the provider's words say nothing. From 500 on, and of 408, nobody
/// knows what became of the request: whoever waited in between for the provider has given up.
#[must_use]
pub const fn kind_of_status(status: u16) -> Kind {
    match status {
        status if reached_nobody(status) => Kind::ProviderDown,
        400 | 411 | 412 | 413 | 414 | 422 | 431 => Kind::RejectedArgument,
        401 | 403 | 407 => Kind::CredentialsRejected,
        402 => Kind::QuotaExhausted,
        404 | 405 | 406 | 410 | 415 => Kind::Misconfigured,
        429 => Kind::ProviderRateLimited,
        504 | 524 => Kind::TimedOut,
        408 | 500..=599 => Kind::OutcomeUnknown,
        _ => Kind::Malformed,
    }
}
