//! `keys`: preshared bearer keys, of which only SHA-256 hashes are stored.
//!
//! A line of the file (or an entry of `auth.keys.hashes`) is a name, white space, and the hash in
//! hexadecimal. A name may stand on several lines: that is how a key is changed without a gap. A hash
//! without salt hides nothing that can be guessed, so a key must be random: see docs/access.md.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::{
    Unidentified,
    identity::{Caller, Identity},
    settings::AuthMode,
};
use crate::sha256::Sha256;
use crate::{
    domain::{cause::Cause, redaction::Secret, weak_key},
    hex,
};

/// Most keys: each call is compared with all of them.
const MOST: usize = 1000;
/// When a caller may try again while the keys are not known.
pub(super) const WAIT: Duration = Duration::from_secs(10);

/// What is known of the keys.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyTable(Vec<([u8; 32], Arc<Caller>)>);

impl KeyTable {
    /// Reads the lines.
    ///
    /// # Errors
    ///
    /// What is wrong with a line, without repeating it: it may hold a key by mistake.
    pub fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut keys = Vec::new();
        let mut names: BTreeMap<&str, Arc<Caller>> = BTreeMap::new();
        for (number, line) in (1..).zip(lines) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| format!("line {number}: {what}");
            let (name, hash) = line
                .rsplit_once(char::is_whitespace)
                .ok_or_else(|| wrong("expected a name, white space and a SHA-256"))?;
            let name = name.trim();
            let hash = hex::read(hash).ok_or_else(|| wrong("expected 64 hexadecimal digits"))?;
            let caller = match names.get(name) {
                Some(caller) => Arc::clone(caller),
                None => {
                    let identity = Identity::new(AuthMode::Keys, name)
                        .ok_or_else(|| wrong("the name is not printable ASCII"))?;
                    Arc::new(Caller::new(identity))
                }
            };
            if keys.iter().any(|(known, _)| *known == hash) {
                return Err(wrong("duplicate hash"));
            }
            names.insert(name, Arc::clone(&caller));
            keys.push((hash, caller));
        }
        match keys.len() {
            0..=MOST => Ok(Self(keys)),
            _ => Err(format!("holds more than {MOST} keys")),
        }
    }

    /// Whether there is no key: whoever removes the last one lets nobody in.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The caller with this key. The time this takes depends on how many keys there are, and on nothing
    /// else: every one is compared, each in constant time.
    fn find(&self, key: &Secret) -> Option<Arc<Caller>> {
        let presented = Sha256::digest(key.expose());
        let mut found = None;
        for (hash, caller) in &self.0 {
            if verify_slices_are_equal(hash, &presented).is_ok() {
                found = Some(caller);
            }
        }
        found.cloned()
    }
}

/// Hashes are no keys, but there is no need to print them.
impl fmt::Debug for KeyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyTable({})", self.0.len())
    }
}

/// The keys in force; none once their file could not be used for too long.
#[derive(Debug)]
pub struct Keys(pub(super) Arc<ArcSwapOption<KeyTable>>);

impl Keys {
    /// Who presents this key.
    ///
    /// # Errors
    ///
    /// If nobody's key is this one, or the keys are not known.
    pub fn identify(&self, key: &Secret) -> Result<Arc<Caller>, Unidentified> {
        // Its hash is listed, and it can be guessed from it.
        if weak_key::is_weak(key.expose().as_bytes()) {
            return Err(Cause::WeakKey.into());
        }
        match &*self.0.load() {
            Some(table) => Ok(table.find(key).ok_or(Cause::UnknownKey)?),
            None => Err(Unidentified::keys_unavailable(WAIT)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "the old key of payments, 32 byte";
    const NEW: &str = "the new key of payments, 32 byte";

    fn line(name: &str, key: &str) -> String {
        let digest = Sha256::digest(key);
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name} {hash}")
    }

    fn keys(lines: &[String]) -> Keys {
        let table = KeyTable::parse(lines.iter().map(String::as_str)).unwrap();
        Keys(Arc::new(ArcSwapOption::from_pointee(table)))
    }

    fn name(keys: &Keys, key: &str) -> Option<String> {
        let caller = keys.identify(&Secret::new(key)).ok()?;
        Some(caller.identity.name().to_owned())
    }

    #[test]
    fn several_keys_of_one_name_are_good_at_once() {
        let keys = keys(&[
            "# rotated in May".to_owned(),
            line("payments", OLD),
            line("payments", NEW)
                .to_uppercase()
                .replace("PAYMENTS", "payments"),
            String::new(),
            line("back office", "another key with thirty-two bytes"),
        ]);
        assert_eq!(name(&keys, OLD).as_deref(), Some("payments"));
        assert_eq!(name(&keys, NEW).as_deref(), Some("payments"));
        let other = name(&keys, "another key with thirty-two bytes");
        assert_eq!(other.as_deref(), Some("back office"));
        for wrong in ["", "the old key of payments, 32 bytE", "short"] {
            assert_eq!(name(&keys, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_weak_key_is_no_key_even_if_its_hash_is_listed() {
        for weak in [
            "letmein",
            &"k".repeat(32),
            &"ab".repeat(20),
            "0123456789abcdef0123456789abcdef",
        ] {
            let keys = keys(&[line("payments", weak)]);
            assert_eq!(name(&keys, weak), None, "{weak}");
        }
    }

    #[test]
    fn the_hash_itself_is_no_key() {
        let keys = keys(&[line("payments", OLD)]);
        let listed = line("payments", OLD);
        let hash = listed.split(' ').next_back().unwrap();
        assert_eq!(name(&keys, hash), None);
    }

    #[test]
    fn an_empty_set_is_a_set() {
        for text in ["", "# nothing\n"] {
            let table = KeyTable::parse(text.lines()).unwrap();
            assert!(table.is_empty());
            let keys = Keys(Arc::new(ArcSwapOption::from_pointee(table)));
            assert_eq!(name(&keys, OLD), None);
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        let twice = [line("a", OLD), line("b", OLD)].join("\n");
        for (text, problem) in [
            (
                "canary",
                "line 1: expected a name, white space and a SHA-256",
            ),
            ("\na canary", "line 2: expected 64 hexadecimal digits"),
            (
                &format!("é {}", "0".repeat(64)),
                "line 1: the name is not printable ASCII",
            ),
            (
                &format!("a {}", "+1".repeat(32)),
                "line 1: expected 64 hexadecimal digits",
            ),
            (&twice, "line 2: duplicate hash"),
        ] {
            let refused = KeyTable::parse(text.lines()).unwrap_err();
            assert_eq!(refused, problem);
        }
    }
}
