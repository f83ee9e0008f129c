//! The magic persons, beside what can go wrong on every path of Verifik, and the rows of PersonService.

use serde_json::json;

use super::super::conditions::CONDITIONS;
use super::super::error;
use super::{DISPOSABLE, SAMPLE_ID, WRAPPED};
use crate::sandbox::case::gives::REJECTED;
use crate::sandbox::case::{Case, case, spoilt};
use crate::sandbox::faults::Fault;
use crate::sandbox::reply::{Billing, Reply};
use crate::sandbox::table::Rows;

const CREATE: &str = "idgw.person.v1.PersonService/CreatePerson";
const CREATE_WITH_LIVENESS: &str = "idgw.person.v1.PersonService/CreatePersonWithLiveness";
const GET: &str = "idgw.person.v1.PersonService/GetPerson";
const LIST: &str = "idgw.person.v1.PersonService/ListPersons";
const UPDATE: &str = "idgw.person.v1.PersonService/UpdatePerson";
const DELETE: &str = "idgw.person.v1.PersonService/DeletePerson";

const EXISTS: &str = "ALREADY_EXISTS PERSON_ALREADY_EXISTS";
const LIVENESS: &str = "FAILED_PRECONDITION LIVENESS_FAILED";
const NO_PERSON: &str = "NOT_FOUND PERSON_NOT_FOUND";

/// On creating a person, with or without liveness.
#[rustfmt::skip]
pub(super) static ON_CREATE: &[Case] = &[
    case("DUPLICATE", || error(409, "Conflict", "409:duplicated_person\n"), "409 409:duplicated_person", EXISTS),
    case("ALREADY-SET", || error(412, "PreconditionFailed", "person_already_set\n"), "412 person_already_set", EXISTS),
    case("NOT-BASE64", only_base64, "412 only_images_in_base64", REJECTED),
];

/// On creating a person with liveness.
#[rustfmt::skip]
pub(super) static ON_LIVENESS: &[Case] = &[
    case("LIVENESS-FAILED", || error(409, "Conflict", "409:liveness_failed_score_too_low\n"), "409 liveness_failed…", LIVENESS),
    case("NO-FACE", || error(409, "Conflict", "no_face_detected\n"), "409 no_face_detected", LIVENESS),
    case("MULTIPLE-FACES", || error(409, "multiple_faces_detected", "409:Multiple_Faces_Detected\n"), "409 multiple_faces_detected", LIVENESS),
];

/// On changing a person that can be read: the id is `person_<word>`.
#[rustfmt::skip]
pub(super) static ON_UPDATE: &[Case] = &[
    case("UPDATE_REJECTED", || error(409, "INVALID_PARAMETERS", "invalid email\n"), "409 INVALID_PARAMETERS on PUT", REJECTED),
    Case { answer: "connection closed on PUT", ..spoilt("UPDATE_CUT", Fault::Cut, "OK") },
];

/// The conditions that are listed for every method of PersonService. All of them work there; the
/// table would only repeat itself.
const EVERYWHERE: [&str; 4] = ["TOKENEXPIRED", "NOCREDITS", "OUTOFSERVICE", "CUTCONNECT"];

/// 412: an image that is not base64.
pub(super) fn only_base64() -> Reply {
    error(412, "PreconditionFailed", "only_images_in_base64\n")
}

/// 404 of a person, the form without `code`. A missing resource is an error and is not charged.
pub(super) fn person_not_found() -> Reply {
    let body = json!({ "error": "Person not found", "message": "PERSON_NOT_FOUND" });
    Reply::json(404, body, Billing::NotBilled)
}

pub(in crate::sandbox::verifik) fn rows(rows: &mut Rows) {
    let mut add = |method, request, answer, gives| {
        rows.add(method, request, answer, gives);
    };
    let everywhere = || CONDITIONS.iter().filter(|c| EVERYWHERE.contains(&c.id));

    add(CREATE, create_request("Lovelace"), "200 pending", "OK");
    for c in CONDITIONS.iter().chain(ON_CREATE) {
        add(CREATE, create_request(&last_name(c)), c.answer, c.gives);
    }
    add(
        CREATE_WITH_LIVENESS,
        liveness_request("Lovelace"),
        "200 verified, livenessScore 0.95",
        "OK",
    );
    for c in ON_LIVENESS.iter().chain(ON_CREATE).chain(everywhere()) {
        add(
            CREATE_WITH_LIVENESS,
            liveness_request(&last_name(c)),
            c.answer,
            c.gives,
        );
    }
    add(
        GET,
        id_request(SAMPLE_ID),
        "200 the document's sample",
        "OK",
    );
    add(
        GET,
        id_request(WRAPPED),
        "200 inside data, _id, date_of_birth",
        "OK",
    );
    add(
        GET,
        id_request("person_unknown"),
        "404 PERSON_NOT_FOUND, like every other id",
        NO_PERSON,
    );
    for c in CONDITIONS {
        add(GET, id_request(&person_id(c)), c.answer, c.gives);
    }
    add(LIST, r#"{"page_size":10}"#.to_owned(), "200 a page", "OK");
    add(UPDATE, update_request(SAMPLE_ID), "200 updated", "OK");
    add(
        UPDATE,
        update_request("person_unknown"),
        "404 PERSON_NOT_FOUND",
        NO_PERSON,
    );
    for c in ON_UPDATE.iter().chain(everywhere()) {
        add(UPDATE, update_request(&person_id(c)), c.answer, c.gives);
    }
    add(
        DELETE,
        id_request(DISPOSABLE),
        "200 deleted, every time",
        "OK",
    );
    add(
        DELETE,
        id_request("person_unknown"),
        "404 PERSON_NOT_FOUND",
        NO_PERSON,
    );
    for c in everywhere() {
        add(DELETE, id_request(&person_id(c)), c.answer, c.gives);
    }
}

fn create_request(last_name: &str) -> String {
    format!(r#"{{"person":{{"given_name":"Ada","family_name":"{last_name}"}}}}"#)
}

fn liveness_request(last_name: &str) -> String {
    format!(
        r#"{{"person":{{"given_name":"Ada","family_name":"{last_name}","biometric_data":{{"face_image":"iVBORw0KGgo="}}}}}}"#
    )
}

fn update_request(id: &str) -> String {
    format!(r#"{{"person":{{"id":"{id}","email":"john.doe@example.com"}}}}"#)
}

fn id_request(id: &str) -> String {
    format!(r#"{{"id":"{id}"}}"#)
}

fn last_name(case: &Case) -> String {
    format!("SANDBOX-{}", case.id)
}

fn person_id(case: &Case) -> String {
    format!("person_{}", case.id.to_ascii_lowercase())
}
