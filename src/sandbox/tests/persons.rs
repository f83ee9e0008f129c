//! Persons: kept, changed, listed and deleted, with the document's shapes.

use super::*;
use crate::sandbox::sample::overlay;

/// A PNG of one pixel.
const IMAGE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg==";

const PERSONS: &str = "/v2/persons";

async fn create(sandbox: &Running, path: &str, body: &Value) -> (u16, Value) {
    send(sandbox.verifik_json(Method::POST, path, body)).await
}

fn path_of(person: &Value) -> String {
    format!("{PERSONS}/{}", person["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_created_person_is_pending_and_can_be_read_changed_and_deleted() {
    let sandbox = start().await;
    let body = json!({
        "firstName": "John",
        "lastName": "Doe",
        "email": "john.doe@example.com",
        "phone": "+1234567890",
        "dateOfBirth": "1990-01-15",
        "documentType": "passport",
        "documentNumber": "123456789"
    });
    let (status, person) = create(&sandbox, PERSONS, &body).await;
    assert_eq!(status, 200);
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&person[name], value, "{name}");
    }
    assert_eq!(person["verificationStatus"], "pending");
    assert_eq!(person["createdAt"], person["updatedAt"]);
    let created: Result<jiff::Timestamp, _> = person["createdAt"].as_str().unwrap().parse();
    assert!(created.is_ok());

    let path = path_of(&person);
    assert_eq!(
        send(sandbox.verifik(Method::GET, &path)).await,
        (200, person.clone())
    );

    let change = json!({ "email": "j@example.com", "phone": null, "verificationStatus": "verified", "id": "x" });
    let (status, changed) = send(sandbox.verifik_json(Method::PUT, &path, &change)).await;
    let mut expected = person.clone();
    expected["email"] = json!("j@example.com");
    expected["updatedAt"] = changed["updatedAt"].clone();
    expected.as_object_mut().unwrap().remove("phone");
    assert_eq!(
        (status, &changed),
        (200, &expected),
        "partial; null clears; output only stays"
    );
    assert_eq!(send(sandbox.verifik(Method::GET, &path)).await.1, expected);

    let (status, _) = send(sandbox.verifik(Method::DELETE, &path)).await;
    assert_eq!(status, 200);
    let missing = json!({ "error": "Person not found", "message": "PERSON_NOT_FOUND" });
    for request in [
        sandbox.verifik(Method::GET, &path),
        sandbox.verifik(Method::DELETE, &path),
        sandbox.verifik_json(Method::PUT, &path, &change),
    ] {
        assert_eq!(send(request).await, (404, missing.clone()));
    }
}

#[tokio::test]
async fn liveness_verifies_and_keeps_the_images_as_given() {
    let sandbox = start().await;
    let path = "/v2/persons/liveness";
    // The document's own sample.
    let body = json!({
        "firstName": "John",
        "lastName": "Doe",
        "email": "john.doe@example.com",
        "biometricData": { "faceImage": "base64_encoded_image", "livenessDetection": true }
    });
    let (status, person) = create(&sandbox, path, &body).await;
    assert_eq!(
        (status, &person["verificationStatus"]),
        (200, &json!("verified"))
    );
    let expected = json!({ "faceImage": "base64_encoded_image", "livenessScore": 0.95 });
    assert_eq!(person["biometricData"], expected);

    let change = json!({ "biometricData": { "fingerprint": IMAGE, "livenessScore": 0.1 } });
    let (_, changed) = send(sandbox.verifik_json(Method::PUT, &path_of(&person), &change)).await;
    let expected = json!({
        "faceImage": "base64_encoded_image",
        "fingerprint": IMAGE,
        "livenessScore": 0.95
    });
    assert_eq!(changed["biometricData"], expected);
}

#[tokio::test]
async fn a_list_honours_page_and_limit() {
    let sandbox = start().await;
    for n in 0..4 {
        let body = json!({ "firstName": "A", "lastName": format!("N{n}") });
        create(&sandbox, PERSONS, &body).await;
    }
    let names = |answer: &Value| -> Vec<String> {
        let persons = answer["data"].as_array().unwrap();
        let name = |p: &Value| p["lastName"].as_str().unwrap().to_owned();
        persons.iter().map(name).collect()
    };
    for (query, expected) in [
        ("", &["Doe", "N0", "N1", "N2", "N3"][..]),
        ("?page=1&limit=2", &["Doe", "N0"]),
        ("?page=2&limit=2", &["N1", "N2"]),
        ("?page=3&limit=2", &["N3"]),
        ("?page=4&limit=2", &[]),
    ] {
        let path = format!("{PERSONS}{query}");
        let (status, answer) = send(sandbox.verifik(Method::GET, &path)).await;
        assert_eq!(
            (status, names(&answer).as_slice()),
            (
                200,
                &expected.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()[..]
            ),
            "{query}"
        );
        assert_eq!(answer["pagination"]["total"], json!(5));
    }
    let (_, answer) = send(sandbox.verifik(Method::GET, "/v2/persons?page=3&limit=2")).await;
    let expected = json!({ "page": 3, "limit": 2, "total": 5, "pages": 3 });
    assert_eq!(answer["pagination"], expected);
    for query in ["?page=0", "?limit=0", "?limit=-1", "?page=x"] {
        let path = format!("{PERSONS}{query}");
        let (status, answer) = send(sandbox.verifik(Method::GET, &path)).await;
        assert_eq!(
            (status, &answer["code"]),
            (409, &json!("INVALID_PARAMETERS")),
            "{query}"
        );
    }
}

#[tokio::test]
async fn missing_and_malformed_fields_are_refused() {
    let sandbox = start().await;
    let named = json!({ "firstName": "A", "lastName": "B" });
    for (path, change, status, message) in [
        (
            PERSONS,
            json!({ "firstName": "", "lastName": null }),
            409,
            "missing firstName\n. missing lastName\n",
        ),
        (
            PERSONS,
            json!({ "firstName": null, "lastName": " " }),
            409,
            "missing firstName\n. missing lastName\n",
        ),
        (
            "/v2/persons/liveness",
            json!({}),
            409,
            "missing faceImage\n",
        ),
        (PERSONS, json!({ "email": 1 }), 409, "invalid email\n"),
        (
            PERSONS,
            json!({ "biometricData": "x" }),
            409,
            "invalid biometricData\n",
        ),
        (
            PERSONS,
            json!({ "dateOfBirth": "15/01/1990" }),
            409,
            "dateOfBirth format required: YYYY-MM-DD\n",
        ),
        (
            PERSONS,
            json!({ "biometricData": { "faceImage": "not base64!" } }),
            412,
            "only_images_in_base64\n",
        ),
    ] {
        let mut body = named.clone();
        overlay(&mut body, change);
        let (got, answer) = create(&sandbox, path, &body).await;
        assert_eq!(
            (got, &answer["message"]),
            (status, &json!(message)),
            "{body}"
        );
    }
    let (_, list) = send(sandbox.verifik(Method::GET, PERSONS)).await;
    assert_eq!(list["pagination"]["total"], json!(1), "nothing was created");
}

#[tokio::test]
async fn a_refused_create_keeps_nobody_and_a_cut_one_keeps_the_person() {
    let sandbox = start().await;
    let total = async || {
        let (_, list) = send(sandbox.verifik(Method::GET, PERSONS)).await;
        list["pagination"]["total"].as_u64().unwrap()
    };
    let body = json!({ "firstName": "A", "lastName": "SANDBOX-DUPLICATE" });
    let (status, answer) = create(&sandbox, PERSONS, &body).await;
    assert_eq!(
        (status, &answer["message"]),
        (409, &json!("409:duplicated_person\n"))
    );
    assert_eq!(total().await, 1);
    let body = json!({ "firstName": "A", "lastName": "SANDBOX-CUTCONNECT" });
    let cut = sandbox
        .verifik_json(Method::POST, PERSONS, &body)
        .send()
        .await;
    assert!(cut.is_err());
    assert_eq!(
        total().await,
        2,
        "the outcome is unknown to the caller only"
    );
}

#[tokio::test]
async fn liveness_refusals_act_on_liveness_only() {
    let sandbox = start().await;
    for word in ["LIVENESS-FAILED", "NO-FACE", "MULTIPLE-FACES"] {
        let last_name = format!("SANDBOX-{word}");
        let body = json!({ "firstName": "A", "lastName": last_name, "biometricData": { "faceImage": IMAGE } });
        assert_eq!(
            create(&sandbox, "/v2/persons/liveness", &body).await.0,
            409,
            "{word}"
        );
        assert_eq!(create(&sandbox, PERSONS, &body).await.0, 200, "{word}");
    }
}
