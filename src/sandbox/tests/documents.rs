//! The documents' own requests get the documents' own answers, which are the files of `samples/`,
//! field by field.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

#[tokio::test]
async fn verifik_foreigner_id() {
    let sandbox = start().await;
    let answer = send(sandbox.peru("005015372", "16/08/1993")).await;
    assert_eq!(answer, (200, document("verifik/foreigner_found")));
    let encoded = send(sandbox.peru("005015372", "16%2F08%2F1993")).await;
    assert_eq!(encoded, answer, "percent-encoding makes no difference");
    let not_found = (404, document("verifik/foreigner_not_found"));
    let other_date = send(sandbox.peru("005015372", "17/08/1993")).await;
    assert_eq!(other_date, not_found, "number and birth date must match");
    assert_eq!(
        send(sandbox.peru("123456789", "16/08/1993")).await,
        not_found
    );
}

#[tokio::test]
async fn youverify_id_scrub() {
    let sandbox = start().await;
    let ask = |id: &str| {
        sandbox.kenya(&json!({ "id": id, "idType": "national-id", "isSubjectConsent": true }))
    };
    assert_eq!(
        send(ask("1234567")).await,
        (200, document("youverify/kenya_found"))
    );
    assert_eq!(
        send(ask("00000000")).await,
        (200, document("youverify/kenya_not_found"))
    );
    assert_eq!(
        send(ask("900000404")).await,
        (404, document("youverify/kenya_error"))
    );
}

#[tokio::test]
async fn youverify_not_found_names_the_number_asked() {
    let sandbox = start().await;
    let body = json!({ "id": "A1234567", "idType": "passport", "isSubjectConsent": true });
    let (status, answer) = send(sandbox.kenya(&body)).await;
    let data = &answer["data"];
    assert_eq!(
        (
            status,
            &data["status"],
            &data["idNumber"],
            &data["identityType"]
        ),
        (
            200,
            &json!("not_found"),
            &json!("A1234567"),
            &json!("passport")
        )
    );
}

#[tokio::test]
async fn youverify_returns_metadata_as_sent() {
    let sandbox = start().await;
    let metadata = json!({ "ticket": { "n": 1.5, "none": null }, "list": [true, "x"] });
    for id in ["1234567", "00000000", "7654321"] {
        let body = json!({ "id": id, "idType": "national-id", "isSubjectConsent": true, "metadata": metadata });
        let (_, answer) = send(sandbox.kenya(&body)).await;
        assert_eq!(answer["data"]["metadata"], metadata, "{id}");
    }
}

#[tokio::test]
async fn accuauth_id_check() {
    let sandbox = start().await;
    let body = json!({ "id_number": MX_CURP });
    let answer = send(sandbox.mexico(&body)).await;
    assert_eq!(answer, (200, document("accuauth/curp_found")));
}

#[tokio::test]
async fn accuauth_takes_a_form_too() {
    let sandbox = start().await;
    let form = sandbox
        .accuauth()
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(format!("id_number={}", MX_CURP));
    let json = sandbox.mexico(&json!({ "id_number": MX_CURP }));
    assert_eq!(send(form).await, send(json).await);
}

#[tokio::test]
async fn accuauth_found_agrees_with_the_curp() {
    let sandbox = start().await;
    let (_, answer) = send(sandbox.mexico(&json!({ "id_number": "EXIS041231XDFSNDA3" }))).await;
    assert_eq!(answer["result"]["fechaNacimiento"], "31/12/2004");
    assert_eq!(answer["result"]["sexo"], "X");
    let (_, answer) = send(sandbox.mexico(&json!({ "id_number": "NUEV900101HDFSND06" }))).await;
    assert_eq!(answer["result"]["curp"], "NUEW900101HDFSND01");
    assert_eq!(answer["result"]["fechaNacimiento"], "01/01/1990");
}

#[tokio::test]
async fn verifik_person() {
    let sandbox = start().await;
    let path = "/v2/persons/person_123456789";
    let answer = send(sandbox.verifik(Method::GET, path)).await;
    assert_eq!(answer, (200, document("verifik/person")));
}

/// What stands for the documents' placeholders can be shown: a viewer may refuse a file with wrong offsets.
#[test]
fn the_pdf_has_a_true_cross_reference_table_and_the_images_are_png() {
    let decoded = |sample: &Value, pointer: &str| {
        let text = sample.pointer(pointer).unwrap().as_str().unwrap();
        STANDARD.decode(text).unwrap()
    };
    let person = document("verifik/person");
    for pointer in ["/biometricData/faceImage", "/biometricData/fingerprint"] {
        assert!(decoded(&person, pointer).starts_with(b"\x89PNG"));
    }
    let file = decoded(&document("accuauth/curp_found"), "/result/documento");
    let file = String::from_utf8(file).unwrap();
    assert!(file.starts_with("%PDF-1.4\n") && file.ends_with("%%EOF\n"));
    let start = file.split("startxref\n").nth(1).unwrap();
    let start: usize = start.lines().next().unwrap().parse().unwrap();
    let table = &file[start..];
    assert!(table.starts_with("xref\n0 6\n0000000000 65535 f \n"));
    for (number, entry) in table.lines().skip(3).take(5).enumerate() {
        let offset: usize = entry[..10].parse().unwrap();
        let object = format!("{} 0 obj\n", number + 1);
        assert!(file[offset..].starts_with(&object), "{entry}");
    }
}

/// The oddities arrive as such: a row that was tidied up would test nothing.
#[tokio::test]
async fn oddities_are_odd() {
    let sandbox = start().await;
    let (_, peru) = send(sandbox.peru("ODDITIES", "16/08/1993")).await;
    let asked = json!({ "id": "900001009", "idType": "national-id", "isSubjectConsent": true });
    let (_, kenya) = send(sandbox.kenya(&asked)).await;
    let (_, mexico) = send(sandbox.mexico(&json!({ "id_number": "CURI900101MDFSND00" }))).await;
    for (answer, pointer, expected) in [
        (&peru, "/data/documentNumber", json!(900_000_009)),
        (&peru, "/data/nationality", json!("not_available")),
        (&peru, "/data/arrayName", json!(null)),
        (&peru, "/id", json!(null)),
        (&kenya, "/data/idNumber", json!(900_001_009)),
        (&kenya, "/data/gender", json!("NotSpecified")),
        (&kenya, "/data/mainAddress", json!(null)),
        (&kenya, "/data/contractSummary/closedContracts", json!(2)),
        (&kenya, "/links", json!(null)),
        (&mexico, "/result_code", json!(0)),
        (&mexico, "/result/docProbatorio", json!("1")),
        (&mexico, "/result/datosDocProbatorio/anioReg", json!(1990)),
        (&mexico, "/result/documento", json!(null)),
    ] {
        assert_eq!(answer.pointer(pointer), Some(&expected), "{pointer}");
    }
    for (answer, pointer) in [
        (&peru, "/data/foreignerIdExpiration"),
        (&kenya, "/data/dateOfBirth"),
        (&mexico, "/result/fechaNacimiento"),
    ] {
        let date = answer.pointer(pointer).unwrap().as_str().unwrap();
        assert!(date.starts_with("Wed Jan 01 3000"), "{pointer}");
    }
    let (_, newer) = send(sandbox.verifik(Method::GET, "/v2/persons/person_wrapped")).await;
    assert_eq!(newer["data"]["_id"], "person_wrapped");
    assert_eq!(newer["data"]["date_of_birth"]["year"], json!(1990));
    assert_eq!(newer["data"].get("id"), None);
}
