//! Where a provider's requests go: its base URL, and below it the path and the query of each.

use std::{fmt, sync::OnceLock};

use http::{
    HeaderValue, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};
use url::Url;

use super::{Request, client::AddressError};

/// The base URL, and what is known below it.
pub struct Address {
    base: Url,
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    /// A path that is the same for everybody, as every lookup's is, and how it is written on the wire.
    usual: OnceLock<(String, String)>,
}

impl Address {
    /// An address with nothing known below it yet.
    ///
    /// # Errors
    ///
    /// If the URL is none of HTTP.
    pub fn new(base: Url) -> Result<Self, AddressError> {
        let uri: Uri = base.as_str().parse().map_err(|_| AddressError::Base)?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(AddressError::Base);
        };
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| AddressError::Base)?;
        Ok(Self {
            base,
            scheme,
            authority,
            host,
            usual: OnceLock::new(),
        })
    }

    /// The value of `Host`.
    pub const fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The whole URI, as HTTP/2 wants it; none if it cannot be written.
    pub fn absolute(&self, request: &Request) -> Option<Uri> {
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(self.of(request)?);
        uri.build().ok()
    }

    /// Path and query, as HTTP/1 wants them; none if they cannot be written. A path with segments, which are
    /// about a person, is encoded for each request and forgotten.
    pub fn of(&self, request: &Request) -> Option<PathAndQuery> {
        let own;
        let path = if request.path == request.template {
            let encoded = || (request.path.clone(), self.below(&request.path));
            match self.usual.get_or_init(encoded) {
                (path, encoded) if *path == request.path => encoded,
                _ => {
                    own = self.below(&request.path);
                    &own
                }
            }
        } else {
            own = self.below(&request.path);
            &own
        };
        match request.query.as_str() {
            "" => path.parse().ok(),
            query => PathAndQuery::from_maybe_shared(format!("{path}?{query}")).ok(),
        }
    }

    fn below(&self, path: &str) -> String {
        let mut url = self.base.clone();
        let base = url.path().trim_end_matches('/');
        let path = format!("{base}{path}");
        url.set_path(&path);
        url.path().to_owned()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn a_request_goes_to_its_own_path_below_the_base_whichever_was_first() {
        let address = Address::new("http://provider.example/below/".parse().unwrap()).unwrap();
        let get = |path| Request::new(Method::GET, path);
        let person = |id| get("/persons").segment("id", id);
        for (request, expected) in [
            (person("AB1"), "/persons/AB1"),
            (get("/lookup").query("a", "1"), "/lookup?a=1"),
            (get("/lookup").query("a", "b c"), "/lookup?a=b+c"),
            (get("/lookup"), "/lookup"),
            (get("/persons"), "/persons"),
            (person("CD2").query("q", "x"), "/persons/CD2?q=x"),
            (person("AB1"), "/persons/AB1"),
            (get("/odd \u{e9}?#"), "/odd%20%C3%A9%3F%23"),
        ] {
            assert_eq!(
                address.of(&request).unwrap().as_str(),
                format!("/below{expected}")
            );
            assert_eq!(
                address.absolute(&request).unwrap().to_string(),
                format!("http://provider.example/below{expected}")
            );
        }
        // What is about a person is in no memory that outlives the request.
        assert_eq!(address.usual.get().unwrap().0, "/lookup");
    }

    #[test]
    fn the_host_is_named_with_its_port_unless_it_is_the_usual_one() {
        for (base, host) in [
            ("https://provider.example", "provider.example"),
            ("https://provider.example:443/x", "provider.example"),
            ("https://provider.example:8443", "provider.example:8443"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            let address = Address::new(base.parse().unwrap()).unwrap();
            assert_eq!(address.host(), host, "{base}");
        }
    }
}
