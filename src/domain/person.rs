//! Person records: which fields a caller may write, and the rule of each.

use bytes::Bytes;
use jiff::civil::Date;

use super::{date::Birthdate, identifier::Identifier, redaction::Pii};

/// A provider's id of a person record, safe to stand in a URL path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonId(Pii<String>);

impl PersonId {
    /// Reads an id.
    ///
    /// # Errors
    ///
    /// The rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if text.is_empty() {
            return Err("is required");
        }
        if text.len() > 128 || !text.bytes().all(allowed) {
            return Err("must be at most 128 letters, digits, _ and -");
        }
        Ok(Self(Pii::new(text.to_owned())))
    }

    /// The id itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// The number as the audit names it.
    #[must_use]
    pub fn identifier(&self) -> Identifier<'_> {
        Identifier::new("person_id", self.reveal())
    }
}

/// A field of a person record that a caller may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PersonField {
    /// Given name.
    GivenName,
    /// Family name.
    FamilyName,
    /// E-mail address.
    Email,
    /// Telephone number.
    PhoneNumber,
    /// Birth date.
    Birthdate,
    /// Kind of the identity document.
    DocumentType,
    /// Number of the identity document.
    DocumentNumber,
    /// Image of the face.
    FaceImage,
    /// Fingerprint.
    Fingerprint,
}

/// How many characters a name may have: far more than any name, far less than a flood.
const MAX_NAME: usize = 256;

impl PersonField {
    /// Every field, in the order of the contract.
    pub const ALL: [Self; 9] = [
        Self::GivenName,
        Self::FamilyName,
        Self::Email,
        Self::PhoneNumber,
        Self::Birthdate,
        Self::DocumentType,
        Self::DocumentNumber,
        Self::FaceImage,
        Self::Fingerprint,
    ];

    /// The field's path in a request that holds the person as `person`.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::GivenName => "person.given_name",
            Self::FamilyName => "person.family_name",
            Self::Email => "person.email",
            Self::PhoneNumber => "person.phone_number",
            Self::Birthdate => "person.birthdate",
            Self::DocumentType => "person.document_type",
            Self::DocumentNumber => "person.document_number",
            Self::FaceImage => "person.biometric_data.face_image",
            Self::Fingerprint => "person.biometric_data.fingerprint",
        }
    }

    /// The field's path in `person` itself, as an update mask names it.
    #[must_use]
    pub fn mask_path(self) -> &'static str {
        self.path().strip_prefix("person.").unwrap_or_default()
    }

    /// Whether it is one of the two names, of which some people have only one.
    #[must_use]
    pub const fn is_name(self) -> bool {
        matches!(self, Self::GivenName | Self::FamilyName)
    }

    /// The field's numbers in an answer that holds the person as `person`, which is always its first.
    #[must_use]
    pub const fn numbers(self) -> &'static [u32] {
        match self {
            Self::GivenName => &[1, 2],
            Self::FamilyName => &[1, 3],
            Self::Email => &[1, 4],
            Self::PhoneNumber => &[1, 5],
            Self::Birthdate => &[1, 6],
            Self::DocumentType => &[1, 7],
            Self::DocumentNumber => &[1, 8],
            Self::FaceImage => &[1, 9, 1],
            Self::Fingerprint => &[1, 9, 2],
        }
    }

    /// Tests a text against the field's rule.
    ///
    /// # Errors
    ///
    /// The rule that the text breaks.
    pub fn check(self, text: &str, today: Date) -> Result<FieldValue, &'static str> {
        let is_longer = |than: usize| text.chars().count() > than;
        let made_of = |allowed: fn(char) -> bool| text.chars().all(allowed);
        let printable = |character: char| !character.is_control();
        let rule = match self {
            _ if text.trim().is_empty() => Some("must not be empty"),
            Self::Birthdate => Birthdate::parse(text, today).err(),
            Self::Email => (!is_email(text)).then_some("must be an e-mail address"),
            Self::PhoneNumber => {
                let fits = made_of(|c| c.is_ascii_digit() || "+-(). ".contains(c));
                let digits = text.bytes().filter(u8::is_ascii_digit).count();
                (!fits || !(4..=20).contains(&digits) || is_longer(40))
                    .then_some("must be a telephone number of 4 to 20 digits")
            }
            Self::DocumentType | Self::DocumentNumber => (is_longer(64) || !made_of(printable))
                .then_some("must be at most 64 printable characters"),
            _ => (is_longer(MAX_NAME) || !made_of(printable))
                .then_some("must be at most 256 printable characters"),
        };
        rule.map_or_else(|| Ok(FieldValue::Text(Pii::new(text.to_owned()))), Err)
    }
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '@';
    text.chars().count() <= 254
        && !local.is_empty()
        && !domain.is_empty()
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && text.chars().filter(|c| *c == '@').count() == 1
        && local.chars().chain(domain.chars()).all(plain)
}

/// The value of a field that a caller wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// A text that passed its rule.
    Text(Pii<String>),
    /// The bytes of an image.
    Image(Pii<Bytes>),
}

/// What a caller wrote: a field with its value, or without one to clear it.
pub type FieldChange = (PersonField, Option<FieldValue>);

/// The document among the fields as the audit names it; none without a number.
#[must_use]
pub fn document(fields: &[FieldChange]) -> Option<Identifier<'_>> {
    let text = |field: PersonField| {
        fields.iter().find_map(|(known, value)| match value {
            Some(FieldValue::Text(text)) if *known == field => Some(text.reveal().as_str()),
            _ => None,
        })
    };
    Some(Identifier {
        of_type: text(PersonField::DocumentType).filter(|of_type| !of_type.is_empty()),
        ..Identifier::new("person_document", text(PersonField::DocumentNumber)?)
    })
}

/// How much of a record the caller wants back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Everything but the image bytes, which are then not decoded.
    Basic,
    /// Everything.
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_its_rule() {
        use PersonField::{Birthdate, DocumentNumber, Email, GivenName, PhoneNumber};
        let today = jiff::civil::date(2026, 11, 21);
        for (field, text, fits) in [
            (GivenName, "José María", true),
            (GivenName, "  ", false),
            (GivenName, "a\u{0}b", false),
            (GivenName, "x".repeat(257).as_str(), false),
            (GivenName, "አ".repeat(256).as_str(), true),
            (GivenName, "አ".repeat(257).as_str(), false),
            (Email, "john.doe@example.com", true),
            (Email, "john@doe@example.com", false),
            (Email, "john doe@example.com", false),
            (Email, "@example.com", false),
            (Email, "john@", false),
            (PhoneNumber, "+1234567890", true),
            (PhoneNumber, "(01) 234-5678", true),
            (PhoneNumber, "12", false),
            (PhoneNumber, "call me 12345", false),
            (Birthdate, "1990-01-15", true),
            (Birthdate, "2990-01-15", false),
            (DocumentNumber, "123456789", true),
            (DocumentNumber, "9".repeat(65).as_str(), false),
            (DocumentNumber, "é".repeat(64).as_str(), true),
        ] {
            assert_eq!(field.check(text, today).is_ok(), fits, "{field:?} {text}");
        }
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_a_path() {
        for good in ["person_123456789", "64eed6026b1a9b8f72c2925e", "a-b"] {
            assert!(PersonId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a%2fb", "a?b", "a b", "é"] {
            assert!(PersonId::parse(bad).is_err(), "{bad}");
        }
    }
}
