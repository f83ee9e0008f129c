//! AccuAuth, the Mexican CURP: document accuauth-mx-id-check and findings.

use serde_json::{Value, json};

use super::calls::{self, ASKED, curp};
use crate::{
    cases::{self, Case, Detail},
    provider::Does,
    table::{Row, Setting},
    wire::{json as answer, says, sends},
};

/// The document's sample answer, with a fictional person and a PDF of a few bytes.
pub fn found() -> Value {
    json!({
        "status": "OK",
        "result_code": "0",
        "result_message": "success",
        "result": {
            "estatus": "OK",
            "codigoValidacion": "vc1675200000.734567",
            "curp": ASKED,
            "nombre": "ROBERTO ALONSO",
            "apellidoPaterno": "ALVAREZ",
            "apellidoMaterno": "PEREZ",
            "sexo": "HOMBRE",
            "fechaNacimiento": "21/03/1963",
            "paisNacimiento": "MEXICO",
            "estadoNacimiento": "VERACRUZ",
            "docProbatorio": 1,
            "datosDocProbatorio": {
                "entidadRegistro": "VERACRUZ",
                "tomo": "",
                "claveMunicipioRegistro": "108",
                "anioReg": "1983",
                "claveEntidadRegistro": "30",
                "foja": "",
                "numActa": "03382",
                "libro": "",
                "municipioRegistro": "MINATITLÁN"
            },
            "estatusCurp": "RCN",
            "codigoMensaje": "0",
            "documento": "JVBERi0xLjQK"
        },
        "request_id": "TID6f814b81bfb44c97a63b13e2750a3a2a"
    })
}

/// The record of the sample, without the document.
fn record() -> Value {
    json!({
        "curp": ASKED,
        "given_name": "ROBERTO ALONSO",
        "first_family_name": "ALVAREZ",
        "second_family_name": "PEREZ",
        "gender": "GENDER_MALE",
        "sexo": "HOMBRE",
        "birthdate": "1963-03-21",
        "birth_country": "MEXICO",
        "birth_country_code": "MX",
        "birth_state": "VERACRUZ",
        "status": "CURP_STATUS_RCN",
        "estatus_curp": "RCN",
        "active": true,
        "proof_document_type": "PROOF_DOCUMENT_TYPE_BIRTH_CERTIFICATE",
        "proof_document": {
            "registry_entity": "VERACRUZ",
            "registry_entity_code": "30",
            "registry_municipality": "MINATITLÁN",
            "registry_municipality_code": "108",
            "registry_year": "1983",
            "act_number": "03382"
        },
        "validation_code": "vc1675200000.734567",
        "message_code": "0",
        "estatus": "OK"
    })
}

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
        statuses(),
        lenient(),
        refusals(),
        unlisted(),
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
    whole["document"] = json!("JVBERi0xLjQK");
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
            calls::curp_numbered("AAPR630321HDFLRC08"),
            "an odd CURP",
            says(200, found()),
        )
        .setting(Setting::Unusual)
        .hidden()
        .finds(
            "FOUND",
            "BILLED",
            [("/record/superseded_curp", json!("AAPR630321HDFLRC08"))],
        ),
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

fn statuses() -> Vec<Row> {
    let status = |code: &str, status: &str, active: Value| {
        row("estatusCurp", says(200, with(json!({"estatusCurp": code}))))
            .hidden()
            .finds(
                "FOUND",
                "BILLED",
                [
                    ("/record/status", json!(format!("CURP_STATUS_{status}"))),
                    ("/record/estatus_curp", json!(code)),
                    ("/record/active", active),
                ],
            )
    };
    let mut rows = Vec::new();
    for code in ["AN", "AH", "RCC", "RCN"] {
        rows.push(status(code, code, json!(true)));
    }
    for code in ["BAP", "BSU", "BD", "BDM", "BDP", "BJD"] {
        rows.push(status(code, code, json!(false)));
    }
    let unknown = row(
        "estatusCurp ZZZ",
        says(200, with(json!({"estatusCurp": "ZZZ"}))),
    );
    rows.push(unknown.hidden().finds(
        "FOUND",
        "BILLED",
        [
            ("/record/status", Value::Null),
            ("/record/estatus_curp", json!("ZZZ")),
            ("/record/active", Value::Null),
        ],
    ));
    for (number, name) in [
        (1, "BIRTH_CERTIFICATE"),
        (3, "MIGRATION_DOCUMENT"),
        (4, "NATURALIZATION_CERTIFICATE"),
        (7, "CERTIFICATE_OF_MEXICAN_NATIONALITY"),
        (8, "SEGOB_PROCEDURE"),
    ] {
        // As a number and as a text.
        for written in [json!(number), json!(number.to_string())] {
            let row = row(
                "docProbatorio",
                says(200, with(json!({"docProbatorio": written}))),
            );
            let name = json!(format!("PROOF_DOCUMENT_TYPE_{name}"));
            rows.push(row.hidden().finds(
                "FOUND",
                "BILLED",
                [("/record/proof_document_type", name)],
            ));
        }
    }
    rows
}

fn lenient() -> Vec<Row> {
    let odd = |what, changes: Value, pointer, value| {
        row(what, says(200, with(changes)))
            .hidden()
            .finds("FOUND", "BILLED", [(pointer, value)])
    };
    let evidence = |evidence: Value| json!({"datosDocProbatorio": evidence});
    vec![
        odd(
            "docProbatorio is empty",
            json!({"docProbatorio": ""}),
            "/record/proof_document_type",
            Value::Null,
        ),
        odd(
            "docProbatorio is null",
            json!({"docProbatorio": null}),
            "/record/proof_document_type",
            Value::Null,
        ),
        odd(
            "anioReg as a number",
            evidence(json!({"anioReg": 1983})),
            "/record/proof_document",
            json!({"registry_year": "1983"}),
        ),
        odd(
            "numActa keeps its zeros",
            evidence(json!({"numActa": "03382"})),
            "/record/proof_document",
            json!({"act_number": "03382"}),
        ),
        odd(
            "foja, libro, tomo as numbers",
            evidence(json!({"foja": 7, "libro": 2, "tomo": 1})),
            "/record/proof_document",
            json!({"page": "7", "book": "2", "volume": "1"}),
        ),
        odd(
            "an empty evidence",
            evidence(json!({"foja": "", "tomo": null})),
            "/record/proof_document",
            Value::Null,
        ),
        odd(
            "an evidence that is a text",
            evidence(json!("")),
            "/record/proof_document",
            Value::Null,
        ),
        odd(
            "a woman",
            json!({"sexo": "MUJER"}),
            "/record/gender",
            json!("GENDER_FEMALE"),
        ),
        odd(
            "sex X",
            json!({"sexo": "X"}),
            "/record/gender",
            json!("GENDER_NON_BINARY"),
        ),
        odd(
            "an unknown word for sex",
            json!({"sexo": "OTRO"}),
            "/record/gender",
            Value::Null,
        ),
        odd(
            "the unknown word is passed on raw",
            json!({"sexo": "OTRO"}),
            "/record/sexo",
            json!("OTRO"),
        ),
        odd(
            "no birth date",
            json!({"fechaNacimiento": "not_available"}),
            "/record/birthdate",
            Value::Null,
        ),
        odd(
            "an ISO birth date",
            json!({"fechaNacimiento": "1963-03-21"}),
            "/record/birthdate",
            json!("1963-03-21"),
        ),
        odd(
            "a country that is not certain",
            json!({"paisNacimiento": "COREA"}),
            "/record/birth_country_code",
            Value::Null,
        ),
        odd(
            "no second family name",
            json!({"apellidoMaterno": ""}),
            "/record/second_family_name",
            Value::Null,
        ),
        row(
            "200 with a newer CURP",
            says(200, with(json!({"curp": "AAPR630321XDFLRC03"}))),
        )
        .finds(
            "FOUND",
            "BILLED",
            [
                ("/record/curp", json!("AAPR630321XDFLRC03")),
                ("/record/superseded_curp", json!(ASKED)),
            ],
        ),
    ]
}

fn refusals() -> Vec<Row> {
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
            "bad body AAPR630321HDFLRC09",
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
fn unlisted() -> Vec<Row> {
    let plain = |status, case: &'static Case| {
        row("no words", sends(status, "<html>"))
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
        plain(500, &cases::DOWN),
        plain(502, &cases::DOWN),
        plain(503, &cases::DOWN),
        plain(512, &cases::DOWN),
        plain(513, &cases::SOURCE_TIMEOUT),
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
