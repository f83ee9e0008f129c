//! Verifik, person records: document verifik-persons and findings.

mod fields;
mod refused;

use serde_json::{Value, json};

use super::calls::{self, CREATE, create, create_with_liveness, delete, get, list, update};
use crate::{
    it::{
        cases,
        table::{Call, Row},
    },
    kit::{
        provider::Does,
        wire::{json as answer, sample, says, sends},
    },
};

/// The document's person, with two images that differ.
pub fn john() -> Value {
    let mut person = sample("verifik/person");
    let images =
        json!({"faceImage": "/9j/4AAQSkZJRg==", "fingerprint": "AQIDBA==", "livenessScore": 0.95});
    person["biometricData"] = images;
    person
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
        fields::lenient(),
        refused::refused_creates(),
        refused::refused_reads(),
        refused::refused_changes(),
        request_ids(),
    ]
    .concat()
}

fn answers() -> Vec<Row> {
    let view = |view: &str| get().with("view", json!(view));
    let list_view = |view: &str| list().with("view", json!(view));
    let one = |call, what, does| row(call, what, does).answers([("", json!({"person": basic()}))]);
    let changed = |after: Value| {
        vec![
            Does::Answers(answer(200, john())),
            Does::Answers(answer(200, with(after))),
        ]
    };
    let renamed = || json!({"email": "john.new@example.com"});
    let lost = |what, after: Value| {
        row(update(), what, changed(after)).fails(cases::PERSON_CHANGED.unanswered("unknown"))
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
        row(
            list(),
            "200 to a list",
            says(
                200,
                json!({"data": [john()], "pagination": {"pages": 1, "total": 1}}),
            ),
        )
        .answers([("", json!({"persons": [basic()]}))]),
        row(
            list_view("PERSON_VIEW_FULL"),
            "200 to a list, full",
            says(200, json!({"data": [john()], "pagination": {"total": 1}})),
        )
        .hidden()
        .answers([("", json!({"persons": [full()]}))]),
        row(list(), "200 to a list of nobody", says(200, json!([])))
            .hidden()
            .answers([("", json!({}))]),
        row(
            list(),
            "200 to a list, in `data.docs`",
            says(
                200,
                json!({"data": {"docs": [john()], "total": 1, "pages": 1}}),
            ),
        )
        .hidden()
        .answers([("", json!({"persons": [basic()]}))]),
        row(
            list(),
            "200 to a list of nobody, `data: null`",
            says(
                200,
                json!({"data": null, "pagination": {"total": 0, "pages": 0}}),
            ),
        )
        .hidden()
        .answers([("", json!({}))]),
        row(
            list().with("page_size", json!(1001)),
            "200 to a list of more than 1000 a page, which is 1000",
            says(200, json!([])),
        )
        .hidden()
        .answers([("", json!({}))]),
        row(update(), "200 to an update", changed(renamed()))
            .answers([("/person/email", json!("john.new@example.com"))]),
        lost("200 to an update that does not show the change", json!({})),
        lost(
            "200 to an update that shows another change",
            json!({"email": "john.new@example.com", "verificationStatus": "failed"}),
        ),
        row(
            update(),
            "200 to an update with another person",
            changed(json!({"email": "john.new@example.com", "id": "person_2"})),
        )
        .fails(cases::MALFORMED.unanswered("unknown").status(200)),
        row(
            update(),
            "200 with another person to the read before an update",
            says(200, with(json!({"id": "person_2"}))),
        )
        .fails(cases::MALFORMED.unanswered("not_billed").status(200)),
        row(
            get(),
            "200 to a get with another person",
            says(200, with(json!({"id": "person_2"}))),
        )
        .fails(cases::MALFORMED.unanswered("not_billed").status(200)),
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

fn words(status: u16, code: Option<&str>, message: &str) -> Vec<Does> {
    says(
        status,
        match code {
            Some(code) => json!({"code": code, "message": message}),
            None => json!({"message": message}),
        },
    )
}

fn missing() -> Value {
    json!({"error": "Person not found", "message": "PERSON_NOT_FOUND"})
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
