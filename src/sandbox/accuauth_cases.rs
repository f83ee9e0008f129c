//! The magic CURPs of AccuAuth.
//!
//! Every CURP is valid by its check digit and belongs to nobody. The first four letters are a hint,
//! mostly Spanish: BAJA, PEND(iente), LENT(o), NUNC(a), CORT(ado).

use serde_json::json;

use super::accuauth::{coded, error, found, not_exist};
use super::faults::Fault;
use super::reply::{Billing, Effect};

pub(super) struct Case {
    pub curp: &'static str,
    pub effect: Effect,
    pub answer: &'static str,
    pub gives: &'static str,
}

const FOUND: &str = "OK OUTCOME_FOUND";
const INVALID: &str = "OK OUTCOME_INVALID_IDENTIFIER";
const CREDENTIALS: &str = "FAILED_PRECONDITION PROVIDER_CREDENTIALS_REJECTED";
const UNAVAILABLE: &str = "UNAVAILABLE PROVIDER_UNAVAILABLE";
const RATE_LIMITED: &str = "RESOURCE_EXHAUSTED PROVIDER_RATE_LIMITED";

/// A short form for the table below.
const fn case(
    curp: &'static str,
    effect: Effect,
    answer: &'static str,
    gives: &'static str,
) -> Case {
    Case {
        curp,
        effect,
        answer,
        gives,
    }
}

const fn spoilt(curp: &'static str, fault: Fault) -> Case {
    case(
        curp,
        Effect::Spoil(fault),
        fault.answer(),
        fault.gives(FOUND),
    )
}

use Effect::Answer;

#[rustfmt::skip]
pub(super) static CASES: &[Case] = &[
    // Section 3.1: result codes.
    case("NOEX900101HDFSND08", Answer(not_exist), "200 result_code 1", "OK OUTCOME_NOT_FOUND"),
    case("FORM900101HDFSND08", Answer(|| coded("2", "ID number format error", json!({ "result": null }), Billing::Billed)), "200 result_code 2", INVALID),
    case("NULO900101HDFSND09", Answer(|| coded("3", "Invalid ID number", json!({ "result": {} }), Billing::Billed)), "200 result_code 3", INVALID),
    case("DATA900101HDFSND07", Answer(|| coded("5", "Data error", json!({}), Billing::NotBilled)), "200 result_code 5", "UNAVAILABLE PROVIDER_DATA_ERROR"),
    case("CODE900101HDFSND02", Answer(|| coded("9", "Not in the document", json!({}), Billing::Unknown)), "200 result_code 9, not documented", "OK OUTCOME_INCONCLUSIVE"),
    // Section 3.3: estatusCurp; the sample has RCN. Section 3.2: docProbatorio; the sample has 1.
    case("VIGE900101HDFSND03", Answer(|| found("VIGE900101HDFSND03", json!({ "estatusCurp": "AN", "docProbatorio": 4 }))), "200 AN, active", FOUND),
    case("VIGE900102HDFSND04", Answer(|| found("VIGE900102HDFSND04", json!({ "estatusCurp": "AH", "docProbatorio": 7 }))), "200 AH, active", FOUND),
    case("VIGE900103HDFSND05", Answer(|| found("VIGE900103HDFSND05", json!({ "estatusCurp": "RCC", "docProbatorio": 8 }))), "200 RCC, active", FOUND),
    case("BAJA900101MDFSND09", Answer(|| found("BAJA900101MDFSND09", json!({ "estatusCurp": "BAP" }))), "200 BAP, not active", FOUND),
    case("BAJA900102MDFSND00", Answer(|| found("BAJA900102MDFSND00", json!({ "estatusCurp": "BSU" }))), "200 BSU, not active", FOUND),
    case("BAJA900103MDFSND01", Answer(|| found("BAJA900103MDFSND01", json!({ "estatusCurp": "BD" }))), "200 BD, not active", FOUND),
    case("BAJA900104MDFSND02", Answer(|| found("BAJA900104MDFSND02", json!({ "estatusCurp": "BDM" }))), "200 BDM, not active", FOUND),
    case("BAJA900105MDFSND03", Answer(|| found("BAJA900105MDFSND03", json!({ "estatusCurp": "BDP" }))), "200 BDP, not active", FOUND),
    case("BAJA900106MDFSND04", Answer(|| found("BAJA900106MDFSND04", json!({ "estatusCurp": "BJD" }))), "200 BJD, not active", FOUND),
    // Other people.
    case("NUEV900101HDFSND06", Answer(|| found("NUEW900101HDFSND01", json!({ "estatusCurp": "RCC" }))), "200 another, newer CURP", FOUND),
    case("EXIS041231XDFSNDA3", Answer(|| found("EXIS041231XDFSNDA3", json!({ "estatusCurp": "AN" }))), "200 sexo X, born 2004", FOUND),
    case("FUER900101MNESND06", Answer(|| found("FUER900101MNESND06", json!({ "estatusCurp": "AN", "paisNacimiento": "COLOMBIA", "estadoNacimiento": "NACIDO EN EL EXTRANJERO", "docProbatorio": 3, "datosDocProbatorio": null }))), "200 born abroad", FOUND),
    case("CURI900101MDFSND00", Answer(oddities), "200 found, full of oddities", FOUND),
    // Section 4: error codes.
    case("MALA900101HDFSND09", Answer(|| error(400, "INVALID_ARGUMENT", "argument 'id_number': invalid")), "400 INVALID_ARGUMENT", "INVALID_ARGUMENT PROVIDER_REJECTED_ARGUMENT"),
    case("FALL900101HDFSND00", Answer(|| error(400, "VERIFY_FAILED", "verify failed")), "400 VERIFY_FAILED", "FAILED_PRECONDITION PROVIDER_VERIFY_FAILED"),
    case("PEND900101HDFSND02", Answer(|| error(400, "PENDING", "operation in progress, try again later")), "400 PENDING", "UNAVAILABLE PROVIDER_PENDING"),
    case("REPE900101HDFSND03", Answer(|| error(400, "ABNORMAL_BEHAVIOURS_DETECTED", "same parameters repeated too often")), "400 ABNORMAL_BEHAVIOURS_DETECTED", "RESOURCE_EXHAUSTED PROVIDER_REPEATED_REQUEST"),
    case("SIAU900101HDFSND08", Answer(|| error(401, "UNAUTHORIZED", "unauthorized or access is denied")), "401 UNAUTHORIZED", CREDENTIALS),
    case("KEYX900101HDFSND03", Answer(|| error(401, "KEY_EXPIRED", "your API ID has expired")), "401 KEY_EXPIRED", CREDENTIALS),
    case("PERM900101HDFSND07", Answer(|| error(403, "NO_PERMISSION", "you are not authorized to use this API")), "403 NO_PERMISSION", CREDENTIALS),
    case("QUOT900101HDFSND08", Answer(|| error(403, "OUT_OF_QUOTA", "API calls quota exceeded")), "403 OUT_OF_QUOTA", "RESOURCE_EXHAUSTED PROVIDER_QUOTA_EXHAUSTED"),
    case("RATE900101HDFSND07", Answer(|| error(403, "RATE_LIMIT_EXCEEDED", "API request frequency exceeds the limit")), "403 RATE_LIMIT_EXCEEDED", RATE_LIMITED),
    case("MUCH900101HDFSND01", Answer(|| error(429, "RATE_LIMIT_EXCEEDED", "too many requests").retry_after(1)), "429, Retry-After: 1", RATE_LIMITED),
    case("RUTA900101HDFSND00", Answer(|| error(404, "NOT_FOUND", "requested API cannot be found")), "404 NOT_FOUND", "FAILED_PRECONDITION PROVIDER_MISCONFIGURED"),
    case("SERV900101HDFSND03", Answer(|| error(500, "INTERNAL_ERROR", "internal server error")), "500 INTERNAL_ERROR", UNAVAILABLE),
    case("DOWN900101HDFSND09", Answer(|| error(512, "SOURCE_SERVICE_UNAVAILABLE", "source service is unavailable")), "512 SOURCE_SERVICE_UNAVAILABLE", UNAVAILABLE),
    case("TIME900101HDFSND03", Answer(|| error(513, "SOURCE_SERVICE_TIMEOUT", "source service is timeout")), "513 SOURCE_SERVICE_TIMEOUT", "UNAVAILABLE PROVIDER_SOURCE_TIMEOUT"),
    spoilt("LENT900101HDFSND07", Fault::Slow),
    spoilt("NUNC900101HDFSND02", Fault::Never),
    spoilt("CORT900101HDFSND02", Fault::Cut),
    spoilt("MEDI900101HDFSND09", Fault::Truncated),
    spoilt("ROTO900101HDFSND07", Fault::Malformed),
    spoilt("GIGA900101HDFSND01", Fault::Oversize),
];

/// Every oddity known of a found answer, and unknown fields beside it.
fn oddities() -> super::reply::Reply {
    let mut reply = found(
        "CURI900101MDFSND00",
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
    if let super::reply::Content::Json(body) = &mut reply.content {
        super::samples::overlay(
            body,
            json!({ "result_code": 0, "billing": { "unit": 1 }, "warnings": null }),
        );
    }
    reply
}
