//! The records about one identifier.

use std::{
    collections::{BTreeSet, HashSet},
    io::{self, BufRead},
};

use serde::Deserialize;

use super::hash::{Hasher, IdentifierHash};
use crate::domain::identifier::Identifier;

/// All kinds that records have; docs/audit.md says what each is.
pub const KINDS: [&str; 9] = [
    "pe_foreigner_id",
    "pe_dni",
    "ke_national_id",
    "ke_passport",
    "ke_service_id",
    "ke_alien_id",
    "mx_curp",
    "person_id",
    "person_document",
];
/// Longest line that is looked at: records are far shorter.
const LONGEST: u64 = 1024 * 1024;
/// Most keys that are told of.
const KEYS: usize = 16;

/// What of a record tells whom it is about, or under which key those after it are.
#[derive(Deserialize)]
struct About<'a> {
    #[serde(borrow, default)]
    identifier_hash: Option<&'a str>,
    #[serde(borrow, default)]
    call: Option<&'a str>,
    #[serde(borrow, default)]
    key_id: Option<&'a str>,
}

/// The search.
#[derive(Debug)]
pub struct Search {
    hashes: Vec<String>,
    calls: HashSet<String>,
    keys: Vec<String>,
    missing: BTreeSet<String>,
    /// How many records it has found.
    pub found: u64,
}

impl Search {
    /// For the number of a kind, hashed under any of the keys.
    #[must_use]
    pub fn new(keys: &[Hasher], kind: &'static str, number: &str, of_type: Option<&str>) -> Self {
        // As it is sent to a provider; letters are sent in upper case where the kind has only those.
        let upper = number.to_uppercase();
        let hash = |key: &Hasher, value| -> IdentifierHash {
            key.identifier(Identifier {
                of_type,
                ..Identifier::new(kind, value)
            })
        };
        let each = keys
            .iter()
            .flat_map(|key| [hash(key, number), hash(key, &upper)]);
        Self {
            hashes: each.map(|hash| hash.hex().to_string()).collect(),
            calls: HashSet::new(),
            keys: keys
                .iter()
                .map(|key| key.key_id().hex().to_string())
                .collect(),
            missing: BTreeSet::new(),
            found: 0,
        }
    }

    /// The ids of keys that processes have written under, and that the search does not have: what they wrote about the
    /// number is not found.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.missing.iter().map(String::as_str)
    }

    /// Shows the records about the number, and those that belong to the same calls.
    ///
    /// # Errors
    ///
    /// If it cannot be read or shown.
    pub fn file(
        &mut self,
        mut lines: impl BufRead,
        mut show: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if io::Read::take(&mut lines, LONGEST).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if self.is_about(&line) {
                self.found += 1;
                show(line.trim_ascii_end())?;
            }
        }
    }

    fn is_about(&mut self, line: &[u8]) -> bool {
        let Ok(About {
            identifier_hash,
            call,
            key_id,
        }) = serde_json::from_slice(line)
        else {
            return false;
        };
        // Of its form: whoever writes into the files does not choose what is printed.
        let key_id =
            key_id.filter(|id| id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()));
        if let Some(id) = key_id
            && self.missing.len() < KEYS
            && !self.keys.iter().any(|own| own == id)
        {
            self.missing.insert(id.to_owned());
        }
        let is_it = identifier_hash.is_some_and(|hash| self.hashes.iter().any(|own| own == hash));
        match call {
            Some(call) if is_it => {
                self.calls.insert(call.to_owned());
                true
            }
            Some(call) => self.calls.contains(call),
            None => is_it,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_not_given_are_told_of_once_and_by_their_form_alone() {
        let keys = [Hasher::new(b"the key that is given")];
        let own = keys[0].key_id().hex().to_string();
        let other = |n: usize| format!("{n:064x}");
        let start = |id: &str| format!("{{\"event\":\"start\",\"key_id\":\"{id}\"}}\n");
        let lines = [own, other(1), other(1), "x".repeat(64), "a".repeat(900_000)];
        let mut search = Search::new(&keys, "pe_dni", "71640001", None);
        let text: String = lines.iter().map(|id| start(id)).collect();
        search.file(text.as_bytes(), |_| Ok(())).unwrap();
        assert_eq!(search.missing().collect::<Vec<_>>(), [other(1)]);
        let many: String = (0..1000).map(|n| start(&other(n))).collect();
        search.file(many.as_bytes(), |_| Ok(())).unwrap();
        assert_eq!((search.missing().count(), search.found), (KEYS, 0));
    }
}
