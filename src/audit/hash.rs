//! The keyed hash of an identifier: two records about the same number compare, and nobody without
//! the key can find the number by trying them all (there are few enough to try: nine digits).
//!
//! HMAC-SHA-256 over the kind, a zero byte, and the parts with zero bytes between them, so that the
//! same digits as another kind of number hash to something else.

use std::fmt;

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};

use super::words::IdentifierKind;
use crate::{
    domain::{
        curp::Curp,
        foreigner_id::ForeignerId,
        kenya_id::{KenyaId, KenyaIdKind},
        person::{FieldChange, FieldValue, PersonField, PersonId},
    },
    hex::Hex,
    sha256,
};

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

/// What a call is about.
#[derive(Debug, Clone, Copy)]
pub enum Identifier<'a> {
    /// A Peruvian foreigner's card.
    Foreigner(&'a ForeignerId),
    /// A Kenyan number; its kind is hashed with it.
    Kenya(&'a KenyaId),
    /// A CURP.
    Curp(&'a Curp),
    /// A person record.
    Person(&'a PersonId),
    /// Nobody in particular.
    Many,
    /// The document in a person record that is to be made, if it names one.
    Fields(&'a [FieldChange]),
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
        self.hash("key id", &[])
    }

    /// The kind of an identifier and its hash.
    #[must_use]
    pub fn identifier(&self, of: Identifier<'_>) -> Option<(IdentifierKind, IdentifierHash)> {
        let (kind, parts): (_, [&str; 2]) = match of {
            Identifier::Foreigner(number) => (IdentifierKind::PeForeignerId, [number.reveal(), ""]),
            Identifier::Kenya(id) => {
                let kind = match id.kind() {
                    KenyaIdKind::NationalId => IdentifierKind::KeNationalId,
                    KenyaIdKind::Passport => IdentifierKind::KePassport,
                    KenyaIdKind::ServiceId => IdentifierKind::KeServiceId,
                    KenyaIdKind::AlienId => IdentifierKind::KeAlienId,
                };
                (kind, [id.reveal(), ""])
            }
            Identifier::Curp(curp) => (IdentifierKind::MxCurp, [curp.reveal(), ""]),
            Identifier::Person(id) => (IdentifierKind::PersonId, [id.reveal(), ""]),
            Identifier::Many => return None,
            Identifier::Fields(fields) => {
                let number = text(fields, PersonField::DocumentNumber)?;
                let of_type = text(fields, PersonField::DocumentType).unwrap_or_default();
                (IdentifierKind::PersonDocument, [number, of_type])
            }
        };
        Some((kind, self.hash(kind.as_str(), &parts)))
    }

    fn hash(&self, kind: &str, parts: &[&str]) -> IdentifierHash {
        let mut mac = Context::with_key(&self.0);
        mac.update(kind.as_bytes());
        for part in parts {
            mac.update(&[0]);
            mac.update(part.as_bytes());
        }
        IdentifierHash(sha256::array(mac.sign().as_ref()))
    }
}

fn text(fields: &[FieldChange], field: PersonField) -> Option<&str> {
    fields.iter().find_map(|(known, value)| match value {
        Some(FieldValue::Text(text)) if *known == field => Some(text.reveal().as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Sha256;

    use super::*;
    use crate::domain::redaction::Pii;

    fn hasher(key: &str) -> Hasher {
        Hasher::new(key.as_bytes())
    }

    #[test]
    fn a_hash_depends_on_the_key_the_kind_and_the_number() {
        let national = KenyaId::parse(KenyaIdKind::NationalId, "1234567").unwrap();
        let alien = KenyaId::parse(KenyaIdKind::AlienId, "1234567").unwrap();
        let other = KenyaId::parse(KenyaIdKind::NationalId, "1234568").unwrap();
        let of = |key, id| hasher(key).identifier(Identifier::Kenya(id)).unwrap().1;
        assert_eq!(of("k", &national), of("k", &national));
        assert_ne!(of("k", &national), of("l", &national));
        assert_ne!(of("k", &national), of("k", &alien));
        assert_ne!(of("k", &national), of("k", &other));
    }

    /// Held fast, because auditors compare hashes over years.
    #[test]
    fn the_hash_is_hmac_sha_256_of_kind_and_parts() {
        let id = ForeignerId::parse("005015372").unwrap();
        let (kind, hash) = hasher("audit-test-key")
            .identifier(Identifier::Foreigner(&id))
            .unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(b"audit-test-key").unwrap();
        mac.update(b"pe_foreigner_id\x00005015372\x00");
        assert_eq!(kind, IdentifierKind::PeForeignerId);
        let bytes: [u8; 32] = mac.finalize().into_bytes().into();
        assert_eq!(hash, IdentifierHash(bytes));
    }

    #[test]
    fn a_record_without_a_document_has_no_hash() {
        let name = FieldValue::Text(Pii::new("Ada".to_owned()));
        let number = FieldValue::Text(Pii::new("77".to_owned()));
        let fields = [
            (PersonField::GivenName, Some(name)),
            (PersonField::DocumentNumber, Some(number)),
        ];
        let hash = |fields| hasher("k").identifier(Identifier::Fields(fields));
        assert!(hash(&fields[..1]).is_none());
        assert!(hash(&fields).is_some());
    }
}
