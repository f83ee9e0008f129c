//! Verifik's fields of a card in all the ways they are written.

use serde_json::{Value, json};

use super::{found, row, with};
use crate::{
    it::{cases, table::Row},
    kit::wire::{says, sends},
};

/// Oddities: the call succeeds and what is no value is absent.
pub fn lenient() -> Vec<Row> {
    let odd = |what, changes: Value, pointer, value| {
        row(what, says(200, with(changes)))
            .hidden()
            .finds("FOUND", "UNKNOWN", [(pointer, value)])
    };
    let mut no_extras = found();
    no_extras
        .as_object_mut()
        .unwrap()
        .retain(|name, _| name == "data");
    let none = json!({"foreignerIdExpiration": null, "foreignerIdLastIssuance": "not_available",
        "residenceExpiration": "NotSpecified", "immigrationStatus": "", "nationality": "not_available",
        "firstName": null, "lastName": " ", "arrayName": null, "dateOfBirth": ""});
    vec![
        odd(
            "a date with dashes",
            json!({"dateOfBirth": "03-04-1986"}),
            "/record/birthdate",
            json!("1986-04-03"),
        ),
        odd(
            "an ISO date",
            json!({"dateOfBirth": "1986-04-03"}),
            "/record/birthdate",
            json!("1986-04-03"),
        ),
        odd(
            "an ISO instant",
            json!({"dateOfBirth": "1986-04-03T00:00:00.000Z"}),
            "/record/birthdate",
            json!("1986-04-03"),
        ),
        odd(
            "a card that never expires",
            json!({"foreignerIdExpiration": "Wed Jan 01 3000 00:00:00 GMT+0000 (Coordinated Universal Time)"}),
            "/record/card_expires_on",
            Value::Null,
        ),
        odd(
            "a sentence for a date",
            json!({"residenceExpiration": "El documento no tiene fecha de caducidad"}),
            "/record/residence_expires_on",
            Value::Null,
        ),
        odd(
            "a date that does not exist",
            json!({"residenceExpiration": "31/02/2025"}),
            "/record/residence_expires_on",
            Value::Null,
        ),
        odd(
            "a word that means no certain country",
            json!({"nationality": "COREANA"}),
            "/record/nationality_code",
            Value::Null,
        ),
        odd(
            "the same word is passed on raw",
            json!({"nationality": "COREANA"}),
            "/record/nationality",
            json!("COREANA"),
        ),
        odd(
            "a number for a text",
            json!({"documentNumber": 5015372}),
            "/record/document_number",
            json!("5015372"),
        ),
        odd(
            "leading zeros",
            json!({"documentNumber": "00501537"}),
            "/record/document_number",
            json!("00501537"),
        ),
        odd(
            "a field nobody has heard of",
            json!({"photo": {"deep": [1]}}),
            "/record/name",
            json!("ANA RENE CORDERO SANCHEZ"),
        ),
        row("values that mean none", says(200, with(none)))
            .hidden()
            .finds(
                "FOUND",
                "UNKNOWN",
                [(
                    "/record",
                    json!({
                        "document_number": "005015372", "name": "ANA RENE CORDERO SANCHEZ",
                        "signature": {
                            "message": "Certified by Verifik.co",
                            "signed_at_text": "November 6, 2024 3:22 PM"
                        }
                    }),
                )],
            ),
        row("no id, no signature", says(200, no_extras))
            .hidden()
            .finds(
                "FOUND",
                "UNKNOWN",
                [
                    ("/verification/provider_reference", Value::Null),
                    ("/record/signature", Value::Null),
                    ("/record/name", json!("ANA RENE CORDERO SANCHEZ")),
                ],
            ),
        row(
            "200 with data that names nobody",
            says(200, json!({"data": {}, "id": "K0MMA"})),
        )
        .hidden()
        .fails(cases::MALFORMED.unanswered("unknown").status(200)),
        row("204 without a body", sends(204, ""))
            .hidden()
            .fails(cases::MALFORMED.unanswered("unknown").status(204)),
    ]
}
