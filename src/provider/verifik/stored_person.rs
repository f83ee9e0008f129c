//! A person as Verifik keeps it: read, changed, written back whole, and compared with the answer.
//!
//! What nobody here knows goes back as it came, to the last digit of a number. What Verifik owns
//! (status, times, scores) is not written at all: it may have changed since it was read, and a copy
//! would turn it back. A birth date is written where the record has one, in the form it has there.

use std::collections::BTreeMap;

use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use super::person_json::{BIOMETRIC, PersonJson, name, written};
use crate::{
    domain::person::{FieldChange, FieldValue, PersonField, PersonId, View},
    proto::person::v1::{BiometricData, Person, VerificationStatus},
    provider::base64,
    sha256::Sha256,
};

/// What Verifik owns, in the names of both dialects.
const OWNED: [&str; 8] = [
    "verificationStatus",
    "verification_status",
    "status",
    "createdAt",
    "created_at",
    "updatedAt",
    "updated_at",
    "__v",
];
const OWNED_SCORES: [&str; 2] = ["livenessScore", "liveness_score"];
/// Where a birth date may stand, the document's own name first.
const BIRTHDATES: [&str; 2] = ["dateOfBirth", "date_of_birth"];

type Object = BTreeMap<String, Box<RawValue>>;

/// A person as the provider keeps it.
pub struct StoredPerson {
    object: Object,
    shown: ShownPerson,
}

/// A person as an answer shows it.
pub struct ShownPerson {
    /// The person, without image bytes.
    pub person: Person,
    /// Digests of face and fingerprint.
    images: [Option<[u8; 32]>; 2],
}

impl StoredPerson {
    /// Reads the object of the person that was asked for; none if it is none, or another person's.
    pub fn read(text: &str, asked: &PersonId) -> Option<Self> {
        Some(Self {
            object: serde_json::from_str(text).ok()?,
            shown: ShownPerson::read(text, asked)?,
        })
    }

    /// Whether somebody without any name would be left after these changes.
    #[must_use]
    pub fn would_be_nameless(&self, changes: &[FieldChange]) -> bool {
        use PersonField::{FamilyName, GivenName};
        let is_cleared = |field| changes.iter().any(|(of, to)| *of == field && to.is_none());
        let stays = |field| match changes.iter().find(|(of, _)| *of == field) {
            Some((_, to)) => to.is_some(),
            None => text(&self.shown.person, field).is_some(),
        };
        (is_cleared(GivenName) || is_cleared(FamilyName)) && !stays(GivenName) && !stays(FamilyName)
    }

    /// What to write, and what the answer to it is compared with.
    #[must_use]
    pub fn changed(
        self,
        changes: &[FieldChange],
    ) -> (BTreeMap<String, Box<RawValue>>, ShownPerson) {
        let Self { mut object, shown } = self;
        object.retain(|name, _| !OWNED.contains(&name.as_str()));
        let inner = object.get(BIOMETRIC).map(|raw| raw.get());
        let inner: Option<Object> = inner.and_then(|text| serde_json::from_str(text).ok());
        let had_images = inner.is_some();
        let mut inner = inner.unwrap_or_default();
        inner.retain(|name, _| !OWNED_SCORES.contains(&name.as_str()));
        for (field, value) in changes {
            match name(*field) {
                _ if *field == PersonField::Birthdate => {
                    set_birthdate(&mut object, value.as_ref());
                }
                (None, name) => set(&mut object, name, &written(value.as_ref())),
                (Some(_), name) => set(&mut inner, name, &written(value.as_ref())),
            }
        }
        if !inner.is_empty() {
            object.extend(
                to_raw_value(&inner)
                    .ok()
                    .map(|raw| (BIOMETRIC.to_owned(), raw)),
            );
        } else if had_images {
            object.remove(BIOMETRIC);
        }
        (object, shown)
    }
}

impl ShownPerson {
    /// Reads the object of the person that was asked for; none if it is none, or another person's.
    pub fn read(text: &str, asked: &PersonId) -> Option<Self> {
        let person: PersonJson<'_> = serde_json::from_str(text).ok()?;
        let images = person.images().map(|raw| {
            let bytes = base64::decode(raw)?;
            Some(Sha256::digest(&bytes))
        });
        let person = person.into_person(View::Basic, Some(asked))?;
        Some(Self { person, images })
    }

    /// Whether this, with the changes and nothing else, is what the later answer shows.
    ///
    /// A provider may write a text in its own way: white space around it, capitals, and what stands
    /// between the digits of a telephone number, count only where they are the change. Images, status
    /// and score may be left out of an answer, but not be others.
    #[must_use]
    pub fn becomes(&self, later: &Self, changes: &[FieldChange]) -> bool {
        let is_shown = |field: PersonField| {
            let change = changes.iter().find(|(of, _)| *of == field);
            let (before, after) = (text(&self.person, field), text(&later.person, field));
            let (was, is) = (self.image(field), later.image(field));
            match change {
                None => plain(field, before) == plain(field, after) && (is.is_none() || is == was),
                Some((_, None)) => after.is_none() && is.is_none(),
                Some((_, Some(FieldValue::Image(bytes)))) => {
                    is == Some(Sha256::digest(bytes.reveal()))
                }
                Some((_, Some(FieldValue::Text(asked)))) => {
                    let asked = Some(asked.reveal().as_str());
                    let is_alike = plain(field, asked) == plain(field, after);
                    asked.map(str::trim) == after.map(str::trim) || (is_alike && after != before)
                }
            }
        };
        let (status, status_later) = (
            self.person.verification_status,
            later.person.verification_status,
        );
        let is_unknown = status_later == i32::from(VerificationStatus::Unspecified);
        let (score, score_later) = (score(&self.person), score(&later.person));
        let is_scored_anew = changes.iter().any(|(field, _)| place(*field).is_some());
        PersonField::ALL.into_iter().all(is_shown)
            && (is_unknown || status == status_later)
            && (is_scored_anew || score_later.is_none() || score == score_later)
    }

    fn image(&self, field: PersonField) -> Option<[u8; 32]> {
        self.images.get(place(field)?).copied().flatten()
    }
}

const fn place(field: PersonField) -> Option<usize> {
    match field {
        PersonField::FaceImage => Some(0),
        PersonField::Fingerprint => Some(1),
        _ => None,
    }
}

fn text(person: &Person, field: PersonField) -> Option<&str> {
    match field {
        PersonField::GivenName => person.given_name.as_deref(),
        PersonField::FamilyName => person.family_name.as_deref(),
        PersonField::Email => person.email.as_deref(),
        PersonField::PhoneNumber => person.phone_number.as_deref(),
        PersonField::Birthdate => person.birthdate.as_deref(),
        PersonField::DocumentType => person.document_type.as_deref(),
        PersonField::DocumentNumber => person.document_number.as_deref(),
        PersonField::FaceImage | PersonField::Fingerprint => None,
    }
}

fn score(person: &Person) -> Option<u64> {
    let data: &BiometricData = person.biometric_data.as_ref()?;
    data.liveness_score.map(f64::to_bits)
}

/// A text as it is compared.
fn plain(field: PersonField, text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    Some(match field {
        PersonField::PhoneNumber => text.chars().filter(char::is_ascii_digit).collect(),
        _ => text.to_lowercase(),
    })
}

fn set(object: &mut Object, name: &str, value: &Value) {
    object.extend(to_raw_value(value).ok().map(|raw| (name.to_owned(), raw)));
}

/// Sets the birth date wherever the record has one, so that it never has two.
fn set_birthdate(object: &mut Object, value: Option<&FieldValue>) {
    let is_there = |name: &&str| object.contains_key(*name);
    let is_said = |name: &&str| object.get(*name).is_some_and(|raw| raw.get() != "null");
    let mut names: Vec<_> = BIRTHDATES.into_iter().filter(is_said).collect();
    if names.is_empty() {
        let first = BIRTHDATES.iter().find(|name| is_there(name));
        names.push(first.copied().unwrap_or(BIRTHDATES[0]));
    }
    for name in names {
        let old = object.get(name).map(|raw| raw.get());
        let old: Value = old
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        set(object, name, &in_its_form(&old, written(value)));
    }
}

/// A date in the form of the one that it replaces: a text, or year, month and day.
fn in_its_form(old: &Value, new: Value) -> Value {
    let parts = new.as_str().map(|text| text.split('-').collect::<Vec<_>>());
    let (Value::Object(old), Some([year, month, day])) = (old, parts.as_deref()) else {
        return new;
    };
    let is_text = old.get("year").is_some_and(Value::is_string);
    let number = |text: &str| match text.parse::<u32>() {
        Ok(number) if is_text => json!(number.to_string()),
        Ok(number) => json!(number),
        Err(_) => Value::Null,
    };
    json!({"year": number(year), "month": number(month), "day": number(day)})
}

#[cfg(test)]
mod tests;
