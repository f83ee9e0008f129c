//! What goes out to the providers: method, path, query, headers and body, exactly as documented.

use serde_json::{Value, json};

use crate::{
    it::{
        scenarios::{
            accuauth,
            calls::{self, KENYA},
            verifik, verifik_dni, verifik_persons, youverify,
        },
        stage::Stage,
        table::{Call, Setting},
    },
    kit::{
        companies::{API_ID, API_SECRET, VERIFIK_TOKEN, YOUVERIFY_TOKEN},
        provider::{Does, Received},
        wire::{json as answer, says},
    },
};

/// What HTTP itself needs; nothing else may be added to the documented headers.
const TRANSPORT: [&str; 4] = ["host", "user-agent", "accept", "content-length"];

/// What a request must look like.
struct Wanted {
    line: String,
    headers: Vec<(&'static str, String)>,
    body: Value,
}

fn verifik(method: &str, target: &str, body: Value) -> Wanted {
    Wanted {
        line: format!("{method} {target}"),
        headers: vec![
            ("authorization", format!("Bearer {VERIFIK_TOKEN}")),
            ("content-type", "application/json".to_owned()),
        ],
        body,
    }
}

fn youverify(body: Value) -> Wanted {
    Wanted {
        line: "POST /v2/api/identity/ke/id-scrub".to_owned(),
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("token", YOUVERIFY_TOKEN.to_owned()),
        ],
        body,
    }
}

fn accuauth(content_type: &str, body: Value) -> Wanted {
    Wanted {
        line: "POST /verify/id_check".to_owned(),
        headers: vec![
            ("content-type", content_type.to_owned()),
            ("x-df-api-id", API_ID.to_owned()),
            ("x-df-api-secret", API_SECRET.to_owned()),
        ],
        body,
    }
}

fn check(what: &str, received: &Received, wanted: &Wanted) {
    let line = format!("{} {}", received.method, received.target);
    assert_eq!(line, wanted.line, "{what}");
    let mut headers: Vec<_> = received
        .headers
        .iter()
        .filter(|(name, _)| !TRANSPORT.contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    headers.sort();
    assert_eq!(headers, wanted.headers, "{what}");
    if wanted.body.is_null() {
        assert_eq!(String::from_utf8_lossy(&received.body), "", "{what}");
    } else {
        let body = serde_json::from_slice(&received.body);
        // A form is compared as the text it is.
        let text = || json!(String::from_utf8_lossy(&received.body));
        assert_eq!(body.unwrap_or_else(|_| text()), wanted.body, "{what}");
    }
}

async fn sends(stage: &Stage, call: Call, does: Vec<Does>, wanted: &[Wanted]) {
    stage.provider.next(does);
    let answered = stage.gateway.client.call(call.method, &call.request).await;
    let what = format!("{} {}", call.method, call.request);
    assert!(answered.is_ok(), "{what}: {answered:?}");
    let received = stage.provider.received();
    assert_eq!(received.len(), wanted.len(), "{what}");
    for (received, wanted) in received.iter().zip(wanted) {
        check(&what, received, wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_are_sent_exactly_as_documented() {
    let stage = Stage::set(Setting::Usual).await;
    let query = "/v2/pe/foreigner-id/ce?documentNumber=005015372&dateOfBirth=16%2F08%2F1993";
    let found = || says(200, verifik::found());
    sends(
        &stage,
        calls::foreigner(),
        found(),
        &[verifik("GET", query, Value::Null)],
    )
    .await;
    let early = json!({"document_number": "00123456789A", "birthdate": "2001-02-03"});
    let query = "/v2/pe/foreigner-id/ce?documentNumber=00123456789A&dateOfBirth=03%2F02%2F2001";
    let call = calls::call(calls::FOREIGNER, early);
    sends(&stage, call, found(), &[verifik("GET", query, Value::Null)]).await;

    let found = || says(200, verifik_dni::found());
    let query = "/v3/pe/cedula?documentType=DNI&documentNumber=71640001";
    let sent = [verifik("GET", query, Value::Null)];
    sends(&stage, calls::dni(), found(), &sent).await;

    let found = || says(200, youverify::found());
    for (id, id_type, word) in [
        ("1234567", "NATIONAL_ID", "national-id"),
        ("A1234567", "PASSPORT", "passport"),
        ("KDF/123-4", "SERVICE_ID", "service-id"),
        ("123456", "ALIEN_ID", "alien-registration"),
    ] {
        let id_type = format!("KENYA_ID_TYPE_{id_type}");
        let call = calls::call(
            KENYA,
            json!({"id": id, "id_type": id_type, "subject_consent": true}),
        );
        let body = json!({"id": id, "idType": word, "isSubjectConsent": true});
        sends(&stage, call, found(), &[youverify(body)]).await;
    }
    let metadata = json!({"ticket": "T-1", "deep": {"list": [1, 2.5, null, true, "é"]}});
    let call = calls::kenya().with("metadata", metadata.clone());
    let body = json!({"id": "1234567", "idType": "national-id", "isSubjectConsent": true, "metadata": metadata});
    sends(&stage, call, found(), &[youverify(body)]).await;

    let body = json!({"id_number": calls::ASKED});
    let wanted = accuauth("application/json", body);
    sends(
        &stage,
        calls::curp(),
        says(200, accuauth::found()),
        &[wanted],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn persons_are_sent_exactly_as_documented() {
    let stage = Stage::set(Setting::Usual).await;
    let john = || says(200, verifik_persons::john());
    let created = json!({
        "firstName": "John", "lastName": "Doe-Fictional", "email": "john.doe@example.com",
        "phone": "+1234567890", "dateOfBirth": "1990-01-15",
        "documentType": "passport", "documentNumber": "123456789"
    });
    sends(
        &stage,
        calls::create(),
        john(),
        &[verifik("POST", "/v2/persons", created)],
    )
    .await;
    let alive = json!({
        "firstName": "John", "lastName": "Doe-Fictional", "email": "john.doe@example.com",
        "biometricData": {"faceImage": "/9j/4AAQSkZJRg==", "livenessDetection": true}
    });
    let wanted = verifik("POST", "/v2/persons/liveness", alive);
    sends(&stage, calls::create_with_liveness(), john(), &[wanted]).await;
    // Images travel as base64; what only the provider may set does not travel.
    let mut images = calls::create();
    images.request["person"] = json!({
        "id": "person_1", "given_name": "Ana", "family_name": "Fictional",
        "biometric_data": {"face_image": "AQID", "fingerprint": "+/8=", "liveness_score": 1},
        "verification_status": "VERIFICATION_STATUS_VERIFIED"
    });
    let body = json!({
        "firstName": "Ana", "lastName": "Fictional",
        "biometricData": {"faceImage": "AQID", "fingerprint": "+/8="}
    });
    sends(
        &stage,
        images,
        john(),
        &[verifik("POST", "/v2/persons", body)],
    )
    .await;

    let one = "/v2/persons/person_123456789";
    sends(
        &stage,
        calls::get(),
        john(),
        &[verifik("GET", one, Value::Null)],
    )
    .await;
    sends(
        &stage,
        calls::delete(),
        john(),
        &[verifik("DELETE", one, Value::Null)],
    )
    .await;
    let list = |target: &str| [verifik("GET", target, Value::Null)];
    let nobody = || says(200, json!([]));
    sends(
        &stage,
        calls::list(),
        nobody(),
        &list("/v2/persons?page=1&limit=50"),
    )
    .await;
    let seven = calls::list().with("page_size", json!(7));
    sends(&stage, seven, nobody(), &list("/v2/persons?page=1&limit=7")).await;
    let thousand = calls::list().with("page_size", json!(1000));
    sends(
        &stage,
        thousand,
        nobody(),
        &list("/v2/persons?page=1&limit=1000"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_documents_leave_open_is_sent_as_configured() {
    let stage = Stage::set(Setting::Unusual).await;
    let wanted = accuauth(
        "application/x-www-form-urlencoded",
        json!(format!("id_number={}", calls::ASKED)),
    );
    sends(
        &stage,
        calls::curp(),
        says(200, accuauth::found()),
        &[wanted],
    )
    .await;
    for (id_type, word) in [
        ("ALIEN_ID", "alien-id"),
        ("NATIONAL_ID", "nin"),
        ("PASSPORT", "passport"),
    ] {
        let request = json!({"id": "1234567", "id_type": format!("KENYA_ID_TYPE_{id_type}"), "subject_consent": true});
        let body = json!({"id": "1234567", "idType": word, "isSubjectConsent": true});
        let call = calls::call(KENYA, request);
        sends(
            &stage,
            call,
            says(200, youverify::found()),
            &[youverify(body)],
        )
        .await;
    }
    let john = || says(200, verifik_persons::john());
    let one = "/v3/persons/person_123456789";
    sends(
        &stage,
        calls::get(),
        john(),
        &[verifik("GET", one, Value::Null)],
    )
    .await;
    let live = calls::create_with_liveness();
    stage.provider.next(john());
    stage
        .gateway
        .client
        .call(live.method, &live.request)
        .await
        .unwrap();
    assert_eq!(stage.provider.received()[0].target, "/v3/persons/liveness");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_reads_changes_and_writes_everything() {
    let stage = Stage::set(Setting::Usual).await;
    let one = "/v2/persons/person_123456789";
    let wanted = |body: Value| [verifik("GET", one, Value::Null), verifik("PUT", one, body)];
    let script = |changed: &Value| {
        let person = verifik_persons::john();
        vec![
            Does::Answers(answer(200, json!({"data": person, "id": "K0MMA"}))),
            Does::Answers(answer(200, changed.clone())),
        ]
    };
    // What Verifik owns is not written.
    let without_owned = |mut person: Value| {
        let fields = person.as_object_mut().unwrap();
        fields.retain(|name, _| {
            !["verificationStatus", "createdAt", "updatedAt"].contains(&name.as_str())
        });
        let biometric = fields["biometricData"].as_object_mut().unwrap();
        biometric.remove("livenessScore");
        person
    };
    let update = |person: Value, mask: Option<&str>| {
        let mut request = json!({"person": person});
        request["person"]["id"] = json!("person_123456789");
        if let Some(mask) = mask {
            request["update_mask"] = json!(mask);
        }
        calls::call(calls::UPDATE, request)
    };
    let john_with = |changes: Value| {
        let mut john = verifik_persons::john();
        for (name, value) in changes.as_object().unwrap() {
            john[name] = value.clone();
        }
        john
    };
    let biometric = |face: Value, print: Value| json!({"biometricData": {"faceImage": face, "fingerprint": print, "livenessScore": 0.95}});
    for (person, mask, changed) in [
        (
            json!({"email": "new@example.com"}),
            Some("email"),
            json!({"email": "new@example.com"}),
        ),
        // What the mask does not name is not changed, although it is there.
        (
            json!({"email": "new@example.com", "phone_number": "+2540000"}),
            Some("email"),
            json!({"email": "new@example.com"}),
        ),
        // Named and absent: cleared, also by a PUT that merges.
        (
            json!({}),
            Some("email,phoneNumber"),
            json!({"email": null, "phone": null}),
        ),
        // No mask: every populated field.
        (
            json!({"given_name": "Ana", "birthdate": "1991-02-03"}),
            None,
            json!({"firstName": "Ana", "dateOfBirth": "1991-02-03"}),
        ),
        (
            json!({"biometric_data": {"face_image": "AQID"}}),
            Some("biometricData.faceImage"),
            biometric(json!("AQID"), json!("AQIDBA==")),
        ),
        (
            json!({}),
            Some("biometricData"),
            biometric(Value::Null, Value::Null),
        ),
    ] {
        let changed = john_with(changed);
        sends(
            &stage,
            update(person, mask),
            script(&changed),
            &wanted(without_owned(changed)),
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_url_may_have_a_path_of_its_own() {
    let provider = crate::kit::provider::Provider::start().await;
    let base = format!("http://{}/verifik/", provider.address);
    let gateway = crate::kit::gateway::Gateway::serve([
        ("IDGW_PROVIDERS__VERIFIK__BASE_URL", base.as_str()),
        ("IDGW_PROVIDERS__VERIFIK__TOKEN", VERIFIK_TOKEN),
    ])
    .await;
    provider.next(says(200, verifik_persons::john()));
    gateway
        .client
        .call(calls::GET, &calls::get().request)
        .await
        .unwrap();
    assert_eq!(
        provider.received()[0].target,
        "/verifik/v2/persons/person_123456789"
    );
}
