//! Where a provider is reached.
//!
//! Always https, except on the loopback interface, where tests and the sandbox live: credentials and
//! personal data travel there. User-info, query and fragment are refused: they would be lost or logged. A
//! path is kept as a prefix, without a slash at its end. Errors never repeat the URL: it may hold a password.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// A provider's base URL, checked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BaseUrl(Url);

/// Why a base URL was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// It cannot be read as an absolute URL with a host.
    #[error("not an absolute URL with a host")]
    NotAUrl,
    /// It is not https, and its host is not loopback.
    #[error("must be https; plain http is for loopback hosts only")]
    NotHttps,
    /// It holds a user name or a password.
    #[error("must not hold a user name or a password")]
    UserInfo,
    /// It holds a query or a fragment.
    #[error("must not hold a query or a fragment")]
    QueryOrFragment,
}

impl BaseUrl {
    /// How a base URL is written, for messages and documents.
    pub const FORM: &str = "a URL such as https://api.example.com";

    /// A URL written in this program.
    #[expect(
        clippy::expect_used,
        reason = "a literal of this program, held right by a test; the type has no other infallible way in"
    )]
    pub(crate) fn built_in(literal: &'static str) -> Self {
        literal.parse().expect("a built-in base URL is a base URL")
    }

    /// The URL. Its path is `/` or does not end in a slash.
    #[must_use]
    pub const fn get(&self) -> &Url {
        &self.0
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let mut url = checked(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BaseUrlError::QueryOrFragment);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }
}

/// A URL of https, or of http on a loopback host, without a user.
pub(super) fn checked(text: &str) -> Result<Url, BaseUrlError> {
    let url = Url::parse(text.trim()).map_err(|_| BaseUrlError::NotAUrl)?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(BaseUrlError::NotAUrl),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => return Err(BaseUrlError::NotHttps),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BaseUrlError::UserInfo);
    }
    Ok(url)
}

impl TryFrom<String> for BaseUrl {
    type Error = BaseUrlError;

    fn try_from(text: String) -> Result<Self, BaseUrlError> {
        text.parse()
    }
}

impl From<BaseUrl> for String {
    fn from(url: BaseUrl) -> Self {
        url.to_string()
    }
}

/// Without a slash at the end, as the providers' documents write it.
impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl JsonSchema for BaseUrl {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "BaseUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "uri", "title": Self::FORM })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_taken_and_http_only_on_loopback() {
        for (written, shown) in [
            ("https://api.verifik.co", "https://api.verifik.co"),
            ("https://api.verifik.co/", "https://api.verifik.co"),
            (
                " https://proxy.example/verifik// ",
                "https://proxy.example/verifik",
            ),
            ("http://127.0.0.1:8090", "http://127.0.0.1:8090"),
            ("http://127.9.9.9", "http://127.9.9.9"),
            ("http://[::1]:1", "http://[::1]:1"),
            ("http://LOCALHOST:80/x", "http://localhost/x"),
        ] {
            let url: BaseUrl = written.parse().expect(written);
            assert_eq!(url.to_string(), shown);
            assert_eq!(shown.parse(), Ok(url));
        }
    }

    #[test]
    fn anything_else_is_refused_without_being_repeated() {
        for (written, error) in [
            ("", BaseUrlError::NotAUrl),
            ("api.verifik.co", BaseUrlError::NotAUrl),
            ("mailto:canary@example.com", BaseUrlError::NotAUrl),
            ("http://api.verifik.co", BaseUrlError::NotHttps),
            ("http://localhost.example.com", BaseUrlError::NotHttps),
            ("http://128.0.0.1", BaseUrlError::NotHttps),
            ("ftp://127.0.0.1", BaseUrlError::NotHttps),
            ("https://canary@api.verifik.co", BaseUrlError::UserInfo),
            ("https://:canary@api.verifik.co", BaseUrlError::UserInfo),
            (
                "https://api.verifik.co?canary=1",
                BaseUrlError::QueryOrFragment,
            ),
            (
                "https://api.verifik.co/#canary",
                BaseUrlError::QueryOrFragment,
            ),
        ] {
            assert_eq!(written.parse::<BaseUrl>(), Err(error), "{written}");
            assert!(!error.to_string().contains("canary"));
        }
    }
}
