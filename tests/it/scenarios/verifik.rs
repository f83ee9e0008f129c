//! Verifik, the Peruvian foreigner's card: document verifik-pe-foreigner-id and findings.

mod fields;

use serde_json::{Value, json};

use super::calls::{self, foreigner};
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
    sample("verifik/foreigner_found")
}

/// The sample with something else in `data`.
fn with(changes: Value) -> Value {
    let mut body = found();
    for (name, value) in changes.as_object().unwrap() {
        body["data"][name] = value.clone();
    }
    body
}

fn row(what: &'static str, does: Vec<Does>) -> Row {
    Row::new("verifik", foreigner(), what, does)
}

fn refuses(
    what: &'static str,
    case: &'static Case,
    status: u16,
    code: &'static str,
    body: Value,
) -> Row {
    row(what, says(status, body)).fails(case.answered(status, code))
}

pub fn rows() -> Vec<Row> {
    [
        answers(),
        fields::lenient(),
        refusals(),
        outages(),
        limits(),
    ]
    .concat()
}

fn answers() -> Vec<Row> {
    let not_found = sample("verifik/foreigner_not_found");
    vec![
        // The sample contradicts itself (lastName, fullName): each is passed on as given.
        row("200 with a record", says(200, found())).finds("FOUND", "UNKNOWN", [
            ("/verification/provider_reference", json!("K0MMA")),
            ("/verification/provider_code", Value::Null),
            ("/verification/provider_message", Value::Null),
            ("/verification/environment", json!("ENVIRONMENT_LIVE")),
            ("/record", json!({
                "document_number": "005015372",
                "name": "ANA RENE CORDERO SANCHEZ",
                "given_name": "ANA RENE",
                "family_name": "CORDERO CAMPERO",
                "name_parts": ["CORDERO", "SANCHEZ", "ANA", "RENE"],
                "birthdate": "1993-08-16",
                "nationality": "VENEZOLANA",
                "nationality_code": "VE",
                "immigration_status": "HUMANITARIA",
                "card_issued_on": "2021-08-12",
                "card_expires_on": "2025-08-12",
                "residence_expires_on": "2025-02-26",
                "signature": {
                    "message": "Certified by Verifik.co",
                    "signed_at_text": "November 6, 2024 3:22 PM"
                }
            })),
        ]),
        row("404 NotFound", says(404, not_found)).finds("NOT_FOUND", "UNKNOWN", [
            ("/verification/provider_code", json!("NotFound")),
            ("/verification/provider_message", json!("Record not found.")),
        ]),
        row("404 in other spelling, no code", says(404, json!({"message": " 404:Record Not Found.\n"})))
            .hidden()
            .finds("NOT_FOUND", "UNKNOWN", []),
        row("404 with code NOT_FOUND", says(404, json!({"code": "NOT_FOUND\n", "message": "record not found\n"})))
            .hidden()
            .finds("NOT_FOUND", "UNKNOWN", [
                ("/verification/provider_code", json!("NOT_FOUND")),
                ("/verification/provider_message", json!("record not found")),
            ]),
        row("200 from a test service", says(200, found()))
            .setting(Setting::Unusual)
            .hidden()
            .finds("FOUND", "UNKNOWN", [("/verification/environment", json!("ENVIRONMENT_SANDBOX"))]),
        Row::new(
            "verifik",
            foreigner().with("read_mask", json!("record.name,verification.outcome,verification.billing,verification.provider,verification.source,verification.id,verification.checkedAt")),
            "200, masked",
            says(200, found()),
        )
        .hidden()
        .finds("FOUND", "UNKNOWN", [("/record", json!({"name": "ANA RENE CORDERO SANCHEZ"}))]),
    ]
}

fn refusals() -> Vec<Row> {
    let fields = |row: Row, fields: &[&'static str]| {
        let mut row = row;
        if let crate::it::table::Expect::Fails(fails) = &mut row.expect {
            fails.fields = fields.to_vec();
        }
        row
    };
    let rejects = |what, status, code: &'static str, message: &str, named: &[&'static str]| {
        let spelled = match what {
            "409 in another spelling" => "missingparameter",
            _ => code,
        };
        let body = json!({"code": spelled, "message": message});
        fields(
            refuses(what, &cases::REJECTED_ARGUMENT, status, code, body),
            named,
        )
    };
    vec![
        rejects(
            "409 MissingParameter, one field",
            409,
            "MissingParameter",
            "missing documentNumber\n",
            &["document_number"],
        ),
        rejects(
            "409 MissingParameter, several messages joined",
            409,
            "MissingParameter",
            "missing documentNumber\n. missing dateOfBirth\n",
            &["document_number", "birthdate"],
        ),
        rejects(
            "409 MissingParameter, a format",
            409,
            "MissingParameter",
            "dateOfBirth format required: DD/MM/YYYY\n",
            &["birthdate"],
        ),
        rejects(
            "409 INVALID_PARAMETERS",
            409,
            "INVALID_PARAMETERS",
            "documentNumber 005015372 is not valid\n",
            &["document_number"],
        ),
        rejects(
            "409 in another spelling",
            409,
            "MissingParameter",
            "409:missing dateOfBirth\n",
            &["birthdate"],
        )
        .hidden(),
        rejects("400", 400, "BadRequest", "check the parameters", &[]).hidden(),
        rejects(
            "422",
            422,
            "UnprocessableEntity",
            "documentNumber",
            &["document_number"],
        )
        .hidden(),
        refuses(
            "401 Unauthorized",
            &cases::CREDENTIALS,
            401,
            "Unauthorized",
            json!({"code": "Unauthorized", "message": "Unauthorized"}),
        ),
        refuses(
            "401 Invalid or expired token",
            &cases::CREDENTIALS,
            401,
            "",
            json!({"message": "Invalid or expired token.\n"}),
        ),
        row("401 without words", sends(401, ""))
            .hidden()
            .fails(cases::CREDENTIALS.answered(401, "")),
        refuses(
            "403 token_expired",
            &cases::CREDENTIALS,
            403,
            "token_expired",
            json!({"code": "token_expired", "message": "token_expired\n"}),
        ),
        refuses(
            "403 expired_token",
            &cases::CREDENTIALS,
            403,
            "expired_token",
            json!({"message": "expired_token"}),
        )
        .hidden(),
        row("403 without words", sends(403, "<h1>forbidden</h1>"))
            .hidden()
            .fails(cases::CREDENTIALS.answered(403, "")),
        refuses(
            "403 insufficient_credits",
            &cases::QUOTA,
            403,
            "insufficient_credits",
            json!({"code": "insufficient_credits", "message": "insufficient_credits\n"}),
        ),
        refuses(
            "403 with a sentence about credits",
            &cases::QUOTA,
            403,
            "Forbidden",
            json!({"code": "Forbidden", "message": "403: You have run out of Credits.\n"}),
        ),
        row("402", sends(402, "")).fails(cases::QUOTA.answered(402, "")),
        row(
            "404 without Verifik's JSON",
            sends(404, "<h1>Cannot GET /v2/pe</h1>"),
        )
        .fails(cases::MISCONFIGURED.answered(404, "")),
        refuses(
            "404 JSON of somebody else",
            &cases::MISCONFIGURED,
            404,
            "",
            json!({"message": "no Route matched with those values"}),
        )
        .hidden(),
        row("405", sends(405, ""))
            .hidden()
            .fails(cases::MISCONFIGURED.answered(405, "")),
        row(
            "409 with an unknown code and message",
            says(409, json!({"code": "Odd", "message": "odd"})),
        )
        .fails(cases::MALFORMED.unanswered("unknown").status(409)),
        // A name, and no code, though it looks like one.
        row(
            "409 with a name for a message",
            says(409, json!({"message": "RODRIGUEZ"})),
        )
        .hidden()
        .fails(cases::MALFORMED.unanswered("unknown").status(409)),
        refuses(
            "404 NotFound in a text",
            &cases::MISCONFIGURED,
            404,
            "NotFound",
            json!("NotFound"),
        )
        .hidden(),
        row(
            "403 insufficient_credits in a text",
            sends(403, "insufficient_credits"),
        )
        .hidden()
        .fails(cases::QUOTA.answered(403, "insufficient_credits")),
    ]
}

fn coded(mut fails: crate::it::table::Fails, code: &'static str) -> crate::it::table::Fails {
    fails.provider_code = Some(code);
    fails
}

fn outages() -> Vec<Row> {
    let down = |what, status, code, body| refuses(what, &cases::DOWN, status, code, body);
    let out = "Endpoint_out_of_service";
    vec![
        down(
            "409 Endpoint_out_of_service",
            409,
            out,
            json!({"code": out, "message": "Endpoint out of service\n"}),
        ),
        down(
            "409 endpoint_out_of_service in another spelling",
            409,
            out,
            json!({"message": "409:endpoint_out_of_service\n"}),
        )
        .hidden(),
        down(
            "500 internal_error",
            500,
            "internal_error",
            json!({"code": "internal_error", "message": "internal_error\n"}),
        ),
        row(
            "502 of a proxy in HTML",
            sends(502, "<html>Bad Gateway</html>"),
        )
        .hidden()
        .fails(cases::OUTCOME_UNKNOWN.unanswered("unknown").status(502)),
        row(
            "504 in Verifik's format",
            says(504, json!({"code": "ERROR", "message": "timeout"})),
        )
        .hidden()
        .fails(coded(
            cases::TIMED_OUT.unanswered("unknown").status(504),
            "ERROR",
        )),
        row(
            "502 Endpoint_out_of_service",
            says(502, json!({"code": out, "message": "out of service"})),
        )
        .hidden()
        .fails(cases::DOWN.answered(502, out)),
        down(
            "500 with an unknown code",
            500,
            "",
            json!({"code": "odd_error", "message": "odd"}),
        )
        .hidden(),
        row(
            "500 internal_error with code ERROR",
            says(500, json!({"code": "ERROR", "message": "internal_error"})),
        )
        .hidden()
        .fails(cases::DOWN.answered(500, "internal_error")),
        row(
            "503 with Retry-After: 7",
            vec![Does::Answers(bytes(503, "").header("retry-after", "7"))],
        )
        .fails(cases::DOWN.answered(503, "").retry(7)),
        row("504", sends(504, ""))
            .hidden()
            .fails(cases::TIMED_OUT.unanswered("unknown").status(504)),
        row("513", sends(513, ""))
            .hidden()
            .fails(cases::OUTCOME_UNKNOWN.unanswered("unknown").status(513)),
    ]
}

fn limits() -> Vec<Row> {
    let limited = |what, header: Option<String>, seconds| {
        let mut answer = answer(
            429,
            json!({"code": "TooManyRequests", "message": "slow down\n"}),
        );
        if let Some(header) = header {
            answer = answer.header("Retry-After", header);
        }
        row(what, vec![Does::Answers(answer)]).fails(
            cases::RATE_LIMITED_THERE
                .answered(429, "TooManyRequests")
                .retry(seconds),
        )
    };
    vec![
        limited("429", None, 1),
        limited("429 with Retry-After in seconds", Some("17".into()), 17),
        limited(
            "429 with Retry-After as an HTTP date",
            Some(calls::http_date_in(120)),
            120,
        ),
        limited(
            "429 with a Retry-After that is none",
            Some("soon".into()),
            1,
        )
        .hidden(),
        limited(
            "429 with a date in the past",
            Some("Wed, 21 Oct 2015 07:28:00 GMT".into()),
            0,
        )
        .hidden(),
    ]
}
