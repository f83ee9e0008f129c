//! Person records (`/v2/persons`): requests, and answers bare or inside `data`.

use http::{Method, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, value::RawValue};

pub use super::stored_person::{ShownPerson, StoredPerson};
use super::{
    JSON, PROVIDER, Verifik,
    errors::{self, Endpoint},
    person_json::{self, PersonJson},
};
use crate::{
    domain::{
        failure::Failure,
        person::{FieldChange, PersonId, View},
    },
    proto::person::v1::Person,
    provider::error_body::{malformed, parse},
    transport::{Answer, Priced, Request},
};

/// How a person is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// From data alone.
    Plain,
    /// After a test that the face is a living person's.
    WithLiveness,
}

impl Priced for Person {}
impl Priced for StoredPerson {}
impl Priced for ShownPerson {}

impl Verifik {
    pub(super) fn persons(&self, method: Method, below: &str) -> Request {
        Request::new(method, format!("{}{below}", self.persons_path))
            .header(header::CONTENT_TYPE, JSON)
    }

    fn person(&self, method: Method, id: &PersonId) -> Request {
        // The id is of characters that need no encoding.
        self.persons(method, "")
            .about([&self.persons_path, id.reveal()])
            .segment("id", id.reveal())
    }

    /// What to send to create a person.
    #[must_use]
    pub fn create_request(&self, creation: Creation, fields: &[FieldChange]) -> Request {
        let mut object = Map::new();
        person_json::apply(&mut object, fields);
        let below = match creation {
            Creation::Plain => "",
            Creation::WithLiveness => {
                person_json::ask_for_liveness(&mut object);
                "/liveness"
            }
        };
        self.persons(Method::POST, below).json(&object)
    }

    /// What to send to read a person.
    #[must_use]
    pub fn get_request(&self, id: &PersonId) -> Request {
        self.person(Method::GET, id)
    }

    /// What to send to change a person: what [`StoredPerson::changed`] says.
    #[must_use]
    pub fn update_request(&self, id: &PersonId, object: &impl Serialize) -> Request {
        self.person(Method::PUT, id).json(object)
    }

    /// What to send to delete a person.
    #[must_use]
    pub fn delete_request(&self, id: &PersonId) -> Request {
        self.person(Method::DELETE, id)
    }

    /// Reads the answer to a create.
    ///
    /// # Errors
    ///
    /// The provider's fault, or a malformed answer.
    pub fn read_created(&self, creation: Creation, answer: &Answer) -> Result<Person, Failure> {
        success(
            match creation {
                Creation::Plain => Endpoint::Persons,
                Creation::WithLiveness => Endpoint::Liveness,
            },
            answer,
        )?;
        self.read_person(answer, View::Basic, None)
    }

    /// Reads an answer that holds one person: the one that was asked for, if there is one yet.
    ///
    /// # Errors
    ///
    /// The provider's fault, or a malformed answer, such as one about another person.
    pub fn read_person(
        &self,
        answer: &Answer,
        view: View,
        asked: Option<&PersonId>,
    ) -> Result<Person, Failure> {
        let person = serde_json::from_str::<PersonJson<'_>>(object(answer)?);
        let person = person
            .ok()
            .and_then(|person| person.into_person(view, asked));
        person.ok_or_else(|| malformed(PROVIDER, answer))
    }

    /// Reads an answer that holds one person, to change it and write it back.
    ///
    /// # Errors
    ///
    /// As of [`read_person`](Self::read_person).
    pub fn read_stored(&self, answer: &Answer, asked: &PersonId) -> Result<StoredPerson, Failure> {
        let stored = StoredPerson::read(object(answer)?, asked);
        stored.ok_or_else(|| malformed(PROVIDER, answer))
    }

    /// Reads the answer to a change, to compare it with what was there before.
    ///
    /// # Errors
    ///
    /// As of [`read_person`](Self::read_person).
    pub fn read_changed(&self, answer: &Answer, asked: &PersonId) -> Result<ShownPerson, Failure> {
        let shown = ShownPerson::read(object(answer)?, asked);
        shown.ok_or_else(|| malformed(PROVIDER, answer))
    }

    /// Reads the answer to a deletion, which holds nothing of interest.
    ///
    /// # Errors
    ///
    /// The provider's fault.
    pub fn read_deleted(&self, answer: &Answer) -> Result<(), Failure> {
        success(Endpoint::Persons, answer)
    }
}

/// Tests whether an answer is a success.
pub(super) fn success(endpoint: Endpoint, answer: &Answer) -> Result<(), Failure> {
    match answer.status {
        200..=299 => Ok(()),
        400.. => Err(errors::error(endpoint, answer)),
        _ => Err(malformed(PROVIDER, answer)),
    }
}

/// The person object of a success, whether it is the answer or stands in its `data`.
fn object(answer: &Answer) -> Result<&str, Failure> {
    success(Endpoint::Persons, answer)?;
    let whole: &RawValue = parse(PROVIDER, answer)?;
    let envelope: Envelope<'_> = parse(PROVIDER, answer)?;
    let inner = envelope.data.filter(|data| data.get().starts_with('{'));
    Ok(inner.unwrap_or(whole).get())
}

/// `data`, where an answer is wrapped in it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}
