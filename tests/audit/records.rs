//! What is recorded of which call, and what never is.
// Long: one table of every RPC with every kind of end, and what follows from it.

use std::{fs, time::Duration};

use identity_gateway::proto::{
    identity::v1::{
        CheckCurpRequest, KenyaIdType, ScrubKenyaIdRequest, VerifyPeForeignerIdRequest,
    },
    person::v1::{
        CreatePersonRequest, CreatePersonWithLivenessRequest, DeletePersonRequest,
        GetPersonRequest, ListPersonsRequest, Person, UpdatePersonRequest,
    },
};
use prost_types::{FieldMask, Struct};
use serde_json::{Value, json};
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use crate::{
    audit::{FOUND, SLOW, curp, of_event, program::Place, with_purpose},
    kit::eventually,
};

fn foreigner(number: &str) -> VerifyPeForeignerIdRequest {
    VerifyPeForeignerIdRequest {
        document_number: number.to_owned(),
        birthdate: "1993-08-16".to_owned(),
        ..VerifyPeForeignerIdRequest::default()
    }
}

fn kenya(id: &str, id_type: KenyaIdType) -> ScrubKenyaIdRequest {
    ScrubKenyaIdRequest {
        id: id.to_owned(),
        id_type: id_type.into(),
        subject_consent: true,
        ..ScrubKenyaIdRequest::default()
    }
}

fn person(family_name: &str) -> Option<Person> {
    Some(Person {
        given_name: Some("Ada".to_owned()),
        family_name: Some(family_name.to_owned()),
        ..Person::default()
    })
}

fn create(family_name: &str) -> CreatePersonRequest {
    CreatePersonRequest {
        person: person(family_name),
        ..CreatePersonRequest::default()
    }
}

/// The fields that the table is about, `-` where there is none.
fn row(record: &Value) -> String {
    let word = |key: &str| record[key].as_str().unwrap_or("-").to_owned();
    let (_, rpc) = record["rpc"].as_str().unwrap().split_once('/').unwrap();
    let keys = [
        "identifier_kind",
        "provider",
        "code",
        "reason",
        "outcome",
        "billing",
        "source",
    ];
    let words = keys.map(word).join(" ");
    format!("{rpc} {words} {}", record["attempts"])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_rpc_with_every_kind_of_end_has_its_record() {
    let place = Place::new().await;
    let program = place.start(&[]).await;
    let (mut identity, mut persons) = (program.identity(), program.persons());
    let _ = identity
        .verify_pe_foreigner_id(foreigner("005015372"))
        .await;
    let _ = identity
        .verify_pe_foreigner_id(foreigner("000000001"))
        .await;
    let _ = identity
        .verify_pe_foreigner_id(foreigner("UNAUTHORIZED"))
        .await;
    let _ = identity
        .verify_pe_foreigner_id(foreigner("CUTCONNECT"))
        .await;
    let _ = identity
        .scrub_kenya_id(kenya("1234567", KenyaIdType::NationalId))
        .await;
    let _ = identity
        .scrub_kenya_id(kenya("SBX000001", KenyaIdType::Passport))
        .await;
    let _ = identity
        .scrub_kenya_id(kenya("900001004", KenyaIdType::NationalId))
        .await;
    let _ = identity.check_curp(curp(FOUND)).await;
    let _ = identity.check_curp(curp("FORM900101HDFSND08")).await;
    let _ = identity.check_curp(curp("ROTO900101HDFSND07")).await;
    let created = persons.create_person(create("Lovelace")).await.unwrap();
    let created = created.into_inner().person.unwrap();
    let _ = persons.create_person(create("SANDBOX-DUPLICATE")).await;
    let mut alive = person("SANDBOX-LIVENESS-FAILED").unwrap();
    alive.document_number = Some("55".to_owned());
    alive.biometric_data.get_or_insert_default().face_image = Some(vec![1].into());
    let _ = persons
        .create_person_with_liveness(CreatePersonWithLivenessRequest {
            person: Some(alive),
            ..CreatePersonWithLivenessRequest::default()
        })
        .await;
    let update = |id: &str| UpdatePersonRequest {
        person: Some(Person {
            id: id.to_owned(),
            email: Some("ada@example.com".to_owned()),
            ..Person::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["email".to_owned()],
        }),
    };
    let _ = persons.update_person(update("person_123456789")).await;
    let _ = persons.update_person(update("person_update_cut")).await;
    let delete = |id: &str| DeletePersonRequest { id: id.to_owned() };
    let _ = persons.delete_person(delete("person_disposable")).await;
    let _ = persons.delete_person(delete("person_unknown")).await;
    let _ = persons.delete_person(delete(&created.id)).await;
    let get = GetPersonRequest {
        id: "person_123456789".to_owned(),
        ..GetPersonRequest::default()
    };
    persons.get_person(get).await.unwrap();
    let list = ListPersonsRequest::default();
    persons.list_persons(list).await.unwrap();
    // Calls that never passed the checks are not recorded.
    identity.check_curp(curp("no curp")).await.unwrap_err();
    let mut without = kenya("1234567", KenyaIdType::NationalId);
    without.subject_consent = false;
    identity.scrub_kenya_id(without).await.unwrap_err();

    program.terminate();
    let records = place.records();
    let rows: Vec<_> = of_event(&records, "result").into_iter().map(row).collect();
    assert_eq!(
        rows,
        [
            "VerifyPeForeignerId pe_foreigner_id verifik OK - found unknown provider 1",
            "VerifyPeForeignerId pe_foreigner_id verifik OK - not_found unknown provider 1",
            "VerifyPeForeignerId pe_foreigner_id verifik FAILED_PRECONDITION PROVIDER_CREDENTIALS_REJECTED - not_billed provider 1",
            "VerifyPeForeignerId pe_foreigner_id verifik UNKNOWN PROVIDER_OUTCOME_UNKNOWN - unknown provider 1",
            "ScrubKenyaId ke_national_id youverify OK - found unknown provider 1",
            "ScrubKenyaId ke_passport youverify OK - found unknown provider 1",
            "ScrubKenyaId ke_national_id youverify OK - inconclusive unknown provider 1",
            "CheckCurp mx_curp accuauth OK - found billed provider 1",
            "CheckCurp mx_curp accuauth OK - invalid_identifier billed provider 1",
            "CheckCurp mx_curp accuauth INTERNAL PROVIDER_RESPONSE_MALFORMED - unknown provider 1",
            "CreatePerson - verifik OK - - unknown provider 1",
            "CreatePerson - verifik ALREADY_EXISTS PERSON_ALREADY_EXISTS - not_billed provider 1",
            "CreatePersonWithLiveness person_document verifik FAILED_PRECONDITION LIVENESS_FAILED - not_billed provider 1",
            "UpdatePerson person_id verifik OK - - unknown provider 2",
            "UpdatePerson person_id verifik UNKNOWN PROVIDER_OUTCOME_UNKNOWN - unknown provider 2",
            "DeletePerson person_id verifik OK - - unknown provider 1",
            "DeletePerson person_id verifik NOT_FOUND PERSON_NOT_FOUND - not_billed provider 1",
            "DeletePerson person_id verifik OK - - unknown provider 1",
            "GetPerson person_id verifik OK - - not_billed provider 1",
            "ListPersons - verifik OK - - not_billed provider 1",
        ]
    );
    let results = of_event(&records, "result");
    let told = include_str!("../../docs/audit.md");
    for key in records
        .iter()
        .flat_map(|record| record.as_object().unwrap().keys())
    {
        assert!(
            told.contains(&format!("`{key}`")),
            "docs/audit.md does not tell of {key}"
        );
    }
    // The record of a create and that of the same person's deletion compare.
    assert!(results[10]["created_hash"].is_string());
    assert_eq!(results[10]["created_hash"], results[17]["identifier_hash"]);
    assert_ne!(results[10]["created_hash"], results[15]["identifier_hash"]);
    for record in &results {
        let is_lookup = record["rpc"]
            .as_str()
            .unwrap()
            .starts_with("idgw.identity.");
        assert_eq!(record["verification_id"].is_string(), is_lookup, "{record}");
        let is_kenya = record["provider"] == "youverify";
        assert_eq!(
            record["consent"],
            if is_kenya { json!(true) } else { json!(null) }
        );
        assert_eq!(record["environment"], "live");
        assert!(record["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
        let time = record["time"].as_str().unwrap();
        assert!(time.len() == "2026-11-21T23:58:31.123Z".len() && time.ends_with('Z'));
    }
    assert_eq!(records.first().unwrap()["event"], "start");
    assert_eq!(records.last().unwrap()["event"], "stop");
    assert!(
        place
            .is_whole()
            .contains("whole: 22 records, 0 counted as lost, 0 breaks")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_personal_data_is_recorded_and_the_search_would_find_it() {
    const NO_CURP: &str = "NOEX900101HDFSND08";
    let place = Place::new().await;
    let program = place.start(&[("IDGW_AUDIT__FSYNC", "never")]).await;
    let (mut identity, mut persons) = (program.identity(), program.persons());
    let number = foreigner("CANARY000001");
    let _ = identity
        .verify_pe_foreigner_id(with_purpose(number, "canary-purpose"))
        .await;
    let mut request = kenya("CANARY1", KenyaIdType::Passport);
    let value = prost_types::Value::from("canary");
    request.metadata = Some(Struct {
        fields: [("canary".to_owned(), value)].into(),
    });
    let _ = identity.scrub_kenya_id(request).await;
    let _ = identity.check_curp(curp(NO_CURP)).await;
    let mut canary = person("Canary").unwrap();
    canary.given_name = Some("Canary".to_owned());
    canary.email = Some("canary@example.com".to_owned());
    canary.document_type = Some("canary".to_owned());
    canary.document_number = Some("canary-77".to_owned());
    canary.birthdate = Some("1901-02-03".to_owned());
    canary.phone_number = Some("+99912345678".to_owned());
    let request = CreatePersonRequest {
        person: Some(canary),
        ..CreatePersonRequest::default()
    };
    let created = persons.create_person(request).await.unwrap().into_inner();
    let id = created.person.unwrap().id;
    let request = DeletePersonRequest { id: id.clone() };
    persons.delete_person(request).await.unwrap();
    place.wait_for("result", 5).await;
    program.terminate();
    let text = place.text().to_lowercase();
    assert_eq!(text.matches("canary").count(), 1, "{text}");
    assert!(text.contains("\"purpose\":\"canary-purpose\""));
    // Long enough, or made of letters, that no hash holds them by chance.
    for data in [NO_CURP, "1901-02-03", "1993-08-16", "99912345678", &id] {
        assert!(data.len() > 8, "{data}");
        assert!(!text.contains(&data.to_lowercase()), "{data}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purpose_is_recorded_and_where_it_is_required_nobody_is_asked_without() {
    let place = Place::new().await;
    let program = place
        .start(&[("IDGW_AUDIT__PURPOSE_REQUIRED", "true")])
        .await;
    let (mut identity, mut persons) = (program.identity(), program.persons());
    let long = "p".repeat(129);
    for request in [
        Request::new(curp(FOUND)),
        with_purpose(curp(FOUND), &long),
        with_purpose(curp(FOUND), "   "),
    ] {
        let refused = identity.check_curp(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let info = refused.get_details_error_info().unwrap();
        assert_eq!(info.reason, "INVALID_FIELD");
        let bad = refused.get_details_bad_request().unwrap();
        assert_eq!(bad.field_violations[0].field, "x-purpose");
    }
    let deleted = persons.delete_person(DeletePersonRequest { id: "a".to_owned() });
    assert_eq!(deleted.await.unwrap_err().code(), Code::InvalidArgument);
    let created = persons.create_person(create("Lovelace")).await;
    assert_eq!(created.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(place.received("accuauth").await, 0);
    assert_eq!(place.received("verifik").await, 0);
    let get = || GetPersonRequest {
        id: "person_123456789".to_owned(),
        ..GetPersonRequest::default()
    };
    let refused = persons.get_person(get()).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    let refused = persons.list_persons(ListPersonsRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    persons
        .get_person(with_purpose(get(), "KYC art. 12"))
        .await
        .unwrap();
    identity
        .check_curp(with_purpose(curp(FOUND), "KYC art. 12"))
        .await
        .unwrap();
    let records = place.wait_for("result", 2).await;
    let results = of_event(&records, "result");
    assert_eq!(results.len(), 2);
    assert!(
        results
            .iter()
            .all(|result| result["purpose"] == "KYC art. 12")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_given_up_is_recorded() {
    let place = Place::new().await;
    let program = place.start(&[]).await;
    let mut identity = program.identity();
    let left = tokio::time::timeout(Duration::from_secs(1), identity.check_curp(curp(SLOW)));
    assert!(left.await.is_err());
    // Another number: the call before may be in flight still, and would be shared.
    let mut request = Request::new(kenya("900002001", KenyaIdType::NationalId));
    request.set_timeout(Duration::from_secs(1));
    let late = program.untimed().await.scrub_kenya_id(request).await;
    assert_eq!(late.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    let records = place.wait_for("result", 2).await;
    let mut rows: Vec<_> = of_event(&records, "result").into_iter().map(row).collect();
    rows.sort();
    assert_eq!(
        rows,
        [
            "CheckCurp mx_curp accuauth CANCELLED - - unknown provider 1",
            "ScrubKenyaId ke_national_id youverify DEADLINE_EXCEEDED DEADLINE_EXCEEDED - unknown provider 1",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_and_kept_answers_have_a_record_for_each_caller() {
    let place = Place::new().await;
    let program = place.start(&[("IDGW_AUDIT__REQUIRED", "true")]).await;
    let (mut first, mut second, mut third) =
        (program.identity(), program.identity(), program.identity());
    let gives_up = tokio::time::timeout(Duration::from_secs(1), third.check_curp(curp(SLOW)));
    let (a, b, c) = tokio::join!(
        first.check_curp(curp(SLOW)),
        second.check_curp(curp(SLOW)),
        gives_up
    );
    assert!(a.is_ok() && b.is_ok() && c.is_err());
    let kept = CheckCurpRequest {
        max_age: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        ..curp(FOUND)
    };
    first.check_curp(kept.clone()).await.unwrap();
    second.check_curp(kept).await.unwrap();
    assert_eq!(place.received("accuauth").await, 2);
    let records = place.wait_for("result", 5).await;
    assert_eq!(of_event(&records, "intent").len(), 5);
    let results = of_event(&records, "result");
    let of = |source: &str| {
        results
            .iter()
            .filter(|record| record["source"] == source)
            .count()
    };
    // Whoever came first may be the one who gave up.
    assert_eq!(
        (of("provider"), of("coalesced"), of("cache")),
        (2, 2, 1),
        "{results:#?}"
    );
    let ids: std::collections::HashSet<_> = results
        .iter()
        .map(|record| record["verification_id"].to_string())
        .collect();
    assert_eq!(ids.len(), 5);
    let given_up = results
        .iter()
        .filter(|record| record["code"] == "CANCELLED")
        .count();
    assert_eq!(given_up, 1);
    program.terminate();
    place.is_whole();
}

/// The trail says what the call that paid did not wait for, and which call got it for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_whose_caller_left_tells_its_end_later_and_who_gets_the_answer_names_it() {
    for request_id in ["", "0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3"] {
        let place = Place::new().await;
        let program = place.start(&[]).await;
        let mut identity = program.identity();
        let request = CheckCurpRequest {
            request_id: request_id.to_owned(),
            ..curp(SLOW)
        };
        let left = identity.check_curp(request.clone());
        assert!(
            tokio::time::timeout(Duration::from_secs(1), left)
                .await
                .is_err()
        );
        let records = place.wait_for("late_result", 1).await;
        let first = of_event(&records, "result")[0];
        let late = of_event(&records, "late_result")[0];
        assert_eq!(
            row(first),
            "CheckCurp mx_curp accuauth CANCELLED - - unknown provider 1"
        );
        assert_eq!(
            row(late),
            "CheckCurp mx_curp accuauth OK - found billed provider 1"
        );
        assert_eq!(first["call"], late["call"]);
        let answer = identity.check_curp(request).await.unwrap().into_inner();
        let records = place.wait_for("result", 2).await;
        let repeat = of_event(&records, "result")[1];
        assert_eq!(
            row(repeat),
            "CheckCurp mx_curp accuauth OK - found billed recovered 0"
        );
        assert_eq!(repeat["paid_by"], first["call"]);
        assert_ne!(repeat["call"], first["call"]);
        let verification = answer.verification.unwrap();
        assert_eq!(repeat["verification_id"], verification.id.as_str());
        assert_ne!(repeat["verification_id"], first["verification_id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_caller_left_tells_its_end_later() {
    let place = Place::new().await;
    let program = place.start(&[]).await;
    let mut persons = program.persons();
    let request = CreatePersonRequest {
        request_id: "0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3".to_owned(),
        ..create("SANDBOX-SLOWANSWER")
    };
    let left = persons.create_person(request.clone());
    let left = tokio::time::timeout(Duration::from_secs(1), left);
    assert!(left.await.is_err());
    let records = place.wait_for("late_result", 1).await;
    let first = of_event(&records, "result")[0];
    let late = of_event(&records, "late_result")[0];
    assert_eq!(
        row(first),
        "CreatePerson - verifik CANCELLED - - unknown provider 1"
    );
    assert_eq!(
        row(late),
        "CreatePerson - verifik OK - - unknown provider 1"
    );
    assert_eq!(first["call"], late["call"]);
    // The repeat is a call of its own, about the same person, and nothing is sent for it.
    persons.create_person(request).await.unwrap();
    let records = place.wait_for("result", 2).await;
    let repeat = of_event(&records, "result")[1];
    assert_eq!(
        row(repeat),
        "CreatePerson - verifik OK - - unknown recovered 0"
    );
    assert_eq!(repeat["created_hash"], late["created_hash"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_on_standard_output_stand_apart_from_the_log_and_verify() {
    let place = Place::new().await;
    let program = place.start(&[("IDGW_AUDIT__SINK", "stdout")]).await;
    let mut identity = program.identity();
    identity.check_curp(curp(FOUND)).await.unwrap();
    identity.check_curp(curp(FOUND)).await.unwrap();
    let audit = || -> Vec<String> {
        let output = program.output();
        let lines = output.lines().map(str::to_owned);
        let is_record = |line: &String| line.starts_with(r#"{"message":"audit","#);
        lines.filter(is_record).collect()
    };
    eventually(|| audit().len() == 3).await;
    let lines = audit();
    fs::write(place.path(), lines.join("\n") + "\n").unwrap();
    place.is_whole();
}
