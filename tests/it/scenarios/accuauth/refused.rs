//! AccuAuth's errors: section 4 of its document, and what stands nowhere.

use super::{error, row};
use crate::{
    it::{
        cases::{self, Case, Detail},
        table::Row,
    },
    kit::{
        provider::Does,
        wire::{json as answer, says, sends},
    },
};

pub fn refusals() -> Vec<Row> {
    let refuses = |what, case: &'static Case, status, word: &'static str, reason: &str| {
        let mut fails = case.answered(status, word);
        if case.details.contains(&Detail::NamedFields) && reason.contains("id_number") {
            fails.fields = vec!["curp"];
        }
        row(what, says(status, error(word, reason))).fails(fails)
    };
    let invalid = "INVALID_ARGUMENT";
    vec![
        refuses(
            "400 INVALID_ARGUMENT",
            &cases::REJECTED_ARGUMENT,
            400,
            invalid,
            "argument 'id_number': not found",
        ),
        refuses(
            "400 INVALID_ARGUMENT about nothing of ours",
            &cases::REJECTED_ARGUMENT,
            400,
            invalid,
            "bad body RAZR811011HVZXPB01",
        )
        .hidden(),
        refuses(
            "400 VERIFY_FAILED",
            &cases::VERIFY_FAILED,
            400,
            "VERIFY_FAILED",
            "verify failed",
        ),
        refuses(
            "400 PENDING",
            &cases::PENDING,
            400,
            "PENDING",
            "operation in progress, try again later",
        ),
        refuses(
            "400 ABNORMAL_BEHAVIOURS_DETECTED",
            &cases::REPEATED,
            400,
            "ABNORMAL_BEHAVIOURS_DETECTED",
            "repeated",
        ),
        refuses(
            "401 UNAUTHORIZED",
            &cases::CREDENTIALS,
            401,
            "UNAUTHORIZED",
            "denied",
        ),
        refuses(
            "401 KEY_EXPIRED",
            &cases::CREDENTIALS,
            401,
            "KEY_EXPIRED",
            "your API ID has expired",
        ),
        refuses(
            "403 NO_PERMISSION",
            &cases::CREDENTIALS,
            403,
            "NO_PERMISSION",
            "not authorized",
        ),
        refuses(
            "403 OUT_OF_QUOTA",
            &cases::QUOTA,
            403,
            "OUT_OF_QUOTA",
            "API calls quota exceeded",
        ),
        refuses(
            "403 RATE_LIMIT_EXCEEDED",
            &cases::RATE_LIMITED_THERE,
            403,
            "RATE_LIMIT_EXCEEDED",
            "too frequent",
        ),
        refuses(
            "404 NOT_FOUND",
            &cases::MISCONFIGURED,
            404,
            "NOT_FOUND",
            "requested API cannot be found",
        ),
        refuses(
            "500 INTERNAL_ERROR",
            &cases::DOWN,
            500,
            "INTERNAL_ERROR",
            "internal server error",
        ),
        refuses(
            "512 SOURCE_SERVICE_UNAVAILABLE",
            &cases::DOWN,
            512,
            "SOURCE_SERVICE_UNAVAILABLE",
            "source is unavailable",
        ),
        refuses(
            "513 SOURCE_SERVICE_TIMEOUT",
            &cases::SOURCE_TIMEOUT,
            513,
            "SOURCE_SERVICE_TIMEOUT",
            "source is timeout",
        ),
    ]
}

/// Answers that the document does not list: the HTTP status speaks.
pub fn unlisted() -> Vec<Row> {
    let plain = |status, case: &'static Case| {
        row("no words", sends(status, "<html>"))
            .hidden()
            .fails(case.answered(status, ""))
    };
    let in_shape = |status, case: &'static Case| {
        row("an unlisted word", says(status, error("ODD_WORD", "odd")))
            .hidden()
            .fails(case.answered(status, ""))
    };
    let slow = answer(403, error("RATE_LIMIT_EXCEEDED", "")).header("retry-after", "21");
    vec![
        plain(400, &cases::REJECTED_ARGUMENT),
        plain(401, &cases::CREDENTIALS),
        plain(402, &cases::QUOTA),
        plain(403, &cases::CREDENTIALS),
        plain(404, &cases::MISCONFIGURED),
        plain(429, &cases::RATE_LIMITED_THERE),
        plain(503, &cases::DOWN),
        in_shape(500, &cases::DOWN),
        in_shape(512, &cases::DOWN),
        in_shape(513, &cases::SOURCE_TIMEOUT),
        row(
            "504 SOURCE_SERVICE_TIMEOUT",
            says(504, error("SOURCE_SERVICE_TIMEOUT", "late")),
        )
        .hidden()
        .fails(cases::SOURCE_TIMEOUT.answered(504, "SOURCE_SERVICE_TIMEOUT")),
        row(
            "500 INTERNAL_ERROR without the rest of the shape",
            says(500, serde_json::json!({"status": "INTERNAL_ERROR"})),
        )
        .hidden()
        .fails({
            let mut fails = cases::OUTCOME_UNKNOWN.unanswered("unknown").status(500);
            fails.provider_code = Some("INTERNAL_ERROR");
            fails
        }),
        row(
            "403 RATE_LIMIT_EXCEEDED with Retry-After: 21",
            vec![Does::Answers(slow)],
        )
        .fails(
            cases::RATE_LIMITED_THERE
                .answered(403, "RATE_LIMIT_EXCEEDED")
                .retry(21),
        ),
        row(
            "an error inside a 200",
            says(200, error("OUT_OF_QUOTA", "quota")),
        )
        .hidden()
        .fails(cases::QUOTA.answered(200, "OUT_OF_QUOTA")),
    ]
}
