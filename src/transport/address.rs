//! Where a provider's requests go: its base URL, and below it the path and the query of each.

use std::{fmt, sync::OnceLock};

use url::Url;

use super::Request;

/// The base URL, and what is known below it.
pub struct Address {
    base: Url,
    /// A path that is the same for everybody, as every lookup's is, and where it leads.
    usual: OnceLock<(String, Url)>,
}

impl Address {
    /// An address with nothing known yet.
    pub const fn new(base: Url) -> Self {
        Self {
            base,
            usual: OnceLock::new(),
        }
    }

    /// Where a request goes. A path with segments, which are about a person, is parsed for each request
    /// and forgotten.
    pub fn of(&self, request: &Request) -> Url {
        let mut url = if request.path == request.template {
            let parsed = || (request.path.clone(), self.below(&request.path));
            match self.usual.get_or_init(parsed) {
                (path, url) if *path == request.path => url.clone(),
                _ => self.below(&request.path),
            }
        } else {
            self.below(&request.path)
        };
        url.set_query((!request.query.is_empty()).then_some(&request.query));
        url
    }

    fn below(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let base = url.path().trim_end_matches('/');
        let path = format!("{base}{path}");
        url.set_path(&path);
        url
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
        let address = Address::new("http://provider.example/below/".parse().unwrap());
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
        ] {
            let url = address.of(&request);
            assert_eq!(
                url.as_str(),
                format!("http://provider.example/below{expected}")
            );
        }
        // What is about a person is in no memory that outlives the request.
        assert_eq!(address.usual.get().unwrap().0, "/lookup");
    }
}
