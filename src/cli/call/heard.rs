//! The metadata with which a server answered, for `-v`: each name and value on a line, or as JSON.

use std::io;

use serde_json::{Map, Value, json};
use tonic::metadata::{KeyAndValueRef, MetadataMap};

use super::Format;
use crate::cli::{printable, terminal::HEADING};

/// What has been heard so far; a call that failed early has heard nothing.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) headers: Option<MetadataMap>,
    pub(super) trailers: Option<MetadataMap>,
}

impl Heard {
    pub(super) fn print(&self, format: Format, err: &mut impl io::Write) -> io::Result<()> {
        let parts = [("headers", &self.headers), ("trailers", &self.trailers)];
        let parts = parts
            .into_iter()
            .filter_map(|(name, part)| Some((name, part.as_ref()?)));
        match format {
            Format::Json => {
                let parts = parts.map(|(name, part)| (name.to_owned(), object(part)));
                let text = Value::Object(parts.collect()).to_string();
                writeln!(err, "{}", printable::json(&text))
            }
            Format::Text => {
                for (name, part) in parts {
                    writeln!(err, "{HEADING}{name}:{HEADING:#}")?;
                    for (key, value) in pairs(part) {
                        writeln!(
                            err,
                            "  {}: {}",
                            printable::line(&key),
                            printable::line(&value)
                        )?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Names with values as they were on the wire: what ends in `-bin` is base64.
fn pairs(part: &MetadataMap) -> impl Iterator<Item = (String, String)> {
    part.iter().map(|entry| {
        let (key, value) = match entry {
            KeyAndValueRef::Ascii(key, value) => (key.as_str(), value.as_encoded_bytes()),
            KeyAndValueRef::Binary(key, value) => (key.as_str(), value.as_encoded_bytes()),
        };
        (key.to_owned(), String::from_utf8_lossy(value).into_owned())
    })
}

/// Each name with its values, in the order in which they came.
fn object(part: &MetadataMap) -> Value {
    let mut object = Map::new();
    for (key, value) in pairs(part) {
        if let Value::Array(values) = object.entry(key).or_insert_with(|| json!([])) {
            values.push(json!(value));
        }
    }
    Value::Object(object)
}
