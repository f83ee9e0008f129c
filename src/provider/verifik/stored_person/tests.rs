//! What is written back, and what counts as done.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::domain::redaction::Pii;

fn id() -> PersonId {
    PersonId::parse("p").unwrap()
}

fn set_to(field: PersonField, to: &str) -> FieldChange {
    (field, Some(FieldValue::Text(Pii::new(to.to_owned()))))
}

fn written_back(stored: &str, changes: &[FieldChange]) -> String {
    let stored = StoredPerson::read(stored, &id()).unwrap();
    serde_json::to_string(&stored.changed(changes).0).unwrap()
}

#[test]
fn what_is_not_known_goes_back_digit_for_digit_and_what_verifik_owns_does_not() {
    let stored = r#"{"id":"p","email":"a@example.com","account":12345678901234567890123,
        "ratio":0.10000000000000000001,"e":1E400,"verificationStatus":"verified","status":"active",
        "createdAt":"2024-01-15T10:30:00Z","updatedAt":"2024-01-15T10:30:00Z","__v":3,
        "biometricData":{"faceImage":"AQI=","livenessScore":0.95,"n":98765432109876543210}}"#;
    let written = written_back(stored, &[set_to(PersonField::Email, "b@example.com")]);
    assert_eq!(
        written,
        r#"{"account":12345678901234567890123,"biometricData":{"faceImage":"AQI=","n":98765432109876543210},"e":1E400,"email":"b@example.com","id":"p","ratio":0.10000000000000000001}"#
    );
    let only_a_score = r#"{"id":"p","biometricData":{"livenessScore":0.95}}"#;
    assert_eq!(written_back(only_a_score, &[]), r#"{"id":"p"}"#);
}

#[test]
fn a_birth_date_is_written_where_the_record_has_one_and_in_its_form() {
    let there = r#""date_of_birth":"#;
    for (stored, to, written) in [
        (
            r#"{"_id":"p"}"#,
            Some("1990-01-16"),
            r#"{"_id":"p","dateOfBirth":"1990-01-16"}"#,
        ),
        (r#"{"_id":"p"}"#, None, r#"{"_id":"p","dateOfBirth":null}"#),
        (
            &format!(r#"{{"_id":"p",{there}{{"year":1990,"month":1,"day":15}}}}"#),
            Some("1990-01-16"),
            &format!(r#"{{"_id":"p",{there}{{"day":16,"month":1,"year":1990}}}}"#),
        ),
        (
            &format!(r#"{{"_id":"p",{there}{{"year":"1990","month":"1","day":"15"}}}}"#),
            Some("1990-01-16"),
            &format!(r#"{{"_id":"p",{there}{{"day":"16","month":"1","year":"1990"}}}}"#),
        ),
        (
            &format!(r#"{{"_id":"p",{there}"1990-01-15T00:00:00.000Z"}}"#),
            Some("1990-01-16"),
            &format!(r#"{{"_id":"p",{there}"1990-01-16"}}"#),
        ),
        (
            &format!(r#"{{"_id":"p",{there}{{"year":1990,"month":1,"day":15}}}}"#),
            None,
            &format!(r#"{{"_id":"p",{there}null}}"#),
        ),
        (
            &format!(r#"{{"_id":"p",{there}null}}"#),
            Some("1990-01-16"),
            &format!(r#"{{"_id":"p",{there}"1990-01-16"}}"#),
        ),
        (
            &format!(r#"{{"_id":"p","dateOfBirth":"1990-01-15",{there}"1990-01-15"}}"#),
            Some("1990-01-16"),
            &format!(r#"{{"_id":"p","dateOfBirth":"1990-01-16",{there}"1990-01-16"}}"#),
        ),
        (
            &format!(r#"{{"_id":"p","dateOfBirth":null,{there}"1990-01-15"}}"#),
            Some("1990-01-16"),
            &format!(r#"{{"_id":"p","dateOfBirth":null,{there}"1990-01-16"}}"#),
        ),
    ] {
        let to = to.map(|to| FieldValue::Text(Pii::new(to.to_owned())));
        let change = [(PersonField::Birthdate, to)];
        assert_eq!(written_back(stored, &change), written, "{stored}");
    }
}

#[test]
fn done_is_what_the_answer_shows_and_nothing_besides() {
    use PersonField::{Birthdate, Email, FaceImage, PhoneNumber};
    let before = json!({"id": "p", "firstName": "Ada", "email": "a@example.com", "phone": "+1 234 567",
        "dateOfBirth": "1990-01-15", "verificationStatus": "verified", "updatedAt": "2024-01-15T10:30:00Z",
        "biometricData": {"faceImage": "AQI=", "livenessScore": 0.95}});
    let image = |bytes: &'static [u8]| {
        let image = FieldValue::Image(Pii::new(Bytes::from_static(bytes)));
        (FaceImage, Some(image))
    };
    let mail = || set_to(Email, "B@example.com");
    for (what, change, changed, is_done) in [
        ("as asked", mail(), json!({"email": "B@example.com"}), true),
        (
            "in the provider's way",
            mail(),
            json!({"email": "b@example.com "}),
            true,
        ),
        ("not at all", mail(), json!({}), false),
        (
            "something else",
            mail(),
            json!({"email": "c@example.com"}),
            false,
        ),
        ("left out", mail(), json!({"email": null}), false),
        (
            "capitals only, and not done",
            set_to(Email, "A@example.com"),
            json!({}),
            false,
        ),
        (
            "the same again",
            set_to(Email, "a@example.com"),
            json!({}),
            true,
        ),
        (
            "times pass",
            mail(),
            json!({"email": "B@example.com", "updatedAt": "2026-01-01T00:00:00Z"}),
            true,
        ),
        (
            "another telephone number",
            mail(),
            json!({"email": "B@example.com", "phone": "+1 234 568"}),
            false,
        ),
        (
            "the number in another way",
            mail(),
            json!({"email": "B@example.com", "phone": "+1234567"}),
            true,
        ),
        (
            "another status",
            mail(),
            json!({"email": "B@example.com", "verificationStatus": "failed"}),
            false,
        ),
        (
            "no status said",
            mail(),
            json!({"email": "B@example.com", "verificationStatus": null}),
            true,
        ),
        (
            "another name",
            mail(),
            json!({"email": "B@example.com", "firstName": "Eva"}),
            false,
        ),
        (
            "a name more",
            mail(),
            json!({"email": "B@example.com", "lastName": "Doe"}),
            false,
        ),
        (
            "images left out",
            mail(),
            json!({"email": "B@example.com", "biometricData": null}),
            true,
        ),
        (
            "another image",
            mail(),
            json!({"email": "B@example.com", "biometricData": {"faceImage": "AQM="}}),
            false,
        ),
        (
            "another score",
            mail(),
            json!({"email": "B@example.com", "biometricData": {"livenessScore": 0.1}}),
            false,
        ),
        (
            "the image",
            image(&[1, 3]),
            json!({"biometricData": {"faceImage": "AQM=", "livenessScore": 0.5}}),
            true,
        ),
        ("not the image", image(&[1, 3]), json!({}), false),
        (
            "no image",
            image(&[1, 3]),
            json!({"biometricData": {}}),
            false,
        ),
        ("cleared", (PhoneNumber, None), json!({"phone": null}), true),
        ("not cleared", (PhoneNumber, None), json!({}), false),
        (
            "the old date",
            set_to(Birthdate, "1990-01-16"),
            json!({}),
            false,
        ),
        (
            "the old date still there",
            (Birthdate, None),
            json!({"dateOfBirth": null, "date_of_birth": "1990-01-15"}),
            false,
        ),
    ] {
        let mut after = before.clone();
        for (name, value) in changed.as_object().unwrap() {
            after[name] = value.clone();
        }
        let shown = |json: &Value| ShownPerson::read(&json.to_string(), &id()).unwrap();
        assert_eq!(
            shown(&before).becomes(&shown(&after), &[change]),
            is_done,
            "{what}"
        );
    }
}

#[test]
fn nobody_is_left_without_any_name() {
    use PersonField::{FamilyName, GivenName};
    let read = |text: &str| StoredPerson::read(text, &id()).unwrap();
    let both = r#"{"id":"p","firstName":"Ada","lastName":"Lovelace"}"#;
    let one = r#"{"id":"p","firstName":"Sukarno"}"#;
    let clear = |field| [(field, None)];
    assert!(!read(both).would_be_nameless(&clear(GivenName)));
    assert!(read(one).would_be_nameless(&clear(GivenName)));
    assert!(!read(one).would_be_nameless(&clear(FamilyName)));
    assert!(!read(one).would_be_nameless(&[(GivenName, None), set_to(FamilyName, "Sukarno")]));
    assert!(!read(r#"{"id":"p"}"#).would_be_nameless(&[set_to(PersonField::Email, "a@b.c")]));
}

proptest! {
    /// A number of any length, a text, a flag or a list under a name that nobody knows.
    #[test]
    fn any_unknown_field_is_written_back_as_it_came(
        digits in "-?[1-9][0-9]{0,60}(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?",
        text in "[a-zA-Z é\u{1F600}]{0,20}",
        depth in 0usize..6,
    ) {
        let nested = format!("{}{digits}{}", "[".repeat(depth), "]".repeat(depth));
        let stored = format!(r#"{{"id":"p","unknown":{nested},"z":{}}}"#, json!(text));
        prop_assert_eq!(written_back(&stored, &[]), stored);
    }
}
