//! Verifik's refusals about persons.

use identity_gateway::domain::provider_code::ProviderCode;
use serde_json::json;

use super::{
    super::calls::{create, create_with_liveness, delete, get, list, update},
    john, missing, row, words,
};
use crate::{
    it::{
        cases::{self, Case},
        table::{Call, Fails, Row},
    },
    kit::{
        provider::Does,
        wire::{bytes, says, sends},
    },
};

pub fn refused_creates() -> Vec<Row> {
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
        fails.provider_code = ProviderCode::new(told).map(ProviderCode::as_str);
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
        if let crate::it::table::Expect::Fails(fails) = &mut row.expect {
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
            "409 ERROR with a message of the liveness check",
            faceless,
            409,
            "face_not_centered",
            "409:face_not_centered",
        ),
        row(
            create_with_liveness(),
            "409 with an unknown code, from the liveness check",
            says(
                409,
                json!({"message": "409:eyes_closed\n", "code": "ERROR"}),
            ),
        )
        .fails(faceless.answered(409, "ERROR")),
        row(
            create_with_liveness(),
            "409 ERROR poor_lighting",
            says(409, json!({"message": "Poor_Lighting\n", "code": "ERROR"})),
        )
        .hidden()
        .fails(faceless.answered(409, "poor_lighting")),
        row(
            create_with_liveness(),
            "409 of the liveness test in HTML",
            sends(409, "<h1>no</h1>"),
        )
        .hidden()
        .fails(cases::MALFORMED.unanswered("unknown").status(409)),
        row(
            create(),
            "409 ERROR with an unknown message",
            says(409, json!({"message": "eyes_closed", "code": "ERROR"})),
        )
        .hidden()
        .fails({
            let mut fails = cases::MALFORMED.unanswered("unknown").status(409);
            fails.provider_code = Some("ERROR");
            fails
        }),
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
            "404 without Verifik's JSON",
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

pub fn refused_reads() -> Vec<Row> {
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
        row(
            get(),
            "404 without Verifik's JSON",
            sends(404, "<h1>no</h1>"),
        )
        .hidden()
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

pub fn refused_changes() -> Vec<Row> {
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
