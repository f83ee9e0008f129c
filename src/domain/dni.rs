//! The number of a Peruvian identity card (Documento Nacional de Identidad, DNI), and its lookup.

use super::{identifier::Identifier, lookup::Lookup, redaction::Pii};

/// 8 digits. Leading zeros are kept and none is added (verifik-pe-dni.md).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dni(Pii<String>);

impl Dni {
    /// Reads a number.
    ///
    /// # Errors
    ///
    /// The rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is required");
        }
        if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("must be 8 digits");
        }
        Ok(Self(Pii::new(text.to_owned())))
    }

    /// The number itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// The number as the audit names it.
    #[must_use]
    pub fn identifier(&self) -> Identifier<'_> {
        Identifier::new("pe_dni", self.reveal())
    }
}

/// Look up a Peruvian identity card.
#[derive(Debug, Clone)]
pub struct DniLookup {
    /// Number of the card.
    pub document_number: Dni,
}

impl Lookup for DniLookup {
    fn identifier(&self) -> Identifier<'_> {
        self.document_number.identifier()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dni_is_8_digits() {
        for (text, fits) in [
            ("71640001", true),
            ("00000000", true),
            ("", false),
            ("7164001", false),
            ("716400011", false),
            ("7164000A", false),
            (" 7164001", false),
            ("７１６４０００１", false),
        ] {
            assert_eq!(Dni::parse(text).is_ok(), fits, "{text:?}");
        }
        let dni = Dni::parse("71640001").unwrap();
        assert_eq!(dni.reveal(), "71640001");
        assert!(!format!("{dni:?}").contains("7164"));
    }
}
