//! YouVerify `POST /v2/api/identity/ke/id-scrub`: the Kenyan identity number.
//!
//! `metadata` comes back as it was sent. National ids `900000xxx` answer with the HTTP status `xxx`;
//! `900001xxx` are other people and statuses, `900002xxx` spoil the answer on its way.

use http::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{credential, error, wrong_route};
use crate::sandbox::case::gives::{
    CREDENTIALS, FOUND, INCONCLUSIVE, MISCONFIGURED, NOT_FOUND, OUTCOME_UNKNOWN, QUOTA,
    RATE_LIMITED, REJECTED, UNAVAILABLE,
};
use crate::sandbox::case::{Case, case, find, spoilt};
use crate::sandbox::faults::Fault;
use crate::sandbox::fixtures::{Fixtures, Lookup};
use crate::sandbox::reply::{Billing, Content, Received, Reply};
use crate::sandbox::sample::{changed, overlay, sample};
use crate::sandbox::table::Rows;

pub(super) const PATH: &str = "/v2/api/identity/ke/id-scrub";
const METHOD: &str = "idgw.identity.v1.IdentityService/ScrubKenyaId";

/// Midnight in Nairobi is printed in UTC, the day before.
const SAMPLE: &str = include_str!("../../../samples/youverify/kenya_found.json");
const SAMPLE_ID: &str = "1234567";
/// Some fields are null, others absent, and `allValidationPassed` is true.
const NOT_FOUND_SAMPLE: &str = include_str!("../../../samples/youverify/kenya_not_found.json");
const NOT_FOUND_ID: &str = "00000000";

const NATIONAL_ID: &str = "national-id";
const PASSPORT: &str = "passport";
const SERVICE_ID: &str = "service-id";
const ALIEN_ID: &str = "alien-registration";
const ID_TYPES: [&str; 4] = [NATIONAL_ID, PASSPORT, SERVICE_ID, ALIEN_ID];
/// A national id.
const ODD_ID: &str = "900001009";

pub(super) const LOOKUP: Lookup = Lookup {
    method: METHOD,
    path: PATH,
    case: |id| find(&[NATIONAL], id),
};

pub(super) fn answer(received: &Received, fixtures: &Fixtures) -> Reply {
    if received.method != Method::POST {
        return wrong_route();
    }
    if let Some(refusal) = credential(received) {
        return refusal;
    }
    // A body that is not JSON is to them one without fields.
    let body = received.json().unwrap_or_default();
    match arguments(&body) {
        Ok((id, id_type)) => {
            let mut reply = fixtures.answer(
                METHOD,
                id,
                || scrub(id, id_type),
                |record| found(id, id_type, record),
                || not_found(id, id_type),
            );
            if let (Content::Json(answer), Some(metadata)) =
                (&mut reply.content, body.get("metadata"))
            {
                return_metadata(answer, metadata);
            }
            reply
        }
        Err(message) => error(400, &message, "BadRequestError"),
    }
}

/// `id` and `idType`, or everything that is wrong with the body.
fn arguments(body: &Map<String, Value>) -> Result<(&str, &'static str), String> {
    let mut wrong = Vec::new();
    let id = text(body, "id", &mut wrong);
    let id_type = text(body, "idType", &mut wrong);
    let known = ID_TYPES
        .into_iter()
        .find(|known| id_type.is_some_and(|id_type| id_type == *known));
    if id_type.is_some() && known.is_none() {
        wrong.push(format!(
            "\"idType\" must be one of [{}]",
            ID_TYPES.join(", ")
        ));
    }
    match body.get("isSubjectConsent") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => wrong.push("\"isSubjectConsent\" must be [true]".to_owned()),
        Some(_) => wrong.push("\"isSubjectConsent\" must be a boolean".to_owned()),
        None => wrong.push("\"isSubjectConsent\" is required".to_owned()),
    }
    if body.get("metadata").is_some_and(|value| !value.is_object()) {
        wrong.push("\"metadata\" must be of type object".to_owned());
    }
    match (id, known) {
        (Some(id), Some(id_type)) if wrong.is_empty() => Ok((id, id_type)),
        _ => Err(wrong.join(". ")),
    }
}

fn text<'a>(body: &'a Map<String, Value>, name: &str, wrong: &mut Vec<String>) -> Option<&'a str> {
    match body.get(name) {
        Some(Value::String(text)) if !text.is_empty() => return Some(text),
        Some(Value::String(_)) => wrong.push(format!("\"{name}\" is not allowed to be empty")),
        Some(_) => wrong.push(format!("\"{name}\" must be a string")),
        None => wrong.push(format!("\"{name}\" is required")),
    }
    None
}

fn scrub(id: &str, id_type: &'static str) -> Reply {
    let answer = |body| Reply::json(200, body, Billing::Unknown);
    match (id, id_type) {
        (SAMPLE_ID, NATIONAL_ID) => return answer(sample(SAMPLE)),
        (NOT_FOUND_ID, NATIONAL_ID) => return answer(sample(NOT_FOUND_SAMPLE)),
        _ => {}
    }
    let tables = CASES.iter().filter(|(kind, _)| *kind == id_type);
    let mut cases = tables.filter_map(|(_, table)| find(&[table], id));
    match cases.next() {
        Some(case) => case.effect.apply(|| found(id, id_type, json!({}))),
        None => not_found(id, id_type),
    }
}

fn not_found(id: &str, id_type: &str) -> Reply {
    let body = changed(NOT_FOUND_SAMPLE, asked(id, id_type));
    Reply::json(200, body, Billing::Unknown)
}

/// Found: the sample's person under another number. `data` is what differs from that.
fn found(id: &str, id_type: &str, data: Value) -> Reply {
    let mut body = changed(SAMPLE, asked(id, id_type));
    overlay(&mut body, json!({ "data": data }));
    Reply::json(200, body, Billing::Unknown)
}

/// What an answer says of the request, under an id of theirs.
fn asked(id: &str, id_type: &str) -> Value {
    json!({ "data": { "id": object_id(), "idNumber": id, "identityType": id_type } })
}

/// Replaced, not merged: it comes back as it was sent. An error's `data` has no place for it.
fn return_metadata(answer: &mut Value, metadata: &Value) {
    if let Some(place) = answer.pointer_mut("/data/metadata") {
        *place = metadata.clone();
    }
}

/// An id of theirs: 24 hexadecimal digits.
fn object_id() -> String {
    let mut id = Uuid::new_v4().simple().to_string();
    id.truncate(24);
    id
}

/// The magic numbers, by the kind of number.
#[rustfmt::skip]
static CASES: &[(&str, &[Case])] = &[
    (PASSPORT, &[case("SBX000001", || found("SBX000001", PASSPORT, json!({})), "200 found", FOUND)]),
    (SERVICE_ID, &[case("SBX/0001-A", || found("SBX/0001-A", SERVICE_ID, json!({})), "200 found", FOUND)]),
    (ALIEN_ID, &[case("900001000", || found("900001000", ALIEN_ID, json!({})), "200 found", FOUND)]),
    (NATIONAL_ID, NATIONAL),
];

#[rustfmt::skip]
static NATIONAL: &[Case] = &[
    // Other people and statuses.
    case("900001001", || found("900001991", NATIONAL_ID, json!({})), "200 found, another idNumber", FOUND),
    case("900001002", || found("900001002", NATIONAL_ID, json!({ "dateOfBirth": "1938-05-01T21:15:00Z" })), "200 found, born before 1942", FOUND),
    case("900001003", || found("900001003", NATIONAL_ID, json!({ "dateOfBirth": "1990-02-28T00:00:00Z" })), "200 found, birth date at 00:00Z", FOUND),
    case("900001004", || found("900001004", NATIONAL_ID, json!({ "status": "under_review", "reason": "Not in the document" })), "200 status under_review, not documented", INCONCLUSIVE),
    case(ODD_ID, oddities, "200 found, with irregular values", FOUND),
    // Errors.
    case("900000400", || error(400, "\"id\" is not valid", "BadRequestError"), "400 BadRequestError", REJECTED),
    case("900000401", || error(401, "API token is expired.", "UnauthorizedError"), "401 UnauthorizedError", CREDENTIALS),
    case("900000402", || error(402, "Insufficient wallet balance.", "PaymentRequiredError"), "402 PaymentRequiredError", QUOTA),
    case("900000403", || error(403, "Not allowed to use this service.", "UnauthorizedError"), "403 UnauthorizedError", CREDENTIALS),
    case("900000404", wrong_route, "404 ResourceNotFoundError", MISCONFIGURED),
    case("900000422", || error(422, "\"id\" cannot be processed", "UnprocessableEntityError"), "422 UnprocessableEntityError", REJECTED),
    case("900000429", || error(429, "Too many requests.", "TooManyRequestsError").retry_after(1), "429, Retry-After: 1", RATE_LIMITED),
    case("900000500", || error(500, "Something went wrong.", "Error"), "500 Error", UNAVAILABLE),
    case("900000502", || Reply::html(502, "<h1>Bad Gateway</h1>"), "502, not JSON", OUTCOME_UNKNOWN),
    case("900000503", || error(503, "Service is not available.", "Error"), "503 Error", UNAVAILABLE),
    spoilt("900002001", Fault::Slow, FOUND),
    spoilt("900002002", Fault::Never, FOUND),
    spoilt("900002003", Fault::Cut, FOUND),
    spoilt("900002004", Fault::Truncated, FOUND),
    spoilt("900002005", Fault::Malformed, FOUND),
    spoilt("900002006", Fault::Oversize, FOUND),
];

/// Every oddity known of a found answer, and unknown fields beside it.
fn oddities() -> Reply {
    let mut reply = found(
        ODD_ID,
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

pub(super) fn rows(rows: &mut Rows) {
    let mut add = |id, id_type, rest, answer, gives| {
        let kind = match id_type {
            PASSPORT => "PASSPORT",
            SERVICE_ID => "SERVICE_ID",
            ALIEN_ID => "ALIEN_ID",
            _ => "NATIONAL_ID",
        };
        let request = format!(
            r#"{{"id":"{id}","id_type":"KENYA_ID_TYPE_{kind}","subject_consent":true{rest}}}"#
        );
        rows.add(METHOD, request, answer, gives);
    };
    let metadata = r#","metadata":{"ticket":"T-1"}"#;
    let sample = "200 found, the document's sample";
    let sample_not_found = "200 not_found, the document's sample";
    let not_found = "200 not_found, like every other number";
    add(SAMPLE_ID, NATIONAL_ID, "", sample, FOUND);
    add(
        SAMPLE_ID,
        NATIONAL_ID,
        metadata,
        "200 found, metadata as sent",
        FOUND,
    );
    add(NOT_FOUND_ID, NATIONAL_ID, "", sample_not_found, NOT_FOUND);
    add("7654321", NATIONAL_ID, "", not_found, NOT_FOUND);
    for (id_type, cases) in CASES {
        for case in *cases {
            add(case.id, id_type, "", case.answer, case.gives);
        }
    }
}
