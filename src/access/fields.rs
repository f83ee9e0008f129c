//! Which fields of a message somebody may see, or wants to.
//!
//! A tree of field numbers. A message is filtered in its encoded form: what the tree does not name is
//! left out unread, also a field that is unknown here. That goes for every message alike, and a field
//! that a later version adds is left out until somebody names it.

use std::collections::BTreeMap;

use prost::{
    Message,
    encoding::{
        DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
    },
};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

/// Some fields of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fields {
    /// All of it.
    All,
    /// These fields, by number.
    Some(BTreeMap<u32, Fields>),
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

    /// Adds the field at a path of names; none if there is no such path.
    pub fn add(&mut self, message: &MessageDescriptor, path: &str, lists: Lists) -> Option<()> {
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let field = message.get_field_by_name(name)?;
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
        let mut fields = self;
        for number in numbers {
            match fields {
                Self::All => return true,
                Self::Some(some) => match some.get(number) {
                    None => return false,
                    Some(deeper) => fields = deeper,
                },
            }
        }
        true
    }

    /// The message with these fields only.
    #[must_use]
    pub fn of<M: Message + Default>(&self, message: M) -> M {
        let Self::Some(fields) = self else {
            return message;
        };
        let whole = message.encode_to_vec();
        let mut kept = Vec::with_capacity(whole.len());
        // What was just encoded can be read. Should it not be, nothing is shown rather than too much.
        keep(&whole, fields, &mut kept)
            .and_then(|()| M::decode(kept.as_slice()).ok())
            .unwrap_or_default()
    }
}

fn keep(message: &[u8], fields: &BTreeMap<u32, Fields>, kept: &mut Vec<u8>) -> Option<()> {
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
    use super::*;
    use crate::proto::{
        self,
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
        let message = proto::descriptors().get_message_by_name("person.v1.ListPersonsResponse");
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

    #[test]
    fn all_is_untouched_and_none_is_empty() {
        assert_eq!(Fields::All.of(page()), page());
        assert_eq!(Fields::none().of(page()), ListPersonsResponse::default());
        let all = fields(&["persons", "next_page_token"]).unwrap();
        assert_eq!(all.of(page()), page());
    }

    #[test]
    fn a_list_is_passed_only_where_that_is_open() {
        let message = proto::descriptors().get_message_by_name("person.v1.ListPersonsResponse");
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
