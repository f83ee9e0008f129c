//! Base64 as providers send it: straight out of the JSON text, without copying it first.

use std::borrow::Cow;

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use serde_json::value::RawValue;

/// Padding is left out by some encoders.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes behind a JSON string of base64; none if it is no such string, or empty.
///
/// Line breaks inside and a `data:` URL's head are passed over.
pub fn decode(raw: Option<&RawValue>) -> Option<Bytes> {
    let text = raw?.get();
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut inner = if inner.contains('\\') {
        Cow::Owned(serde_json::from_str::<String>(text).ok()?)
    } else {
        Cow::Borrowed(inner)
    };
    if inner.starts_with("data:") {
        inner = Cow::Owned(inner.split_once(',')?.1.to_owned());
    }
    if inner.contains(|character: char| character.is_ascii_whitespace()) {
        inner = Cow::Owned(inner.split_ascii_whitespace().collect());
    }
    let bytes = LENIENT.decode(inner.as_bytes()).ok()?;
    (!bytes.is_empty()).then(|| bytes.into())
}

/// Base64 for a provider.
pub fn encode(bytes: &[u8]) -> String {
    LENIENT.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_providers_write_it() {
        for (json, bytes) in [
            (r#""JVBERi0=""#, Some("%PDF-")),
            (r#""JVBERi0""#, Some("%PDF-")),
            (r#""JVBE\nRi0=""#, Some("%PDF-")),
            (r#""data:application\/pdf;base64,JVBERi0=""#, Some("%PDF-")),
            (r#""""#, None),
            (r#""not_available""#, None),
            ("null", None),
            ("7", None),
        ] {
            let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
            assert_eq!(
                decode(Some(&raw)).as_deref(),
                bytes.map(str::as_bytes),
                "{json}"
            );
        }
        assert_eq!(decode(None), None);
    }
}
