//! AccuAuth `POST /verify/id_check`: the Mexican CURP.
//!
//! Result codes 0 to 3 are billed, 5 and error answers are not. The document does not say how the
//! body is encoded: JSON and a form are both taken. The magic CURPs are in `accuauth_cases`.

use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::accuauth_cases::CASES;
use super::reply::{Billing, Received, Reply};
use super::samples::{MX_CURP, accuauth_found, overlay};
use super::{ACCUAUTH_API_ID, ACCUAUTH_API_SECRET};

pub(super) fn answer(received: &Received) -> Reply {
    if received.path != "/verify/id_check" || received.method != Method::POST {
        return error(404, "NOT_FOUND", "requested API cannot be found");
    }
    if received.header("x-df-api-id") != Some(ACCUAUTH_API_ID)
        || received.header("x-df-api-secret") != Some(ACCUAUTH_API_SECRET)
    {
        return error(401, "UNAUTHORIZED", "invalid API ID or API secret");
    }
    match argument(received) {
        Ok(curp) => check(&curp),
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
    if curp == MX_CURP {
        return Reply::json(200, accuauth_found(), Billing::Billed);
    }
    match CASES.iter().find(|case| case.curp == curp) {
        Some(case) => case.effect.apply(|| found(curp, json!({}))),
        None => not_exist(),
    }
}

/// Found: the sample's registration for another person, whose birth date and gender are those that
/// the CURP says. `result` is what differs from that.
pub(super) fn found(curp: &str, result: Value) -> Reply {
    let mut body = accuauth_found();
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
pub(super) fn not_exist() -> Reply {
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
pub(super) fn coded(code: &str, message: &str, rest: Value, billing: Billing) -> Reply {
    let mut body = json!({
        "status": "OK",
        "result_code": code,
        "result_message": message,
        "request_id": request_id()
    });
    overlay(&mut body, rest);
    Reply::json(200, body, billing)
}

/// Section 4, an error answer.
pub(super) fn error(http_status: u16, status: &str, reason: &str) -> Reply {
    let body = json!({ "status": status, "reason": reason, "request_id": request_id() });
    Reply::json(http_status, body, Billing::NotBilled)
}

fn request_id() -> String {
    format!("TID{}", Uuid::new_v4().simple())
}
