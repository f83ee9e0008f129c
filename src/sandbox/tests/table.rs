//! The published table is true, free of repetitions, and passes the gateway's own checks.

use std::collections::HashSet;

use super::*;
use crate::sandbox::{Row, markdown, table};

/// The reasons that a provider's answer can lead to.
const REASONS: [&str; 17] = [
    "INVALID_ARGUMENT PROVIDER_REJECTED_ARGUMENT",
    "FAILED_PRECONDITION PROVIDER_CREDENTIALS_REJECTED",
    "FAILED_PRECONDITION PROVIDER_MISCONFIGURED",
    "RESOURCE_EXHAUSTED PROVIDER_QUOTA_EXHAUSTED",
    "RESOURCE_EXHAUSTED PROVIDER_RATE_LIMITED",
    "RESOURCE_EXHAUSTED PROVIDER_REPEATED_REQUEST",
    "UNAVAILABLE PROVIDER_PENDING",
    "FAILED_PRECONDITION PROVIDER_VERIFY_FAILED",
    "UNAVAILABLE PROVIDER_UNAVAILABLE",
    "UNAVAILABLE PROVIDER_DATA_ERROR",
    "UNAVAILABLE PROVIDER_SOURCE_TIMEOUT",
    "DEADLINE_EXCEEDED PROVIDER_TIMEOUT",
    "UNKNOWN PROVIDER_OUTCOME_UNKNOWN",
    "INTERNAL PROVIDER_RESPONSE_MALFORMED",
    "NOT_FOUND PERSON_NOT_FOUND",
    "ALREADY_EXISTS PERSON_ALREADY_EXISTS",
    "FAILED_PRECONDITION LIVENESS_FAILED",
];
const OUTCOMES: [&str; 4] = [
    "OK OUTCOME_FOUND",
    "OK OUTCOME_NOT_FOUND",
    "OK OUTCOME_INVALID_IDENTIFIER",
    "OK OUTCOME_INCONCLUSIVE",
];

fn request(row: &Row) -> Value {
    serde_json::from_str(row.request).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

/// RENAPO's check digit, and the shape as far as the table uses it.
fn is_valid_curp(curp: &str) -> bool {
    let alphabet: Vec<char> = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ".chars().collect();
    let value = |c| alphabet.iter().position(|a| *a == c).unwrap();
    let sum: usize = (0..17)
        .zip(curp.chars())
        .map(|(i, c)| value(c) * (18 - i))
        .sum();
    let shape = |i: usize, allowed: &str| allowed.contains(&curp[i..=i]);
    curp.len() == 18
        && curp[17..] == ((10 - sum % 10) % 10).to_string()
        && shape(1, "AEIOUX")
        && shape(10, "HMX")
        && ["DF", "VZ", "NE"].contains(&&curp[11..13])
        && (13..16).all(|i| shape(i, "BCDFGHJKLMNPQRSTVWXYZ"))
        && curp[4..10].bytes().all(|b| b.is_ascii_digit())
}

#[test]
fn no_request_is_listed_twice() {
    let mut seen = HashSet::new();
    for row in table() {
        assert!(seen.insert((row.method, row.request)), "{row:?}");
    }
}

#[test]
fn every_curp_is_valid() {
    assert!(is_valid_curp("AAPR630321HDFLRC09") && !is_valid_curp("AAPR630321HDFLRC08"));
    let rows = table().iter().filter(|row| row.provider == "accuauth");
    let asked: Vec<String> = rows.map(|r| text(&request(r), "curp").to_owned()).collect();
    assert!(asked.len() > 40, "{}", asked.len());
    for curp in asked
        .iter()
        .map(String::as_str)
        .chain(["NUEW900101HDFSND01"])
    {
        assert!(is_valid_curp(curp), "{curp}");
    }
}

#[test]
fn every_other_number_passes_the_gateways_checks() {
    for row in table() {
        let request = request(row);
        match row.method.rsplit('/').next().unwrap() {
            "VerifyPeForeignerId" => {
                let number = text(&request, "document_number");
                let allowed = |b: u8| b.is_ascii_digit() || b.is_ascii_uppercase();
                assert!(
                    (8..=12).contains(&number.len()) && number.bytes().all(allowed),
                    "{row:?}"
                );
            }
            "ScrubKenyaId" => {
                let id = text(&request, "id");
                let digits = id.bytes().all(|b| b.is_ascii_digit());
                let alphanumeric = id
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
                let valid = match text(&request, "id_type") {
                    "KENYA_ID_TYPE_NATIONAL_ID" => (1..=9).contains(&id.len()) && digits,
                    "KENYA_ID_TYPE_PASSPORT" => (6..=9).contains(&id.len()) && alphanumeric,
                    "KENYA_ID_TYPE_ALIEN_ID" => (6..=9).contains(&id.len()) && digits,
                    "KENYA_ID_TYPE_SERVICE_ID" => (1..=20).contains(&id.len()),
                    _ => false,
                };
                assert!(valid, "{row:?}");
            }
            _ => {}
        }
    }
}

#[test]
fn every_reason_is_one_of_the_contract_and_each_of_them_occurs() {
    let mut missing: HashSet<&str> = REASONS.into_iter().chain(OUTCOMES).collect();
    for row in table() {
        let known = if row.method.starts_with("idgw.identity.v1.") {
            OUTCOMES.contains(&row.gives) || REASONS.contains(&row.gives)
        } else {
            row.gives == "OK" || REASONS.contains(&row.gives)
        };
        assert!(known, "{row:?}");
        missing.remove(row.gives);
    }
    assert_eq!(missing, HashSet::new());
}

#[test]
fn markdown_has_a_line_for_every_row() {
    let text = markdown();
    assert_eq!(text.lines().count(), table().len() + 2);
    let five_columns = |line: &str| line.matches('|').count() == 6;
    assert!(text.lines().all(five_columns), "{text}");
    assert!(text.contains("| accuauth | `CheckCurp` | `{\"curp\":\"QUOT900101HDFSND08\"}` | 403 OUT_OF_QUOTA | `RESOURCE_EXHAUSTED PROVIDER_QUOTA_EXHAUSTED` |"));
}

/// The row's request as the provider would get it.
fn upstream(sandbox: &Running, row: &Row) -> RequestBuilder {
    let request = request(row);
    let id = request["id"].as_str().unwrap_or_default();
    let person_path = format!("/v2/persons/{id}");
    let person = json!({
        "firstName": request["person"]["given_name"],
        "lastName": request["person"]["family_name"],
        "biometricData": { "faceImage": request["person"]["biometric_data"]["face_image"] }
    });
    match row.method.rsplit('/').next().unwrap() {
        "VerifyPeForeignerId" => {
            let date: Vec<_> = text(&request, "birthdate").split('-').rev().collect();
            sandbox.peru(text(&request, "document_number"), &date.join("/"))
        }
        "VerifyPeDni" => {
            let number = text(&request, "document_number");
            let path = format!("/v3/pe/cedula?documentType=DNI&documentNumber={number}");
            sandbox.verifik(Method::GET, &path)
        }
        "ScrubKenyaId" => {
            let id_type = match text(&request, "id_type") {
                "KENYA_ID_TYPE_PASSPORT" => "passport",
                "KENYA_ID_TYPE_SERVICE_ID" => "service-id",
                "KENYA_ID_TYPE_ALIEN_ID" => "alien-registration",
                _ => "national-id",
            };
            sandbox.kenya(&json!({ "id": id, "idType": id_type, "isSubjectConsent": true }))
        }
        "CheckCurp" => sandbox.mexico(&json!({ "id_number": text(&request, "curp") })),
        "CreatePerson" => sandbox.verifik_json(Method::POST, "/v2/persons", &person),
        "CreatePersonWithLiveness" => {
            sandbox.verifik_json(Method::POST, "/v2/persons/liveness", &person)
        }
        "GetPerson" => sandbox.verifik(Method::GET, &person_path),
        "ListPersons" => sandbox.verifik(Method::GET, "/v2/persons?page=1&limit=10"),
        "UpdatePerson" => {
            let path = format!("/v2/persons/{}", text(&request["person"], "id"));
            sandbox.verifik_json(Method::PUT, &path, &json!({ "email": "a@example.com" }))
        }
        "DeletePerson" => sandbox.verifik(Method::DELETE, &person_path),
        other => panic!("no upstream for {other}"),
    }
}

#[tokio::test]
async fn every_row_answers_with_the_status_it_names() {
    let sandbox = start().await;
    let mut asked = 0;
    // Twice: rows may be repeated, and no row spoils another.
    for row in table().iter().chain(table()) {
        // Spoilt answers have tests of their own.
        let Ok(status) = row.answer.get(..3).unwrap_or_default().parse::<u16>() else {
            continue;
        };
        let response = upstream(&sandbox, row).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{row:?}");
        asked += 1;
    }
    assert!(asked > table().len(), "{asked}");
}

#[tokio::test]
async fn error_answers_carry_the_code_that_the_row_names() {
    let sandbox = start().await;
    let codes = |row: &&Row| matches!(row.answer.get(..1), Some("4" | "5"));
    for row in table().iter().filter(codes) {
        let word = row.answer[3..].trim_start().split(',').next().unwrap();
        // Two rows are described in words, not by a code.
        if word.is_empty() || word.contains(' ') {
            continue;
        }
        let body = upstream(&sandbox, row)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let (body, word) = (
            body.to_lowercase(),
            word.trim_end_matches('…').to_lowercase(),
        );
        assert!(body.contains(&word), "{row:?} {body}");
    }
}
