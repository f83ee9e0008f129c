//! What can go wrong at Verifik, each under a magic word.
//!
//! The word is a foreigner id (8 to 12 of `0-9A-Z`); as the last name `SANDBOX-<WORD>` it acts on
//! creating a person, as the id `person_<word>` on reading, changing and deleting one. Codes and
//! messages vary in spelling, end in a newline and begin with `409:`, as seen in the field.

use serde_json::json;

use super::faults::Fault;
use super::reply::Effect::{Answer, Spoil};
use super::reply::{Billing, Effect, Reply};
use super::verifik::{error, wrong_route};

pub(super) struct Condition {
    pub word: &'static str,
    pub effect: Effect,
    pub answer: &'static str,
    /// `OK` stands for a call that succeeds, whatever the outcome.
    pub gives: &'static str,
}

const CREDENTIALS: &str = "FAILED_PRECONDITION PROVIDER_CREDENTIALS_REJECTED";
const QUOTA: &str = "RESOURCE_EXHAUSTED PROVIDER_QUOTA_EXHAUSTED";
const REJECTED: &str = "INVALID_ARGUMENT PROVIDER_REJECTED_ARGUMENT";
const UNAVAILABLE: &str = "UNAVAILABLE PROVIDER_UNAVAILABLE";
const EXISTS: &str = "ALREADY_EXISTS PERSON_ALREADY_EXISTS";
const LIVENESS: &str = "FAILED_PRECONDITION LIVENESS_FAILED";

/// A short form for the tables below.
const fn condition(
    word: &'static str,
    effect: Effect,
    answer: &'static str,
    gives: &'static str,
) -> Condition {
    Condition {
        word,
        effect,
        answer,
        gives,
    }
}

const fn spoilt(word: &'static str, fault: Fault) -> Condition {
    condition(word, Spoil(fault), fault.answer(), fault.gives("OK"))
}

/// On every path of Verifik.
#[rustfmt::skip]
pub(super) static CONDITIONS: &[Condition] = &[
    condition("UNAUTHORIZED", Answer(|| error(401, "Unauthorized", "Unauthorized\n")), "401 Unauthorized", CREDENTIALS),
    condition("INVALIDTOKEN", Answer(|| error(401, "Unauthorized", "Invalid or expired token.\n")), "401 Invalid or expired token.", CREDENTIALS),
    condition("TOKENEXPIRED", Answer(|| error(403, "Forbidden", "token_expired\n")), "403 token_expired", CREDENTIALS),
    condition("EXPIREDTOKEN", Answer(|| error(403, "expired_token", "403:Expired_Token\n")), "403 expired_token", CREDENTIALS),
    condition("NOCREDITS", Answer(|| error(403, "insufficient_credits", "insufficient_credits\n")), "403 insufficient_credits", QUOTA),
    condition("NOCREDITTEXT", Answer(|| error(403, "Forbidden", "Not enough Credit to use this service\n")), "403 text with \"credit\"", QUOTA),
    condition("MISSINGPARAM", Answer(|| error(409, "MissingParameter", "missing documentNumber\n")), "409 MissingParameter", REJECTED),
    condition("INVALIDDATES", Answer(|| error(409, "MissingParameter", "dateOfBirth format required: DD/MM/YYYY\n")), "409 MissingParameter, format", REJECTED),
    condition("INVALIDPARAM", Answer(|| error(409, "INVALID_PARAMETERS", "409:invalid_parameters\n")), "409 INVALID_PARAMETERS", REJECTED),
    condition("OUTOFSERVICE", Answer(|| error(409, "Conflict", "409:Endpoint_out_of_service\n")), "409 409:Endpoint_out_of_service", UNAVAILABLE),
    condition("ENDPOINTDOWN", Answer(|| error(409, "endpoint_OUT_of_service", "The source does not answer\n")), "409 code endpoint_OUT_of_service", UNAVAILABLE),
    condition("NOSUCHROUTE", Answer(wrong_route), "404, not JSON", "FAILED_PRECONDITION PROVIDER_MISCONFIGURED"),
    condition("RATELIMITED", Answer(|| error(429, "TooManyRequests", "Too many requests\n").retry_after(1)), "429, Retry-After: 1", "RESOURCE_EXHAUSTED PROVIDER_RATE_LIMITED"),
    condition("INTERNALERR", Answer(|| error(500, "InternalServerError", "internal_error\n")), "500 internal_error", UNAVAILABLE),
    condition("BADGATEWAY", Answer(|| Reply::html(502, "<h1>Bad Gateway</h1>")), "502, not JSON", "UNKNOWN PROVIDER_OUTCOME_UNKNOWN"),
    spoilt("SLOWANSWER", Fault::Slow),
    spoilt("NEVERANSWERS", Fault::Never),
    spoilt("CUTCONNECT", Fault::Cut),
    spoilt("TRUNCATED", Fault::Truncated),
    spoilt("MALFORMED", Fault::Malformed),
    spoilt("OVERSIZED", Fault::Oversize),
];

/// On creating a person, with or without liveness.
#[rustfmt::skip]
pub(super) static ON_CREATE: &[Condition] = &[
    condition("DUPLICATE", Answer(|| error(409, "Conflict", "409:duplicated_person\n")), "409 409:duplicated_person", EXISTS),
    condition("ALREADY-SET", Answer(|| error(412, "PreconditionFailed", "person_already_set\n")), "412 person_already_set", EXISTS),
    condition("NOT-BASE64", Answer(only_base64), "412 only_images_in_base64", REJECTED),
];

/// On creating a person with liveness.
#[rustfmt::skip]
pub(super) static ON_LIVENESS: &[Condition] = &[
    condition("LIVENESS-FAILED", Answer(|| error(409, "Conflict", "409:liveness_failed_score_too_low\n")), "409 liveness_failed…", LIVENESS),
    condition("NO-FACE", Answer(|| error(409, "Conflict", "no_face_detected\n")), "409 no_face_detected", LIVENESS),
    condition("MULTIPLE-FACES", Answer(|| error(409, "multiple_faces_detected", "409:Multiple_Faces_Detected\n")), "409 multiple_faces_detected", LIVENESS),
];

/// On changing a person that can be read: the id is `person_<word>`.
#[rustfmt::skip]
pub(super) static ON_UPDATE: &[Condition] = &[
    condition("UPDATE_REJECTED", Answer(|| error(409, "INVALID_PARAMETERS", "invalid email\n")), "409 INVALID_PARAMETERS on PUT", REJECTED),
    condition("UPDATE_CUT", Spoil(Fault::Cut), "connection closed on PUT", Fault::Cut.gives("OK")),
];

/// 412: an image that is not base64.
pub(super) fn only_base64() -> Reply {
    error(412, "PreconditionFailed", "only_images_in_base64\n")
}

/// 404 of a person, the form without `code`. A missing resource is an error and is not charged.
pub(super) fn person_not_found() -> Reply {
    let body = json!({ "error": "Person not found", "message": "PERSON_NOT_FOUND" });
    Reply::json(404, body, Billing::NotBilled)
}
