//! Verifik, the Peruvian identity card: document verifik-pe-dni.

use serde_json::{Value, json};

use super::calls::dni;
use crate::{
    it::{
        cases::{self, Case},
        table::{Expect, Row, Setting},
    },
    kit::{
        provider::Does,
        wire::{sample, says, sends},
    },
};

/// The document's sample answer.
pub fn found() -> Value {
    sample("verifik/dni_found")
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
    Row::new("verifik", dni(), what, does)
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

/// A 409 whose message names a field of the request.
fn rejects(what: &'static str, message: &str, named: &[&'static str]) -> Row {
    let code = "MissingParameter";
    let body = json!({"code": code, "message": message});
    let mut row = refuses(what, &cases::REJECTED_ARGUMENT, 409, code, body);
    if let Expect::Fails(fails) = &mut row.expect {
        fails.fields = named.to_vec();
    }
    row
}

pub fn rows() -> Vec<Row> {
    [answers(), records(), refusals()].concat()
}

fn answers() -> Vec<Row> {
    vec![
        row("200 with a record", says(200, found())).finds("FOUND", "UNKNOWN", [
            ("/verification/provider_reference", json!("FHBCC")),
            ("/verification/provider_code", Value::Null),
            ("/verification/provider_message", Value::Null),
            ("/verification/environment", json!("ENVIRONMENT_LIVE")),
            ("/record", json!({
                "document_number": "71640001",
                "document_type": "DNI",
                "verification_digit": "2",
                "name": "ELENA QUISPE ROJAS",
                "given_name": "ELENA",
                "family_name": "QUISPE ROJAS",
                "name_parts": ["ELENA", "QUISPE", "ROJAS"],
                "birthdate": "1995-12-19",
                "gender": "GENDER_FEMALE",
                "gender_raw": "F",
                "marital_status": "SOLTERO",
                "address": "AV. EJEMPLO 123",
                "ubigeo": "070101",
                "signature": {
                    "message": "Certified by Verifik.co",
                    "signed_at_text": "April 16, 2025 2:43 PM"
                }
            })),
        ]),
        row("404 NotFound", says(404, sample("verifik/dni_not_found"))).finds("NOT_FOUND", "UNKNOWN", [
            ("/verification/provider_code", json!("NotFound")),
            ("/verification/provider_message", json!("Record not found.")),
        ]),
        row("200 from a test service", says(200, found()))
            .setting(Setting::Unusual)
            .hidden()
            .finds("FOUND", "UNKNOWN", [("/verification/environment", json!("ENVIRONMENT_SANDBOX"))]),
        Row::new(
            "verifik",
            dni().with("read_mask", json!("record.ubigeo,verification.outcome,verification.billing,verification.provider,verification.source,verification.id,verification.checkedAt")),
            "200, masked",
            says(200, found()),
        )
        .hidden()
        .finds("FOUND", "UNKNOWN", [("/record", json!({"ubigeo": "070101"}))]),
    ]
}

/// What a field may hold, and what becomes of it.
fn records() -> Vec<Row> {
    let reads = |what, changes: Value, field: &'static str, expected: Value| {
        let row = row(what, says(200, with(changes))).hidden();
        row.finds("FOUND", "UNKNOWN", [(field, expected)])
    };
    let gender = "/record/gender";
    vec![
        // M is mujer in Mexico, and masculino here.
        reads(
            "200, sex M",
            json!({"sex": "M"}),
            gender,
            json!("GENDER_MALE"),
        ),
        reads(
            "200, sex in a word",
            json!({"sex": "FEMENINO"}),
            gender,
            json!("GENDER_FEMALE"),
        ),
        reads(
            "200, sex X",
            json!({"sex": "X"}),
            gender,
            json!("GENDER_NON_BINARY"),
        ),
        reads(
            "200, sex of no known word",
            json!({"sex": "?"}),
            "/record/gender_raw",
            json!("?"),
        ),
        reads(
            "200, a date before 1970",
            json!({"dateOfBirth": "01-02-1935"}),
            "/record/birthdate",
            json!("1935-02-01"),
        ),
        reads(
            "200, no date",
            json!({"dateOfBirth": "31-02-1935"}),
            "/record/birthdate",
            Value::Null,
        ),
        reads(
            "200, no address",
            json!({"address": ""}),
            "/record/address",
            Value::Null,
        ),
        reads(
            "200, a digit as a number",
            json!({"verificationDigit": 2}),
            "/record/verification_digit",
            json!("2"),
        ),
        reads(
            "200, no parts of the name",
            json!({"arrayName": null}),
            "/record/name_parts",
            Value::Null,
        ),
        reads(
            "200, another field",
            json!({"photo": {"unknown": [1]}}),
            "/record/ubigeo",
            json!("070101"),
        ),
    ]
}

fn refusals() -> Vec<Row> {
    let out = "Endpoint_out_of_service";
    vec![
        rejects(
            "409 MissingParameter",
            "missing documentNumber\n",
            &["document_number"],
        ),
        rejects(
            "409 MissingParameter, a length",
            "documentNumber maximum length: 8\n",
            &["document_number"],
        ),
        refuses(
            "401 Unauthorized",
            &cases::CREDENTIALS,
            401,
            "Unauthorized",
            json!({"code": "Unauthorized", "message": "Unauthorized"}),
        ),
        refuses(
            "403 insufficient_credits",
            &cases::QUOTA,
            403,
            "insufficient_credits",
            json!({"code": "insufficient_credits", "message": "insufficient_credits\n"}),
        ),
        row(
            "404 without their JSON",
            sends(404, "<h1>Cannot GET /v3/pe</h1>"),
        )
        .fails(cases::MISCONFIGURED.answered(404, "")),
        refuses(
            "409 Endpoint_out_of_service",
            &cases::DOWN,
            409,
            out,
            json!({"code": out, "message": "Endpoint out of service\n"}),
        ),
        row("200 without a card", says(200, json!({"data": {}})))
            .fails(cases::MALFORMED.unanswered("unknown").status(200)),
    ]
}
