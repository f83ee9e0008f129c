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

use crate::sha256::Sha256;

/// A provider's credential, as headers.
#[derive(Clone)]
pub struct Credentials(Arc<ArcSwap<Credential>>);

/// The headers of one credential.
pub struct Credential {
    /// The headers.
    pub headers: HeaderMap,
    /// Tells it from others.
    pub fingerprint: Fingerprint,
}

/// A hash of a credential, which tells whose account a request goes to. It is as secret as a hash of a
/// password: only names that are hashed with a key are made of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    fn of(headers: &HeaderMap) -> Self {
        let mut pairs: Vec<_> = headers.iter().collect();
        pairs.sort_by_key(|(name, _)| name.as_str());
        let hash = pairs.iter().fold(Sha256::new(), |hash, (name, value)| {
            // Neither can hold a line break.
            let hash = hash.chain_update(name.as_str()).chain_update(b"\n");
            hash.chain_update(value.as_bytes()).chain_update(b"\n")
        });
        Self(hash.finish())
    }

    /// The hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprint([redacted])")
    }
}

impl Credential {
    fn new(headers: HeaderMap) -> Self {
        let fingerprint = Fingerprint::of(&headers);
        Self {
            headers,
            fingerprint,
        }
    }
}

impl Credentials {
    /// The credential that is in force first.
    #[must_use]
    pub fn new(headers: HeaderMap) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Credential::new(headers))))
    }

    /// Puts another one in force, for requests that are built from now on.
    pub fn replace(&self, headers: HeaderMap) {
        self.0.store(Arc::new(Credential::new(headers)));
    }

    /// What is in force.
    #[must_use]
    pub fn current(&self) -> Arc<Credential> {
        self.0.load_full()
    }
}

/// Names only.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let credential = self.0.load();
        f.debug_set().entries(credential.headers.keys()).finish()
    }
}

/// Headers of names and texts, marked sensitive.
///
/// # Errors
///
/// If a text cannot stand in an HTTP header.
pub fn headers(
    pairs: impl IntoIterator<Item = (HeaderName, Zeroizing<String>)>,
) -> Result<HeaderMap, InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
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
        let before = credentials.current();
        credentials.replace(of("canary-2").unwrap());
        let after = credentials.current();
        assert_eq!(before.headers[header::AUTHORIZATION], "canary-1");
        assert_eq!(after.headers[header::AUTHORIZATION], "canary-2");
        let shown = format!("{credentials:?} {:?}", before.headers);
        assert_eq!(shown, r#"{"authorization"} {"authorization": Sensitive}"#);
        assert_ne!(before.fingerprint, after.fingerprint);
        credentials.replace(of("canary-1").unwrap());
        assert_eq!(credentials.current().fingerprint, before.fingerprint);
        let shown = format!("{:?}", before.fingerprint);
        assert_eq!(shown, "Fingerprint([redacted])");
    }

    #[test]
    fn what_no_header_can_hold_is_refused() {
        assert!(of("a\nb").is_err());
    }
}
