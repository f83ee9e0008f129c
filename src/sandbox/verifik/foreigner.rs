//! Verifik `GET /v2/pe/foreigner-id/ce`: the Peruvian foreigner's card.
//!
//! Number and birth date must belong together, else nobody is found. The magic numbers are the
//! words of `conditions`; they answer with any birth date.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::conditions::CONDITIONS;
use super::error;
use crate::sandbox::case::find;
use crate::sandbox::case::gives::{FOUND, NOT_FOUND};
use crate::sandbox::fixtures::{Fixtures, Lookup};
use crate::sandbox::reply::{Billing, Received, Reply};
use crate::sandbox::sample::{changed, overlay, sample};
use crate::sandbox::table::Rows;

pub(super) const PATH: &str = "/v2/pe/foreigner-id/ce";
const METHOD: &str = "idgw.identity.v1.IdentityService/VerifyPeForeignerId";

/// `lastName` contradicts `fullName`: so does the document's.
const SAMPLE: &str = include_str!("../../../samples/verifik/foreigner_found.json");
const SAMPLE_NUMBER: &str = "005015372";
const SAMPLE_BIRTHDATE: &str = "16/08/1993";
const NOT_FOUND_SAMPLE: &str = include_str!("../../../samples/verifik/foreigner_not_found.json");
/// Found, full of oddities.
const ODD_NUMBER: &str = "ODDITIES";

pub(super) const LOOKUP: Lookup = Lookup {
    method: METHOD,
    path: PATH,
    case: |number| find(&[CONDITIONS], number),
};

pub(super) fn answer(received: &Received, fixtures: &Fixtures) -> Reply {
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
    fixtures.answer(
        METHOD,
        &number,
        || look_up(&number, &birthdate),
        |record| card(&number, &birthdate, record),
        not_found,
    )
}

/// A fixture's card. Number and birth date must belong together here too, if the record has a birth date.
fn card(number: &str, birthdate: &str, record: Value) -> Reply {
    match record.get("dateOfBirth").and_then(Value::as_str) {
        Some(own) if own != birthdate => not_found(),
        _ => answered(200, found(number, birthdate, record)),
    }
}

fn look_up(number: &str, birthdate: &str) -> Reply {
    match (find(&[CONDITIONS], number), number, birthdate) {
        (Some(case), _, _) => case
            .effect
            .apply(|| answered(200, found(number, birthdate, json!({})))),
        (None, SAMPLE_NUMBER, SAMPLE_BIRTHDATE) => answered(200, sample(SAMPLE)),
        (None, ODD_NUMBER, _) => answered(200, oddities()),
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
fn found(number: &str, birthdate: &str, record: Value) -> Value {
    let asked = json!({ "documentNumber": number, "dateOfBirth": birthdate });
    let mut body = changed(SAMPLE, json!({ "data": asked }));
    overlay(&mut body, json!({ "data": record }));
    body
}

/// Every oddity known of a found answer, and unknown fields beside it.
fn oddities() -> Value {
    changed(
        SAMPLE,
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
    )
}

/// Whether the text is a day that exists, as DD/MM/YYYY.
fn is_documented_date(text: &str) -> bool {
    text.len() == 10 && Date::strptime("%d/%m/%Y", text).is_ok()
}

pub(super) fn rows(rows: &mut Rows) {
    let mut add = |number, birthdate, answer, gives| {
        let request = format!(r#"{{"document_number":"{number}","birthdate":"{birthdate}"}}"#);
        rows.add(METHOD, request, answer, gives);
    };
    // The sample's own date, as the gateway takes it.
    let birthdate = iso(SAMPLE_BIRTHDATE);
    let birthdate = birthdate.as_str();
    add(
        SAMPLE_NUMBER,
        birthdate,
        "200 found, the document's sample",
        FOUND,
    );
    add(
        SAMPLE_NUMBER,
        "1993-08-17",
        "404 NotFound, another birth date",
        NOT_FOUND,
    );
    add(
        "000000001",
        birthdate,
        "404 NotFound, like every other number",
        NOT_FOUND,
    );
    add(
        ODD_NUMBER,
        birthdate,
        "200 found, with irregular values",
        FOUND,
    );
    for case in CONDITIONS {
        let gives = if case.gives == "OK" {
            FOUND
        } else {
            case.gives
        };
        add(case.id, birthdate, case.answer, gives);
    }
}

/// DD/MM/YYYY as YYYY-MM-DD.
fn iso(date: &str) -> String {
    let parts: Vec<_> = date.split('/').rev().collect();
    parts.join("-")
}
