//! The headers that make the gateway known to a provider, replaceable while calls are under way.
//!
//! A request takes all of them at once, so that it never carries the id of one credential with the secret of
//! another. Their memory is zeroed when the last request that carries them is done; what HTTP and TLS copied of
//! them into buffers of their own is not.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header::InvalidHeaderValue};
use zeroize::Zeroizing;

/// A provider's credential, as headers.
#[derive(Clone)]
pub struct Credentials(Arc<ArcSwap<HeaderMap>>);

impl Credentials {
    /// The credential that is in force first.
    #[must_use]
    pub fn new(headers: HeaderMap) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(headers)))
    }

    /// Puts another one in force, for requests that are built from now on.
    pub fn replace(&self, headers: HeaderMap) {
        self.0.store(Arc::new(headers));
    }

    /// What is in force.
    #[must_use]
    pub fn headers(&self) -> Arc<HeaderMap> {
        self.0.load_full()
    }
}

/// Names only.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.load().keys()).finish()
    }
}

/// Headers of names and texts, marked sensitive.
///
/// # Errors
///
/// If a text cannot stand in an HTTP header.
pub fn headers<const N: usize>(
    pairs: [(HeaderName, Zeroizing<String>); N],
) -> Result<HeaderMap, InvalidHeaderValue> {
    let mut headers = HeaderMap::with_capacity(N);
    for (name, text) in pairs {
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(Owned(text)))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The bytes of a text that is zeroed when it is dropped.
struct Owned(Zeroizing<String>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    fn of(text: &str) -> Result<HeaderMap, InvalidHeaderValue> {
        headers([(header::AUTHORIZATION, Zeroizing::new(text.to_owned()))])
    }

    #[test]
    fn a_credential_is_replaced_as_a_whole_and_never_shown() {
        let credentials = Credentials::new(of("canary-1").unwrap());
        let before = credentials.headers();
        credentials.replace(of("canary-2").unwrap());
        assert_eq!(before[header::AUTHORIZATION], "canary-1");
        assert_eq!(credentials.headers()[header::AUTHORIZATION], "canary-2");
        let shown = format!("{credentials:?} {before:?}");
        assert_eq!(shown, r#"{"authorization"} {"authorization": Sensitive}"#);
    }

    #[test]
    fn what_no_header_can_hold_is_refused() {
        assert!(of("a\nb").is_err());
    }
}
