//! One JSON object on one line, written field by field: there are two for every call, the log's and the
//! audit's, and gathering their fields first costs more than writing them.

use std::{
    fmt::{self, Write as _},
    io,
};

use jiff::{Timestamp, fmt::temporal::DateTimePrinter};
use serde::Serialize;

/// A JSON object that is being written.
#[derive(Default)]
pub struct JsonLine {
    /// `,"name":value` for each field.
    fields: Vec<u8>,
}

impl JsonLine {
    /// An object that will probably be so long.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            fields: Vec::with_capacity(bytes),
        }
    }

    /// Names stand in the program's text, and none of them needs an escape.
    fn name(&mut self, name: &'static str) {
        self.fields.extend_from_slice(b",\"");
        self.fields.extend_from_slice(name.as_bytes());
        self.fields.extend_from_slice(b"\":");
    }

    /// Adds a word of the program's own, which needs no escape either.
    pub fn word(&mut self, name: &'static str, word: &'static str) {
        self.name(name);
        self.fields.push(b'"');
        self.fields.extend_from_slice(word.as_bytes());
        self.fields.push(b'"');
    }

    /// Adds a word, if there is one.
    pub fn some_word(&mut self, name: &'static str, word: Option<&'static str>) {
        if let Some(word) = word {
            self.word(name, word);
        }
    }

    /// Adds a text.
    pub fn text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        self.fields.push(b'"');
        escape(&mut self.fields, text);
        self.fields.push(b'"');
    }

    /// Adds a text, if there is one.
    pub fn some_text(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// Adds, as a text, what is shown of a value.
    pub fn shown(&mut self, name: &'static str, value: impl fmt::Display) {
        self.name(name);
        self.fields.push(b'"');
        // Writing to memory does not fail.
        let _written = write!(Escaped(&mut self.fields), "{value}");
        self.fields.push(b'"');
    }

    /// Adds a time, as RFC 3339 has it, with so many digits of its second.
    pub fn time(&mut self, name: &'static str, at: Timestamp, digits: u8) {
        let printer = DateTimePrinter::new().precision(Some(digits));
        self.name(name);
        self.fields.push(b'"');
        // Writing to memory does not fail.
        let _written = printer.print_timestamp(&at, &mut self.fields);
        self.fields.push(b'"');
    }

    /// Adds a number, a flag, or anything else that always serializes.
    pub fn value(&mut self, name: &'static str, value: impl Serialize) {
        self.name(name);
        let _written = serde_json::to_writer(&mut self.fields, &value);
    }

    /// Adds a number that is written exactly as it is shown, which must be in digits.
    pub fn digits(&mut self, name: &'static str, number: impl fmt::Display) {
        self.name(name);
        let _written = io::Write::write_fmt(&mut self.fields, format_args!("{number}"));
    }

    /// Adds an object.
    pub fn object(&mut self, name: &'static str, object: Self) {
        self.name(name);
        self.fields.extend(object.closed());
    }

    /// Adds the fields of another object.
    pub fn all_of(&mut self, other: &Self) {
        self.fields.extend_from_slice(&other.fields);
    }

    /// The object but for its closing brace, so that more can be added in bytes.
    #[must_use]
    pub fn open(mut self) -> Vec<u8> {
        match self.fields.first_mut() {
            Some(comma) => *comma = b'{',
            None => self.fields.push(b'{'),
        }
        self.fields
    }

    /// The object.
    #[must_use]
    pub fn closed(self) -> Vec<u8> {
        let mut line = self.open();
        line.push(b'}');
        line
    }
}

/// The audit's lines name callers.
impl fmt::Debug for JsonLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonLine([redacted])")
    }
}

/// Adds text as it stands within the quotes of a JSON string.
fn escape(line: &mut Vec<u8>, text: &str) {
    // Next to no text needs an escape. In pieces of one size, so that a piece is tested at once.
    let special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    let (pieces, rest) = text.as_bytes().as_chunks::<16>();
    let all = |piece: &[u8; 16]| piece.iter().fold(false, |any, byte| any | special(byte));
    if !pieces.iter().any(all) && !rest.iter().any(special) {
        line.extend_from_slice(text.as_bytes());
        return;
    }
    // A text always serializes, in quotes.
    let quoted = serde_json::to_vec(text).unwrap_or_default();
    let inner = quoted.get(1..quoted.len().saturating_sub(1));
    line.extend_from_slice(inner.unwrap_or_default());
}

struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let every: String = (0..0x300).filter_map(char::from_u32).collect();
        // Each alone, too, behind texts of every length that a piece can have.
        for special in ['"', '\\', '\n', '\u{0}', '\u{1f}', '\u{7f}', 'é'] {
            for before in 0..40 {
                let text = format!("{}{special}a", "a".repeat(before));
                let mut escaped = Vec::new();
                escape(&mut escaped, &text);
                let quoted = format!("\"{}\"", String::from_utf8(escaped).unwrap());
                assert_eq!(quoted, serde_json::to_string(&text).unwrap());
            }
        }
        let mut inner = JsonLine::default();
        inner.value("flag", true);
        let mut line = JsonLine::with_capacity(64);
        line.text("plain", "as it is");
        line.text("every", &every);
        line.word("word", "as it is");
        line.some_word("none", None);
        line.shown("shown", format_args!("{every}{:?}", "\n"));
        line.some_text("none", None);
        line.some_text("some", Some(""));
        line.time("time", Timestamp::UNIX_EPOCH, 3);
        line.object("inner", inner);
        line.object("empty", JsonLine::default());
        let mut other = JsonLine::default();
        other.value("number", -1.5);
        line.all_of(&other);
        assert_eq!(format!("{line:?}"), "JsonLine([redacted])");
        let line = String::from_utf8(line.closed()).unwrap();
        assert!(!line.contains('\n') && line.starts_with(r#"{"plain":"as it is","#));
        let expected = serde_json::json!({
            "plain": "as it is", "every": every.clone(), "word": "as it is", "shown": format!("{every}\"\\n\""),
            "some": "", "time": "1970-01-01T00:00:00.000Z", "inner": { "flag": true }, "empty": {}, "number": -1.5,
        });
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&line).unwrap(),
            expected
        );
    }
}
