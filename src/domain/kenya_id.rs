//! Kenyan identity numbers, by kind (findings.md, "Kenya formats").

use super::{identifier::Identifier, redaction::Pii};

/// What kind of number it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KenyaIdKind {
    /// National identity card: 1 to 9 digits (the provider's own sample `00000000` must pass).
    NationalId,
    /// Passport: 6 to 9 of `A-Z`, `0-9`.
    Passport,
    /// Service id: no rule is published; 1 to 20 of `A-Z`, `0-9`, `/`, `-`.
    ServiceId,
    /// Alien id: 6 to 9 digits.
    AlienId,
}

impl KenyaIdKind {
    /// The audit's word for it.
    const fn identifier_kind(self) -> &'static str {
        match self {
            Self::NationalId => "ke_national_id",
            Self::Passport => "ke_passport",
            Self::ServiceId => "ke_service_id",
            Self::AlienId => "ke_alien_id",
        }
    }
}

/// A Kenyan number of the shape of its kind. Leading zeros are kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KenyaId {
    kind: KenyaIdKind,
    number: Pii<String>,
}

impl KenyaId {
    /// Reads a number of the given kind.
    ///
    /// # Errors
    ///
    /// The rule that the text breaks.
    pub fn parse(kind: KenyaIdKind, text: &str) -> Result<Self, &'static str> {
        let digit = |byte: u8| byte.is_ascii_digit();
        let letter = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        let made_of = |allowed: &dyn Fn(u8) -> bool| text.bytes().all(allowed);
        if text.is_empty() {
            return Err("is required");
        }
        let (fits, rule) = match kind {
            KenyaIdKind::NationalId => (
                text.len() <= 9 && made_of(&digit),
                "must be 1 to 9 digits for a national id",
            ),
            KenyaIdKind::Passport => (
                (6..=9).contains(&text.len()) && made_of(&letter),
                "must be 6 to 9 of A-Z and 0-9 for a passport",
            ),
            KenyaIdKind::ServiceId => (
                text.len() <= 20 && made_of(&|byte| letter(byte) || b"/-".contains(&byte)),
                "must be 1 to 20 of A-Z, 0-9, / and - for a service id",
            ),
            KenyaIdKind::AlienId => (
                (6..=9).contains(&text.len()) && made_of(&digit),
                "must be 6 to 9 digits for an alien id",
            ),
        };
        if !fits {
            return Err(rule);
        }
        let number = Pii::new(text.to_owned());
        Ok(Self { kind, number })
    }

    /// The kind of the number.
    #[must_use]
    pub const fn kind(&self) -> KenyaIdKind {
        self.kind
    }

    /// The number itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.number.reveal()
    }

    /// The number as the audit names it.
    #[must_use]
    pub fn identifier(&self) -> Identifier<'_> {
        Identifier::new(self.kind.identifier_kind(), self.reveal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use KenyaIdKind::{AlienId, NationalId, Passport, ServiceId};

    #[test]
    fn each_kind_has_its_shape() {
        for (kind, text, fits) in [
            (NationalId, "00000000", true),
            (NationalId, "1", true),
            (NationalId, "123456789", true),
            (NationalId, "1234567890", false),
            (NationalId, "12A", false),
            (NationalId, "", false),
            (NationalId, " 123", false),
            (Passport, "AK0123456", true),
            (Passport, "A12345", true),
            (Passport, "A1234", false),
            (Passport, "ak0123456", false),
            (Passport, "AK01234567", false),
            (ServiceId, "KDF/123-4", true),
            (ServiceId, "7", true),
            (ServiceId, "KDF 123", false),
            (ServiceId, "123456789012345678901", false),
            (AlienId, "123456", true),
            (AlienId, "12345", false),
            (AlienId, "1234567890", false),
            (AlienId, "12345٣", false),
        ] {
            assert_eq!(KenyaId::parse(kind, text).is_ok(), fits, "{kind:?} {text}");
        }
    }
}
