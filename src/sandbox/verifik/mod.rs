//! Verifik: the Peruvian foreigner's card and identity card, and person records.

mod conditions;
mod dni;
mod foreigner;
mod persons;

use http::Method;
use serde_json::json;

use super::company::{Company, Memory};
use super::fixtures::Fixtures;
use super::reply::{Billing, Received, Reply};
use super::table::Rows;

pub(super) use persons::PersonStore;

/// The token that the sandbox takes as Verifik's.
pub const TOKEN: &str = "sandbox-verifik-token";

pub(super) const COMPANY: Company = Company {
    title: "Verifik",
    prefixes: &["/v2/", "/v3/"],
    credentials: || format!("authorization: Bearer {TOKEN}"),
    lookups: &[foreigner::LOOKUP, dni::LOOKUP],
    answer,
    rows,
};

fn answer(received: &Received, memory: &Memory) -> Reply {
    match received.path.as_str() {
        dni::PATH => lookup(received, memory, dni::answer),
        foreigner::PATH => lookup(received, memory, foreigner::answer),
        path if persons::owns(path) => persons::answer(received, &memory.persons),
        _ => wrong_route(),
    }
}

fn rows(rows: &mut Rows) {
    foreigner::rows(rows);
    dni::rows(rows);
    persons::rows(rows);
}

/// A lookup: a GET with the token.
fn lookup(
    received: &Received,
    memory: &Memory,
    answer: fn(&Received, &Fixtures) -> Reply,
) -> Reply {
    if received.method != Method::GET {
        return wrong_route();
    }
    credential(received).unwrap_or_else(|| answer(received, &memory.fixtures))
}

/// The refusal of a request without the sandbox's token.
fn credential(received: &Received) -> Option<Reply> {
    let Some(value) = received.header("authorization") else {
        return Some(error(401, "Unauthorized", "Unauthorized\n"));
    };
    let token = value
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match token {
        Some((_, TOKEN)) => None,
        _ => Some(error(401, "Unauthorized", "Invalid or expired token.\n")),
    }
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({ "code": code, "message": message });
    Reply::json(status, body, Billing::NotBilled)
}

/// Not one of their JSON answers: nothing at that path.
fn wrong_route() -> Reply {
    Reply::html(404, "<pre>Cannot find the requested path</pre>")
}
