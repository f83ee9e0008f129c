//! The key of the chain: only who has it can make a line that follows another.
//!
//! A hash alone shows that a line was changed, but whoever may write the files can work out all the hashes anew. So
//! each line carries `mac`, an HMAC-SHA-256 over its own bytes under this key.

use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};

use super::{chain::Digest, settings::Settings};
use crate::sha256;

/// The key of a chain.
#[derive(Clone)]
pub struct ChainKey(hmac::Key);

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainKey([redacted])")
    }
}

impl ChainKey {
    /// The key as it was configured.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(HMAC_SHA256, key))
    }

    /// The key that follows from the one of the identifiers' hashes, where the chain has none of its own: its
    /// HMAC-SHA-256 of `chain key`.
    #[must_use]
    pub fn derived(audit_key: &[u8]) -> Self {
        let audit_key = hmac::Key::new(HMAC_SHA256, audit_key);
        Self::new(hmac::sign(&audit_key, b"chain key").as_ref())
    }

    /// The key that the settings give; none if they give none.
    #[must_use]
    pub fn of(settings: &Settings) -> Option<Self> {
        let own = settings.chain_key.as_ref();
        let own = own.map(|key| Self::new(key.expose().as_bytes()));
        let other = settings.key.as_ref();
        own.or_else(|| other.map(|key| Self::derived(key.expose().as_bytes())))
    }

    /// Names the key without telling it.
    #[must_use]
    pub fn id(&self) -> Digest {
        self.mac(b"key id")
    }

    /// The HMAC of some bytes. No line is `key id`.
    #[must_use]
    pub fn mac(&self, bytes: &[u8]) -> Digest {
        Digest::from(sha256::array(hmac::sign(&self.0, bytes).as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use ::hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Sha256;

    use super::*;
    use crate::domain::redaction::Secret;

    fn hmac(key: &[u8], bytes: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }

    #[test]
    fn another_library_gets_the_same_macs_of_either_key() {
        let (own, audit) = ("the chain's own key", "the key of the hashes");
        let of = |chain_key: Option<&str>, key: Option<&str>| {
            ChainKey::of(&Settings {
                chain_key: chain_key.map(Secret::new),
                key: key.map(Secret::new),
                ..Settings::default()
            })
        };
        let derived = hmac(audit.as_bytes(), b"chain key");
        for (chain_key, key, expected) in [
            (Some(own), Some(audit), own.as_bytes()),
            (Some(own), None, own.as_bytes()),
            (None, Some(audit), &derived),
        ] {
            let of = of(chain_key, key).unwrap();
            assert_eq!(of.mac(b"a line"), Digest::from(hmac(expected, b"a line")));
            assert_eq!(of.id(), Digest::from(hmac(expected, b"key id")));
        }
        assert!(of(None, None).is_none());
    }
}
