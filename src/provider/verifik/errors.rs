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
        provider_code::ProviderCode,
    },
    provider::error_body::{ErrorBody, kind_of_status, named_fields, reached_nobody, refused},
    transport::Answer,
};

/// Which endpoint answered: it decides what a 404 means and what the fields are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// A lookup, with the names of its request's fields: theirs, ours. A 404 in Verifik's words is an answer, which
    /// the caller reads first.
    Lookup(&'static [(&'static str, &'static str)]),
    /// Person records.
    Persons,
    /// Person records that are created after a test of liveness. What it refuses in words that nobody
    /// has heard of is a failed test: there are many of them, and new ones.
    Liveness,
}

/// The words of an answer, made comparable.
struct Words([String; 3]);

impl Words {
    fn of(body: &ErrorBody) -> Self {
        let all = [body.code.as_deref(), body.message(), body.error.as_deref()];
        Self(all.map(|word| plain(word.unwrap_or_default())))
    }

    fn are_none(&self) -> bool {
        self.0.iter().all(String::is_empty)
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
    let says_so = words.is_any(&["notfound", "not_found", "person not found"])
        || words.holds_any(&["record not found", "person_not_found"]);
    body.is_object && says_so
}

/// What an error answer means.
pub fn error(endpoint: Endpoint, answer: &Answer) -> Failure {
    let body = ErrorBody::read(&answer.body);
    let named = match endpoint {
        Endpoint::Lookup(fields) => named_fields(body.sentences(), fields.iter().copied()),
        Endpoint::Persons | Endpoint::Liveness => named_fields(body.sentences(), person_fields()),
    };
    let kind = match kind(endpoint, answer.status, &body) {
        // A word of the test's own names no field of the request.
        Kind::LivenessFailed if answer.status == 412 && !named.is_empty() => Kind::RejectedArgument,
        kind => kind,
    };
    let mut failure = refused(PROVIDER, answer.status, kind, code(&body));
    if kind == Kind::RejectedArgument {
        failure.violations = named;
    }
    failure
}

/// The code. Where there is none, or one that says nothing, Verifik's message often is one.
fn code(body: &ErrorBody) -> Option<ProviderCode> {
    let words = [body.code.as_deref(), body.message(), body.error.as_deref()];
    let known = words.into_iter().flatten();
    let mut known = known.filter_map(|word| ProviderCode::new(without_number(word)));
    let first = known.next();
    let says_nothing = first.is_some_and(|code| code.as_str() == "ERROR");
    known.next().filter(|_| says_nothing).or(first)
}

fn kind(endpoint: Endpoint, status: u16, body: &ErrorBody) -> Kind {
    let words = Words::of(body);
    match status {
        status if reached_nobody(status) => Kind::ProviderDown,
        404 if is_not_found(body) && !matches!(endpoint, Endpoint::Lookup(_)) => {
            Kind::PersonNotFound
        }
        409 | 412 => conflict(&words).unwrap_or(match (endpoint, status) {
            (Endpoint::Liveness, _) if body.is_object && !words.are_none() => Kind::LivenessFailed,
            (_, 412) => Kind::RejectedArgument,
            _ => Kind::Malformed,
        }),
        403 if words.holds_any(&["credit", "quota"]) || body.is_about_credit() => {
            Kind::QuotaExhausted
        }
        400 | 422 => conflict(&words).unwrap_or(Kind::RejectedArgument),
        500..=599 if body.is_object && words.holds_any(&["out_of_service"]) => Kind::ProviderDown,
        500 if is_own(body, &words) => Kind::ProviderDown,
        status => kind_of_status(status),
    }
}

/// Whether the body is one that Verifik writes: a code in words with a message, or `internal_error`.
/// AWS and others between write a message alone, Google's a code in digits.
fn is_own(body: &ErrorBody, words: &Words) -> bool {
    let code = body.code.as_deref().unwrap_or_default();
    let has_code = code.contains(|c: char| c.is_ascii_alphabetic()) && body.message().is_some();
    body.is_object && (has_code || words.is_any(&["internal_error"]))
}

fn conflict(words: &Words) -> Option<Kind> {
    const CALLER: [&str; 3] = [
        "missingparameter",
        "invalid_parameters",
        "only_images_in_base64",
    ];
    const CALLER_PARTS: [&str; 3] = ["missing ", "format required", "invalid parameter"];
    const DUPLICATE: [&str; 2] = ["duplicated_person", "person_already_set"];
    const LIVENESS: [&str; 5] = [
        "liveness",
        "face_detected",
        "faces_detected",
        "face_not_",
        "poor_lighting",
    ];
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

    #[test]
    fn a_refusal_names_the_callers_field_and_the_providers_word() {
        for (endpoint, message, field) in [
            (Endpoint::Persons, "missing email", "person.email"),
            (
                Endpoint::Liveness,
                "missing faceImage",
                PersonField::FaceImage.path(),
            ),
            (
                Endpoint::Lookup(&[("dateOfBirth", "birthdate")]),
                "missing dateOfBirth",
                "birthdate",
            ),
        ] {
            let body = format!(r#"{{"code": "MissingParameter", "message": "{message}\n"}}"#);
            let answer = Answer {
                status: 409,
                retry_after: None,
                body: body.into(),
                is_sampled: false,
            };
            let failure = error(endpoint, &answer);
            assert_eq!(failure.kind, Kind::RejectedArgument, "{message}");
            let fields: Vec<_> = failure.violations.iter().map(|bad| bad.field).collect();
            assert_eq!(fields, [field]);
            let code = failure.provider_code.map(|code| code.as_str());
            assert_eq!(code, Some("MissingParameter"));
        }
    }
}
