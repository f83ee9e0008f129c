//! YouVerify, the Kenyan scrub: document youverify-ke-id-scrub and findings.

mod fields;

use serde_json::{Value, json};

use super::calls::{self, kenya};
use crate::{
    it::{
        cases::{self, Case},
        table::{Row, Setting},
    },
    kit::{
        provider::Does,
        wire::{bytes, json as answer, sample, says, sends},
    },
};

/// The document's sample answer.
pub fn found() -> Value {
    sample("youverify/kenya_found")
}

fn record() -> Value {
    json!({
        "id_number": "1234567",
        "id_type": "KENYA_ID_TYPE_NATIONAL_ID",
        "id_type_raw": "national-id",
        "given_name": "John",
        "middle_name": "M",
        "family_name": "Doe",
        "name": "John M Doe",
        "gender": "GENDER_MALE",
        "gender_raw": "Male",
        "marital_status": "Married",
        "birthdate": "2000-01-01",
        "email": "john.doe@example.com",
        "home_phone_number": "+8760000000",
        "mobile_phone_number": "254700000000",
        "work_phone_number": "040-0000000",
        "employment_name": "Teachers Service Commission.",
        "main_address": {"address": "NYAHURURU  KCC", "town": "Nyahururu", "country": "KE"},
        "secondary_address": {
            "address": "NAKURU-CENTRE", "town": "NYAHURURU", "postal_code": "20300", "country": "KE"
        },
        "contract_summary": {"open": 10, "closed": 2},
        "inquiries": {
            "last1_month": 6, "last3_months": 12, "last6_months": 27,
            "last12_months": 89, "last24_months": 355
        },
        "envelope": {
        "status": "found",
        "data_validation": false,
        "selfie_validation": false,
        "all_validation_passed": true,
        "is_consent": true,
        "business_id": "628b38f03ae28a14f52d4bf7",
        "type": "keCreditInfo",
        "country": "KE",
        "requested_at": "2023-08-30T05:39:15.781Z",
        "requested_by": {"id": "628b38f03ae28a5a122d4bf3", "given_name": "API", "family_name": "User"},
        "requested_by_id": "628b38f03ae28a5a122d4bf3",
        "created_at": "2023-08-30T05:39:15.974Z",
        "last_modified_at": "2023-08-30T05:39:15.974Z"
        }
    })
}

/// The document's not-found sample: some fields null, others missing.
fn not_found() -> Value {
    sample("youverify/kenya_not_found")
}

/// The sample with something else in `data`.
fn with(changes: Value) -> Value {
    let mut body = found();
    for (name, value) in changes.as_object().unwrap() {
        body["data"][name] = value.clone();
    }
    body
}

fn error(status: u16, name: &str, message: &str) -> Value {
    json!({"success": false, "statusCode": status, "message": message, "name": name, "data": {}})
}

fn row(what: &'static str, does: Vec<Does>) -> Row {
    Row::new("youverify", kenya(), what, does)
}

pub fn rows() -> Vec<Row> {
    [
        answers(),
        fields::lenient(),
        fields::birth_dates(),
        refusals(),
    ]
    .concat()
}

fn answers() -> Vec<Row> {
    let not_found_call = calls::kenya_numbered("00000000");
    let metadata = json!({"ticket": "T-1", "deep": {"list": [1.0, null, true, "x"]}});
    let status = |status: &str| with(json!({"status": status, "reason": "Try\n"}));
    vec![
        row("200 status found", says(200, found())).finds(
            "FOUND",
            "UNKNOWN",
            [
                (
                    "/verification/provider_reference",
                    json!("64eed6026b1a9b8f72c2925e"),
                ),
                ("/verification/provider_code", json!("found")),
                ("/verification/provider_message", json!("success")),
                ("/verification/environment", json!("ENVIRONMENT_LIVE")),
                ("/record", record()),
                ("/metadata", Value::Null),
            ],
        ),
        // `allValidationPassed` is true here too: only `status` decides.
        Row::new(
            "youverify",
            not_found_call,
            "200 status not_found",
            says(200, not_found()),
        )
        .finds(
            "NOT_FOUND",
            "UNKNOWN",
            [
                (
                    "/verification/provider_reference",
                    json!("64db6940563aa72892176950"),
                ),
                ("/verification/provider_code", json!("not_found")),
                ("/verification/provider_message", json!("Person Not Found")),
            ],
        ),
        row(
            "200 with a status that is not documented",
            says(200, status(" under_review\n")),
        )
        .finds(
            "INCONCLUSIVE",
            "UNKNOWN",
            [
                ("/verification/provider_code", json!("under_review")),
                ("/verification/provider_message", json!("Try")),
            ],
        ),
        row(
            "found, with every check failed",
            says(200, with(json!({"allValidationPassed": false}))),
        )
        .hidden()
        .finds(
            "FOUND",
            "UNKNOWN",
            [("/record/envelope/all_validation_passed", Value::Bool(false))],
        ),
        row(
            "found, of the not-found sample's type",
            says(200, with(json!({"type": "keCreditInfoPhone"}))),
        )
        .hidden()
        .finds(
            "FOUND",
            "UNKNOWN",
            [("/record/envelope/type", json!("keCreditInfoPhone"))],
        ),
        Row::new(
            "youverify",
            kenya().with("metadata", metadata.clone()),
            "metadata comes back as sent",
            says(200, found()),
        )
        .hidden()
        .finds("FOUND", "UNKNOWN", [("/metadata", metadata)]),
        row(
            "200 from a test service",
            says(200, with(json!({"identityType": "nin"}))),
        )
        .setting(Setting::Unusual)
        .hidden()
        .finds(
            "FOUND",
            "UNKNOWN",
            [
                ("/verification/environment", json!("ENVIRONMENT_SANDBOX")),
                ("/record/id_type", json!("KENYA_ID_TYPE_NATIONAL_ID")),
                ("/record/id_type_raw", json!("nin")),
            ],
        ),
        row(
            "found without a status",
            says(200, with(json!({"status": null}))),
        )
        .hidden()
        .fails(cases::MALFORMED.unanswered("unknown").status(200)),
        row(
            "success without data",
            says(200, json!({"success": true, "statusCode": 200})),
        )
        .hidden()
        .fails(cases::MALFORMED.unanswered("unknown").status(200)),
    ]
}

fn refusals() -> Vec<Row> {
    let refuses = |what, case: &'static Case, status, name: &'static str, message: &str| {
        row(what, says(status, error(status, name, message))).fails(case.answered(status, name))
    };
    let rejects = |what, status, message: &str, field| {
        let name = "BadRequestError";
        row(what, says(status, error(status, name, message))).fails(
            cases::REJECTED_ARGUMENT
                .answered(status, name)
                .fields([field]),
        )
    };
    let limited = |what, header: &'static str, value: String, seconds| {
        let answer = answer(429, error(429, "TooManyRequestsError", "slow")).header(header, value);
        row(what, vec![Does::Answers(answer)]).fails(
            cases::RATE_LIMITED_THERE
                .answered(429, "TooManyRequestsError")
                .retry(seconds),
        )
    };
    let wrong_route = "You have attempted to get a resource that does not exist.";
    let mut inside = cases::QUOTA.answered(402, "PaymentRequiredError");
    inside.http_status = Some(402);
    vec![
        rejects(
            "400 that names a field",
            400,
            "idType must be one of the known types",
            "id_type",
        ),
        rejects(
            "422 that names a field",
            422,
            "id 1234567 is not valid",
            "id",
        ),
        rejects(
            "400 about consent",
            400,
            "isSubjectConsent must be true",
            "subject_consent",
        )
        .hidden(),
        refuses(
            "400 that names no field",
            &cases::REJECTED_ARGUMENT,
            400,
            "BadRequestError",
            "Bad input",
        )
        .hidden(),
        refuses(
            "401",
            &cases::CREDENTIALS,
            401,
            "UnauthorizedError",
            "token is missing",
        ),
        refuses(
            "402 PaymentRequiredError",
            &cases::QUOTA,
            402,
            "PaymentRequiredError",
            "Insufficient fund",
        ),
        refuses(
            "403 UnauthorizedError",
            &cases::CREDENTIALS,
            403,
            "UnauthorizedError",
            "You are not allowed",
        ),
        // The document's own error sample: a wrong route, not a missing person.
        refuses(
            "404 ResourceNotFoundError",
            &cases::MISCONFIGURED,
            404,
            "ResourceNotFoundError",
            wrong_route,
        ),
        limited("429", "x-nothing", "1".into(), 1),
        limited(
            "429 with Retry-After in seconds",
            "retry-after",
            "30".into(),
            30,
        ),
        limited(
            "429 with Retry-After as an HTTP date",
            "retry-after",
            calls::http_date_in(90),
            90,
        ),
        refuses(
            "500 Error",
            &cases::DOWN,
            500,
            "Error",
            "something happened",
        ),
        row("502 of a proxy in HTML", sends(502, "<html>"))
            .hidden()
            .fails(cases::OUTCOME_UNKNOWN.unanswered("unknown").status(502)),
        row(
            "503 with Retry-After: 5",
            vec![Does::Answers(bytes(503, "").header("retry-after", "5"))],
        )
        .fails(cases::DOWN.answered(503, "").retry(5)),
        row("513", sends(513, ""))
            .hidden()
            .fails(cases::OUTCOME_UNKNOWN.unanswered("unknown").status(513)),
        refuses(
            "424 FailedDependencyError",
            &cases::DOWN,
            424,
            "FailedDependencyError",
            "Third Party service Failure",
        ),
        refuses(
            "403 about funds",
            &cases::QUOTA,
            403,
            "ForbiddenError",
            "Insufficient fund",
        ),
        row(
            "400 about credit",
            says(
                400,
                json!({"message": "Insufficient credit", "error": "Bad Request", "statusCode": 400}),
            ),
        )
        .fails(cases::QUOTA.answered(400, "")),
        refuses(
            "400 about a service that is disabled",
            &cases::CREDENTIALS,
            400,
            "BadRequestError",
            "This service is disabled for your business",
        ),
        row("403 about funds in a text", sends(403, "Insufficient funds."))
            .hidden()
            .fails(cases::QUOTA.answered(403, "")),
        row(
            "400 with a list of messages",
            says(
                400,
                json!({"statusCode": 400, "error": "Bad Request", "message": [
                    "id must be longer than or equal to 7 characters",
                    "idType must be one of the following values: national-id, passport",
                ]}),
            ),
        )
        .fails(cases::REJECTED_ARGUMENT.answered(400, "").fields(["id", "id_type"])),
        row(
            "400 with a validator's objects",
            says(
                400,
                json!({"statusCode": 400, "message": [{
                    "target": {"id": "1", "metadata": {}}, "value": "metadata", "property": "idType",
                    "children": [], "constraints": {"isIn": "idType must be one of national-id"},
                }]}),
            ),
        )
        .hidden()
        .fails(cases::REJECTED_ARGUMENT.answered(400, "").fields(["id_type"])),
        row(
            "400 with Joi's details",
            says(
                400,
                json!({"success": false, "statusCode": 400, "name": "ValidationError", "message": "Validation failed",
                    "details": [{"message": "\"id\" is required", "path": ["id"], "type": "any.required"}]}),
            ),
        )
        .hidden()
        .fails(cases::REJECTED_ARGUMENT.answered(400, "ValidationError").fields(["id"])),
        rejects(
            "422 that lists what a field may be",
            422,
            "\"idType\" must be one of [national-id, passport]",
            "id_type",
        ),
        row(
            "an unreadable status inside a 200",
            says(200, error(502, "Error", "Bad Gateway")),
        )
        .hidden()
        .fails({
            let mut fails = cases::OUTCOME_UNKNOWN.unanswered("unknown").status(502);
            fails.provider_code = Some("Error");
            fails
        }),
        row(
            "an error inside a 200",
            says(200, error(402, "PaymentRequiredError", "Insufficient fund")),
        )
        .hidden()
        .fails(inside),
        row(
            "success: false without a status",
            says(200, json!({"success": false, "data": {}})),
        )
        .hidden()
        .fails(cases::MALFORMED.unanswered("unknown").status(200)),
    ]
}
