//! Credentials, headers and fields that are missing or wrong are refused the way the provider does.

use super::*;
use crate::sandbox::sample::overlay;

#[tokio::test]
async fn verifik_needs_its_token() {
    let sandbox = start().await;
    for path in [
        "/v2/pe/foreigner-id/ce?documentNumber=005015372&dateOfBirth=16/08/1993",
        "/v2/persons",
        "/v2/persons/person_123456789",
    ] {
        let none = sandbox.request(Method::GET, path);
        let expected = json!({ "code": "Unauthorized", "message": "Unauthorized\n" });
        assert_eq!(send(none).await, (401, expected), "{path}");
        for wrong in ["Bearer other", VERIFIK_TOKEN, "Basic sandbox-verifik-token"] {
            let request = sandbox.request(Method::GET, path);
            let answer = send(request.header(AUTHORIZATION, wrong)).await;
            let expected =
                json!({ "code": "Unauthorized", "message": "Invalid or expired token.\n" });
            assert_eq!(answer, (401, expected), "{path} {wrong}");
        }
    }
}

#[tokio::test]
async fn verifik_names_what_is_missing_or_malformed() {
    let sandbox = start().await;
    let format = "dateOfBirth format required: DD/MM/YYYY\n";
    for (query, message) in [
        ("", "missing documentNumber\n. missing dateOfBirth\n"),
        (
            "?documentNumber=&dateOfBirth=16/08/1993",
            "missing documentNumber\n",
        ),
        ("?dateOfBirth=16/08/1993", "missing documentNumber\n"),
        ("?documentNumber=005015372", "missing dateOfBirth\n"),
        ("?documentNumber=005015372&dateOfBirth=1993-08-16", format),
        ("?documentNumber=005015372&dateOfBirth=31/02/1993", format),
        ("?documentNumber=005015372&dateOfBirth=1/8/1993", format),
    ] {
        let path = format!("/v2/pe/foreigner-id/ce{query}");
        let answer = send(sandbox.verifik(Method::GET, &path)).await;
        let expected = json!({ "code": "MissingParameter", "message": message });
        assert_eq!(answer, (409, expected), "{query}");
    }
}

#[tokio::test]
async fn youverify_needs_its_token() {
    let sandbox = start().await;
    let body = json!({ "id": "1234567", "idType": "national-id", "isSubjectConsent": true });
    let path = "/v2/api/identity/ke/id-scrub";
    let ask = || with_json(sandbox.request(Method::POST, path), &body);
    for (request, expected) in [
        (ask(), 401),
        (
            ask().header(AUTHORIZATION, format!("Bearer {YOUVERIFY_TOKEN}")),
            401,
        ),
        (ask().header("token", "other"), 403),
    ] {
        let (status, answer) = send(request).await;
        assert_eq!(status, expected);
        assert_eq!(answer["success"], json!(false));
        assert_eq!(answer["statusCode"], json!(expected));
        assert_eq!(answer["name"], "UnauthorizedError");
        assert_eq!(answer["data"], json!({}));
    }
}

#[tokio::test]
async fn youverify_names_what_is_missing_or_malformed() {
    let sandbox = start().await;
    let full = json!({ "id": "1234567", "idType": "national-id", "isSubjectConsent": true });
    for (change, message) in [
        (json!({ "id": null }), "\"id\" must be a string"),
        (json!({ "id": "" }), "\"id\" is not allowed to be empty"),
        (json!({ "id": 1_234_567 }), "\"id\" must be a string"),
        (
            json!({ "idType": "voter-card" }),
            "\"idType\" must be one of [national-id, passport, service-id, alien-registration]",
        ),
        (
            json!({ "isSubjectConsent": false }),
            "\"isSubjectConsent\" must be [true]",
        ),
        (
            json!({ "isSubjectConsent": "true" }),
            "\"isSubjectConsent\" must be a boolean",
        ),
        (
            json!({ "metadata": [] }),
            "\"metadata\" must be of type object",
        ),
    ] {
        let mut body = full.clone();
        overlay(&mut body, change);
        let (status, answer) = send(sandbox.kenya(&body)).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(answer["message"], message, "{body}");
    }
    let nothing = "\"id\" is required. \"idType\" is required. \"isSubjectConsent\" is required";
    let (status, answer) = send(sandbox.kenya(&json!({}))).await;
    assert_eq!((status, &answer["message"]), (400, &json!(nothing)));
    let not_said_to_be_json = sandbox
        .request(Method::POST, "/v2/api/identity/ke/id-scrub")
        .header("token", YOUVERIFY_TOKEN)
        .body(full.to_string());
    let (status, answer) = send(not_said_to_be_json).await;
    assert_eq!((status, &answer["message"]), (400, &json!(nothing)));
}

#[tokio::test]
async fn accuauth_needs_both_of_its_headers() {
    let sandbox = start().await;
    let body = json!({ "id_number": MX_CURP });
    let path = "/verify/id_check";
    let ask = || with_json(sandbox.request(Method::POST, path), &body);
    for request in [
        ask(),
        ask().header("X-DF-API-ID", ACCUAUTH_API_ID),
        ask().header("X-DF-API-SECRET", ACCUAUTH_API_SECRET),
        ask()
            .header("X-DF-API-ID", ACCUAUTH_API_ID)
            .header("X-DF-API-SECRET", "other"),
    ] {
        let (status, answer) = send(request).await;
        assert_eq!((status, &answer["status"]), (401, &json!("UNAUTHORIZED")));
        assert!(answer["reason"].is_string());
        assert!(answer["request_id"].as_str().unwrap().starts_with("TID"));
    }
}

#[tokio::test]
async fn accuauth_names_what_is_missing_or_malformed() {
    let sandbox = start().await;
    let not_found = "argument 'id_number': not found";
    for (request, reason) in [
        (sandbox.mexico(&json!({})), not_found),
        (sandbox.mexico(&json!({ "id_number": null })), not_found),
        (sandbox.mexico(&json!({ "curp": MX_CURP })), not_found),
        (sandbox.accuauth(), not_found),
        (sandbox.accuauth().body(r#"{"id_number":"X"}"#), not_found),
        (
            sandbox.mexico(&json!({ "id_number": "" })),
            "argument 'id_number': empty",
        ),
        (
            sandbox.mexico(&json!({ "id_number": 1 })),
            "argument 'id_number': must be a string",
        ),
    ] {
        let (status, mut answer) = send(request).await;
        let request_id = answer["request_id"].take();
        assert_eq!(request_id.as_str().unwrap().len(), 35);
        let expected =
            json!({ "status": "INVALID_ARGUMENT", "reason": reason, "request_id": null });
        assert_eq!((status, answer), (400, expected));
    }
}

#[tokio::test]
async fn a_wrong_route_is_refused_in_each_providers_way() {
    let sandbox = start().await;
    let (status, answer) = send(sandbox.request(Method::POST, "/v2/api/identity/ng/nin")).await;
    assert_eq!(
        (status, &answer["name"]),
        (404, &json!("ResourceNotFoundError"))
    );
    let (status, answer) = send(sandbox.request(Method::GET, "/verify/id_check")).await;
    assert_eq!((status, &answer["status"]), (404, &json!("NOT_FOUND")));
    let response = sandbox
        .verifik(Method::GET, "/v2/pe/dni")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let body = response.bytes().await.unwrap();
    assert!(
        serde_json::from_slice::<Value>(&body).is_err(),
        "without their JSON"
    );
}
