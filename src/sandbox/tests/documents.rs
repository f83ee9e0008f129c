//! The documents' own requests get the documents' own answers, field by field. The answers below are
//! copied from the documents; only what looks like a real person is replaced.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::sandbox::{pdf, samples};

const VERIFIK_FOUND: &str = r#"{
    "data": {
        "arrayName": [
            "CORDERO",
            "SANCHEZ",
            "ANA",
            "RENE"
        ],
        "dateOfBirth": "16/08/1993",
        "documentNumber": "005015372",
        "firstName": "ANA RENE",
        "foreignerIdExpiration": "12/08/2025",
        "foreignerIdLastIssuance": "12/08/2021",
        "fullName": "ANA RENE CORDERO SANCHEZ",
        "immigrationStatus": "HUMANITARIA",
        "lastName": "CORDERO CAMPERO",
        "nationality": "VENEZOLANA",
        "residenceExpiration": "26/02/2025"
    },
    "signature": {
        "dateTime": "November 6, 2024 3:22 PM",
        "message": "Certified by Verifik.co"
    },
    "id": "K0MMA"
}"#;

const VERIFIK_NOT_FOUND: &str = r#"{
    "code": "NotFound",
    "message": "Record not found.",
    "signature": {
        "dateTime": "August 31, 2022 3:24 PM",
        "message": "Certified by Verifik.co"
    }
}"#;

const YOUVERIFY_FOUND: &str = r#"{
    "success": true,
    "statusCode": 200,
    "message": "success",
    "data": {
        "id": "64eed6026b1a9b8f72c2925e",
        "parentId": null,
        "status": "found",
        "reason": null,
        "dataValidation": false,
        "selfieValidation": false,
        "dateOfBirth": "1999-12-31T21:00:00Z",
        "identityType": "national-id",
        "isConsent": true,
        "idNumber": "1234567",
        "businessId": "628b38f03ae28a14f52d4bf7",
        "firstName": "John",
        "middleName": "M",
        "lastName": "Doe",
        "fullName": "John M Doe",
        "gender": "Male",
        "maritalStatus": "Married",
        "email": "john.doe@example.com",
        "homeTelephoneNumber": "+8760000000",
        "mobileTelephoneNumber": "254700000000",
        "workTelephoneNumber": "040-0000000",
        "employmentName": "Teachers Service Commission.",
        "lastEmployment": "NotSpecified",
        "mainAddress": {
            "address": "NYAHURURU  KCC",
            "country": "KE",
            "town": "Nyahururu"
        },
        "secondaryAddress": {
            "address": "NAKURU-CENTRE",
            "country": "KE",
            "town": "NYAHURURU",
            "postalCode": "20300"
        },
        "contractSummary": {
            "closedContracts": "2",
            "openContracts": "10"
        },
        "inquiries": {
            "numberOfInquiriesLast12Months": "89",
            "numberOfInquiriesLast1Month": "6",
            "numberOfInquiriesLast24Months": "355",
            "numberOfInquiriesLast3Months": "12",
            "numberOfInquiriesLast6Months": "27"
        },
        "type": "keCreditInfo",
        "allValidationPassed": true,
        "requestedAt": "2023-08-30T05:39:15.781Z",
        "requestedById": "628b38f03ae28a5a122d4bf3",
        "country": "KE",
        "createdAt": "2023-08-30T05:39:15.974Z",
        "lastModifiedAt": "2023-08-30T05:39:15.974Z",
        "metadata": {},
        "requestedBy": {
            "firstName": "API",
            "lastName": "User",
            "middleName": "",
            "id": "628b38f03ae28a5a122d4bf3"
        }
    },
    "links": []
}"#;

const YOUVERIFY_NOT_FOUND: &str = r#"{
    "success": true,
    "statusCode": 200,
    "message": "success",
    "data": {
        "id": "64db6940563aa72892176950",
        "parentId": null,
        "status": "not_found",
        "reason": "Person Not Found",
        "dataValidation": false,
        "selfieValidation": false,
        "dateOfBirth": null,
        "identityType": "national-id",
        "isConsent": true,
        "idNumber": "00000000",
        "businessId": "628b38f03ae28a14f52d4bf7",
        "email":null,
        "homeTelephoneNumber": null,
        "mobileTelephoneNumber": null,
        "workTelephoneNumber": null,
        "type": "keCreditInfoPhone",
        "allValidationPassed": true,
        "requestedAt": "2023-08-15T12:02:09.602Z",
        "requestedById": "628b38f03ae28a5a122d4bf3",
        "country": "KE",
        "createdAt": "2023-08-15T12:02:09.767Z",
        "lastModifiedAt": "2023-08-15T12:02:09.767Z",
        "metadata": {},
        "requestedBy": {
            "firstName": "API",
            "lastName": "User",
            "middleName": "",
            "id": "628b38f13ae28a7b742d4bf9"
        }
    },
    "links": []
}"#;

const YOUVERIFY_ERROR: &str = r#"{
  "success": false,
  "statusCode": 404,
  "message": "You have attempted to get a resource that does not exist.",
  "name": "ResourceNotFoundError",
  "data": {}
}"#;

const ACCUAUTH_FOUND: &str = r#"{
"status": "OK",
"result_code": "0",
"result_message": "success",
"result": {
"estatus": "OK",
"codigoValidacion": "vc16752xxxxx1.73xxxxxx",
"curp": "RAZR81101xxxxxxxx",
"nombre": "ROBERTO ALONSO",
"apellidoPaterno": "RAXXX",
"apellidoMaterno": "ZAPAXX",
"sexo": "HOMBRE",
"fechaNacimiento": "11/10/1981",
"paisNacimiento": "MEXICO",
"estadoNacimiento": "VERACRUZ",
"docProbatorio": 1,
"datosDocProbatorio": {
"entidadRegistro": "VERACRUZ",
"tomo": "",
"claveMunicipioRegistro": "108",
"anioReg": "1983",
"claveEntidadRegistro": "30",
"foja": "",
"numActa": "03382",
"libro": "",
"municipioRegistro": "MINATITLÁN"
},
"estatusCurp": "RCN",
"codigoMensaje": "0",
"documento": "Base64 encoded data"
},
"request_id": "TID6f814b81bfb44c97a63b13e2750a3a2a"
}"#;

const PERSON: &str = r#"{
"id": "person_123456789",
"firstName": "John",
"lastName": "Doe",
"email": "john.doe@example.com",
"phone": "+1234567890",
"dateOfBirth": "1990-01-15",
"documentType": "passport",
"documentNumber": "123456789",
"biometricData": {
"faceImage": "base64_encoded_image",
"fingerprint": "base64_encoded_fingerprint",
"livenessScore": 0.95
},
"verificationStatus": "verified",
"createdAt": "2024-01-15T10:30:00Z",
"updatedAt": "2024-01-15T10:30:00Z"
}"#;

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Takes the value at `pointer` out of both and returns the one of the answer.
fn set_aside(answer: &mut Value, document: &mut Value, pointer: &str) -> String {
    *document.pointer_mut(pointer).unwrap() = json!("set aside");
    let found = answer.pointer_mut(pointer).unwrap();
    std::mem::replace(found, json!("set aside"))
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn verifik_foreigner_id() {
    let sandbox = start().await;
    let answer = send(sandbox.peru("005015372", "16/08/1993")).await;
    assert_eq!(answer, (200, document(VERIFIK_FOUND)));
    let encoded = send(sandbox.peru("005015372", "16%2F08%2F1993")).await;
    assert_eq!(encoded, answer, "percent-encoding makes no difference");
    let not_found = (404, document(VERIFIK_NOT_FOUND));
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
    assert_eq!(send(ask("1234567")).await, (200, document(YOUVERIFY_FOUND)));
    assert_eq!(
        send(ask("00000000")).await,
        (200, document(YOUVERIFY_NOT_FOUND))
    );
    assert_eq!(
        send(ask("900000404")).await,
        (404, document(YOUVERIFY_ERROR))
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
    let body = json!({ "id_number": samples::MX_CURP });
    let (status, mut answer) = send(sandbox.mexico(&body)).await;
    let mut document = document(ACCUAUTH_FOUND);
    let curp = set_aside(&mut answer, &mut document, "/result/curp");
    let pdf = set_aside(&mut answer, &mut document, "/result/documento");
    assert_eq!((status, answer), (200, document));
    assert!(curp.starts_with("RAZR811011HVZ"), "fits the sample");
    assert_eq!(STANDARD.decode(pdf).unwrap(), pdf::sample());
}

#[tokio::test]
async fn accuauth_takes_a_form_too() {
    let sandbox = start().await;
    let form = sandbox
        .accuauth()
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(format!("id_number={}", samples::MX_CURP));
    let json = sandbox.mexico(&json!({ "id_number": samples::MX_CURP }));
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
    let (status, mut answer) = send(sandbox.verifik(Method::GET, path)).await;
    let mut document = document(PERSON);
    for pointer in ["/biometricData/faceImage", "/biometricData/fingerprint"] {
        let image = set_aside(&mut answer, &mut document, pointer);
        assert!(STANDARD.decode(image).unwrap().starts_with(b"\x89PNG"));
    }
    assert_eq!((status, answer), (200, document));
}

#[test]
fn the_pdf_has_a_true_cross_reference_table() {
    let file = String::from_utf8(pdf::sample()).unwrap();
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
