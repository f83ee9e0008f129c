//! AccuAuth's fields in all the ways they are written.

use serde_json::{Value, json};

use super::{super::calls::ASKED, row, with};
use crate::{it::table::Row, kit::wire::says};

pub fn statuses() -> Vec<Row> {
    let status = |code: &str, status: &str, active: Value| {
        row("estatusCurp", says(200, with(json!({"estatusCurp": code}))))
            .hidden()
            .finds(
                "FOUND",
                "BILLED",
                [
                    ("/record/status", json!(format!("CURP_STATUS_{status}"))),
                    ("/record/status_raw", json!(code)),
                    ("/record/active", active),
                ],
            )
    };
    let mut rows = Vec::new();
    for code in ["AN", "AH", "RCC", "RCN"] {
        rows.push(status(code, code, json!(true)));
    }
    for code in ["BAP", "BSU", "BD", "BDM", "BDP", "BJD"] {
        rows.push(status(code, code, json!(false)));
    }
    let unknown = row(
        "estatusCurp ZZZ",
        says(200, with(json!({"estatusCurp": "ZZZ"}))),
    );
    rows.push(unknown.hidden().finds(
        "FOUND",
        "BILLED",
        [
            ("/record/status", Value::Null),
            ("/record/status_raw", json!("ZZZ")),
            ("/record/active", Value::Null),
        ],
    ));
    for (number, name) in [
        (1, "BIRTH_CERTIFICATE"),
        (3, "MIGRATION_DOCUMENT"),
        (4, "NATURALIZATION_CERTIFICATE"),
        (7, "CERTIFICATE_OF_MEXICAN_NATIONALITY"),
        (8, "SEGOB_PROCEDURE"),
    ] {
        // As a number and as a text.
        for written in [json!(number), json!(number.to_string())] {
            let row = row(
                "docProbatorio",
                says(200, with(json!({"docProbatorio": written}))),
            );
            let name = json!(format!("PROOF_DOCUMENT_TYPE_{name}"));
            rows.push(row.hidden().finds(
                "FOUND",
                "BILLED",
                [("/record/proof_document_type", name)],
            ));
        }
    }
    rows
}

pub fn lenient() -> Vec<Row> {
    let odd = |what, changes: Value, pointer, value| {
        row(what, says(200, with(changes)))
            .hidden()
            .finds("FOUND", "BILLED", [(pointer, value)])
    };
    let evidence = |evidence: Value| json!({"datosDocProbatorio": evidence});
    vec![
        odd(
            "docProbatorio is empty",
            json!({"docProbatorio": ""}),
            "/record/proof_document_type",
            Value::Null,
        ),
        odd(
            "docProbatorio is null",
            json!({"docProbatorio": null}),
            "/record/proof_document_type",
            Value::Null,
        ),
        odd(
            "docProbatorio is a number that the document does not list",
            json!({"docProbatorio": 9}),
            "/record/proof_document_type",
            Value::Null,
        ),
        odd(
            "the unknown number is passed on raw",
            json!({"docProbatorio": 9}),
            "/record/proof_document_type_raw",
            json!("9"),
        ),
        odd(
            "anioReg as a number",
            evidence(json!({"anioReg": 1983})),
            "/record/proof_document",
            json!({"registry_year": "1983"}),
        ),
        odd(
            "numActa keeps its zeros",
            evidence(json!({"numActa": "03382"})),
            "/record/proof_document",
            json!({"act_number": "03382"}),
        ),
        odd(
            "foja, libro, tomo as numbers",
            evidence(json!({"foja": 7, "libro": 2, "tomo": 1})),
            "/record/proof_document",
            json!({"page": "7", "book": "2", "volume": "1"}),
        ),
        odd(
            "an empty evidence",
            evidence(json!({"foja": "", "tomo": null})),
            "/record/proof_document",
            Value::Null,
        ),
        odd(
            "an evidence that is a text",
            evidence(json!("")),
            "/record/proof_document",
            Value::Null,
        ),
        odd(
            "a woman",
            json!({"sexo": "MUJER"}),
            "/record/gender",
            json!("GENDER_FEMALE"),
        ),
        odd(
            "a lone M is for mujer",
            json!({"sexo": "M"}),
            "/record/gender",
            json!("GENDER_FEMALE"),
        ),
        odd(
            "a lone H is for hombre",
            json!({"sexo": "H"}),
            "/record/gender",
            json!("GENDER_MALE"),
        ),
        odd(
            "sex X",
            json!({"sexo": "X"}),
            "/record/gender",
            json!("GENDER_NON_BINARY"),
        ),
        odd(
            "an unknown word for sex",
            json!({"sexo": "OTRO"}),
            "/record/gender",
            Value::Null,
        ),
        odd(
            "the unknown word is passed on raw",
            json!({"sexo": "OTRO"}),
            "/record/gender_raw",
            json!("OTRO"),
        ),
        odd(
            "no birth date",
            json!({"fechaNacimiento": "not_available"}),
            "/record/birthdate",
            Value::Null,
        ),
        odd(
            "an ISO birth date",
            json!({"fechaNacimiento": "1963-03-21"}),
            "/record/birthdate",
            json!("1963-03-21"),
        ),
        odd(
            "a country that is not certain",
            json!({"paisNacimiento": "COREA"}),
            "/record/birth_country_code",
            Value::Null,
        ),
        odd(
            "no second family name",
            json!({"apellidoMaterno": ""}),
            "/record/second_family_name",
            Value::Null,
        ),
        row(
            "200 with a newer CURP",
            says(200, with(json!({"curp": "AAPR630321XDFLRC03"}))),
        )
        .finds(
            "FOUND",
            "BILLED",
            [
                ("/record/curp", json!("AAPR630321XDFLRC03")),
                ("/record/superseded_curp", json!(ASKED)),
            ],
        ),
    ]
}
