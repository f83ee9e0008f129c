//! Verifik's fields of a person in all the ways they are written, in both of its dialects.

use serde_json::{Value, json};

use super::{super::calls::get, john, row, with};
use crate::{
    it::{
        cases,
        table::{Row, Setting},
    },
    kit::wire::says,
};

/// The newer pages' dialect, and values that mean none.
pub fn lenient() -> Vec<Row> {
    let odd = |what, body: Value, pointer, value| {
        row(get(), what, says(200, body))
            .hidden()
            .answers([(pointer, value)])
    };
    let born = |what, written: Value, date: Value| {
        let newer = json!({"_id": "person_123456789", "date_of_birth": written});
        odd(what, newer, "/person/birthdate", date)
    };
    let wrapped = json!({"id": "K0MMA", "data": with(json!({"id": null, "_id": {"$oid": "person_123456789"}})), "signature": {"message": "x"}});
    let status = |word: &str, name: &str| {
        let name = json!(format!("VERIFICATION_STATUS_{name}"));
        odd(
            "verificationStatus",
            with(json!({"verificationStatus": word})),
            "/person/verification_status",
            name,
        )
    };
    let date = json!("1990-01-15");
    vec![
        odd(
            "an answer inside data, _id for id",
            wrapped,
            "/person/id",
            json!("person_123456789"),
        ),
        born("a birth date as an ISO date", date.clone(), date.clone()),
        born(
            "a birth date as an ISO instant",
            json!("1990-01-15T00:00:00.000Z"),
            date.clone(),
        ),
        born(
            "a birth date in parts",
            json!({"year": 1990, "month": 1, "day": 15}),
            date,
        ),
        born("no birth date", Value::Null, Value::Null),
        odd(
            "no birth date in the document's name",
            with(json!({"dateOfBirth": "not_available"})),
            "/person/birthdate",
            Value::Null,
        ),
        odd(
            "no biometric data",
            with(json!({"biometricData": null})),
            "/person/biometric_data",
            Value::Null,
        ),
        odd(
            "a score as a text",
            with(json!({"biometricData": {"livenessScore": "0.5"}})),
            "/person/biometric_data/liveness_score",
            json!(0.5),
        ),
        odd(
            "a telephone number as a number",
            with(json!({"phone": 254_700_000})),
            "/person/phone_number",
            json!("254700000"),
        ),
        odd(
            "a field nobody has heard of",
            with(json!({"collections": [{"a": 1}]})),
            "/person/given_name",
            json!("John"),
        ),
        status("pending", "PENDING"),
        status("Verified", "VERIFIED"),
        status("failed", "FAILED"),
        status("expired", "EXPIRED"),
        odd(
            "a status nobody has heard of",
            with(json!({"verificationStatus": "odd"})),
            "/person/verification_status",
            Value::Null,
        ),
        row(
            get(),
            "a person without an id",
            says(200, json!({"firstName": "John"})),
        )
        .hidden()
        .fails(cases::MALFORMED.unanswered("not_billed").status(200)),
        row(get(), "from Verifik's newer place", says(200, john()))
            .setting(Setting::Unusual)
            .hidden()
            .answers([("/person/id", json!("person_123456789"))]),
    ]
}
