//! What a request may say of a person: the fields of the document, checked and set.
//!
//! What is output only (`id`, `verificationStatus`, `livenessScore`, the instants) and what the
//! document does not list is ignored.

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::cases::only_base64;
use super::error;
use crate::sandbox::reply::Reply;
use crate::sandbox::sample::overlay;

/// The fields that a request may set, all of them texts.
const TEXTS: [&str; 7] = [
    "firstName",
    "lastName",
    "email",
    "phone",
    "dateOfBirth",
    "documentType",
    "documentNumber",
];
const IMAGES: [&str; 2] = ["faceImage", "fingerprint"];

/// The fields that a request sets, or the refusal of one that is malformed.
pub(super) fn settable(body: &Map<String, Value>) -> Result<Value, Reply> {
    let invalid = |name: &str| error(409, "INVALID_PARAMETERS", &format!("invalid {name}\n"));
    let mut given = Map::new();
    for name in TEXTS {
        match body.get(name) {
            Some(value @ (Value::String(_) | Value::Null)) => {
                given.insert(name.to_owned(), value.clone());
            }
            Some(_) => return Err(invalid(name)),
            None => {}
        }
    }
    if let Some(Value::String(date)) = given.get("dateOfBirth") {
        let well_formed = date.len() == 10 && Date::strptime("%Y-%m-%d", date).is_ok();
        if !well_formed && !date.is_empty() {
            let message = "dateOfBirth format required: YYYY-MM-DD\n";
            return Err(error(409, "MissingParameter", message));
        }
    }
    match body.get("biometricData") {
        Some(Value::Object(biometric)) => {
            let images: Map<_, _> = IMAGES
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), biometric.get(*name)?.clone())))
                .collect();
            if !images.values().all(is_base64) {
                return Err(only_base64());
            }
            given.insert("biometricData".to_owned(), Value::Object(images));
        }
        Some(Value::Null) => {
            given.insert("biometricData".to_owned(), Value::Null);
        }
        Some(_) => return Err(invalid("biometricData")),
        None => {}
    }
    Ok(Value::Object(given))
}

/// Sets what was given; null clears.
pub(super) fn apply(person: &mut Value, given: Value) {
    overlay(person, given);
    if let Some(fields) = person.as_object_mut() {
        if let Some(Value::Object(biometric)) = fields.get_mut("biometricData") {
            biometric.retain(|_, value| !value.is_null());
        }
        fields.retain(|_, value| !value.is_null());
    }
}

/// Whether an image is base64, standard or URL-safe: the document's own placeholder is the latter.
fn is_base64(image: &Value) -> bool {
    match image {
        Value::String(text) => text
            .trim_end_matches('=')
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)),
        other => other.is_null(),
    }
}

pub(super) fn image(body: &Map<String, Value>) -> Option<&Value> {
    body.get("biometricData")?.get("faceImage")
}

pub(super) fn is_blank(value: Option<&Value>) -> bool {
    match value {
        Some(Value::String(text)) => text.trim().is_empty(),
        other => other.is_none_or(Value::is_null),
    }
}
