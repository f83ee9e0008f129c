//! JSON that ends anywhere, read beside the message that it will be: what is open, and what comes next.

use std::str::CharIndices;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

/// Where the text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// Before a key or in one, which begins there.
    Key(usize),
    /// Behind a key.
    Colon,
    /// Before a value or in one, which begins there.
    Value(usize),
    /// Behind a value.
    Next,
    /// Behind the whole, or in what is no JSON object.
    Nowhere,
}

/// An object or a list that is open.
#[derive(Debug, Default)]
pub(super) struct Level {
    pub is_list: bool,
    /// What an object is, if it is known.
    pub message: Option<MessageDescriptor>,
    /// The keys that an object has.
    pub seen: Vec<String>,
    /// Whose value is open or comes next; of a list, whose elements.
    pub field: Option<FieldDescriptor>,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Partial {
    /// The innermost is the last.
    pub levels: Vec<Level>,
    pub at: At,
}

impl Partial {
    /// Reads the beginning of a message.
    pub(super) fn read(message: &MessageDescriptor, text: &str) -> Self {
        let mut partial = Self {
            levels: Vec::new(),
            at: At::Value(0),
        };
        let mut letters = text.char_indices();
        while let Some((place, letter)) = letters.next() {
            partial.at = partial.after(message, text, (place, letter), &mut letters);
            if partial.at == At::Nowhere {
                break;
            }
        }
        partial
    }

    fn after(
        &mut self,
        message: &MessageDescriptor,
        text: &str,
        (place, letter): (usize, char),
        rest: &mut CharIndices<'_>,
    ) -> At {
        let behind = place + letter.len_utf8();
        match (self.at, letter) {
            // A word such as `true` ends with what cannot be in it.
            (At::Value(from), ',' | ']' | '}') if from < place => self.behind_value(letter, behind),
            (At::Value(from), letter) if from < place => match letter.is_whitespace() {
                true => At::Next,
                false => At::Value(from),
            },
            (At::Key(_), letter) if letter.is_whitespace() => At::Key(behind),
            (At::Value(_), letter) if letter.is_whitespace() => At::Value(behind),
            (_, letter) if letter.is_whitespace() => self.at,
            (At::Key(_), '"') => match string_end(rest) {
                Some(end) => {
                    self.name(text.get(behind..end).unwrap_or_default());
                    At::Colon
                }
                None => At::Key(place),
            },
            (At::Colon, ':') => At::Value(behind),
            (At::Value(_), '"') if !self.levels.is_empty() => match string_end(rest) {
                Some(_) => At::Next,
                None => At::Value(place),
            },
            (At::Value(_), '{') => {
                let inner = match self.levels.last() {
                    None => Some(message.clone()),
                    Some(level) => level.field.as_ref().and_then(message_of),
                };
                self.levels.push(Level {
                    message: inner,
                    ..Level::default()
                });
                At::Key(behind)
            }
            (At::Value(_), '[') if !self.levels.is_empty() => {
                let field = self.levels.last().and_then(|level| level.field.clone());
                self.levels.push(Level {
                    is_list: true,
                    field: field.filter(FieldDescriptor::is_list),
                    ..Level::default()
                });
                At::Value(behind)
            }
            // An empty object or list.
            (At::Key(_), '}') | (At::Value(_), ']') | (At::Next, ',' | ']' | '}') => {
                self.behind_value(letter, behind)
            }
            (At::Value(_), letter) if !self.levels.is_empty() && !",:}".contains(letter) => {
                At::Value(place)
            }
            _ => At::Nowhere,
        }
    }

    /// A key has been read.
    fn name(&mut self, key: &str) {
        if let Some(level) = self.levels.last_mut() {
            let message = level.message.as_ref();
            level.field = message.and_then(|message| {
                message
                    .get_field_by_name(key)
                    .or_else(|| message.get_field_by_json_name(key))
            });
            level.seen.push(key.to_owned());
        }
    }

    fn behind_value(&mut self, letter: char, behind: usize) -> At {
        let is_list = self.levels.last().map(|level| level.is_list);
        match (letter, is_list) {
            (',', Some(true)) => At::Value(behind),
            (',', Some(false)) => At::Key(behind),
            (']', Some(true)) | ('}', Some(false)) => {
                self.levels.pop();
                match self.levels.is_empty() {
                    true => At::Nowhere,
                    false => At::Next,
                }
            }
            _ => At::Nowhere,
        }
    }
}

/// The message whose fields an object in this field has; what has a JSON of its own, none.
fn message_of(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message)
            if !field.is_map() && message.package_name() != "google.protobuf" =>
        {
            Some(message)
        }
        _ => None,
    }
}

/// Goes on to the end of a string; where its closing quote is, if it has one.
fn string_end(rest: &mut CharIndices<'_>) -> Option<usize> {
    while let Some((place, letter)) = rest.next() {
        match letter {
            '"' => return Some(place),
            '\\' => {
                rest.next();
            }
            _ => {}
        }
    }
    None
}
