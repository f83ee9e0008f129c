//! The certified PDF that AccuAuth sends with every record, taken out of the answer before it is parsed.
//!
//! It is 60 kB of base64 beside 1 kB of record. A JSON parser looks at every byte of a string that it
//! passes over, which would cost as much as all the rest of the call; the search for the string's end
//! here looks at many at once.

use std::borrow::Cow;

use memchr::{memchr2, memmem};

/// As AccuAuth writes it. A quotation mark inside a string has a backslash before it, so this can only
/// be a field's name.
const FIELD: &[u8] = br#""documento":""#;
/// A shorter one is not worth a copy of the rest.
const WORTHWHILE: usize = 1024;

/// The answer with an empty document, and the document's text, if that is easily had; else the answer
/// as it is.
///
/// What is taken out is not tested: an answer whose document holds what no JSON string may is accepted.
pub fn apart(body: &[u8]) -> (Cow<'_, [u8]>, Option<&[u8]>) {
    match found(body) {
        Some([before, document, after]) => (Cow::Owned([before, after].concat()), Some(document)),
        None => (Cow::Borrowed(body), None),
    }
}

fn found(body: &[u8]) -> Option<[&[u8]; 3]> {
    let (before, rest) = body.split_at_checked(memmem::find(body, FIELD)? + FIELD.len())?;
    let (document, after) = rest.split_at_checked(memchr2(b'"', b'\\', rest)?)?;
    // With a backslash in it, the string may go on.
    let is_whole = document.len() >= WORTHWHILE && after.starts_with(b"\"");
    is_whole.then_some([before, document, after])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(document: &str) -> String {
        format!(r#"{{"result":{{"curp":"C","documento":{document},"estatus":"1"}},"x":1}}"#)
    }

    #[test]
    fn a_long_document_is_taken_out_and_nothing_else() {
        let long = "JVBERi0x".repeat(8000);
        let body = answer(&format!(r#""{long}""#));
        let (rest, document) = apart(body.as_bytes());
        assert_eq!(rest, answer(r#""""#).as_bytes());
        assert_eq!(document, Some(long.as_bytes()));
    }

    #[test]
    fn whatever_else_there_is_stays() {
        let padding = "A".repeat(5000);
        for body in [
            answer("null"),
            answer(r#""JVBERi0x""#),
            // Its end is not known without reading it.
            answer(&format!(r#""{padding}\/{padding}""#)),
            answer(&format!(r#""{padding}\"{padding}""#)),
            // Broken off.
            format!(r#"{{"result":{{"documento":"{padding}"#),
            // The words within a string.
            format!(r#"{{"mensaje":"\"documento\":\"{padding}"}}"#),
            String::new(),
        ] {
            assert_eq!(apart(body.as_bytes()), (body.as_bytes().into(), None));
        }
    }
}
