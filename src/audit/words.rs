//! The bounded words of an audit record: events, and the one
//! text that a caller writes itself, the purpose.

use serde::Deserialize;

/// What a line tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A process began to write.
    Start,
    /// A provider is about to be asked (`audit.required`).
    Intent,
    /// A call ended.
    Result,
    /// A create whose caller had left, and whose result had been written by then, ended.
    LateResult,
    /// A caller was not let in.
    Refused,
    /// A process ended in order.
    Stop,
}

impl Event {
    /// The word of the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Intent => "intent",
            Self::Result => "result",
            Self::LateResult => "late_result",
            Self::Refused => "refused",
            Self::Stop => "stop",
        }
    }
}

/// Why the caller asks, in its own words: metadata `x-purpose`, 1 to 128 printable ASCII characters.
///
/// It is the only text of a record that comes from outside. It is copied as it is: callers must be
/// told to put a code there, such as a contract's article, and nobody's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose(Box<str>);

/// The metadata key of the purpose.
pub const PURPOSE: &str = "x-purpose";
const LONGEST_PURPOSE: usize = 128;

impl Purpose {
    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a purpose.
    ///
    /// # Errors
    ///
    /// The rule that the bytes break.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let printable = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        if !(1..=LONGEST_PURPOSE).contains(&text.len()) || !printable || text.trim().is_empty() {
            return Err("must be 1 to 128 printable ASCII characters, not all of them spaces");
        }
        Ok(Self(text.into()))
    }

    /// The purpose of a request: at most one is said.
    ///
    /// # Errors
    ///
    /// The rule that the metadata breaks.
    pub fn of(headers: &http::HeaderMap) -> Result<Option<Self>, &'static str> {
        let mut said = headers.get_all(PURPOSE).iter();
        match (said.next(), said.next()) {
            (None, _) => Ok(None),
            (Some(one), None) => Self::parse(one.as_bytes()).map(Some),
            (Some(_), Some(_)) => Err("must be sent at most once"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn a_purpose_is_1_to_128_printable_characters() {
        let longest = "p".repeat(128);
        for (text, fits) in [
            ("KYC art. 12", true),
            ("~", true),
            (longest.as_str(), true),
            (&format!("{longest}p"), false),
            ("", false),
            ("   ", false),
            ("a\tb", false),
            ("a\u{7f}", false),
            ("día", false),
        ] {
            assert_eq!(Purpose::parse(text.as_bytes()).is_ok(), fits, "{text:?}");
        }
        assert!(Purpose::parse(&[0xff]).is_err());
    }

    #[test]
    fn a_purpose_is_said_at_most_once() {
        let mut headers = HeaderMap::new();
        assert_eq!(Purpose::of(&headers), Ok(None));
        headers.append(PURPOSE, HeaderValue::from_static("kyc"));
        assert!(matches!(Purpose::of(&headers), Ok(Some(_))));
        headers.append(PURPOSE, HeaderValue::from_static("kyc"));
        assert!(Purpose::of(&headers).is_err());
    }
}
