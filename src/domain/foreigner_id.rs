//! The number of a Peruvian foreigner's card (Carné de Extranjería).

use super::{identifier::Identifier, redaction::Pii};

/// 8 to 12 of `0-9`, `A-Z`. Leading zeros are kept and none is added (findings.md, "Verifik").
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ForeignerId(Pii<String>);

impl ForeignerId {
    /// Reads a number.
    ///
    /// # Errors
    ///
    /// The rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let allowed = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        if text.is_empty() {
            return Err("is required");
        }
        if !(8..=12).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err("must be 8 to 12 of 0-9 and A-Z");
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
        Identifier::new("pe_foreigner_id", self.reveal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_stay_and_odd_lengths_fall() {
        assert_eq!(
            ForeignerId::parse("005015372").unwrap().reveal(),
            "005015372"
        );
        for good in ["12345678", "00123456789A"] {
            assert!(ForeignerId::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "1234567",
            "1234567890123",
            "12345678a",
            "1234 5678",
            "1234567é",
        ] {
            assert!(ForeignerId::parse(bad).is_err(), "{bad}");
        }
    }
}
