//! Which fields of a message somebody may see, or wants to.
//!
//! A tree of field numbers. What the tree does not name is taken out: a field that a later version adds
//! is left out until somebody names it. `build.rs` writes the filter of each message of the contract.
//! Messages from elsewhere (timestamps, JSON values) are filtered in their encoded form.

use std::collections::BTreeMap;

use prost::{
    Message,
    encoding::{
        DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
    },
};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::field_paths;

/// Some fields of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fields {
    /// All of it.
    All,
    /// These fields, by number.
    Some(Numbers),
}

/// Some fields of a message, by number, each with what is named of it.
pub type Numbers = BTreeMap<u32, Fields>;

/// A message of the contract.
pub trait Filtered {
    /// Takes out every field that is not among these.
    fn keep(&mut self, fields: &Numbers);
}

/// Whether a path may go on below a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lists {
    /// It may, and means every element.
    Open,
    /// It may not, as `google.protobuf.FieldMask` says.
    Closed,
}

impl Fields {
    /// No field.
    #[must_use]
    pub const fn none() -> Self {
        Self::Some(BTreeMap::new())
    }

    /// Adds the field at a path of names, in the contract's own form or in JSON's; none if there is no such path.
    pub fn add(&mut self, message: &MessageDescriptor, path: &str, lists: Lists) -> Option<()> {
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let field = field_paths::named(message, name)?;
        let Self::Some(fields) = self else {
            // Everything below is there already: the path has only to be right.
            return Self::All.below(&field, rest, lists);
        };
        let deeper = fields.entry(field.number()).or_insert_with(Self::none);
        deeper.below(&field, rest, lists)
    }

    fn below(&mut self, field: &FieldDescriptor, rest: Option<&str>, lists: Lists) -> Option<()> {
        let passes = !field.is_map() && (!field.is_list() || lists == Lists::Open);
        match (rest, field.kind()) {
            (None, _) => *self = Self::All,
            (Some(rest), Kind::Message(inner)) if passes => self.add(&inner, rest, lists)?,
            _ => return None,
        }
        Some(())
    }

    /// Adds what the other one has.
    pub fn unite(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Some(own), Self::Some(other)) => {
                for (number, other) in other {
                    own.entry(*number).or_insert_with(Self::none).unite(other);
                }
            }
            _ => *self = Self::All,
        }
    }

    /// Whether the field at these numbers, or a part of it, is among them.
    #[must_use]
    pub fn has(&self, numbers: &[u32]) -> bool {
        self.at(numbers).is_some_and(|fields| !fields.is_empty())
    }

    /// What is named of the field at these numbers.
    fn at(&self, numbers: &[u32]) -> Option<&Self> {
        let mut fields = self;
        for number in numbers {
            match fields {
                Self::All => break,
                Self::Some(some) => fields = some.get(number)?,
            }
        }
        Some(fields)
    }

    /// Whether nothing at all is named.
    fn is_empty(&self) -> bool {
        match self {
            Self::All => false,
            Self::Some(fields) => fields.values().all(Self::is_empty),
        }
    }

    /// Whether all of the field at these numbers is among them.
    #[must_use]
    pub fn has_whole(&self, numbers: &[u32]) -> bool {
        self.at(numbers) == Some(&Self::All)
    }

    /// The paths that are named here, by their numbers, and of which the other one has nothing.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Vec<Vec<u32>> {
        let mut found = Vec::new();
        // What is not named one by one is asked for by nobody in particular.
        if let Self::Some(_) = self {
            self.add_beyond(other, &mut Vec::new(), &mut found);
        }
        found
    }

    fn add_beyond(&self, other: &Self, path: &mut Vec<u32>, found: &mut Vec<Vec<u32>>) {
        static NOTHING: Fields = Fields::none();
        match (self, other) {
            (_, Self::All) => {}
            (Self::All, other) if other.is_empty() => found.push(path.clone()),
            (Self::All, Self::Some(_)) => {}
            (Self::Some(own), Self::Some(other)) => {
                for (number, deeper) in own {
                    path.push(*number);
                    deeper.add_beyond(other.get(number).unwrap_or(&NOTHING), path, found);
                    path.pop();
                }
            }
        }
    }

    /// The message with these fields only.
    #[must_use]
    pub fn of<M: Filtered>(&self, mut message: M) -> M {
        if let Self::Some(fields) = self {
            message.keep(fields);
        }
        message
    }
}

/// Whether all of a field is named. Of a number or a text nothing less can be.
#[must_use]
pub fn is_whole(fields: &Numbers, number: u32) -> bool {
    matches!(fields.get(&number), Some(Fields::All))
}

/// A message of any kind with these fields only.
#[must_use]
pub fn reencoded<M: Message + Default>(message: M, fields: &Numbers) -> M {
    let whole = message.encode_to_vec();
    let mut kept = Vec::with_capacity(whole.len());
    // What was just encoded can be read. Should it not be, nothing is shown rather than too much.
    keep(&whole, fields, &mut kept)
        .and_then(|()| M::decode(kept.as_slice()).ok())
        .unwrap_or_default()
}

fn keep(message: &[u8], fields: &Numbers, kept: &mut Vec<u8>) -> Option<()> {
    let mut rest = message;
    while !rest.is_empty() {
        let field = rest;
        let (number, wire_type) = decode_key(&mut rest).ok()?;
        match (fields.get(&number), wire_type) {
            (Some(Fields::Some(inner)), WireType::LengthDelimited) => {
                let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                let (body, after) = rest.split_at_checked(length)?;
                rest = after;
                let mut part = Vec::with_capacity(length);
                keep(body, inner, &mut part)?;
                encode_key(number, wire_type, kept);
                encode_varint(u64::try_from(part.len()).ok()?, kept);
                kept.append(&mut part);
            }
            (wanted, _) => {
                skip_field(wire_type, number, &mut rest, DecodeContext::default()).ok()?;
                if matches!(wanted, Some(Fields::All)) {
                    let length = field.len().checked_sub(rest.len())?;
                    kept.extend_from_slice(field.get(..length)?);
                }
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use prost::Name;
    use prost_reflect::{DynamicMessage, Value};

    use super::*;
    use crate::proto::{
        self,
        identity::v1::{CheckCurpResponse, ScrubKenyaIdResponse, VerifyPeForeignerIdResponse},
        person::v1::{BiometricData, ListPersonsResponse, Person},
    };

    fn page() -> ListPersonsResponse {
        let person = |id: &str| Person {
            id: id.to_owned(),
            email: Some("ada@example.com".to_owned()),
            biometric_data: Some(BiometricData {
                face_image: Some(vec![1; 300].into()),
                liveness_score: Some(0.5),
                ..BiometricData::default()
            }),
            ..Person::default()
        };
        ListPersonsResponse {
            persons: vec![person("a"), person("b")],
            next_page_token: "next".to_owned(),
        }
    }

    fn fields(paths: &[&str]) -> Option<Fields> {
        let message =
            proto::descriptors().get_message_by_name("idgw.person.v1.ListPersonsResponse");
        let mut fields = Fields::none();
        for path in paths {
            fields.add(message.as_ref().unwrap(), path, Lists::Open)?;
        }
        Some(fields)
    }

    #[test]
    fn every_element_of_a_list_is_filtered() {
        let some = fields(&["persons.id", "persons.biometric_data.liveness_score"]).unwrap();
        let seen = some.of(page());
        assert_eq!(seen.next_page_token, "");
        let ids: Vec<_> = seen
            .persons
            .iter()
            .map(|person| person.id.as_str())
            .collect();
        assert_eq!(ids, ["a", "b"]);
        for person in &seen.persons {
            assert_eq!(person.email, None);
            let biometric = person.biometric_data.as_ref().unwrap();
            assert_eq!(biometric.face_image, None);
            assert_eq!(biometric.liveness_score, Some(0.5));
        }
    }

    /// A message with something in every field, at every depth.
    fn full(message: &MessageDescriptor) -> DynamicMessage {
        let mut whole = DynamicMessage::new(message.clone());
        for field in message.fields() {
            let value = match field.kind() {
                // A JSON value holds JSON values: a text is deep enough.
                Kind::Message(inner) if inner.full_name() == "google.protobuf.Value" => {
                    let mut text = DynamicMessage::new(inner);
                    text.set_field_by_name("string_value", Value::String("a".to_owned()));
                    Value::Message(text)
                }
                Kind::Message(inner) => Value::Message(full(&inner)),
                Kind::String => Value::String("a".to_owned()),
                Kind::Bytes => Value::Bytes(vec![1].into()),
                Kind::Bool => Value::Bool(true),
                Kind::Double => Value::F64(0.5),
                Kind::Int64 => Value::I64(1),
                Kind::Int32 => Value::I32(1),
                Kind::Enum(_) => Value::EnumNumber(1),
                other => panic!("{other:?} in {}", field.full_name()),
            };
            let value = if field.is_list() {
                Value::List(vec![value.clone(), value])
            } else {
                value
            };
            whole.set_field(&field, value);
        }
        whole
    }

    /// Every path of a message, down to where lists and the parts of what is not ours end.
    fn paths(message: &MessageDescriptor, before: &str, depth: usize) -> Vec<String> {
        let below = |field: FieldDescriptor| {
            let path = format!("{before}{}", field.name());
            let mut all = match field.kind() {
                Kind::Message(inner) if depth > 0 => paths(&inner, &format!("{path}."), depth - 1),
                _ => Vec::new(),
            };
            all.push(path);
            all
        };
        message.fields().flat_map(below).collect()
    }

    /// The filters that `build.rs` writes do what the filter of encoded messages does, path by path.
    fn agree<M: Filtered + Message + Name + Default + Clone + PartialEq>() -> usize {
        let message = proto::descriptors().get_message_by_name(&M::full_name());
        let message = message.unwrap();
        let full = M::decode(full(&message).encode_to_vec().as_slice()).unwrap();
        let mut named = 0;
        for path in &paths(&message, "", 3) {
            let mut some = Fields::none();
            // A map's entries are no fields that could be named.
            if some.add(&message, path, Lists::Open).is_none() {
                continue;
            }
            let Fields::Some(numbers) = &some else {
                panic!("{path} is all")
            };
            let seen = some.of(full.clone());
            assert!(seen == reencoded(full.clone(), numbers), "{path}");
            assert!(seen != M::default() && seen != full, "{path}");
            named += 1;
        }
        assert!(Fields::none().of(full) == M::default());
        named
    }

    #[test]
    fn the_filter_of_each_message_keeps_what_is_named_and_nothing_else() {
        assert!(agree::<ScrubKenyaIdResponse>() > 60);
        assert!(agree::<VerifyPeForeignerIdResponse>() > 20);
        assert!(agree::<CheckCurpResponse>() > 30);
        assert!(agree::<ListPersonsResponse>() > 20);
    }

    #[test]
    fn all_is_untouched_and_none_is_empty() {
        assert_eq!(Fields::All.of(page()), page());
        assert_eq!(Fields::none().of(page()), ListPersonsResponse::default());
        let all = fields(&["persons", "next_page_token"]).unwrap();
        assert_eq!(all.of(page()), page());
    }

    #[test]
    fn a_list_is_passed_only_where_that_is_open() {
        let message =
            proto::descriptors().get_message_by_name("idgw.person.v1.ListPersonsResponse");
        let closed = Fields::none().add(&message.unwrap(), "persons.id", Lists::Closed);
        assert_eq!(closed, None);
        for wrong in [
            "person",
            "persons.",
            "persons.id.x",
            "",
            "next_page_token.x",
        ] {
            assert_eq!(fields(&[wrong]), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_asked_for_beyond_what_is_seen_is_named_by_its_path() {
        let message =
            proto::descriptors().get_message_by_name("idgw.person.v1.ListPersonsResponse");
        let message = message.unwrap();
        let seen = fields(&["persons.id", "persons.biometric_data.liveness_score"]).unwrap();
        let beyond = |asked: &[&str]| {
            let beyond = fields(asked).unwrap().beyond(&seen);
            beyond
                .iter()
                .map(|numbers| field_paths::path(&message, numbers))
                .collect::<Vec<_>>()
        };
        assert_eq!(beyond(&["persons", "persons.id"]), [""; 0]);
        assert_eq!(beyond(&["persons.biometric_data"]), [""; 0]);
        assert_eq!(
            beyond(&[
                "persons.email",
                "persons.biometricData.faceImage",
                "next_page_token"
            ]),
            [
                "persons.email",
                "persons.biometric_data.face_image",
                "next_page_token"
            ]
        );
        assert_eq!(Fields::All.beyond(&seen), Vec::<Vec<u32>>::new());
        // Of a message of which nothing is seen, nothing is.
        let mut hollow = Numbers::new();
        hollow.insert(1, Fields::Some([(9, Fields::none())].into()));
        assert!(!Fields::Some(hollow).has(&[1]) && seen.has(&[1]) && !seen.has_whole(&[1]));
    }

    #[test]
    fn united_they_have_what_either_has() {
        let mut both = fields(&["persons.id"]).unwrap();
        both.unite(&fields(&["persons.email", "next_page_token"]).unwrap());
        let expected = fields(&["next_page_token", "persons.email", "persons.id"]);
        assert_eq!(Some(both.clone()), expected);
        both.unite(&fields(&["persons"]).unwrap());
        assert_eq!(
            Some(&both),
            fields(&["persons", "next_page_token"]).as_ref()
        );
        both.unite(&Fields::All);
        assert_eq!(both, Fields::All);
        assert!(both.has(&[1, 4]) && !fields(&["persons.id"]).unwrap().has(&[1, 4]));
        assert!(fields(&["persons.id"]).unwrap().has(&[1]));
    }
}
