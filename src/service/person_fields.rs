//! From the contract's `Person` to the fields that a caller writes, each tested by its rule.

use bytes::Bytes;
use jiff::civil::Date;
use prost_types::FieldMask;

use super::mask_path;
use crate::{
    domain::{
        person::{FieldChange, FieldValue, PersonField},
        redaction::Pii,
        violation::Violations,
    },
    proto::person::v1::Person,
};

const RULE: &str = "must name fields of person that a caller may write";

/// What a caller wrote into a field.
enum Written<'a> {
    Text(&'a str),
    Image(&'a Bytes),
}

fn written(person: &Person, field: PersonField) -> Option<Written<'_>> {
    let biometric = person.biometric_data.as_ref();
    match field {
        PersonField::GivenName => person.given_name.as_deref().map(Written::Text),
        PersonField::FamilyName => person.family_name.as_deref().map(Written::Text),
        PersonField::Email => person.email.as_deref().map(Written::Text),
        PersonField::PhoneNumber => person.phone_number.as_deref().map(Written::Text),
        PersonField::Birthdate => person.birthdate.as_deref().map(Written::Text),
        PersonField::DocumentType => person.document_type.as_deref().map(Written::Text),
        PersonField::DocumentNumber => person.document_number.as_deref().map(Written::Text),
        PersonField::FaceImage => biometric?.face_image.as_ref().map(Written::Image),
        PersonField::Fingerprint => biometric?.fingerprint.as_ref().map(Written::Image),
    }
}

fn checked(
    bad: &mut Violations,
    field: PersonField,
    written: Written<'_>,
    today: Date,
) -> Option<FieldValue> {
    let value = match written {
        Written::Text(text) => field.check(text, today),
        Written::Image(bytes) if bytes.is_empty() => Err("must not be empty"),
        Written::Image(bytes) => Ok(FieldValue::Image(Pii::new(bytes.clone()))),
    };
    bad.check(field.path(), value)
}

/// The fields of a new person: every populated one, of which at least one is a name. A name that is empty
/// is none: some people have only one.
pub fn created(
    bad: &mut Violations,
    person: &Person,
    required: &[PersonField],
    today: Date,
) -> Vec<FieldChange> {
    let is_blank = |name: &Option<String>| {
        let name = name.as_deref();
        name.is_none_or(|name| name.trim().is_empty())
    };
    let blank = (is_blank(&person.given_name), is_blank(&person.family_name));
    let mut person = person.clone();
    let mut required = required.to_vec();
    match blank {
        (true, true) => required.extend([PersonField::GivenName, PersonField::FamilyName]),
        (true, false) => person.given_name = None,
        (false, true) => person.family_name = None,
        (false, false) => {}
    }
    populated(bad, &person, &required, today)
}

/// Every populated field; violations for those that are bad, and for the required that are missing.
fn populated(
    bad: &mut Violations,
    person: &Person,
    required: &[PersonField],
    today: Date,
) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    for field in PersonField::ALL {
        match written(person, field) {
            Some(written) => {
                let value = checked(bad, field, written, today);
                changes.extend(value.map(|value| (field, Some(value))));
            }
            None if required.contains(&field) => bad.add(
                field.path(),
                match field.is_name() {
                    true => "is required if the other name is not set",
                    false => "is required",
                },
            ),
            None => {}
        }
    }
    changes
}

/// The fields that an update names: those of the mask, or every populated one without a mask.
pub fn updated(
    bad: &mut Violations,
    person: &Person,
    mask: Option<&FieldMask>,
    today: Date,
) -> Vec<FieldChange> {
    let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    if paths.is_empty() {
        let is_written = |field: PersonField| written(person, field).is_some();
        if !PersonField::ALL.into_iter().any(is_written) {
            bad.add("person", "must contain a field to change");
        }
        return populated(bad, person, &[], today);
    }
    let named = named(paths).map_err(|unknown| {
        let known = PersonField::ALL.map(|field| field.mask_path().to_owned());
        mask_path::unknown(RULE, unknown.into_iter(), &known)
    });
    let Some(fields) = bad.check("update_mask", named) else {
        return Vec::new();
    };
    let mut changes = Vec::new();
    for field in fields {
        match written(person, field) {
            Some(written) => {
                let value = checked(bad, field, written, today);
                changes.extend(value.map(|value| (field, Some(value))));
            }
            None => changes.push((field, None)),
        }
    }
    let cleared = changes
        .iter()
        .filter(|(field, to)| field.is_name() && to.is_none());
    if cleared.count() > 1 {
        bad.add(
            "update_mask",
            "must leave the record a given_name or a family_name",
        );
    }
    changes
}

/// The fields that the paths of a mask name, each once; or the paths that name no writable field, with their places.
fn named(paths: &[String]) -> Result<Vec<PersonField>, Vec<(usize, &str)>> {
    if paths == ["*"] {
        return Ok(PersonField::ALL.to_vec());
    }
    let (mut fields, mut unknown) = (Vec::new(), Vec::new());
    for (place, path) in paths.iter().enumerate() {
        let written = mask_path::snake_case(path);
        let matches = |field: &PersonField| {
            let own = field.mask_path();
            let after = own.strip_prefix(&*written);
            after.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let before = fields.len();
        fields.extend(PersonField::ALL.into_iter().filter(matches));
        if fields.len() == before {
            unknown.push((place, path.as_str()));
        }
    }
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let mut seen = Vec::new();
    fields.retain(|field| {
        let new = !seen.contains(field);
        seen.push(*field);
        new
    });
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use PersonField::{Email, FaceImage, Fingerprint, GivenName, PhoneNumber};

    const TODAY: Date = jiff::civil::date(2026, 11, 21);

    fn mask(paths: &[&str]) -> Option<FieldMask> {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        Some(FieldMask { paths })
    }

    fn john() -> Person {
        Person {
            given_name: Some("John".to_owned()),
            email: Some("john.doe@example.com".to_owned()),
            ..Person::default()
        }
    }

    fn fields(changes: &[FieldChange]) -> Vec<(PersonField, bool)> {
        let named = changes.iter();
        named
            .map(|(field, value)| (*field, value.is_some()))
            .collect()
    }

    #[test]
    fn a_mask_names_what_changes_and_what_is_cleared() {
        for (paths, expected) in [
            (None, vec![(GivenName, true), (Email, true)]),
            (mask(&[]), vec![(GivenName, true), (Email, true)]),
            (mask(&["email"]), vec![(Email, true)]),
            (
                mask(&["email", "email", "phone_number"]),
                vec![(Email, true), (PhoneNumber, false)],
            ),
            (
                mask(&["biometric_data"]),
                vec![(FaceImage, false), (Fingerprint, false)],
            ),
            (
                mask(&["biometric_data.face_image"]),
                vec![(FaceImage, false)],
            ),
            (
                mask(&["phoneNumber", "biometricData.faceImage"]),
                vec![(PhoneNumber, false), (FaceImage, false)],
            ),
        ] {
            let mut bad = Violations::default();
            let changes = updated(&mut bad, &john(), paths.as_ref(), TODAY);
            assert_eq!(fields(&changes), expected, "{paths:?}");
            assert!(bad.is_empty());
        }
    }

    #[test]
    fn a_mask_cannot_name_what_a_caller_may_not_write() {
        for path in [
            "id",
            "verification_status",
            "create_time",
            "",
            "nothing",
            "biometric",
            "biometric_data.liveness_score",
            "person.email",
        ] {
            let mut bad = Violations::default();
            updated(&mut bad, &john(), mask(&["email", path]).as_ref(), TODAY);
            assert_eq!(bad.into_vec()[0].field, "update_mask", "{path}");
        }
        let mut bad = Violations::default();
        updated(
            &mut bad,
            &john(),
            mask(&["email", "phone_nmber"]).as_ref(),
            TODAY,
        );
        let said = &bad.into_vec()[0].rule;
        assert!(
            said.ends_with("paths[1] (phone_nmber) is unknown, did you mean phone_number?"),
            "{said}"
        );
        let mut bad = Violations::default();
        let both = mask(&["family_name", "given_name"]);
        updated(&mut bad, &Person::default(), both.as_ref(), TODAY);
        assert_eq!(bad.into_vec()[0].field, "update_mask");
        let mut bad = Violations::default();
        updated(&mut bad, &Person::default(), None, TODAY);
        assert_eq!(bad.into_vec()[0].field, "person");
    }

    #[test]
    fn a_person_may_have_one_name() {
        for (given, family, names, is_good) in [
            (Some("Sukarno"), None, 1, true),
            (Some("Sukarno"), Some(" "), 1, true),
            (Some(""), Some("Sukarno"), 1, true),
            (None, Some("Sukarno"), 1, true),
            (Some("Ada"), Some("Lovelace"), 2, true),
            (None, None, 0, false),
            (Some(""), None, 0, false),
            (Some(""), Some(""), 0, false),
        ] {
            let person = Person {
                given_name: given.map(str::to_owned),
                family_name: family.map(str::to_owned),
                ..Person::default()
            };
            let mut bad = Violations::default();
            let fields = created(&mut bad, &person, &[], TODAY);
            assert_eq!(
                (fields.len(), bad.is_empty()),
                (names, is_good),
                "{given:?} {family:?}"
            );
        }
    }

    #[test]
    fn the_numbers_of_a_field_are_those_of_the_contract() {
        use crate::proto::fields::{Fields, Lists};
        let answer =
            crate::proto::descriptors().get_message_by_name("idgw.person.v1.GetPersonResponse");
        for field in PersonField::ALL {
            let mut seen = Fields::none();
            let message = answer.as_ref().unwrap();
            seen.add(message, field.path(), Lists::Closed).unwrap();
            for other in PersonField::ALL {
                assert_eq!(seen.has(other.numbers()), other == field, "{other:?}");
            }
        }
    }

    #[test]
    fn every_bad_and_every_missing_field_is_named() {
        let person = Person {
            email: Some("nobody".to_owned()),
            birthdate: Some("2999-01-01".to_owned()),
            ..Person::default()
        };
        let mut bad = Violations::default();
        created(&mut bad, &person, &[FaceImage], TODAY);
        let named: Vec<_> = bad.into_vec().into_iter().map(|bad| bad.field).collect();
        assert_eq!(
            named,
            [
                "person.given_name",
                "person.family_name",
                "person.email",
                "person.birthdate",
                "person.biometric_data.face_image"
            ]
        );
    }
}
