//! Base64 as providers send it: straight out of the JSON text, without copying it first.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::value::RawValue;

/// The bytes behind a JSON string of base64; none if it is no such string, or empty.
pub fn decode(raw: Option<&RawValue>) -> Option<Bytes> {
    let text = raw?.get();
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let inner = if inner.contains('\\') {
        Cow::Owned(serde_json::from_str::<String>(text).ok()?)
    } else {
        Cow::Borrowed(inner)
    };
    decode_text(inner.as_bytes())
}

/// The bytes behind a text of base64; none if it is none, or empty.
///
/// A `data:` URL's head, line breaks inside and missing padding are passed over. A document is 60 kB,
/// so this is done many bytes at a time.
pub fn decode_text(text: &[u8]) -> Option<Bytes> {
    let text = match text.strip_prefix(b"data:") {
        Some(url) => url.splitn(2, |byte| *byte == b',').nth(1)?,
        None => text,
    };
    let bytes = base64_simd::forgiving_decode_to_vec(text).ok()?;
    (!bytes.is_empty()).then(|| bytes.into())
}

/// Base64 for a provider.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
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
