//! What a provider is asked and what it answers, before either is bytes on a socket.
//!
//! The providers' files are pure: they take a [`Received`] and give a [`Reply`]. Neither type has
//! `Debug`: both hold identifiers.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use serde_json::{Map, Value};

use super::faults::Fault;

/// A request that has arrived in full.
pub(super) struct Received {
    pub method: Method,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    /// A header, if it is there and readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first query parameter of that name, decoded.
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        let query = self.query.as_deref()?.as_bytes();
        pair(query, name)
    }

    /// The first form field of that name, if the body is a form.
    pub fn form(&self, name: &str) -> Option<Cow<'_, str>> {
        self.is("application/x-www-form-urlencoded")
            .then(|| pair(&self.body, name))?
    }

    /// The body, if it is said to be JSON and is a JSON object.
    pub fn json(&self) -> Option<Map<String, Value>> {
        self.is("application/json")
            .then(|| serde_json::from_slice(&self.body).ok())?
    }

    fn is(&self, media_type: &str) -> bool {
        self.header(header::CONTENT_TYPE.as_str())
            .and_then(|value| value.split(';').next())
            .is_some_and(|value| value.trim().eq_ignore_ascii_case(media_type))
    }
}

fn pair<'a>(pairs: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    url::form_urlencoded::parse(pairs)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

/// What the provider would charge for an answer, as far as its document says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Billing {
    Billed,
    NotBilled,
    Unknown,
}

/// The body of an answer.
pub(super) enum Content {
    Json(Value),
    Html(Cow<'static, str>),
}

/// An answer, and how it is to be spoilt on its way, if at all.
pub(super) struct Reply {
    /// HTTP status. A plain number: AccuAuth uses 512 and 513.
    pub status: u16,
    pub content: Content,
    /// Seconds for the `Retry-After` header.
    pub retry_after: Option<u32>,
    pub billing: Billing,
    pub fault: Option<Fault>,
    /// Before it is answered, beside what all answers wait.
    pub delay: Duration,
}

impl Reply {
    pub fn json(status: u16, body: Value, billing: Billing) -> Self {
        Self {
            status,
            content: Content::Json(body),
            retry_after: None,
            billing,
            fault: None,
            delay: Duration::ZERO,
        }
    }

    /// A page, such as the error page of a proxy before the provider.
    pub fn html(status: u16, page: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            content: Content::Html(page.into()),
            retry_after: None,
            billing: Billing::NotBilled,
            fault: None,
            delay: Duration::ZERO,
        }
    }

    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub fn after(mut self, delay: Duration) -> Self {
        self.delay += delay;
        self
    }

    pub fn spoilt(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }
}
