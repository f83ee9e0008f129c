//! Verifik `GET /v2/pe/foreigner-id/ce`: the Peruvian foreigner's card.
//!
//! Number and birth date must belong together, else nobody is found. The magic numbers are in
//! `verifik_conditions`; they answer with any birth date.

use http::Method;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::VERIFIK_TOKEN;
use super::reply::{Billing, Received, Reply};
use super::samples::{PE_BIRTHDATE, PE_NUMBER, overlay, verifik_found, verifik_not_found};
use super::verifik_conditions::CONDITIONS;

/// Found, full of oddities.
pub(super) const ODD_NUMBER: &str = "ODDITIES";

pub(super) fn answer(received: &Received) -> Reply {
    if received.path != "/v2/pe/foreigner-id/ce" || received.method != Method::GET {
        return wrong_route();
    }
    if let Some(refusal) = credential(received) {
        return refusal;
    }
    let number = received.query("documentNumber").unwrap_or_default();
    let birthdate = received.query("dateOfBirth").unwrap_or_default();
    let mut wrong = Vec::new();
    if number.is_empty() {
        wrong.push("missing documentNumber\n");
    }
    if birthdate.is_empty() {
        wrong.push("missing dateOfBirth\n");
    } else if !is_documented_date(&birthdate) {
        wrong.push("dateOfBirth format required: DD/MM/YYYY\n");
    }
    if !wrong.is_empty() {
        return error(409, "MissingParameter", &wrong.join(". "));
    }
    look_up(&number, &birthdate)
}

fn look_up(number: &str, birthdate: &str) -> Reply {
    let condition = CONDITIONS.iter().find(|condition| condition.word == number);
    match (condition, number, birthdate) {
        (Some(condition), _, _) => condition.effect.apply(|| found(number, birthdate)),
        (None, PE_NUMBER, PE_BIRTHDATE) => Reply::json(200, verifik_found(), Billing::Unknown),
        (None, ODD_NUMBER, _) => Reply::json(200, oddities(), Billing::Unknown),
        _ => Reply::json(404, verifik_not_found(), Billing::Unknown),
    }
}

/// Found: the sample's card under another number.
fn found(number: &str, birthdate: &str) -> Reply {
    let mut body = verifik_found();
    let asked = json!({ "documentNumber": number, "dateOfBirth": birthdate });
    overlay(&mut body, json!({ "data": asked }));
    Reply::json(200, body, Billing::Unknown)
}

/// Every oddity known of a found answer, and unknown fields beside it.
fn oddities() -> Value {
    let mut body = verifik_found();
    overlay(
        &mut body,
        json!({
            "id": null,
            "data": {
                "arrayName": null,
                "dateOfBirth": "03-04-1986",
                "documentNumber": 900_000_009,
                "foreignerIdExpiration":
                    "Wed Jan 01 3000 00:00:00 GMT-0500 (Peru Standard Time)",
                "foreignerIdLastIssuance": "2021-08-12T00:00:00.000Z",
                "immigrationStatus": "NotSpecified",
                "nationality": "not_available",
                "residenceExpiration": "No registra fecha de vencimiento",
                "lastName": "",
                "photo": { "unknown": [1, null] }
            },
            "signature": { "dateTime": null, "serial": 7 },
            "balance": "100"
        }),
    );
    body
}

/// The refusal of a request without the sandbox's token.
pub(super) fn credential(received: &Received) -> Option<Reply> {
    let Some(value) = received.header("authorization") else {
        return Some(error(401, "Unauthorized", "Unauthorized\n"));
    };
    let token = value
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match token {
        Some((_, VERIFIK_TOKEN)) => None,
        _ => Some(error(401, "Unauthorized", "Invalid or expired token.\n")),
    }
}

pub(super) fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({ "code": code, "message": message });
    Reply::json(status, body, Billing::NotBilled)
}

/// Not one of their JSON answers: nothing at that path.
pub(super) fn wrong_route() -> Reply {
    Reply::html(404, "<pre>Cannot find the requested path</pre>")
}

/// Whether the text is a day that exists, as DD/MM/YYYY.
fn is_documented_date(text: &str) -> bool {
    text.len() == 10 && Date::strptime("%d/%m/%Y", text).is_ok()
}
