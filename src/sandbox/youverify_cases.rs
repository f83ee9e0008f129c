//! The magic numbers of YouVerify.
//!
//! National ids `900000xxx` answer with the HTTP status `xxx`; `900001xxx` are other people and
//! statuses, `900002xxx` spoil the answer on its way.

use serde_json::json;

use super::faults::Fault;
use super::reply::Effect::{Answer, Spoil};
use super::reply::{Content, Effect, Reply};
use super::samples::overlay;
use super::youverify::{ALIEN_ID, NATIONAL_ID, PASSPORT, SERVICE_ID, error, found, wrong_route};

pub(super) struct Case {
    pub id: &'static str,
    pub id_type: &'static str,
    pub effect: Effect,
    pub answer: &'static str,
    pub gives: &'static str,
}

const FOUND: &str = "OK OUTCOME_FOUND";
const CREDENTIALS: &str = "FAILED_PRECONDITION PROVIDER_CREDENTIALS_REJECTED";
const REJECTED: &str = "INVALID_ARGUMENT PROVIDER_REJECTED_ARGUMENT";
const UNAVAILABLE: &str = "UNAVAILABLE PROVIDER_UNAVAILABLE";
const ODD: &str = "900001009";

/// A national id of the table below.
const fn case(id: &'static str, effect: Effect, answer: &'static str, gives: &'static str) -> Case {
    Case {
        id,
        id_type: NATIONAL_ID,
        effect,
        answer,
        gives,
    }
}

const fn spoilt(id: &'static str, fault: Fault) -> Case {
    case(id, Spoil(fault), fault.answer(), fault.gives(FOUND))
}

#[rustfmt::skip]
pub(super) static CASES: &[Case] = &[
    // The other kinds of number.
    Case { id: "SBX000001", id_type: PASSPORT, effect: Answer(|| found("SBX000001", PASSPORT, json!({}))), answer: "200 found", gives: FOUND },
    Case { id: "SBX/0001-A", id_type: SERVICE_ID, effect: Answer(|| found("SBX/0001-A", SERVICE_ID, json!({}))), answer: "200 found", gives: FOUND },
    Case { id: "900001000", id_type: ALIEN_ID, effect: Answer(|| found("900001000", ALIEN_ID, json!({}))), answer: "200 found", gives: FOUND },
    // Other people and statuses.
    case("900001001", Answer(|| found("900001991", NATIONAL_ID, json!({}))), "200 found, another idNumber", FOUND),
    case("900001002", Answer(|| found("900001002", NATIONAL_ID, json!({ "dateOfBirth": "1938-05-01T21:15:00Z" }))), "200 found, born before 1942", FOUND),
    case("900001003", Answer(|| found("900001003", NATIONAL_ID, json!({ "dateOfBirth": "1990-02-28T00:00:00Z" }))), "200 found, birth date at 00:00Z", FOUND),
    case("900001004", Answer(|| found("900001004", NATIONAL_ID, json!({ "status": "under_review", "reason": "Not in the document" }))), "200 status under_review, not documented", "OK OUTCOME_INCONCLUSIVE"),
    case(ODD, Answer(oddities), "200 found, full of oddities", FOUND),
    // Errors.
    case("900000400", Answer(|| error(400, "\"id\" is not valid", "BadRequestError")), "400 BadRequestError", REJECTED),
    case("900000401", Answer(|| error(401, "API token is expired.", "UnauthorizedError")), "401 UnauthorizedError", CREDENTIALS),
    case("900000402", Answer(|| error(402, "Insufficient wallet balance.", "PaymentRequiredError")), "402 PaymentRequiredError", "RESOURCE_EXHAUSTED PROVIDER_QUOTA_EXHAUSTED"),
    case("900000403", Answer(|| error(403, "Not allowed to use this service.", "UnauthorizedError")), "403 UnauthorizedError", CREDENTIALS),
    case("900000404", Answer(wrong_route), "404 ResourceNotFoundError", "FAILED_PRECONDITION PROVIDER_MISCONFIGURED"),
    case("900000422", Answer(|| error(422, "\"id\" cannot be processed", "UnprocessableEntityError")), "422 UnprocessableEntityError", REJECTED),
    case("900000429", Answer(|| error(429, "Too many requests.", "TooManyRequestsError").retry_after(1)), "429, Retry-After: 1", "RESOURCE_EXHAUSTED PROVIDER_RATE_LIMITED"),
    case("900000500", Answer(|| error(500, "Something went wrong.", "Error")), "500 Error", UNAVAILABLE),
    case("900000502", Answer(|| Reply::html(502, "<h1>Bad Gateway</h1>")), "502, not JSON", "UNKNOWN PROVIDER_OUTCOME_UNKNOWN"),
    case("900000503", Answer(|| error(503, "Service is not available.", "Error")), "503 Error", UNAVAILABLE),
    spoilt("900002001", Fault::Slow),
    spoilt("900002002", Fault::Never),
    spoilt("900002003", Fault::Cut),
    spoilt("900002004", Fault::Truncated),
    spoilt("900002005", Fault::Malformed),
    spoilt("900002006", Fault::Oversize),
];

/// Every oddity known of a found answer, and unknown fields beside it.
fn oddities() -> Reply {
    let mut reply = found(
        ODD,
        NATIONAL_ID,
        json!({
            "idNumber": 900_001_009,
            "reason": "",
            "dateOfBirth": "Wed Jan 01 3000 00:00:00 GMT+0300 (East Africa Time)",
            "middleName": null,
            "gender": "NotSpecified",
            "maritalStatus": "not_available",
            "email": "",
            "workTelephoneNumber": 400_000_000,
            "mainAddress": null,
            "secondaryAddress": { "postalCode": 20300, "county": "not in the document" },
            "contractSummary": { "closedContracts": 2, "openContracts": null },
            "inquiries": {
                "numberOfInquiriesLast1Month": 6,
                "numberOfInquiriesLast3Months": "",
                "numberOfInquiriesLast6Months": "NotSpecified"
            },
            "dataValidation": null,
            "requestedAt": "",
            "lastModifiedAt": null,
            "requestedBy": null,
            "riskScores": [{ "unknown": { "deep": [1, null] } }]
        }),
    );
    if let Content::Json(body) = &mut reply.content {
        overlay(
            body,
            json!({ "statusCode": "200", "links": null, "trace": 1 }),
        );
    }
    reply
}
