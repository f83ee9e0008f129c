//! AccuAuth `POST /verify/id_check`: the Mexican CURP.
//!
//! Result codes 0 to 3 are billed, 5 and error answers are not. The document does not say how the
//! body is encoded: JSON and a form are both taken. Every magic CURP is valid by its check digit and
//! belongs to nobody; the first four letters are a hint, mostly Spanish: BAJA, PEND(iente), LENT(o),
//! NUNC(a), CORT(ado).

use http::Method;
use serde_json::{Value, json};

use super::{credential, error, request_id, wrong_route};
use crate::sandbox::case::gives::{
    CREDENTIALS, FOUND, INCONCLUSIVE, MISCONFIGURED, NOT_FOUND, QUOTA, RATE_LIMITED, REJECTED,
    UNAVAILABLE,
};
use crate::sandbox::case::{Case, case, find, spoilt};
use crate::sandbox::faults::Fault;
use crate::sandbox::fixtures::{Fixtures, Lookup};
use crate::sandbox::reply::{Billing, Content, Received, Reply};
use crate::sandbox::sample::{overlay, sample};
use crate::sandbox::table::Rows;

pub(super) const PATH: &str = "/verify/id_check";
const METHOD: &str = "idgw.identity.v1.IdentityService/CheckCurp";

const SAMPLE: &str = include_str!("../../../samples/accuauth/curp_found.json");
const SAMPLE_CURP: &str = "RAZR811011HVZXPB01";
const ODD_CURP: &str = "CURI900101MDFSND00";
const INVALID: &str = "OK OUTCOME_INVALID_IDENTIFIER";

pub(super) const LOOKUP: Lookup = Lookup {
    method: METHOD,
    path: PATH,
    case: |curp| find(&[CASES], curp),
};

pub(super) fn answer(received: &Received, fixtures: &Fixtures) -> Reply {
    if received.method != Method::POST {
        return wrong_route();
    }
    if let Some(refusal) = credential(received) {
        return refusal;
    }
    match argument(received) {
        Ok(curp) => fixtures.answer(
            METHOD,
            &curp,
            || check(&curp),
            |record| found(&curp, record),
            not_exist,
        ),
        Err(reason) => error(400, "INVALID_ARGUMENT", reason),
    }
}

/// `id_number`, or the reason why there is none.
fn argument(received: &Received) -> Result<String, &'static str> {
    let value = match received.json() {
        Some(mut body) => body.remove("id_number"),
        None => received
            .form("id_number")
            .map(|text| Value::String(text.into_owned())),
    };
    match value {
        Some(Value::String(curp)) if !curp.is_empty() => Ok(curp),
        Some(Value::String(_)) => Err("argument 'id_number': empty"),
        Some(Value::Null) | None => Err("argument 'id_number': not found"),
        Some(_) => Err("argument 'id_number': must be a string"),
    }
}

fn check(curp: &str) -> Reply {
    if curp == SAMPLE_CURP {
        return Reply::json(200, sample(SAMPLE), Billing::Billed);
    }
    match find(&[CASES], curp) {
        Some(case) => case.effect.apply(|| found(curp, json!({}))),
        None => not_exist(),
    }
}

/// Found: the sample's registration for another person, whose birth date and gender are those that
/// the CURP says. `result` is what differs from that.
fn found(curp: &str, result: Value) -> Reply {
    let mut body = sample(SAMPLE);
    let part = |range| curp.get(range).unwrap_or_default();
    let century = match part(16..17).chars().next() {
        Some(mark) if mark.is_ascii_digit() => "19",
        _ => "20",
    };
    let sexo = match part(10..11) {
        "H" => "HOMBRE",
        "M" => "MUJER",
        other => other,
    };
    overlay(
        &mut body,
        json!({
            "result": {
                "curp": curp,
                "nombre": "PERSONA",
                "apellidoPaterno": "FICTICIA",
                "apellidoMaterno": "DE PRUEBA",
                "sexo": sexo,
                "fechaNacimiento":
                    format!("{}/{}/{century}{}", part(8..10), part(6..8), part(4..6)),
                "estadoNacimiento": "CIUDAD DE MEXICO"
            },
            "request_id": request_id()
        }),
    );
    overlay(&mut body, json!({ "result": result }));
    Reply::json(200, body, Billing::Billed)
}

/// Result code 1. The document does not say what `result` is then; this is one of the shapes seen.
fn not_exist() -> Reply {
    let result = json!({
        "estatus": "ERROR",
        "mensaje": "La CURP no se encuentra en la base de datos",
        "codigoValidacion": "vc00000xxxxx0.00xxxxxx"
    });
    coded(
        "1",
        "ID number not exist",
        json!({ "result": result }),
        Billing::Billed,
    )
}

/// Any result code but 0. `rest` holds `result`, if the answer has one.
fn coded(code: &str, message: &str, rest: Value, billing: Billing) -> Reply {
    let mut body = json!({
        "status": "OK",
        "result_code": code,
        "result_message": message,
        "request_id": request_id()
    });
    overlay(&mut body, rest);
    Reply::json(200, body, billing)
}

#[rustfmt::skip]
static CASES: &[Case] = &[
    // Section 3.1: result codes.
    case("NOEX900101HDFSND08", not_exist, "200 result_code 1", NOT_FOUND),
    case("FORM900101HDFSND08", || coded("2", "ID number format error", json!({ "result": null }), Billing::Billed), "200 result_code 2", INVALID),
    case("NULO900101HDFSND09", || coded("3", "Invalid ID number", json!({ "result": {} }), Billing::Billed), "200 result_code 3", INVALID),
    case("DATA900101HDFSND07", || coded("5", "Data error", json!({}), Billing::NotBilled), "200 result_code 5", "UNAVAILABLE PROVIDER_DATA_ERROR"),
    case("CODE900101HDFSND02", || coded("9", "Not in the document", json!({}), Billing::Unknown), "200 result_code 9, not documented", INCONCLUSIVE),
    // Section 3.3: estatusCurp; the sample has RCN. Section 3.2: docProbatorio; the sample has 1.
    case("VIGE900101HDFSND03", || found("VIGE900101HDFSND03", json!({ "estatusCurp": "AN", "docProbatorio": 4 })), "200 AN, active", FOUND),
    case("VIGE900102HDFSND04", || found("VIGE900102HDFSND04", json!({ "estatusCurp": "AH", "docProbatorio": 7 })), "200 AH, active", FOUND),
    case("VIGE900103HDFSND05", || found("VIGE900103HDFSND05", json!({ "estatusCurp": "RCC", "docProbatorio": 8 })), "200 RCC, active", FOUND),
    case("BAJA900101MDFSND09", || found("BAJA900101MDFSND09", json!({ "estatusCurp": "BAP" })), "200 BAP, not active", FOUND),
    case("BAJA900102MDFSND00", || found("BAJA900102MDFSND00", json!({ "estatusCurp": "BSU" })), "200 BSU, not active", FOUND),
    case("BAJA900103MDFSND01", || found("BAJA900103MDFSND01", json!({ "estatusCurp": "BD" })), "200 BD, not active", FOUND),
    case("BAJA900104MDFSND02", || found("BAJA900104MDFSND02", json!({ "estatusCurp": "BDM" })), "200 BDM, not active", FOUND),
    case("BAJA900105MDFSND03", || found("BAJA900105MDFSND03", json!({ "estatusCurp": "BDP" })), "200 BDP, not active", FOUND),
    case("BAJA900106MDFSND04", || found("BAJA900106MDFSND04", json!({ "estatusCurp": "BJD" })), "200 BJD, not active", FOUND),
    // Other people.
    case("NUEV900101HDFSND06", || found("NUEW900101HDFSND01", json!({ "estatusCurp": "RCC" })), "200 another, newer CURP", FOUND),
    case("EXIS041231XDFSNDA3", || found("EXIS041231XDFSNDA3", json!({ "estatusCurp": "AN" })), "200 sexo X, born 2004", FOUND),
    case("FUER900101MNESND06", || found("FUER900101MNESND06", json!({ "estatusCurp": "AN", "paisNacimiento": "COLOMBIA", "estadoNacimiento": "NACIDO EN EL EXTRANJERO", "docProbatorio": 3, "datosDocProbatorio": null })), "200 born abroad", FOUND),
    case(ODD_CURP, oddities, "200 found, with irregular values", FOUND),
    // Section 4: error codes.
    case("MALA900101HDFSND09", || error(400, "INVALID_ARGUMENT", "argument 'id_number': invalid"), "400 INVALID_ARGUMENT", REJECTED),
    case("FALL900101HDFSND00", || error(400, "VERIFY_FAILED", "verify failed"), "400 VERIFY_FAILED", "FAILED_PRECONDITION PROVIDER_VERIFY_FAILED"),
    case("PEND900101HDFSND02", || error(400, "PENDING", "operation in progress, try again later"), "400 PENDING", "UNAVAILABLE PROVIDER_PENDING"),
    case("REPE900101HDFSND03", || error(400, "ABNORMAL_BEHAVIOURS_DETECTED", "same parameters repeated too often"), "400 ABNORMAL_BEHAVIOURS_DETECTED", "RESOURCE_EXHAUSTED PROVIDER_REPEATED_REQUEST"),
    case("SIAU900101HDFSND08", || error(401, "UNAUTHORIZED", "unauthorized or access is denied"), "401 UNAUTHORIZED", CREDENTIALS),
    case("KEYX900101HDFSND03", || error(401, "KEY_EXPIRED", "your API ID has expired"), "401 KEY_EXPIRED", CREDENTIALS),
    case("PERM900101HDFSND07", || error(403, "NO_PERMISSION", "you are not authorized to use this API"), "403 NO_PERMISSION", CREDENTIALS),
    case("QUOT900101HDFSND08", || error(403, "OUT_OF_QUOTA", "API calls quota exceeded"), "403 OUT_OF_QUOTA", QUOTA),
    case("RATE900101HDFSND07", || error(403, "RATE_LIMIT_EXCEEDED", "API request frequency exceeds the limit"), "403 RATE_LIMIT_EXCEEDED", RATE_LIMITED),
    case("MUCH900101HDFSND01", || error(429, "RATE_LIMIT_EXCEEDED", "too many requests").retry_after(1), "429, Retry-After: 1", RATE_LIMITED),
    case("RUTA900101HDFSND00", || error(404, "NOT_FOUND", "requested API cannot be found"), "404 NOT_FOUND", MISCONFIGURED),
    case("SERV900101HDFSND03", || error(500, "INTERNAL_ERROR", "internal server error"), "500 INTERNAL_ERROR", UNAVAILABLE),
    case("DOWN900101HDFSND09", || error(512, "SOURCE_SERVICE_UNAVAILABLE", "source service is unavailable"), "512 SOURCE_SERVICE_UNAVAILABLE", UNAVAILABLE),
    case("TIME900101HDFSND03", || error(513, "SOURCE_SERVICE_TIMEOUT", "source service is timeout"), "513 SOURCE_SERVICE_TIMEOUT", "UNAVAILABLE PROVIDER_SOURCE_TIMEOUT"),
    spoilt("LENT900101HDFSND07", Fault::Slow, FOUND),
    spoilt("NUNC900101HDFSND02", Fault::Never, FOUND),
    spoilt("CORT900101HDFSND02", Fault::Cut, FOUND),
    spoilt("MEDI900101HDFSND09", Fault::Truncated, FOUND),
    spoilt("ROTO900101HDFSND07", Fault::Malformed, FOUND),
    spoilt("GIGA900101HDFSND01", Fault::Oversize, FOUND),
];

/// Every oddity known of a found answer, and unknown fields beside it.
fn oddities() -> Reply {
    let mut reply = found(
        ODD_CURP,
        json!({
            "apellidoMaterno": null,
            "fechaNacimiento": "Wed Jan 01 3000 00:00:00 GMT+0000 (Coordinated Universal Time)",
            "paisNacimiento": "not_available",
            "docProbatorio": "1",
            "estatusCurp": "AN",
            "codigoMensaje": 0,
            "documento": null,
            "datosDocProbatorio": {
                "anioReg": 1990,
                "claveEntidadRegistro": 9,
                "numActa": 3382,
                "foja": null,
                "libro": "NotSpecified",
                "crip": "not in the document"
            },
            "parametros": { "unknown": [1, null, { "deep": true }] }
        }),
    );
    if let Content::Json(body) = &mut reply.content {
        overlay(
            body,
            json!({ "result_code": 0, "billing": { "unit": 1 }, "warnings": null }),
        );
    }
    reply
}

pub(super) fn rows(rows: &mut Rows) {
    let mut add = |curp, rest, answer, gives| {
        rows.add(
            METHOD,
            format!(r#"{{"curp":"{curp}"{rest}}}"#),
            answer,
            gives,
        );
    };
    let with_document = r#","include_document":true"#;
    let sample = "200 found, the document's sample (RCN, active)";
    let other = "200 result_code 1, like every other CURP";
    add(SAMPLE_CURP, "", sample, FOUND);
    add(SAMPLE_CURP, with_document, "200 found, with the PDF", FOUND);
    add("HEGG560427MVZRRL04", "", other, NOT_FOUND);
    for case in CASES {
        add(case.id, "", case.answer, case.gives);
    }
}
