//! The keyed hash of an identifier: two records about the same number compare, and nobody without
//! the key can find the number by trying them all (there are few enough to try: nine digits).
//!
//! HMAC-SHA-256 over the kind, a zero byte, and the value, so that the same digits as another kind of number hash to
//! something else. A document of a person record whose type is known has a zero byte and the type after it.
//! docs/audit.md holds vectors.

use std::{fmt, iter};

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};

use crate::{domain::identifier::Identifier, hex::Hex, sha256};

/// The hash of an identifier. Only a [`Hasher`] makes one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdentifierHash([u8; 32]);

impl IdentifierHash {
    /// In hexadecimal.
    #[must_use]
    pub fn hex(&self) -> Hex<32> {
        Hex::of(&self.0)
    }
}

impl fmt::Debug for IdentifierHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// Makes hashes under one key.
#[derive(Clone)]
pub struct Hasher(Key);

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher([redacted])")
    }
}

impl Hasher {
    /// A hasher under a key.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(Key::new(HMAC_SHA256, key))
    }

    /// Names the key without telling it: the same in every record made under it.
    #[must_use]
    pub fn key_id(&self) -> IdentifierHash {
        self.hash("key id", [])
    }

    /// The hash of an identifier.
    #[must_use]
    pub fn identifier(&self, of: Identifier<'_>) -> IdentifierHash {
        self.hash(of.kind, iter::once(of.value).chain(of.of_type))
    }

    fn hash<'a>(&self, kind: &str, parts: impl IntoIterator<Item = &'a str>) -> IdentifierHash {
        let mut mac = Context::with_key(&self.0);
        mac.update(kind.as_bytes());
        for part in parts {
            mac.update(&[0]);
            mac.update(part.as_bytes());
        }
        IdentifierHash(sha256::array(mac.sign().as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Sha256;

    use super::*;
    use crate::domain::{
        curp::{Curp, CurpRule},
        dni::Dni,
        foreigner_id::ForeignerId,
        kenya_id::{KenyaId, KenyaIdKind},
        person::{self, FieldValue, PersonField, PersonId},
        redaction::Pii,
    };

    fn curp(text: &str) -> Curp {
        Curp::parse(text, CurpRule::Strict, jiff::civil::date(2026, 11, 1)).unwrap()
    }

    fn hasher(key: &str) -> Hasher {
        Hasher::new(key.as_bytes())
    }

    #[test]
    fn a_hash_depends_on_the_key_the_kind_and_the_number() {
        let national = KenyaId::parse(KenyaIdKind::NationalId, "1234567").unwrap();
        let alien = KenyaId::parse(KenyaIdKind::AlienId, "1234567").unwrap();
        let other = KenyaId::parse(KenyaIdKind::NationalId, "1234568").unwrap();
        let of = |key, id: &KenyaId| hasher(key).identifier(id.identifier());
        assert_eq!(of("k", &national), of("k", &national));
        assert_ne!(of("k", &national), of("l", &national));
        assert_ne!(of("k", &national), of("k", &alien));
        assert_ne!(of("k", &national), of("k", &other));
    }

    /// Held fast, because auditors compare hashes over years: docs/audit.md has a vector for each kind, which another
    /// library recomputes from what the document says.
    #[test]
    fn the_hash_is_what_the_document_says() {
        let document =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit.md")).unwrap();
        let key = document
            .split_once("under the key `")
            .and_then(|(_, rest)| rest.split_once('`'))
            .unwrap()
            .0;
        let rows = document.lines().filter_map(|line| {
            let cells: Vec<_> = line
                .split('|')
                .map(|cell| cell.trim().trim_matches('`'))
                .collect();
            match cells[..] {
                ["", kind, value, of_type, hash, ""] if hash.len() == 64 => {
                    Some((kind, value, of_type, hash))
                }
                _ => None,
            }
        });
        let mut kinds = std::collections::BTreeSet::new();
        for (kind, value, of_type, expected) in rows {
            let kenya = |kind| KenyaId::parse(kind, value).unwrap();
            let hasher = hasher(key);
            let of = |identifier: Identifier<'_>| (identifier.kind, hasher.identifier(identifier));
            let text = |text: &str| Some(FieldValue::Text(Pii::new(text.to_owned())));
            let (found, hash) = match kind {
                "pe_foreigner_id" => of(ForeignerId::parse(value).unwrap().identifier()),
                "pe_dni" => of(Dni::parse(value).unwrap().identifier()),
                "ke_national_id" => of(kenya(KenyaIdKind::NationalId).identifier()),
                "ke_passport" => of(kenya(KenyaIdKind::Passport).identifier()),
                "ke_service_id" => of(kenya(KenyaIdKind::ServiceId).identifier()),
                "ke_alien_id" => of(kenya(KenyaIdKind::AlienId).identifier()),
                "mx_curp" => of(curp(value).identifier()),
                "person_id" => of(PersonId::parse(value).unwrap().identifier()),
                "person_document" => {
                    let mut fields = vec![(PersonField::DocumentNumber, text(value))];
                    if !of_type.is_empty() {
                        fields.push((PersonField::DocumentType, text(of_type)));
                    }
                    of(person::document(&fields).unwrap())
                }
                other => panic!("{other} is no kind"),
            };
            assert_eq!(found, kind);
            let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
            mac.update(kind.as_bytes());
            mac.update(&[0]);
            mac.update(value.as_bytes());
            if !of_type.is_empty() {
                mac.update(&[0]);
                mac.update(of_type.as_bytes());
            }
            let recomputed = IdentifierHash(mac.finalize().into_bytes().into());
            assert_eq!(
                &*recomputed.hex(),
                expected,
                "{kind}: the document is wrong"
            );
            assert_eq!(hash, recomputed, "{kind}: the program is wrong");
            kinds.insert((kind.to_owned(), of_type.is_empty()));
        }
        // Every kind, and documents with and without a type.
        assert_eq!(kinds.len(), 10, "{kinds:?}");
        let names = kinds.iter().map(|(kind, _)| &**kind);
        let names: std::collections::BTreeSet<_> = names.collect();
        let searched = crate::audit::find::KINDS;
        assert_eq!(names, searched.into(), "`audit find` takes every kind");
    }

    #[test]
    fn a_record_without_a_document_has_no_hash() {
        let name = FieldValue::Text(Pii::new("Ada".to_owned()));
        let number = FieldValue::Text(Pii::new("77".to_owned()));
        let fields = [
            (PersonField::GivenName, Some(name)),
            (PersonField::DocumentNumber, Some(number)),
        ];
        assert!(person::document(&fields[..1]).is_none());
        assert!(person::document(&fields).is_some());
    }
}
