//! Verifik's error answers. One HTTP status means several things: the words decide.
//!
//! HTTP 409 is by turns a caller's error, a duplicate, a failed liveness test and an outage; 403 is
//! an expired token or no credit (findings.md, "Verifik"). Words are compared without the `NNN:` in
//! front, the white space around and their case.

use super::PROVIDER;
use crate::{
    domain::{
        failure::{Failure, Kind},
        person::PersonField,
    },
    provider::error_body::{ErrorBody, kind_of_status, named_fields, refused},
    transport::Answer,
};

/// Which endpoint answered: it decides what a 404 means and what the fields are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// The foreigner's card. A 404 in Verifik's words is an answer, which the caller reads first.
    ForeignerId,
    /// Person records.
    Persons,
}

/// The words of an answer, made comparable.
struct Words([String; 3]);

impl Words {
    fn of(body: &ErrorBody) -> Self {
        let all = [&body.code, &body.message, &body.error];
        Self(all.map(|word| plain(word.as_deref().unwrap_or_default())))
    }

    fn is_any(&self, words: &[&str]) -> bool {
        self.0.iter().any(|word| words.contains(&word.as_str()))
    }

    fn holds_any(&self, parts: &[&str]) -> bool {
        let holds = |word: &String| parts.iter().any(|part| word.contains(part));
        self.0.iter().any(holds)
    }
}

/// Trimmed, without a leading `NNN:`, lower case.
fn plain(word: &str) -> String {
    without_number(word).to_lowercase()
}

/// Trimmed, without a leading `NNN:`.
fn without_number(word: &str) -> &str {
    let word = word.trim();
    let rest = word.trim_start_matches(|character: char| character.is_ascii_digit());
    let without_number = match rest.strip_prefix(':') {
        Some(after) if word.len() == rest.len() + 3 => after,
        _ => word,
    };
    without_number.trim()
}

/// Whether a 404 is Verifik's own "there is no such record", and not a missing route.
pub fn is_not_found(body: &ErrorBody) -> bool {
    let words = Words::of(body);
    words.is_any(&["notfound", "not_found", "person not found"])
        || words.holds_any(&["record not found", "person_not_found"])
}

/// What an error answer means.
pub fn error(endpoint: Endpoint, answer: &Answer) -> Failure {
    let body = ErrorBody::read(&answer.body);
    let kind = kind(endpoint, answer.status, &body);
    // Where there is no code, Verifik's message often is one.
    let code = [&body.code, &body.message, &body.error]
        .into_iter()
        .flatten()
        .next();
    let code = code.map(|code| without_number(code));
    let mut failure = refused(PROVIDER, answer.status, kind, code);
    if kind == Kind::RejectedArgument {
        let message = body.message.as_deref();
        failure.violations = match endpoint {
            Endpoint::ForeignerId => named_fields(message, FOREIGNER_FIELDS),
            Endpoint::Persons => named_fields(message, person_fields()),
        };
    }
    failure
}

fn kind(endpoint: Endpoint, status: u16, body: &ErrorBody) -> Kind {
    let words = Words::of(body);
    match status {
        404 if is_not_found(body) && endpoint == Endpoint::Persons => Kind::PersonNotFound,
        409 | 412 => conflict(&words).unwrap_or(match status {
            412 => Kind::RejectedArgument,
            _ => Kind::Malformed,
        }),
        403 if words.holds_any(&["credit", "quota"]) => Kind::QuotaExhausted,
        400 | 422 => conflict(&words).unwrap_or(Kind::RejectedArgument),
        status => kind_of_status(status),
    }
}

fn conflict(words: &Words) -> Option<Kind> {
    const CALLER: [&str; 3] = [
        "missingparameter",
        "invalid_parameters",
        "only_images_in_base64",
    ];
    const CALLER_PARTS: [&str; 3] = ["missing ", "format required", "invalid parameter"];
    const DUPLICATE: [&str; 2] = ["duplicated_person", "person_already_set"];
    const LIVENESS: [&str; 3] = ["liveness", "face_detected", "faces_detected"];
    if words.holds_any(&["out_of_service"]) {
        Some(Kind::ProviderDown)
    } else if words.is_any(&DUPLICATE) {
        Some(Kind::PersonAlreadyExists)
    } else if words.is_any(&CALLER) {
        // Before the words that may stand in its message, as in `missing livenessDetection`.
        Some(Kind::RejectedArgument)
    } else if words.holds_any(&LIVENESS) {
        Some(Kind::LivenessFailed)
    } else if words.holds_any(&["insufficient_credits", "credit"]) {
        Some(Kind::QuotaExhausted)
    } else if words.holds_any(&CALLER_PARTS) {
        Some(Kind::RejectedArgument)
    } else {
        None
    }
}

/// Names of the foreigner lookup's fields: theirs, ours.
const FOREIGNER_FIELDS: [(&str, &str); 2] = [
    ("documentNumber", "document_number"),
    ("dateOfBirth", "birthdate"),
];

fn person_fields() -> impl Iterator<Item = (&'static str, &'static str)> {
    PersonField::ALL
        .into_iter()
        .map(|field| (super::person_json::name(field).1, field.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_without_number_space_and_case() {
        for (word, expected) in [
            ("409:duplicated_person\n", "duplicated_person"),
            ("  Endpoint_out_of_service ", "endpoint_out_of_service"),
            ("409: liveness_failed", "liveness_failed"),
            ("4090:odd", "4090:odd"),
            ("", ""),
        ] {
            assert_eq!(plain(word), expected, "{word}");
        }
    }
}
