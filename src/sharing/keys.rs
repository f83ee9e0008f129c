//! Names that say nothing and values that nobody else can read.
//!
//! A name is HMAC-SHA-256 under a key derived from `cache.key`: identity numbers are few enough to be
//! guessed one by one, so a plain hash would not hide them. A value is sealed with AES-256-GCM and
//! bound to its name, so that a value moved to another name is refused. Each name has its own
//! sealing key: the nonces are random, and so few values share one key that two never meet.
//!
//! A sealed value is `version (1) | key id (1) | nonce (12) | ciphertext and tag`. Another version,
//! another key or a changed byte makes it unreadable, which is a miss and no error.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hmac, rand,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use zeroize::Zeroizing;

use crate::{domain::weak_key, sha256};

/// Version of the sealed form.
const VERSION: u8 = 1;
/// Bytes that a key must have.
pub const SHORTEST_KEY: usize = weak_key::SHORTEST;

/// The keyed hash of what something is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name([u8; 32]);

impl Hash for Name {
    /// A part is as random as the whole.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.first_chunk::<8>().hash(state);
    }
}

impl Name {
    /// The name of a second answer to the same, which differs in the last bit: a keyed hash costs more
    /// than all else that a call does for its names.
    #[must_use]
    pub fn beside(mut self) -> Self {
        if let Some(last) = self.0.last_mut() {
            *last ^= 1;
        }
        self
    }

    /// The name as it is hashed into another one.
    pub(super) const fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name in letters, digits, `-` and `_`.
    #[must_use]
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name")
    }
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is too short to be worth anything.
    #[error("must be at least {SHORTEST_KEY} bytes, in base64 or as text")]
    TooShort,
    /// Somebody typed it.
    #[error("is too easy to guess: generate it at random")]
    Weak,
    /// The system gives no randomness.
    #[error("the system's random number generator is unavailable")]
    NoRandomness,
}

/// The bytes of a configured key.
///
/// # Errors
///
/// If it is too short, or can be guessed.
pub fn master(key: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let key = key.trim();
    let decoded = STANDARD
        .decode(key)
        .or_else(|_| STANDARD_NO_PAD.decode(key))
        .or_else(|_| URL_SAFE_NO_PAD.decode(key));
    let bytes = match decoded {
        Ok(bytes) if bytes.len() >= SHORTEST_KEY => bytes,
        _ => key.as_bytes().to_vec(),
    };
    match bytes.len() >= SHORTEST_KEY {
        true if weak_key::is_weak(&bytes) => Err(KeyError::Weak),
        true => Ok(Zeroizing::new(bytes)),
        false => Err(KeyError::TooShort),
    }
}

/// The keys of this process, all derived from one.
pub struct Keys {
    id: u8,
    naming: hmac::Key,
    sealing: hmac::Key,
}

impl Keys {
    /// The keys derived from `cache.key`.
    ///
    /// # Errors
    ///
    /// If it is too short.
    pub fn derived(key: &str) -> Result<Self, KeyError> {
        master(key).map(|bytes| Self::of(&bytes))
    }

    /// Keys for this process alone.
    ///
    /// # Errors
    ///
    /// If the system gives no randomness.
    pub fn random() -> Result<Self, KeyError> {
        let mut bytes = [0; SHORTEST_KEY];
        rand::fill(&mut bytes).map_err(|_| KeyError::NoRandomness)?;
        Ok(Self::of(&bytes))
    }

    fn of(master: &[u8]) -> Self {
        let master = hmac::Key::new(hmac::HMAC_SHA256, master);
        let derive = |label: &str| hmac::sign(&master, label.as_bytes());
        let key = |label| hmac::Key::new(hmac::HMAC_SHA256, derive(label).as_ref());
        let id = derive("identity-gateway: key id, 1");
        Self {
            id: id.as_ref().first().copied().unwrap_or_default(),
            naming: key("identity-gateway: names, 1"),
            sealing: key("identity-gateway: values, 1"),
        }
    }

    /// The name of what these parts are about, in this order.
    pub fn name<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Name {
        let mut hash = hmac::Context::with_key(&self.naming);
        for part in parts {
            // Without the length, `ab` and `c` would be `a` and `bc`.
            hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        Name(sha256::array(hash.sign().as_ref()))
    }

    /// Seals a value under its name; none if the system gives no randomness.
    #[must_use]
    pub fn seal(&self, name: &Name, value: &[u8]) -> Option<Vec<u8>> {
        let mut body = value.to_vec();
        let aad = Aad::from(name.0);
        let nonce = self.sealing(name)?.seal_in_place_append_tag(aad, &mut body);
        let nonce = nonce.ok()?;
        let mut sealed = vec![VERSION, self.id];
        sealed.extend(nonce.as_ref());
        sealed.append(&mut body);
        Some(sealed)
    }

    /// The value that was sealed under this name; none if it was not, or is not whole.
    #[must_use]
    pub fn open(&self, name: &Name, sealed: &[u8]) -> Option<Vec<u8>> {
        let (head, rest) = sealed.split_at_checked(2)?;
        if head != [VERSION, self.id] {
            return None;
        }
        let (nonce, body) = rest.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let key = self.sealing(name)?;
        let value = key.open_in_place(nonce, Aad::from(name.0), &mut body);
        let length = value.ok()?.len();
        body.truncate(length);
        Some(body)
    }

    fn sealing(&self, name: &Name) -> Option<RandomizedNonceKey> {
        let key = hmac::sign(&self.sealing, &name.0);
        RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).ok()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a text of thirty-two bytes, just";

    fn name(keys: &Keys, parts: &[&str]) -> Name {
        keys.name(parts.iter().map(|part| part.as_bytes()))
    }

    #[test]
    fn a_value_is_read_only_under_its_name_and_key_and_whole() {
        let (keys, other) = (Keys::derived(TEXT).unwrap(), Keys::random().unwrap());
        let (here, there) = (name(&keys, &["a"]), name(&keys, &["b"]));
        let sealed = keys.seal(&here, b"canary").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
        assert_eq!(keys.open(&here, &sealed).unwrap(), b"canary");
        assert_ne!(keys.seal(&here, b"canary").unwrap(), sealed);
        assert_eq!(keys.open(&there, &sealed), None);
        assert_eq!(other.open(&here, &sealed), None);
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(keys.open(&here, &changed), None, "byte {place}");
            assert_eq!(keys.open(&here, &sealed[..place]), None, "{place} bytes");
        }
    }

    #[test]
    fn the_same_key_gives_the_same_names_and_the_parts_do_not_run_together() {
        let (one, two) = (Keys::derived(TEXT).unwrap(), Keys::derived(TEXT).unwrap());
        assert_eq!(name(&one, &["ab", "c"]), name(&two, &["ab", "c"]));
        assert_ne!(name(&one, &["ab", "c"]), name(&one, &["a", "bc"]));
        let other = Keys::random().unwrap();
        assert_ne!(name(&one, &["ab"]), name(&other, &["ab"]));
    }

    #[test]
    fn a_key_is_base64_or_text_of_32_bytes() {
        let bytes = sha256::Sha256::digest("a key");
        let base64 = STANDARD.encode(bytes);
        let keys = Keys::derived(&base64).unwrap();
        let same = Keys::of(&bytes);
        assert_eq!(name(&keys, &["a"]), name(&same, &["a"]));
        assert!(Keys::derived(base64.trim_end_matches('=')).is_ok());
        for short in ["", "short", &STANDARD.encode([7; 16])] {
            assert_eq!(Keys::derived(short).unwrap_err(), KeyError::TooShort);
        }
        for weak in [&STANDARD.encode([7; 32]), &"k".repeat(32)] {
            assert_eq!(Keys::derived(weak).unwrap_err(), KeyError::Weak);
        }
        assert_eq!(format!("{keys:?}"), "Keys([redacted])");
    }
}
