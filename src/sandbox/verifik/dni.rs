//! Verifik `GET /v3/pe/cedula`: the Peruvian identity card.
//!
//! The magic numbers stand for the words of `conditions`.

use serde_json::{Value, json};

use super::conditions::CONDITIONS;
use super::error;
use crate::sandbox::case::gives::{FOUND, NOT_FOUND};
use crate::sandbox::case::{Case, find};
use crate::sandbox::fixtures::{Fixtures, Lookup};
use crate::sandbox::reply::{Billing, Received, Reply};
use crate::sandbox::sample::{changed, overlay, sample};
use crate::sandbox::table::Rows;

pub(super) const PATH: &str = "/v3/pe/cedula";
const METHOD: &str = "idgw.identity.v1.IdentityService/VerifyPeDni";

const SAMPLE: &str = include_str!("../../../samples/verifik/dni_found.json");
const SAMPLE_NUMBER: &str = "71640001";
const NOT_FOUND_SAMPLE: &str = include_str!("../../../samples/verifik/dni_not_found.json");
/// Found, full of oddities.
const ODD_NUMBER: &str = "99000999";

/// Which number stands for which word: a word is no DNI.
const MAGIC: [(&str, &str); 14] = [
    ("99000401", "UNAUTHORIZED"),
    ("99000403", "NOCREDITS"),
    ("99000404", "NOSUCHROUTE"),
    ("99000409", "MISSINGPARAM"),
    ("99000410", "OUTOFSERVICE"),
    ("99000429", "RATELIMITED"),
    ("99000500", "INTERNALERR"),
    ("99000502", "BADGATEWAY"),
    ("99000900", "SLOWANSWER"),
    ("99000901", "NEVERANSWERS"),
    ("99000902", "CUTCONNECT"),
    ("99000903", "TRUNCATED"),
    ("99000904", "MALFORMED"),
    ("99000905", "OVERSIZED"),
];

fn condition(number: &str) -> Option<&'static Case> {
    let (_, word) = MAGIC.iter().find(|(magic, _)| *magic == number)?;
    find(&[CONDITIONS], word)
}

pub(super) const LOOKUP: Lookup = Lookup {
    method: METHOD,
    path: PATH,
    case: condition,
};

pub(super) fn answer(received: &Received, fixtures: &Fixtures) -> Reply {
    let document_type = received.query("documentType").unwrap_or_default();
    let number = received.query("documentNumber").unwrap_or_default();
    let wrong = if document_type != "DNI" {
        "missing documentType\n"
    } else if number.is_empty() {
        "missing documentNumber\n"
    } else if number.len() > 8 {
        "documentNumber maximum length: 8\n"
    } else {
        return fixtures.answer(
            METHOD,
            &number,
            || look_up(&number),
            |record| answered(200, found(&number, record)),
            not_found,
        );
    };
    error(409, "MissingParameter", wrong)
}

fn look_up(number: &str) -> Reply {
    match (condition(number), number) {
        (Some(case), _) => case
            .effect
            .apply(|| answered(200, found(number, json!({})))),
        (None, SAMPLE_NUMBER) => answered(200, sample(SAMPLE)),
        (None, ODD_NUMBER) => answered(200, oddities()),
        _ => not_found(),
    }
}

fn answered(status: u16, body: Value) -> Reply {
    Reply::json(status, body, Billing::Unknown)
}

fn not_found() -> Reply {
    answered(404, sample(NOT_FOUND_SAMPLE))
}

/// Found: the sample's card under another number. `record` is what else differs from it.
fn found(number: &str, record: Value) -> Value {
    let mut body = changed(SAMPLE, json!({ "data": { "documentNumber": number } }));
    overlay(&mut body, json!({ "data": record }));
    body
}

/// Every oddity that a found answer may have, and unknown fields beside it.
fn oddities() -> Value {
    changed(
        SAMPLE,
        json!({
            "id": null,
            "data": {
                "address": "not_available",
                "arrayName": null,
                "civilStatus": "",
                "dateOfBirth": "1995-12-19T05:00:00.000Z",
                "documentNumber": 99_000_999,
                "sex": "M",
                "ubigeoReniec": 70_101,
                "verificationDigit": 2,
                "photo": { "unknown": [1, null] }
            },
            "signature": { "dateTime": null, "serial": 7 },
        }),
    )
}

pub(super) fn rows(rows: &mut Rows) {
    let mut add = |number, answer, gives| {
        let request = format!(r#"{{"document_number":"{number}"}}"#);
        rows.add(METHOD, request, answer, gives);
    };
    add(SAMPLE_NUMBER, "200 found, the document's sample", FOUND);
    add(
        "00000001",
        "404 NotFound, like every other number",
        NOT_FOUND,
    );
    add(ODD_NUMBER, "200 found, with irregular values", FOUND);
    for (number, word) in MAGIC {
        if let Some(case) = find(&[CONDITIONS], word) {
            let gives = if case.gives == "OK" {
                FOUND
            } else {
                case.gives
            };
            add(number, case.answer, gives);
        }
    }
}
