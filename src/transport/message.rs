//! What is sent and what comes back, free of any HTTP client.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Serialize;

use super::{credentials::Credential, hold::Subject};
use crate::domain::verification::{Billing, Verified};

/// A request to a provider. Its `Debug` shows the method only: path, query and body hold personal
/// data, the headers a credential.
#[derive(Clone)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// The path below the provider's base URL, percent-encoded, from `/`.
    pub path: String,
    /// The path as telemetry may show it: with a word in braces for each [`segment`](Self::segment).
    pub template: String,
    /// The query, percent-encoded, without `?`; empty if there is none.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The credential to send it with; none for the one in force when it is sent.
    pub credential: Option<Arc<Credential>>,
    /// The body, if there is one.
    pub body: Option<Bytes>,
    subject: Option<Subject>,
}

impl Request {
    /// A request without query, headers and body. The path is shown in telemetry: what is about a
    /// person goes into a [`segment`](Self::segment), the query or the body.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        let path = path.into();
        Self {
            method,
            template: path.clone(),
            path,
            query: String::new(),
            headers: HeaderMap::new(),
            credential: None,
            body: None,
            subject: None,
        }
    }

    /// Says whom the request is about, where not every part of it tells that.
    #[must_use]
    pub fn about<'a>(mut self, number: impl IntoIterator<Item = &'a str>) -> Self {
        self.subject = Some(Subject::of(number.into_iter().map(str::as_bytes)));
        self
    }

    /// Whom the request is about: two that are sent alike are about the same.
    #[must_use]
    pub fn subject(&self) -> Subject {
        let sent = || {
            let parts = [self.method.as_str(), &self.path, &self.query].map(str::as_bytes);
            Subject::of(parts.into_iter().chain(self.body.as_deref()))
        };
        self.subject.unwrap_or_else(sent)
    }

    /// Adds a segment to the path that telemetry must not show, only its name. It must need no encoding.
    #[must_use]
    pub fn segment(mut self, name: &str, value: &str) -> Self {
        self.path.push('/');
        self.path.push_str(value);
        self.template.push_str(&format!("/{{{name}}}"));
        self
    }

    /// Adds a pair to the query, percent-encoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query = url::form_urlencoded::Serializer::for_suffix(self.query, 0)
            .append_pair(name, value)
            .finish();
        self
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets a JSON body and its content type.
    #[must_use]
    pub fn json(self, body: &impl Serialize) -> Self {
        // The bodies are plain structs and JSON values: they always serialize.
        let bytes = serde_json::to_vec(body).unwrap_or_default();
        self.body(HeaderValue::from_static("application/json"), bytes)
    }

    /// Sets a form-urlencoded body and its content type.
    #[must_use]
    pub fn form(self, pairs: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        self.body(content_type, body.into_bytes())
    }

    fn body(mut self, content_type: HeaderValue, bytes: Vec<u8>) -> Self {
        self.headers.insert(header::CONTENT_TYPE, content_type);
        self.body = Some(bytes.into());
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} [redacted])", self.method)
    }
}

/// What an adapter reads from an answer, which may say what it costs.
pub trait Priced {
    /// What the provider's document says of the price: nothing, unless this is overridden.
    fn billing(&self) -> Billing {
        Billing::Unknown
    }
}

impl Priced for () {}

impl<R> Priced for Verified<R> {
    fn billing(&self) -> Billing {
        self.billing
    }
}

/// A provider's whole answer. Its `Debug` shows the status only.
#[derive(Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What `Retry-After` asks for, in either of its forms.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
    /// Whether it is one of those that are searched for fields that no document lists.
    pub is_sampled: bool,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({} [redacted])", self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_percent_encoded_and_joined() {
        let request = Request::new(Method::GET, "/ce")
            .query("documentNumber", "005015372")
            .query("dateOfBirth", "16/08/1993")
            .query("odd", "a&b=c é");
        assert_eq!(
            request.query,
            "documentNumber=005015372&dateOfBirth=16%2F08%2F1993&odd=a%26b%3Dc+%C3%A9"
        );
    }

    #[test]
    fn the_template_of_a_path_shows_no_id() {
        let request = Request::new(Method::GET, "/v2/persons").segment("id", "canary");
        assert_eq!(request.path, "/v2/persons/canary");
        assert_eq!(request.template, "/v2/persons/{id}");
    }

    #[test]
    fn debug_shows_neither_path_nor_body() {
        let request = Request::new(Method::GET, "/canary").json(&"canary");
        let answer = Answer {
            status: 200,
            retry_after: None,
            body: "canary".into(),
            is_sampled: false,
        };
        assert_eq!(
            format!("{request:?} {answer:?}"),
            "Request(GET [redacted]) Answer(200 [redacted])"
        );
    }
}
