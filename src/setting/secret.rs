//! Secrets among the settings: how they are shown, and what they may be made of. Messages say what is expected,
//! never what was found.

use serde::Serializer;

use crate::domain::redaction::Secret;

/// What stands for a secret wherever settings are shown.
pub const REDACTED: &str = "[redacted]";

/// Writes a secret's presence, never its content.
///
/// # Errors
///
/// The serializer's.
pub fn redacted<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_some(REDACTED),
        None => serializer.serialize_none(),
    }
}

/// Checks that a secret can be sent in a header as it is: a stray line break would fail every call instead.
///
/// # Errors
///
/// Why it cannot.
pub fn check(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty; leave it out where the provider has no credential".to_owned());
    }
    if text == REDACTED {
        return Err("is the placeholder that check-config prints instead of a secret".to_owned());
    }
    if text.trim() != text || !text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return Err(
            "contains a character that is not allowed in an HTTP header, or leading or trailing white space".to_owned(),
        );
    }
    Ok(())
}

/// The credential that a file holds: its text without the white space at its end.
///
/// # Errors
///
/// Why it cannot be sent; never what it is.
pub fn credential(content: &[u8]) -> Result<Secret, String> {
    let text = std::str::from_utf8(content).map_err(|_| "is not UTF-8".to_owned())?;
    let text = text.trim_end();
    check(text)?;
    Ok(Secret::new(text))
}
