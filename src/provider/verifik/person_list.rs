//! A page of the list of persons, in every shape that Verifik has been seen to give it.
//!
//! A bare list; `data`, which is the list, or an object that holds it as `docs` or `data`; the counts in
//! `pagination`, or beside the list. `data: null` is an empty list only where the total is 0.

use std::fmt;

use http::Method;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{PROVIDER, Verifik, errors::Endpoint, person_json::PersonJson, persons::success};
use crate::{
    domain::{failure::Failure, person::View},
    proto::person::v1::Person,
    provider::{
        error_body::{malformed, parse},
        lenient,
    },
    transport::{Answer, Priced, Request},
};

/// A page as the provider gave it: perhaps not all that was asked for, perhaps everything.
#[derive(Debug, Default, Clone)]
pub struct Page {
    /// The records.
    pub persons: Vec<Person>,
    /// How many pages there are, if it says so.
    pub pages: Option<u32>,
    /// How many records there are in all, if it says so.
    pub total: Option<usize>,
}

impl Priced for Page {}

impl Verifik {
    /// What to send to list persons; pages count from 1.
    #[must_use]
    pub fn list_request(&self, page: u32, limit: u32) -> Request {
        self.persons(Method::GET, "")
            .query("page", &page.to_string())
            .query("limit", &limit.to_string())
    }

    /// Reads a page of the list.
    ///
    /// # Errors
    ///
    /// The provider's fault, or a malformed answer.
    pub fn read_page(&self, answer: &Answer, view: View) -> Result<Page, Failure> {
        success(Endpoint::Persons, answer)?;
        let whole: &RawValue = parse(PROVIDER, answer)?;
        page(whole.get(), view, Nested::Outermost).ok_or_else(|| malformed(PROVIDER, answer))
    }
}

/// What may hold the list.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    docs: Option<&'a RawValue>,
    #[serde(deserialize_with = "lenient::object")]
    pagination: Option<Counts>,
}

/// The counts, in the names of the pages and of the library that writes `docs`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Counts {
    #[serde(deserialize_with = "lenient::integer")]
    pages: Option<i32>,
    #[serde(deserialize_with = "lenient::integer")]
    total_pages: Option<i32>,
    #[serde(deserialize_with = "lenient::integer")]
    total: Option<i32>,
    #[serde(deserialize_with = "lenient::integer")]
    total_docs: Option<i32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nested {
    Outermost,
    InData,
}

fn page(json: &str, view: View, nested: Nested) -> Option<Page> {
    if json.starts_with('[') {
        let persons = Persons(view).deserialize(&mut serde_json::Deserializer::from_str(json));
        return Some(Page {
            persons: persons.ok()?,
            ..Page::default()
        });
    }
    let envelope: Envelope<'_> = serde_json::from_str(json).ok()?;
    let own: Counts = serde_json::from_str(json).ok()?;
    let counts = [envelope.pagination.unwrap_or_default(), own];
    let count = |read: fn(&Counts) -> Option<i32>| {
        let count = counts.iter().find_map(read)?;
        u32::try_from(count).ok()
    };
    let pages = count(|counts| counts.pages.or(counts.total_pages));
    let total = count(|counts| counts.total.or(counts.total_docs));
    let total = total.and_then(|total| usize::try_from(total).ok());
    let list = [envelope.data, envelope.docs].into_iter().flatten();
    let mut list = list
        .map(RawValue::get)
        .filter(|list| list.starts_with(['[', '{']));
    let found = match list.next() {
        Some(list) if list.starts_with('[') || nested == Nested::Outermost => {
            page(list, view, Nested::InData)?
        }
        None if total == Some(0) => Page::default(),
        _ => return None,
    };
    Some(Page {
        persons: found.persons,
        pages: found.pages.or(pages),
        total: found.total.or(total),
    })
}

/// Reads a list of persons one by one: one without an id ends it, before it has taken any memory.
struct Persons(View);

impl<'de> DeserializeSeed<'de> for Persons {
    type Value = Vec<Person>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Person>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Persons {
    type Value = Vec<Person>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of persons")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Person>, A::Error> {
        let mut persons = Vec::new();
        while let Some(person) = list.next_element::<PersonJson<'_>>()? {
            let person = person.into_person(self.0, None);
            persons.push(person.ok_or_else(|| A::Error::custom("a person without an id"))?);
        }
        Ok(persons)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_found_wherever_it_stands() {
        let one = r#"[{"_id":"a"}]"#;
        for (json, expected) in [
            (one.to_owned(), Some((1, None, None))),
            (format!(r#"{{"data":{one}}}"#), Some((1, None, None))),
            (
                format!(r#"{{"docs":{one},"totalDocs":1,"totalPages":1}}"#),
                Some((1, Some(1), Some(1))),
            ),
            (
                format!(r#"{{"data":{{"docs":{one},"total":1,"limit":10,"page":1,"pages":1}}}}"#),
                Some((1, Some(1), Some(1))),
            ),
            (
                format!(r#"{{"data":{{"data":{one}}},"pagination":{{"pages":"7","total":"61"}}}}"#),
                Some((1, Some(7), Some(61))),
            ),
            (
                format!(r#"{{"data":{{"docs":{one},"pagination":{{"pages":2}}}},"total":3}}"#),
                Some((1, Some(2), Some(3))),
            ),
            (
                format!(r#"{{"data":null,"docs":{one}}}"#),
                Some((1, None, None)),
            ),
            (
                r#"{"data":null,"pagination":{"total":0,"pages":0}}"#.into(),
                Some((0, Some(0), Some(0))),
            ),
            (
                r#"{"data":{"docs":null,"total":0}}"#.into(),
                Some((0, None, Some(0))),
            ),
            (r#"{"total":0}"#.into(), Some((0, None, Some(0)))),
            (r#"{"data":null}"#.into(), None),
            (r#"{"data":null,"total":3}"#.into(), None),
            (r#"{"data":{"data":{"data":[]}}}"#.into(), None),
            (r#"[{"_id":"a"},{}]"#.into(), None),
            (r#"{"data":"no"}"#.into(), None),
            ("7".into(), None),
        ] {
            let page = page(&json, View::Basic, Nested::Outermost);
            let read = page.map(|page| (page.persons.len(), page.pages, page.total));
            assert_eq!(read, expected, "{json}");
        }
    }
}
