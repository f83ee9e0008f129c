//! Verifik `/v2/persons`: create, create with liveness, list, read, change, delete.
//!
//! The document shows the person object and the paths only. Chosen here: answers are the bare
//! person, who needs one of both names, a list is `{data, pagination}` (as on the vendor's newer page), PUT is a partial update
//! in which null clears a field, what is output only is ignored in requests. Magic persons are in
//! `cases`; they are not kept and not listed.

mod cases;
mod fields;
mod store;

use http::Method;
use jiff::{Timestamp, Unit};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use uuid::Uuid;

use super::conditions::CONDITIONS;
use super::{credential, error, wrong_route};
use crate::sandbox::case::{Case, find};
use crate::sandbox::reply::{Billing, Received, Reply};
use crate::sandbox::sample::{changed, overlay};
use cases::{ON_CREATE, ON_LIVENESS, ON_UPDATE, person_not_found};
use fields::{apply, image, is_blank, settable};

pub(super) use cases::rows;
pub(in crate::sandbox) use store::PersonStore;

/// The document's person.
const SAMPLE: &str = include_str!("../../../../samples/verifik/person.json");
const SAMPLE_ID: &str = "person_123456789";

const PATH: &str = "/v2/persons";
/// Can be read and deleted, again and again.
const DISPOSABLE: &str = "person_disposable";
/// Is answered in the vendor's newer shape.
const WRAPPED: &str = "person_wrapped";
const DEFAULT_LIMIT: usize = 10;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Create {
    Plain,
    WithLiveness,
}

/// Whether a path is one of the persons'.
pub(super) fn owns(path: &str) -> bool {
    path.strip_prefix(PATH)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(super) fn answer(received: &Received, store: &PersonStore) -> Reply {
    if let Some(refusal) = credential(received) {
        return refusal;
    }
    let rest = received.path.strip_prefix(PATH).unwrap_or_default();
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let id = percent_decode_str(rest).decode_utf8_lossy();
    match (&received.method, id.as_ref()) {
        (&Method::POST, "") => create(received, store, Create::Plain),
        (&Method::POST, "liveness") => create(received, store, Create::WithLiveness),
        (&Method::GET, "") => list(received, store),
        (&Method::GET, id) => read(id, store),
        (&Method::PUT, id) if !id.is_empty() => update(id, received, store),
        (&Method::DELETE, id) if !id.is_empty() => delete(id, store),
        _ => wrong_route(),
    }
}

fn create(received: &Received, store: &PersonStore, kind: Create) -> Reply {
    // A body that is not JSON is to them one without fields.
    let body = received.json().unwrap_or_default();
    let names = ["firstName", "lastName"];
    // Some people have only one name.
    let is_nameless = names.iter().all(|name| is_blank(body.get(*name)));
    let missing: Vec<_> = names
        .into_iter()
        .filter(|_| is_nameless)
        .chain((kind == Create::WithLiveness && is_blank(image(&body))).then_some("faceImage"))
        .map(|name| format!("missing {name}\n"))
        .collect();
    if !missing.is_empty() {
        return error(409, "MissingParameter", &missing.join(". "));
    }
    let given = match settable(&body) {
        Ok(given) => given,
        Err(refusal) => return refusal,
    };
    let keep = || {
        let mut person = json!({
            "id": format!("person_{}", Uuid::new_v4().simple()),
            "verificationStatus": "pending",
            "createdAt": now(),
            "updatedAt": now()
        });
        apply(&mut person, given);
        if kind == Create::WithLiveness {
            let seen_alive = json!({
                "verificationStatus": "verified",
                "biometricData": { "livenessScore": 0.95 }
            });
            overlay(&mut person, seen_alive);
        }
        store.add(person.clone());
        ok(person)
    };
    let word = body.get("lastName").and_then(Value::as_str);
    let word = word.and_then(|name| name.strip_prefix("SANDBOX-"));
    let on_liveness = match kind {
        Create::Plain => &[],
        Create::WithLiveness => ON_LIVENESS,
    };
    match magic_case(word, &[CONDITIONS, ON_CREATE, on_liveness]) {
        Some(case) => case.effect.apply(keep),
        None => keep(),
    }
}

fn read(id: &str, store: &PersonStore) -> Reply {
    if let Some(case) = magic_case(word(id).as_deref(), &[CONDITIONS]) {
        return case.effect.apply(|| ok(magic(id)));
    }
    if id == WRAPPED {
        return ok(wrapped());
    }
    match store.get(id) {
        Some(person) => ok(person),
        None if is_magic(id) => ok(magic(id)),
        None => person_not_found(),
    }
}

fn update(id: &str, received: &Received, store: &PersonStore) -> Reply {
    let given = match settable(&received.json().unwrap_or_default()) {
        Ok(given) => given,
        Err(refusal) => return refusal,
    };
    let change = |person: &mut Value| {
        apply(person, given);
        overlay(person, json!({ "updatedAt": now() }));
    };
    if let Some(case) = magic_case(word(id).as_deref(), &[CONDITIONS, ON_UPDATE]) {
        return case.effect.apply(|| {
            let mut person = magic(id);
            change(&mut person);
            ok(person)
        });
    }
    store.change(id, change).map_or_else(person_not_found, ok)
}

fn delete(id: &str, store: &PersonStore) -> Reply {
    let gone = || ok(json!({ "id": id, "message": "Person deleted" }));
    match magic_case(word(id).as_deref(), &[CONDITIONS]) {
        Some(case) => case.effect.apply(gone),
        None if store.remove(id) || is_magic(id) => gone(),
        None => person_not_found(),
    }
}

fn list(received: &Received, store: &PersonStore) -> Reply {
    let number = |name, default| match received.query(name) {
        None => Some(default),
        Some(text) => text.parse().ok().filter(|number| *number > 0),
    };
    let (Some(page), Some(limit)) = (number("page", 1), number("limit", DEFAULT_LIMIT)) else {
        let message = "page and limit must be positive numbers\n";
        return error(409, "INVALID_PARAMETERS", message);
    };
    let (persons, total) = store.page(page, limit);
    let pages = total.div_ceil(limit);
    let pagination = json!({ "page": page, "limit": limit, "total": total, "pages": pages });
    ok(json!({ "data": persons, "pagination": pagination }))
}

/// The magic word in a person's id.
fn word(id: &str) -> Option<String> {
    id.strip_prefix("person_").map(str::to_ascii_uppercase)
}

fn magic_case(word: Option<&str>, tables: &[&'static [Case]]) -> Option<&'static Case> {
    find(tables, word?)
}

/// Whether an id is there without being kept.
fn is_magic(id: &str) -> bool {
    id == DISPOSABLE || magic_case(word(id).as_deref(), &[ON_UPDATE]).is_some()
}

/// The document's person under a magic id.
fn magic(id: &str) -> Value {
    changed(SAMPLE, json!({ "id": id }))
}

fn wrapped() -> Value {
    let mut person = magic(WRAPPED);
    if let Some(fields) = person.as_object_mut() {
        fields.remove("id");
        fields.remove("dateOfBirth");
    }
    let newer = json!({
        "_id": WRAPPED,
        "date_of_birth": { "year": 1990, "month": 1, "day": 15 },
        "collections": []
    });
    overlay(&mut person, newer);
    json!({ "id": "K0MMB", "data": person, "signature": { "message": "Certified by Verifik.co" } })
}

fn ok(body: Value) -> Reply {
    Reply::json(200, body, Billing::Unknown)
}

fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now).to_string()
}
