//! What a value must satisfy by itself. Messages say what is expected, never what was found: it may be a secret.

use super::schema::{Kind, Leaf};
use crate::setting::{Span, secret};

/// Checks a value against its key's description: type, words, range; a secret, that it can be sent.
pub(super) fn value(leaf: &Leaf, value: &toml::Value) -> Result<(), String> {
    let wrong = || Err(leaf.expected());
    match (leaf.kind, value) {
        (Kind::Text, toml::Value::String(text)) if leaf.secret => secret::check(text),
        (Kind::Text, toml::Value::String(text)) => {
            let known = |(word, _): &(String, String)| word == text;
            if !leaf.choices.is_empty() && !leaf.choices.iter().any(known) {
                return wrong();
            }
            if !leaf.may_be_empty && text.trim().is_empty() {
                return wrong();
            }
            match (leaf.spans, text.parse::<Span>()) {
                (Some((min, max)), Ok(span)) if min <= span && span <= max => Ok(()),
                (Some(_), _) => wrong(),
                (None, _) => Ok(()),
            }
        }
        (Kind::Integer, toml::Value::Integer(number)) => match leaf.integers {
            Some((min, max)) if *number < min || *number > max => wrong(),
            _ => Ok(()),
        },
        (Kind::Boolean, toml::Value::Boolean(_)) => Ok(()),
        (Kind::List, toml::Value::Array(items)) => {
            let known = |item: &toml::Value| {
                let word = item.as_str();
                word.is_some_and(|word| {
                    leaf.choices.is_empty() || leaf.choices.iter().any(|(known, _)| known == word)
                })
            };
            if items.iter().all(known) {
                Ok(())
            } else {
                wrong()
            }
        }
        _ => Err(format!(
            "{}, found {} {}",
            leaf.expected(),
            article(value.type_str()),
            value.type_str()
        )),
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    }
}
