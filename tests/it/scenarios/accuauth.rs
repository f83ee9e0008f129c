//! AccuAuth, the Mexican CURP: document accuauth-mx-id-check and findings.

mod fields;
mod refused;

use serde_json::{Value, json};

use super::calls::{self, ASKED, curp};
use crate::{
    it::{
        cases,
        table::{Row, Setting},
    },
    kit::{
        provider::Does,
        wire::{sample, says},
    },
};

/// The document's sample answer.
pub fn found() -> Value {
    sample("accuauth/curp_found")
}

/// The record of the sample, without the document.
fn record() -> Value {
    json!({
        "curp": ASKED,
        "given_name": "ROBERTO ALONSO",
        "first_family_name": "RAXXX",
        "second_family_name": "ZAPAXX",
        "gender": "GENDER_MALE",
        "gender_raw": "HOMBRE",
        "birthdate": "1981-10-11",
        "birth_country": "MEXICO",
        "birth_country_code": "MX",
        "birth_state": "VERACRUZ",
        "status": "CURP_STATUS_RCN",
        "status_raw": "RCN",
        "active": true,
        "proof_document_type": "PROOF_DOCUMENT_TYPE_BIRTH_CERTIFICATE",
        "proof_document_type_raw": "1",
        "proof_document": {
            "registry_entity": "VERACRUZ",
            "registry_entity_code": "30",
            "registry_municipality": "MINATITLÁN",
            "registry_municipality_code": "108",
            "registry_year": "1983",
            "act_number": "03382"
        },
        "validation_code": "vc16752xxxxx1.73xxxxxx",
        "message_code": "0",
        "estatus": "OK"
    })
}

/// The sample's CURP with another check digit.
const ODD: &str = "RAZR811011HVZXPB02";

/// An error body of section 4.
pub fn error(status: &str, reason: &str) -> Value {
    json!({"status": status, "reason": reason, "request_id": "TID8bf47ab6eda64476973cc5f5b6ebf57e"})
}

/// The sample with something else in `result`.
fn with(changes: Value) -> Value {
    let mut body = found();
    for (name, value) in changes.as_object().unwrap() {
        body["result"][name] = value.clone();
    }
    body
}

fn row(what: &'static str, does: Vec<Does>) -> Row {
    Row::new("accuauth", curp(), what, does)
}

pub fn rows() -> Vec<Row> {
    [
        documents(),
        curps(),
        codes(),
        fields::statuses(),
        fields::lenient(),
        refused::refusals(),
        refused::unlisted(),
    ]
    .concat()
}

fn documents() -> Vec<Row> {
    let with_document = || curp().with("include_document", json!(true));
    let document = |what, value: Value, expected: Value| {
        Row::new(
            "accuauth",
            with_document(),
            what,
            says(200, with(json!({"documento": value}))),
        )
        .hidden()
        .finds("FOUND", "BILLED", [("/record/document", expected)])
    };
    let mut whole = record();
    whole["document"] = found()["result"]["documento"].clone();
    vec![
        row("200 result_code 0", says(200, found())).finds(
            "FOUND",
            "BILLED",
            [
                (
                    "/verification/provider_reference",
                    json!("TID6f814b81bfb44c97a63b13e2750a3a2a"),
                ),
                ("/verification/provider_code", json!("0")),
                ("/verification/provider_message", json!("success")),
                ("/verification/environment", json!("ENVIRONMENT_LIVE")),
                ("/record", record()),
            ],
        ),
        Row::new(
            "accuauth",
            with_document(),
            "200 result_code 0, with the PDF",
            says(200, found()),
        )
        .hidden()
        .finds("FOUND", "BILLED", [("/record", whole)]),
        Row::new(
            "accuauth",
            with_document().with("read_mask", json!("record.curp")),
            "the PDF, masked out",
            says(200, found()),
        )
        .hidden()
        .answers([("", json!({"record": {"curp": ASKED}}))]),
        document("a PDF without padding", json!("JVBERi0"), json!("JVBERi0=")),
        document("a PDF in lines", json!("JVBE\r\nRi0="), json!("JVBERi0=")),
        document(
            "a PDF as a data URL",
            json!("data:application/pdf;base64,JVBERi0="),
            json!("JVBERi0="),
        ),
        document("no PDF", json!(""), Value::Null),
        document(
            "a PDF that is none",
            json!("Base64 encoded data"),
            Value::Null,
        ),
        document("null for a PDF", Value::Null, Value::Null),
        row("200 from a test service", says(200, found()))
            .setting(Setting::Unusual)
            .hidden()
            .finds(
                "FOUND",
                "BILLED",
                [("/verification/environment", json!("ENVIRONMENT_SANDBOX"))],
            ),
        // The check digit is wrong: with `curp.check = shape` the registry decides.
        Row::new(
            "accuauth",
            calls::curp_numbered(ODD),
            "an odd CURP",
            says(200, found()),
        )
        .setting(Setting::Unusual)
        .hidden()
        .finds("FOUND", "BILLED", [("/record/superseded_curp", json!(ODD))]),
    ]
}

/// The strict check lets every good CURP through.
fn curps() -> Vec<Row> {
    let good = [
        "HEGG560427MVZRRL04",
        "BOXW310820HNERXN09",
        "AAPR630321XDFLRC03",
        "AAPR000229HDFLRCA1",
    ];
    let row = |curp| {
        Row::new(
            "accuauth",
            calls::curp_numbered(curp),
            curp,
            says(200, found()),
        )
        .hidden()
        .finds(
            "FOUND",
            "BILLED",
            [("/record/superseded_curp", json!(curp))],
        )
    };
    good.map(row).into()
}

fn codes() -> Vec<Row> {
    let code = |what, body: Value, outcome, billing, code: &str, message: Value| {
        row(what, says(200, body)).finds(
            outcome,
            billing,
            [
                ("/verification/provider_code", json!(code)),
                ("/verification/provider_message", message),
            ],
        )
    };
    let body = |code: Value, message: &str, result: Value| json!({"status": "OK", "result_code": code, "result_message": message, "result": result, "request_id": "TID1"});
    let said =
        json!({"estatus": "ERROR", "mensaje": "La CURP no existe", "codigoValidacion": "vc1"});
    let no_result = json!({"status": "OK", "result_code": "1", "request_id": "TID1"});
    let mensaje =
        json!({"status": "OK", "result_code": "1", "result": said.clone(), "request_id": "TID1"});
    let one = "ID number not exist";
    let data_error =
        |what, body| row(what, says(200, body)).fails(cases::DATA_ERROR.answered(200, "5"));
    vec![
        code(
            "200 result_code 1",
            body(json!("1"), one, json!({})),
            "NOT_FOUND",
            "BILLED",
            "1",
            json!(one),
        ),
        code(
            "code 1, result null",
            body(json!("1"), one, Value::Null),
            "NOT_FOUND",
            "BILLED",
            "1",
            json!(one),
        )
        .hidden(),
        code(
            "code 1, no result",
            no_result,
            "NOT_FOUND",
            "BILLED",
            "1",
            Value::Null,
        )
        .hidden(),
        code(
            "code 1, result says ERROR",
            body(json!("1"), one, said),
            "NOT_FOUND",
            "BILLED",
            "1",
            json!(one),
        )
        .hidden(),
        code(
            "code 1, only mensaje",
            mensaje,
            "NOT_FOUND",
            "BILLED",
            "1",
            json!("La CURP no existe"),
        )
        .hidden(),
        code(
            "code 1 as a number",
            body(json!(1), one, json!({})),
            "NOT_FOUND",
            "BILLED",
            "1",
            json!(one),
        )
        .hidden(),
        code(
            "200 result_code 2",
            body(json!("2"), " format error\n", json!({})),
            "INVALID_IDENTIFIER",
            "BILLED",
            "2",
            json!("format error"),
        ),
        code(
            "200 result_code 3",
            body(json!("3"), "Invalid", Value::Null),
            "INVALID_IDENTIFIER",
            "BILLED",
            "3",
            json!("Invalid"),
        ),
        code(
            "200 with a result_code that is not documented",
            body(json!("4"), "odd", json!({})),
            "INCONCLUSIVE",
            "UNKNOWN",
            "4",
            json!("odd"),
        ),
        code(
            "200 with a status that is not documented",
            json!({"status": "ON_HOLD", "result_code": "0", "request_id": "TID1"}),
            "INCONCLUSIVE",
            "UNKNOWN",
            "ON_HOLD",
            Value::Null,
        ),
        data_error(
            "200 result_code 5",
            body(json!("5"), "Data error", json!({})),
        ),
        data_error(
            "code 5 as a number, no result",
            json!({"status": "OK", "result_code": 5}),
        )
        .hidden(),
        row(
            "code 0 without a result",
            says(200, body(json!("0"), "success", Value::Null)),
        )
        .hidden()
        .fails(cases::MALFORMED.unanswered("unknown").status(200)),
        row(
            "200 without a result_code",
            says(200, json!({"status": "OK"})),
        )
        .hidden()
        .fails(cases::MALFORMED.unanswered("unknown").status(200)),
    ]
}
