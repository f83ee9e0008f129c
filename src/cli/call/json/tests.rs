//! What the JSON of a request may look like, and that no error repeats what it held.

use prost::Message;

use super::*;
use crate::proto::{descriptors, identity::v1 as identity, person::v1 as person};

fn read_as(message: &str, json: &str) -> Result<DynamicMessage, JsonError> {
    let descriptor = descriptors().get_message_by_name(message).unwrap();
    read(&descriptor, parse(json)?)
}

fn typed<T: Message + Default>(message: &str, json: &str) -> T {
    T::decode(read_as(message, json).unwrap().encode_to_vec().as_slice()).unwrap()
}

fn mask_of(json: &str) -> Vec<String> {
    let request: identity::CheckCurpRequest = typed("idgw.identity.v1.CheckCurpRequest", json);
    request.read_mask.unwrap().paths
}

#[test]
fn fields_may_be_written_in_snake_case_and_in_camel_case() {
    for json in [
        r#"{"id": "1", "id_type": "KENYA_ID_TYPE_PASSPORT", "subject_consent": true}"#,
        r#"{"id": "1", "idType": 2, "subjectConsent": true}"#,
    ] {
        let request: identity::ScrubKenyaIdRequest =
            typed("idgw.identity.v1.ScrubKenyaIdRequest", json);
        assert_eq!(request.id, "1");
        assert_eq!(request.id_type, identity::KenyaIdType::Passport as i32);
        assert!(request.subject_consent);
    }
}

#[test]
fn null_is_unset() {
    let request: identity::CheckCurpRequest = typed(
        "idgw.identity.v1.CheckCurpRequest",
        r#"{"curp": null, "max_age": null, "read_mask": null}"#,
    );
    assert_eq!(request, identity::CheckCurpRequest::default());
}

#[test]
fn a_struct_keeps_every_kind_of_value() {
    let json = r#"{"metadata": {"a": null, "b": [1.5, true, "x"], "c": {"d": {}}}}"#;
    let message = read_as("idgw.identity.v1.ScrubKenyaIdRequest", json).unwrap();
    assert_eq!(
        parse(&write(&message).unwrap()).unwrap(),
        parse(json).unwrap()
    );
}

#[test]
fn a_whole_number_in_a_struct_has_no_fraction() {
    let json = r#"{"metadata": {"a": 4711, "b": 0.5, "c": 0, "d": -3, "e": 1e300}}"#;
    let message = read_as("idgw.identity.v1.ScrubKenyaIdRequest", json).unwrap();
    let expected = r#"{
  "metadata": {
    "a": 4711,
    "b": 0.5,
    "c": 0,
    "d": -3,
    "e": 1e+300
  }
}"#;
    assert_eq!(write(&message).unwrap(), expected);
}

#[test]
fn bytes_are_base64_of_either_alphabet() {
    for image in ["+/8=", "-_8=", "-_8"] {
        let json = format!(r#"{{"person": {{"biometric_data": {{"face_image": "{image}"}}}}}}"#);
        let request: person::CreatePersonRequest =
            typed("idgw.person.v1.CreatePersonRequest", &json);
        let data = request.person.unwrap().biometric_data.unwrap();
        assert_eq!(data.face_image.unwrap().as_ref(), [0xfb, 0xff]);
    }
}

#[test]
fn instants_and_durations_are_strings() {
    let request: identity::CheckCurpRequest = typed(
        "idgw.identity.v1.CheckCurpRequest",
        r#"{"max_age": "90.5s"}"#,
    );
    let age = request.max_age.unwrap();
    assert_eq!((age.seconds, age.nanos), (90, 500_000_000));
    let person: person::Person = typed(
        "idgw.person.v1.Person",
        r#"{"createTime": "1970-01-01T01:00:02+01:00"}"#,
    );
    assert_eq!(person.create_time.unwrap().seconds, 2);
}

#[test]
fn a_mask_may_be_written_in_three_ways() {
    let paths = ["record.given_name", "verification"];
    for mask in [
        r#""record.givenName,verification""#,
        r#""record.given_name, verification,""#,
        r#"{"paths": ["record.given_name", "verification"]}"#,
    ] {
        assert_eq!(mask_of(&format!(r#"{{"read_mask": {mask}}}"#)), paths);
    }
    assert_eq!(mask_of(r#"{"read_mask": ""}"#), [""; 0]);
}

#[test]
fn a_mask_can_name_a_field_with_a_digit() {
    let path = "record.inquiries.last1_month";
    for written in [path, "record.inquiries.last1Month"] {
        assert_eq!(mask_of(&format!(r#"{{"readMask": "{written}"}}"#)), [path]);
    }
}

#[test]
fn a_field_given_under_both_names_is_refused() {
    let error = read_as(
        "idgw.identity.v1.CheckCurpRequest",
        r#"{"includeDocument": true, "include_document": true}"#,
    );
    let error = error.unwrap_err().to_string();
    assert_eq!(
        error,
        "field `include_document` conflicts with another field that is set"
    );
}

#[test]
fn an_error_names_the_field_and_what_it_should_be() {
    for (message, json, error) in [
        (
            "idgw.identity.v1.CheckCurpRequest",
            r#"{"curpp": "canary"}"#,
            "unknown field `curpp`: idgw.identity.v1.CheckCurpRequest has curp, include_document, \
             max_age, read_mask, request_id",
        ),
        (
            "idgw.person.v1.CreatePersonRequest",
            r#"{"person": {"biometricData": {"face": "canary"}}}"#,
            "unknown field `person.biometricData.face`: idgw.person.v1.BiometricData has face_image, \
             fingerprint, liveness_score",
        ),
        (
            "idgw.identity.v1.CheckCurpRequest",
            r#"{"curp": 4711}"#,
            "field `curp` must be a string",
        ),
        (
            "idgw.identity.v1.CheckCurpRequest",
            r#"{"include_document": "canary"}"#,
            "field `include_document` must be true or false",
        ),
        (
            "idgw.identity.v1.ScrubKenyaIdRequest",
            r#"{"id_type": "canary"}"#,
            "field `id_type` must be one of KENYA_ID_TYPE_UNSPECIFIED, \
             KENYA_ID_TYPE_NATIONAL_ID, KENYA_ID_TYPE_PASSPORT, KENYA_ID_TYPE_SERVICE_ID, \
             KENYA_ID_TYPE_ALIEN_ID",
        ),
        (
            "idgw.identity.v1.CheckCurpRequest",
            r#"{"max_age": "canary"}"#,
            "field `max_age` must be a duration in seconds such as \"90s\" or \"0.5s\"",
        ),
        (
            "idgw.identity.v1.CheckCurpRequest",
            r#"{"read_mask": {"paths": ["a"], "canary": 1}}"#,
            "field `read_mask` must be paths joined by commas, such as \"record.name,record.curp\"",
        ),
        (
            "idgw.person.v1.CreatePersonRequest",
            r#"{"person": {"biometric_data": {"face_image": "canary!"}}}"#,
            "field `person.biometric_data.face_image` must be a string of base64",
        ),
        (
            "idgw.person.v1.CreatePersonRequest",
            r#"{"person": "canary"}"#,
            "field `person` must be an object",
        ),
        (
            "idgw.person.v1.ListPersonsRequest",
            r#"{"page_size": 99999999999}"#,
            "field `page_size` must be a whole number of 32 bits",
        ),
        (
            "idgw.person.v1.ListPersonsResponse",
            r#"{"persons": [{}, "canary"]}"#,
            "field `persons[1]` must be an object",
        ),
        (
            "idgw.identity.v1.PeForeignerIdRecord",
            r#"{"name_parts": ["a", 4711]}"#,
            "field `name_parts` must be a list, each element a string",
        ),
        (
            "idgw.person.v1.Person",
            r#"{"create_time": "2026-01-31 canary"}"#,
            "field `create_time` must be an instant such as \"2026-01-31T12:00:00Z\"",
        ),
        (
            "idgw.identity.v1.CheckCurpRequest",
            r#"["canary"]"#,
            "the request must be an object",
        ),
    ] {
        let shown = read_as(message, json).unwrap_err().to_string();
        assert_eq!(shown, error, "{json}");
    }
}

#[test]
fn text_that_is_not_json_is_located_and_not_repeated() {
    for json in [
        "",
        "canary",
        "{canary}",
        r#"{"curp": canary}"#,
        r#"{"curp": "canary"#,
        r#"{"curp": "canary"} canary"#,
        "{\"curp\": \"canary\n\"}",
        r#"{"curp": "canary\q"}"#,
    ] {
        let error = parse(json).unwrap_err().to_string();
        assert!(error.contains(" at line "), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let error = read_as("idgw.identity.v1.CheckCurpRequest", r#"{"\u001b[2J": 1}"#);
    assert!(!error.unwrap_err().to_string().contains('\u{1b}'));
}

#[test]
fn a_value_in_an_answer_cannot_steer_the_terminal_or_turn_the_text() {
    let person = r#"{"person": {"given_name": "A\u001b[2J\u202eda\u009b"}}"#;
    let message = read_as("idgw.person.v1.CreatePersonRequest", person).unwrap();
    let shown = write(&message).unwrap();
    let steers = |letter: char| letter != '\n' && (letter.is_control() || letter == '\u{202e}');
    assert!(!shown.contains(steers), "{shown:?}");
    assert_eq!(parse(&shown).unwrap(), parse(person).unwrap());
}
