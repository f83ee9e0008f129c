//! Where a document is fetched: an issuer's key set, its discovery document.
//!
//! As [`BaseUrl`](super::BaseUrl), but it is one whole address: it may have a query, and its path is kept as it is.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use url::Url;

use super::base_url::{self, BaseUrlError};

/// A document's URL, checked: https, or http on a loopback host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocumentUrl(Url);

impl DocumentUrl {
    /// The URL.
    #[must_use]
    pub const fn get(&self) -> &Url {
        &self.0
    }
}

impl FromStr for DocumentUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let url = base_url::checked(text)?;
        match url.fragment() {
            Some(_) => Err(BaseUrlError::QueryOrFragment),
            None => Ok(Self(url)),
        }
    }
}

impl TryFrom<String> for DocumentUrl {
    type Error = BaseUrlError;

    fn try_from(text: String) -> Result<Self, BaseUrlError> {
        text.parse()
    }
}

impl From<DocumentUrl> for String {
    fn from(url: DocumentUrl) -> Self {
        url.to_string()
    }
}

impl fmt::Display for DocumentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl JsonSchema for DocumentUrl {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "DocumentUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "uri", "title": "an https URL" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_and_the_end_of_a_path_are_kept() {
        for (written, expected) in [
            (
                "https://login.bank.example/keys?p=policy&x=1",
                Ok("https://login.bank.example/keys?p=policy&x=1"),
            ),
            (
                "https://login.bank.example/keys/",
                Ok("https://login.bank.example/keys/"),
            ),
            ("http://127.0.0.1:1/k", Ok("http://127.0.0.1:1/k")),
            ("http://login.bank.example", Err(BaseUrlError::NotHttps)),
            ("https://a@login.bank.example", Err(BaseUrlError::UserInfo)),
            (
                "https://login.bank.example/#a",
                Err(BaseUrlError::QueryOrFragment),
            ),
        ] {
            let read = written.parse::<DocumentUrl>();
            assert_eq!(read.map(|url| url.to_string()), expected.map(str::to_owned));
        }
    }
}
