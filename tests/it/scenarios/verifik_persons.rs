//! Verifik, person records: document verifik-persons and findings.

use serde_json::{Value, json};

use super::calls::{self, CREATE, create, create_with_liveness, delete, get, list, update};
use crate::{
    cases::{self, Case},
    provider::Does,
    table::{Call, Fails, Row, Setting},
    wire::{bytes, json as answer, says, sends},
};

/// The document's person.
pub fn john() -> Value {
    json!({
        "id": "person_123456789",
        "firstName": "John",
        "lastName": "Doe",
        "email": "john.doe@example.com",
        "phone": "+1234567890",
        "dateOfBirth": "1990-01-15",
        "documentType": "passport",
        "documentNumber": "123456789",
        "biometricData": {"faceImage": "/9j/4AAQSkZJRg==", "fingerprint": "AQIDBA==", "livenessScore": 0.95},
        "verificationStatus": "verified",
        "createdAt": "2024-01-15T10:30:00Z",
        "updatedAt": "2024-01-15T10:30:00Z"
    })
}

/// What the caller gets of him, without the images.
pub fn basic() -> Value {
    json!({
        "id": "person_123456789",
        "given_name": "John",
        "family_name": "Doe",
        "email": "john.doe@example.com",
        "phone_number": "+1234567890",
        "birthdate": "1990-01-15",
        "document_type": "passport",
        "document_number": "123456789",
        "biometric_data": {"liveness_score": 0.95},
        "verification_status": "VERIFICATION_STATUS_VERIFIED",
        "create_time": "2024-01-15T10:30:00Z",
        "update_time": "2024-01-15T10:30:00Z"
    })
}

/// What the caller gets of him, with the images.
pub fn full() -> Value {
    let mut person = basic();
    person["biometric_data"] = json!({"face_image": "/9j/4AAQSkZJRg==", "fingerprint": "AQIDBA==", "liveness_score": 0.95});
    person
}

/// John with something else in him.
fn with(changes: Value) -> Value {
    let mut person = john();
    for (name, value) in changes.as_object().unwrap() {
        person[name] = value.clone();
    }
    person
}

fn row(call: Call, what: &'static str, does: Vec<Does>) -> Row {
    Row::new("verifik", call, what, does)
}

pub fn rows() -> Vec<Row> {
    [
        answers(),
        lenient(),
        refused_creates(),
        refused_reads(),
        refused_changes(),
        request_ids(),
    ]
    .concat()
}

fn answers() -> Vec<Row> {
    let view = |view: &str| get().with("view", json!(view));
    let list_view = |view: &str| list().with("view", json!(view));
    let one = |call, what, does| row(call, what, does).answers([("", json!({"person": basic()}))]);
    let two = || {
        vec![
            Does::Answers(answer(200, john())),
            Does::Answers(answer(200, john())),
        ]
    };
    vec![
        one(create(), "200 to a create", says(200, john())),
        one(
            create(),
            "201 to a create",
            says(201, json!({"data": john()})),
        )
        .hidden(),
        one(
            create_with_liveness(),
            "200 to a create with liveness",
            says(200, john()),
        ),
        one(get(), "200 to a get", says(200, john())),
        one(
            view("PERSON_VIEW_BASIC"),
            "200 to a get, basic",
            says(200, john()),
        )
        .hidden(),
        row(
            view("PERSON_VIEW_FULL"),
            "200 to a get, full",
            says(200, john()),
        )
        .hidden()
        .answers([("", json!({"person": full()}))]),
        row(list(), "200 to a list", says(200, json!([john()])))
            .answers([("", json!({"persons": [basic()]}))]),
        row(
            list_view("PERSON_VIEW_FULL"),
            "200 to a list, full",
            says(200, json!({"data": [john()]})),
        )
        .hidden()
        .answers([("", json!({"persons": [full()]}))]),
        row(list(), "200 to a list of nobody", says(200, json!([])))
            .hidden()
            .answers([("", json!({}))]),
        one(update(), "200 to an update", two()),
        row(delete(), "200 to a delete", says(200, john())).answers([("", json!({}))]),
        row(delete(), "204 to a delete", sends(204, ""))
            .hidden()
            .answers([("", json!({}))]),
        row(
            delete(),
            "200 to a delete that says anything",
            sends(200, "deleted"),
        )
        .hidden()
        .answers([("", json!({}))]),
    ]
}

/// The newer pages' dialect, and values that mean none.
fn lenient() -> Vec<Row> {
    let odd = |what, body: Value, pointer, value| {
        row(get(), what, says(200, body))
            .hidden()
            .answers([(pointer, value)])
    };
    let born = |what, written: Value, date: Value| {
        let newer = json!({"_id": "person_123456789", "date_of_birth": written});
        odd(what, newer, "/person/birthdate", date)
    };
    let wrapped = json!({"id": "K0MMA", "data": with(json!({"id": null, "_id": "65a"})), "signature": {"message": "x"}});
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
            json!("65a"),
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

fn words(status: u16, code: Option<&str>, message: &str) -> Vec<Does> {
    says(
        status,
        match code {
            Some(code) => json!({"code": code, "message": message}),
            None => json!({"message": message}),
        },
    )
}

fn refused_creates() -> Vec<Row> {
    let refused = |call: fn() -> Call,
                   what,
                   case: &'static Case,
                   status,
                   code: &'static str,
                   message: &str| {
        let does = words(status, Some(code).filter(|code| !code.is_empty()), message);
        let told = if code.is_empty() {
            message.trim().trim_start_matches("409:")
        } else {
            code
        };
        let mut fails: Fails = case.answered(status, "");
        // A message that looks like a code is one, where there is no other.
        fails.provider_code = (!told.contains(' ')).then(|| &*told.to_owned().leak());
        row(call(), what, does).fails(fails)
    };
    let exists = &cases::PERSON_EXISTS;
    let faceless = &cases::LIVENESS;
    let live = create_with_liveness as fn() -> Call;
    let plain = create as fn() -> Call;
    let rejects = |what, status, code, message, field| {
        let row = refused(
            plain,
            what,
            &cases::REJECTED_ARGUMENT,
            status,
            code,
            message,
        );
        let mut row = row;
        if let crate::table::Expect::Fails(fails) = &mut row.expect {
            fails.fields = vec![field];
        }
        row
    };
    vec![
        refused(
            plain,
            "409:duplicated_person",
            exists,
            409,
            "",
            "409:duplicated_person\n",
        ),
        refused(
            plain,
            "409 duplicated_person as a code",
            exists,
            409,
            "duplicated_person",
            "duplicated",
        ),
        refused(
            plain,
            "409 Duplicated_Person in another case",
            exists,
            409,
            "",
            "Duplicated_Person",
        )
        .hidden(),
        refused(
            live,
            "409 duplicate with liveness",
            exists,
            409,
            "Conflict",
            "409:duplicated_person\n",
        )
        .hidden(),
        refused(
            plain,
            "412 person_already_set",
            exists,
            412,
            "",
            "person_already_set\n",
        ),
        refused(
            live,
            "409 liveness_failed",
            faceless,
            409,
            "",
            "liveness_failed\n",
        ),
        refused(
            live,
            "409 liveness_failed with more words",
            faceless,
            409,
            "Conflict",
            "409:liveness_failed: score 0.1\n",
        )
        .hidden(),
        refused(
            live,
            "409 no_face_detected",
            faceless,
            409,
            "no_face_detected",
            "no face",
        ),
        refused(
            live,
            "409 multiple_faces_detected",
            faceless,
            409,
            "",
            "multiple_faces_detected",
        ),
        refused(
            live,
            "412 only_images_in_base64",
            &cases::REJECTED_ARGUMENT,
            412,
            "",
            "only_images_in_base64\n",
        ),
        rejects(
            "409 MissingParameter",
            409,
            "MissingParameter",
            "missing firstName\n",
            "person.given_name",
        ),
        rejects(
            "409 INVALID_PARAMETERS",
            409,
            "INVALID_PARAMETERS",
            "email john.doe@example.com is not valid",
            "person.email",
        ),
        rejects(
            "412 about an image",
            412,
            "only_images_in_base64",
            "faceImage",
            "person.biometric_data.face_image",
        )
        .hidden(),
        refused(
            live,
            "409 about a missing argument of the liveness test",
            &cases::REJECTED_ARGUMENT,
            409,
            "MissingParameter",
            "missing livenessDetection\n",
        )
        .hidden(),
        refused(
            plain,
            "409 Endpoint_out_of_service",
            &cases::DOWN,
            409,
            "Endpoint_out_of_service",
            "out of service",
        ),
        refused(
            plain,
            "403 insufficient_credits",
            &cases::QUOTA,
            403,
            "insufficient_credits",
            "insufficient_credits",
        ),
        refused(
            plain,
            "403 token_expired",
            &cases::CREDENTIALS,
            403,
            "token_expired",
            "token_expired",
        ),
        refused(
            plain,
            "401 Unauthorized",
            &cases::CREDENTIALS,
            401,
            "Unauthorized",
            "Unauthorized",
        ),
        refused(
            plain,
            "500 internal_error",
            &cases::DOWN,
            500,
            "internal_error",
            "internal_error",
        ),
        row(
            create(),
            "404 without their JSON",
            sends(404, "<h1>no</h1>"),
        )
        .fails(cases::MISCONFIGURED.answered(404, "")),
        row(
            create(),
            "429 with Retry-After: 9",
            vec![Does::Answers(bytes(429, "").header("retry-after", "9"))],
        )
        .fails(cases::RATE_LIMITED_THERE.answered(429, "").retry(9)),
    ]
}

fn missing() -> Value {
    json!({"error": "Person not found", "message": "PERSON_NOT_FOUND"})
}

fn refused_reads() -> Vec<Row> {
    let not_found = || cases::PERSON_NOT_FOUND.answered(404, "PERSON_NOT_FOUND");
    vec![
        row(get(), "404 Person not found", says(404, missing())).fails(not_found()),
        row(
            get(),
            "404 with code NotFound",
            words(404, Some("NotFound"), "Record not found."),
        )
        .hidden()
        .fails(cases::PERSON_NOT_FOUND.answered(404, "NotFound")),
        row(get(), "404 without their JSON", sends(404, "<h1>no</h1>"))
            .fails(cases::MISCONFIGURED.answered(404, "")),
        row(
            get(),
            "403 token_expired",
            words(403, None, "token_expired"),
        )
        .hidden()
        .fails(cases::CREDENTIALS.answered(403, "token_expired")),
        row(get(), "503", sends(503, ""))
            .hidden()
            .fails(cases::DOWN.answered(503, "")),
        row(list(), "503", sends(503, ""))
            .hidden()
            .fails(cases::DOWN.answered(503, "")),
        row(
            list(),
            "403 insufficient_credits",
            words(403, None, "insufficient_credits"),
        )
        .hidden()
        .fails(cases::QUOTA.answered(403, "insufficient_credits")),
        row(
            list(),
            "a list with a person that has no id",
            says(200, json!([{"firstName": "John"}])),
        )
        .hidden()
        .fails(cases::MALFORMED.unanswered("not_billed").status(200)),
    ]
}

fn refused_changes() -> Vec<Row> {
    let not_found = || cases::PERSON_NOT_FOUND.answered(404, "PERSON_NOT_FOUND");
    let then = |second: Vec<Does>| [says(200, john()), second].concat();
    vec![
        row(
            update(),
            "404 to the read before an update",
            says(404, missing()),
        )
        .fails(not_found()),
        row(
            update(),
            "404 to the write of an update",
            then(says(404, missing())),
        )
        .hidden()
        .fails(not_found()),
        row(
            update(),
            "409 to the write of an update",
            then(words(409, Some("INVALID_PARAMETERS"), "email is not valid")),
        )
        .fails(
            cases::REJECTED_ARGUMENT
                .answered(409, "INVALID_PARAMETERS")
                .fields(["person.email"]),
        ),
        row(
            update(),
            "412 person_already_set",
            then(words(412, None, "person_already_set")),
        )
        .hidden()
        .fails(cases::PERSON_EXISTS.answered(412, "person_already_set")),
        row(
            update(),
            "the connection breaks at the read",
            vec![Does::Closes],
        )
        .hidden()
        .fails(cases::OUTCOME_UNKNOWN.unanswered("not_billed")),
        row(
            update(),
            "the connection breaks at the write",
            then(vec![Does::Closes]),
        )
        .hidden()
        .fails(cases::OUTCOME_UNKNOWN.unanswered("unknown")),
        row(delete(), "404 to a delete", says(404, missing())).fails(not_found()),
        row(delete(), "503 to a delete", sends(503, ""))
            .hidden()
            .fails(cases::DOWN.answered(503, "")),
    ]
}

fn request_ids() -> Vec<Row> {
    let id = json!("018f8c5e-7b1a-7c3d-9e2f-1a2b3c4d5e6f");
    let mut other = create().with("request_id", id.clone());
    other.request["person"]["email"] = json!("another@example.com");
    vec![
        row(
            other,
            "the same request_id with another content",
            Vec::new(),
        )
        .after(create().with("request_id", id.clone()), says(200, john()))
        .fails(cases::REQUEST_ID_REUSED.bare().fields(["request_id"])),
        row(
            create_with_liveness().with("request_id", id),
            "the same request_id at another method",
            Vec::new(),
        )
        .hidden()
        .fails(cases::REQUEST_ID_REUSED.bare().fields(["request_id"])),
        row(
            calls::call(CREATE, create().request),
            "no request_id",
            says(200, john()),
        )
        .hidden()
        .answers([("/person/id", json!("person_123456789"))]),
    ]
}
