//! YouVerify `POST /v2/api/identity/ke/id-scrub`: the Kenyan identity number.
//!
//! Errors have the documented envelope. `metadata` comes back as it was sent. The magic numbers are
//! in `youverify_cases`.

use http::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::YOUVERIFY_TOKEN;
use super::reply::{Billing, Content, Received, Reply};
use super::samples::{KE_FOUND, KE_NOT_FOUND, overlay, youverify_found, youverify_not_found};
use super::youverify_cases::CASES;

pub(super) const NATIONAL_ID: &str = "national-id";
pub(super) const PASSPORT: &str = "passport";
pub(super) const SERVICE_ID: &str = "service-id";
pub(super) const ALIEN_ID: &str = "alien-registration";
const ID_TYPES: [&str; 4] = [NATIONAL_ID, PASSPORT, SERVICE_ID, ALIEN_ID];

pub(super) fn answer(received: &Received) -> Reply {
    if received.path != "/v2/api/identity/ke/id-scrub" || received.method != Method::POST {
        return wrong_route();
    }
    match received.header("token") {
        Some(YOUVERIFY_TOKEN) => {}
        Some(_) => return error(403, "Invalid API token.", "UnauthorizedError"),
        None => return error(401, "API token is missing.", "UnauthorizedError"),
    }
    // A body that is not JSON is to them one without fields.
    let body = received.json().unwrap_or_default();
    match arguments(&body) {
        Ok((id, id_type)) => {
            let mut reply = scrub(id, id_type);
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
    match (id, id_type) {
        (KE_FOUND, NATIONAL_ID) => {
            return Reply::json(200, youverify_found(), Billing::Unknown);
        }
        (KE_NOT_FOUND, NATIONAL_ID) => {
            return Reply::json(200, youverify_not_found(), Billing::Unknown);
        }
        _ => {}
    }
    let case = CASES
        .iter()
        .find(|case| case.id == id && case.id_type == id_type);
    match case {
        Some(case) => case.effect.apply(|| found(id, id_type, json!({}))),
        None => not_found(id, id_type),
    }
}

/// Found: the sample's person under another number. `data` is what differs from that.
pub(super) fn found(id: &str, id_type: &str, data: Value) -> Reply {
    let mut body = youverify_found();
    let asked = json!({ "id": object_id(), "idNumber": id, "identityType": id_type });
    overlay(&mut body, json!({ "data": asked }));
    overlay(&mut body, json!({ "data": data }));
    Reply::json(200, body, Billing::Unknown)
}

fn not_found(id: &str, id_type: &str) -> Reply {
    let mut body = youverify_not_found();
    let asked = json!({ "id": object_id(), "idNumber": id, "identityType": id_type });
    overlay(&mut body, json!({ "data": asked }));
    Reply::json(200, body, Billing::Unknown)
}

/// The documented error: a route or a resource of theirs that does not exist, not a person.
pub(super) fn wrong_route() -> Reply {
    let message = "You have attempted to get a resource that does not exist.";
    error(404, message, "ResourceNotFoundError")
}

pub(super) fn error(status: u16, message: &str, name: &str) -> Reply {
    let body = json!({
        "success": false,
        "statusCode": status,
        "message": message,
        "name": name,
        "data": {}
    });
    Reply::json(status, body, Billing::NotBilled)
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
