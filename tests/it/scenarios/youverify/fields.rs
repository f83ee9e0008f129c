//! YouVerify's fields in all the ways they are written.

use serde_json::{Value, json};

use super::{found, row, with};
use crate::{it::table::Row, kit::wire::says};

pub fn lenient() -> Vec<Row> {
    let odd = |what, changes: Value, pointer, value| {
        row(what, says(200, with(changes)))
            .hidden()
            .finds("FOUND", "UNKNOWN", [(pointer, value)])
    };
    let mut linked = found();
    linked["links"] = json!(["a", {"rel": "self"}]);
    vec![
        odd(
            "NotSpecified is no value",
            json!({"lastEmployment": "NotSpecified"}),
            "/record/last_employment",
            Value::Null,
        ),
        odd(
            "a last employment",
            json!({"lastEmployment": "Farm"}),
            "/record/last_employment",
            json!("Farm"),
        ),
        odd(
            "another number than asked",
            json!({"idNumber": "7654321"}),
            "/record/id_number",
            json!("7654321"),
        ),
        odd(
            "a parent",
            json!({"parentId": "64eed602"}),
            "/record/envelope/parent_id",
            json!("64eed602"),
        ),
        odd(
            "a reason",
            json!({"reason": " known \n"}),
            "/verification/provider_message",
            json!("known"),
        ),
        odd(
            "counters as numbers",
            json!({"contractSummary": {"openContracts": 3, "closedContracts": 0}}),
            "/record/contract_summary",
            json!({"open": 3, "closed": 0}),
        ),
        odd(
            "a counter that is none",
            json!({"contractSummary": {"openContracts": "many"}}),
            "/record/contract_summary",
            json!({}),
        ),
        odd(
            "no inquiries",
            json!({"inquiries": null}),
            "/record/inquiries",
            Value::Null,
        ),
        odd(
            "an address that is a text",
            json!({"mainAddress": ""}),
            "/record/main_address",
            Value::Null,
        ),
        odd(
            "a postal code as a number",
            json!({"mainAddress": {"postalCode": 20300}}),
            "/record/main_address",
            json!({"postal_code": "20300"}),
        ),
        odd(
            "a flag as a text",
            json!({"isConsent": "true"}),
            "/record/envelope/is_consent",
            Value::Bool(true),
        ),
        odd(
            "no instant",
            json!({"requestedAt": "yesterday"}),
            "/record/envelope/requested_at",
            Value::Null,
        ),
        odd(
            "an unknown kind of number",
            json!({"identityType": "huduma"}),
            "/record/id_type",
            Value::Null,
        ),
        odd(
            "its word is passed on raw",
            json!({"identityType": "huduma"}),
            "/record/id_type_raw",
            json!("huduma"),
        ),
        odd(
            "an unknown word for gender",
            json!({"gender": "Other"}),
            "/record/gender",
            Value::Null,
        ),
        odd(
            "the unknown word for gender is passed on raw",
            json!({"gender": "Other"}),
            "/record/gender_raw",
            json!("Other"),
        ),
        odd(
            "a woman",
            json!({"gender": "FEMALE"}),
            "/record/gender",
            json!("GENDER_FEMALE"),
        ),
        odd(
            "a lone M is for male",
            json!({"gender": "M"}),
            "/record/gender",
            json!("GENDER_MALE"),
        ),
        odd(
            "nobody asked",
            json!({"requestedBy": null}),
            "/record/envelope/requested_by",
            Value::Null,
        ),
        odd(
            "an e-mail that is null",
            json!({"email": null}),
            "/record/email",
            Value::Null,
        ),
        odd(
            "a field nobody has heard of",
            json!({"score": [1, {"a": 2}]}),
            "/record/name",
            json!("John M Doe"),
        ),
        row("links", says(200, linked)).hidden().finds(
            "FOUND",
            "UNKNOWN",
            [("/record/envelope/links", json!(["a", {"rel": "self"}]))],
        ),
        row("201", says(201, found())).hidden().finds(
            "FOUND",
            "UNKNOWN",
            [("/record/name", json!("John M Doe"))],
        ),
    ]
}

/// Midnight in Nairobi, printed in UTC.
pub fn birth_dates() -> Vec<Row> {
    let dates = [
        ("1999-12-31T21:00:00Z", Some("2000-01-01")),
        ("1999-12-31T21:00:00.000Z", Some("2000-01-01")),
        ("1941-05-31T21:15:00Z", Some("1941-06-01")),
        ("1935-12-31T21:30:00Z", Some("1936-01-01")),
        ("2000-01-01T00:00:00Z", Some("2000-01-01")),
        ("2000-01-01", Some("2000-01-01")),
        ("01/02/2000", Some("2000-02-01")),
        ("NotSpecified", None),
        ("unknown to us", None),
    ];
    let row = |(text, date)| {
        row("dateOfBirth", says(200, with(json!({"dateOfBirth": text}))))
            .hidden()
            .finds("FOUND", "UNKNOWN", [("/record/birthdate", json!(date))])
    };
    dates.map(row).into()
}
