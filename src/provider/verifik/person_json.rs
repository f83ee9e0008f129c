//! Verifik's person object, in both of its dialects.
//!
//! The document's object has `id`, `firstName`, …; newer pages have `_id`, wrap the object in `data`
//! and write the birth date as an object. All are read; the document's names are written.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    domain::person::{FieldChange, FieldValue, PersonField, PersonId, View},
    proto::person::v1::{BiometricData, Person, VerificationStatus},
    provider::{base64, lenient},
};

pub const BIOMETRIC: &str = "biometricData";

/// The field's place in Verifik's object: the object it stands in, if not the outermost, and its
/// name.
pub const fn name(field: PersonField) -> (Option<&'static str>, &'static str) {
    match field {
        PersonField::GivenName => (None, "firstName"),
        PersonField::FamilyName => (None, "lastName"),
        PersonField::Email => (None, "email"),
        PersonField::PhoneNumber => (None, "phone"),
        PersonField::Birthdate => (None, "dateOfBirth"),
        PersonField::DocumentType => (None, "documentType"),
        PersonField::DocumentNumber => (None, "documentNumber"),
        PersonField::FaceImage => (Some(BIOMETRIC), "faceImage"),
        PersonField::Fingerprint => (Some(BIOMETRIC), "fingerprint"),
    }
}

/// A value as Verifik's object has it. A cleared field becomes null: left out, a provider that merges
/// would keep it.
pub fn written(value: Option<&FieldValue>) -> Value {
    match value {
        None => Value::Null,
        Some(FieldValue::Text(text)) => Value::String(text.reveal().clone()),
        Some(FieldValue::Image(bytes)) => Value::String(base64::encode(bytes.reveal())),
    }
}

/// Writes the fields of a new person into Verifik's object.
pub fn apply(object: &mut Map<String, Value>, changes: &[FieldChange]) {
    for (field, value) in changes {
        let json = written(value.as_ref());
        let (outer, name) = name(*field);
        let target = match outer {
            None => Some(&mut *object),
            Some(outer) => {
                let inner = object.entry(outer).or_insert(Value::Null);
                if !inner.is_object() {
                    *inner = Value::Object(Map::new());
                }
                inner.as_object_mut()
            }
        };
        if let Some(target) = target {
            target.insert(name.to_owned(), json);
        }
    }
}

/// Asks Verifik to test that the face is a living person's.
pub fn ask_for_liveness(object: &mut Map<String, Value>) {
    let inner = object.entry(BIOMETRIC).or_insert_with(|| Map::new().into());
    if let Some(inner) = inner.as_object_mut() {
        inner.insert("livenessDetection".to_owned(), Value::Bool(true));
    }
}

/// Verifik's object. The images stay where they lie in the answer.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PersonJson<'a> {
    #[serde(deserialize_with = "id")]
    id: Option<String>,
    #[serde(rename = "_id", deserialize_with = "id")]
    mongo_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    first_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    last_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    email: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    phone: Option<String>,
    #[serde(deserialize_with = "birthdate")]
    date_of_birth: Option<String>,
    #[serde(rename = "date_of_birth", deserialize_with = "birthdate")]
    newer_date_of_birth: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    document_type: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    document_number: Option<String>,
    #[serde(borrow, deserialize_with = "lenient::object")]
    biometric_data: Option<BiometricJson<'a>>,
    #[serde(deserialize_with = "lenient::trimmed")]
    verification_status: Option<String>,
    #[serde(deserialize_with = "lenient::instant")]
    created_at: Option<prost_types::Timestamp>,
    #[serde(deserialize_with = "lenient::instant")]
    updated_at: Option<prost_types::Timestamp>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct BiometricJson<'a> {
    #[serde(borrow)]
    face_image: Option<&'a RawValue>,
    #[serde(borrow)]
    fingerprint: Option<&'a RawValue>,
    #[serde(deserialize_with = "lenient::number")]
    liveness_score: Option<f64>,
}

/// An id as a text, or as MongoDB's extended JSON writes it: `{"$oid": …}`.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let id = value.get("$oid").unwrap_or(&value);
    Ok(lenient::trimmed(id).unwrap_or_default())
}

/// A birth date as a text in any known form, or as `{"year":…,"month":…,"day":…}`.
fn birthdate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let part = |name| lenient::integer(value.get(name).cloned().unwrap_or_default()).ok()?;
    let date = match &value {
        Value::Object(_) => {
            part("year")
                .zip(part("month"))
                .zip(part("day"))
                .and_then(|((year, month), day)| {
                    let text = format!("{year:04}-{month:02}-{day:02}");
                    crate::domain::date::lenient_date(&text)
                })
        }
        Value::String(text) => crate::domain::date::lenient_date(text),
        _ => None,
    };
    Ok(date.map(|date| date.to_string()))
}

impl PersonJson<'_> {
    /// Face and fingerprint, as they lie in the answer.
    pub fn images(&self) -> [Option<&RawValue>; 2] {
        let data = self.biometric_data.as_ref();
        [
            data.and_then(|data| data.face_image),
            data.and_then(|data| data.fingerprint),
        ]
    }

    /// The person of the contract; none without an id, which every record has, and none if the record
    /// is another one than was `asked` for.
    pub fn into_person(self, view: View, asked: Option<&PersonId>) -> Option<Person> {
        let mut ids = self.id.into_iter().chain(self.mongo_id);
        let is_meant = |id: &String| asked.is_none_or(|asked| asked.reveal() == id);
        Some(Person {
            id: ids.find(is_meant)?,
            given_name: self.first_name,
            family_name: self.last_name,
            email: self.email,
            phone_number: self.phone,
            birthdate: self.date_of_birth.or(self.newer_date_of_birth),
            document_type: self.document_type,
            document_number: self.document_number,
            biometric_data: self
                .biometric_data
                .and_then(|biometric| biometric.into_data(view)),
            verification_status: status(self.verification_status.as_deref()).into(),
            create_time: self.created_at,
            update_time: self.updated_at,
        })
    }
}

impl BiometricJson<'_> {
    /// None if nothing stands in it.
    fn into_data(self, view: View) -> Option<BiometricData> {
        let image = |raw| match view {
            View::Basic => None,
            View::Full => base64::decode(raw),
        };
        let data = BiometricData {
            face_image: image(self.face_image),
            fingerprint: image(self.fingerprint),
            liveness_score: self.liveness_score,
        };
        (data != BiometricData::default()).then_some(data)
    }
}

fn status(word: Option<&str>) -> VerificationStatus {
    match word.map(str::to_lowercase).as_deref() {
        Some("pending") => VerificationStatus::Pending,
        Some("verified") => VerificationStatus::Verified,
        Some("failed") => VerificationStatus::Failed,
        Some("expired") => VerificationStatus::Expired,
        _ => VerificationStatus::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::domain::redaction::Pii;

    fn read(json: &Value, view: View) -> Option<Person> {
        let text = json.to_string();
        let person: PersonJson<'_> = serde_json::from_str(&text).unwrap();
        person.into_person(view, None)
    }

    #[test]
    fn a_birth_date_is_read_in_every_form() {
        for (written, expected) in [
            (
                json!({"id": "p", "dateOfBirth": "1990-01-15"}),
                Some("1990-01-15"),
            ),
            (
                json!({"id": "p", "dateOfBirth": "1990-01-15T00:00:00.000Z"}),
                Some("1990-01-15"),
            ),
            (
                json!({"id": "p", "date_of_birth": {"year": 1990, "month": 1, "day": 15}}),
                Some("1990-01-15"),
            ),
            (
                json!({"id": "p", "date_of_birth": {"year": "1990", "month": "1", "day": "15"}}),
                Some("1990-01-15"),
            ),
            (json!({"id": "p", "date_of_birth": null}), None),
            (json!({"id": "p", "dateOfBirth": {"year": 1990}}), None),
            (json!({"id": "p", "dateOfBirth": 7}), None),
        ] {
            let person = read(&written, View::Basic).unwrap();
            assert_eq!(person.birthdate.as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn images_are_decoded_for_the_full_view_only() {
        let written =
            json!({"_id": "p", "biometricData": {"faceImage": "AQI=", "livenessScore": "0.5"}});
        let basic = read(&written, View::Basic).unwrap().biometric_data.unwrap();
        assert_eq!((basic.face_image, basic.liveness_score), (None, Some(0.5)));
        let full = read(&written, View::Full).unwrap().biometric_data.unwrap();
        assert_eq!(full.face_image.as_deref(), Some(&[1, 2][..]));
    }

    #[test]
    fn a_person_without_an_id_is_none() {
        assert!(read(&json!({"firstName": "John"}), View::Basic).is_none());
    }

    #[test]
    fn an_id_is_a_text_or_an_object_id_and_must_be_the_one_that_was_asked_for() {
        for (written, asked, expected) in [
            (json!({"_id": {"$oid": "65a"}}), Some("65a"), Some("65a")),
            (json!({"id": "K0M", "_id": "65a"}), Some("65a"), Some("65a")),
            (json!({"id": "K0M", "_id": "65a"}), None, Some("K0M")),
            (json!({"id": 7}), Some("7"), Some("7")),
            (json!({"id": "65b"}), Some("65a"), None),
            (json!({"id": {"$oid": null}}), None, None),
            (json!({"id": ["65a"]}), Some("65a"), None),
        ] {
            let text = written.to_string();
            let person: PersonJson<'_> = serde_json::from_str(&text).unwrap();
            let asked = asked.map(|id| PersonId::parse(id).unwrap());
            let person = person.into_person(View::Basic, asked.as_ref());
            assert_eq!(
                person.map(|person| person.id).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_new_person_has_its_images_in_an_object_of_their_own() {
        let mut object = Map::new();
        let text = |text: &str| Some(FieldValue::Text(Pii::new(text.to_owned())));
        let image = FieldValue::Image(Pii::new(Bytes::from_static(&[1, 2])));
        apply(
            &mut object,
            &[
                (PersonField::Email, text("b@example.com")),
                (PersonField::FaceImage, Some(image)),
            ],
        );
        ask_for_liveness(&mut object);
        assert_eq!(
            Value::Object(object),
            json!({"email": "b@example.com",
                "biometricData": {"faceImage": "AQI=", "livenessDetection": true}})
        );
    }
}
