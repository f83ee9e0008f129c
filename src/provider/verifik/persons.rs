//! Person records (`/v2/persons`): requests, and answers bare or inside `data`.

use http::{Method, header};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{
    JSON, PROVIDER, Verifik,
    errors::{self, Endpoint},
    person_json::{self, PersonJson},
};
use crate::{
    domain::{
        failure::Failure,
        page_token::PageToken,
        person::{FieldChange, PersonId, View},
    },
    proto::person::v1::Person,
    provider::{
        error_body::{malformed, parse},
        lenient,
    },
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

/// Which page of the list is asked for.
#[derive(Debug, Clone, Copy)]
pub struct PageQuery {
    /// The page, from 1.
    pub page: u32,
    /// How many records at most.
    pub page_size: u32,
    /// How much of each record.
    pub view: View,
    /// Digest of the very first record's id, known from the second page on.
    pub first: Option<[u8; 8]>,
}

/// A page of the list.
pub struct Page {
    /// The records.
    pub persons: Vec<Person>,
    /// Where the list goes on, if it does.
    pub next: Option<PageToken>,
}

/// A person as the provider keeps it, to be changed and written back whole.
pub struct StoredPerson(Map<String, Value>);

/// `data`, where an answer is wrapped in it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(deserialize_with = "lenient::object")]
    pagination: Option<Pagination>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pagination {
    #[serde(deserialize_with = "lenient::integer")]
    pages: Option<i32>,
}

impl Priced for Person {}
impl Priced for StoredPerson {}
impl Priced for Page {}

impl Verifik {
    fn persons(&self, method: Method, below: &str) -> Request {
        Request::new(method, format!("{}{below}", self.persons_path))
            .known_by(&self.credentials)
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

    /// What to send to list persons.
    #[must_use]
    pub fn list_request(&self, query: &PageQuery) -> Request {
        self.persons(Method::GET, "")
            .query("page", &query.page.to_string())
            .query("limit", &query.page_size.to_string())
    }

    /// What to send to change a person: everything that was read, with the changes.
    #[must_use]
    pub fn update_request(
        &self,
        id: &PersonId,
        stored: StoredPerson,
        changes: &[FieldChange],
    ) -> Request {
        let StoredPerson(mut object) = stored;
        person_json::apply(&mut object, changes);
        self.person(Method::PUT, id).json(&object)
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
        self.read_person(answer, View::Basic)
    }

    /// Reads an answer that holds one person.
    ///
    /// # Errors
    ///
    /// The provider's fault, or a malformed answer.
    pub fn read_person(&self, answer: &Answer, view: View) -> Result<Person, Failure> {
        success(Endpoint::Persons, answer)?;
        let body = unwrapped(answer)?;
        serde_json::from_str::<PersonJson<'_>>(body)
            .ok()
            .and_then(|person| person.into_person(view))
            .ok_or_else(|| malformed(PROVIDER, answer))
    }

    /// Reads an answer that holds one person, to write it back.
    ///
    /// # Errors
    ///
    /// The provider's fault, or a malformed answer.
    pub fn read_stored(&self, answer: &Answer) -> Result<StoredPerson, Failure> {
        self.read_person(answer, View::Basic)?;
        serde_json::from_str(unwrapped(answer)?)
            .map(StoredPerson)
            .map_err(|_| malformed(PROVIDER, answer))
    }

    /// Reads the answer to a deletion, which holds nothing of interest.
    ///
    /// # Errors
    ///
    /// The provider's fault.
    pub fn read_deleted(&self, answer: &Answer) -> Result<(), Failure> {
        success(Endpoint::Persons, answer)
    }

    /// Reads a page of the list, also from a provider that ignores `page` and `limit` and answers
    /// with everything: then the page is cut out here.
    ///
    /// # Errors
    ///
    /// The provider's fault, or a malformed answer.
    pub fn read_page(&self, answer: &Answer, query: &PageQuery) -> Result<Page, Failure> {
        success(Endpoint::Persons, answer)?;
        let whole: &RawValue = parse(PROVIDER, answer)?;
        let envelope: Envelope<'_> = if whole.get().starts_with('{') {
            parse(PROVIDER, answer)?
        } else {
            Envelope {
                data: Some(whole),
                ..Envelope::default()
            }
        };
        let persons: Vec<Person> = envelope
            .data
            .and_then(|data| serde_json::from_str::<Vec<PersonJson<'_>>>(data.get()).ok())
            .and_then(|list| {
                let persons = list.into_iter();
                persons
                    .map(|person| person.into_person(query.view))
                    .collect()
            })
            .ok_or_else(|| malformed(PROVIDER, answer))?;
        let pages = envelope.pagination.and_then(|pagination| pagination.pages);
        Ok(page(persons, query, pages))
    }
}

fn page(persons: Vec<Person>, query: &PageQuery, pages: Option<i32>) -> Page {
    let size = usize::try_from(query.page_size).unwrap_or(usize::MAX);
    let first = persons.first().map(|person| PageToken::digest(&person.id));
    let starts_over = query.first.is_some() && query.first == first;
    let everything = persons.len() > size || starts_over;
    let (persons, more) = if everything {
        let before = usize::try_from(query.page.saturating_sub(1)).unwrap_or(usize::MAX);
        let start = before.saturating_mul(size);
        let more = persons.len() > start.saturating_add(size);
        let persons = persons.into_iter().skip(start).take(size).collect();
        (persons, more)
    } else {
        let more = match pages.and_then(|pages| u32::try_from(pages).ok()) {
            Some(pages) => query.page < pages,
            // A full page may be the last one: then the next is empty.
            None => persons.len() == size,
        };
        (persons, more)
    };
    let next = query.first.or(first).filter(|_| more);
    Page {
        persons,
        next: next.map(|first| PageToken {
            page: query.page.saturating_add(1),
            page_size: query.page_size,
            view: query.view,
            first,
        }),
    }
}

fn success(endpoint: Endpoint, answer: &Answer) -> Result<(), Failure> {
    match answer.status {
        200..=299 => Ok(()),
        400.. => Err(errors::error(endpoint, answer)),
        _ => Err(malformed(PROVIDER, answer)),
    }
}

/// The person object, whether it is the answer or stands in its `data`.
fn unwrapped(answer: &Answer) -> Result<&str, Failure> {
    let whole: &RawValue = parse(PROVIDER, answer)?;
    let envelope: Envelope<'_> = parse(PROVIDER, answer)?;
    let inner = envelope.data.filter(|data| data.get().starts_with('{'));
    Ok(inner.unwrap_or(whole).get())
}

#[cfg(test)]
mod tests;
