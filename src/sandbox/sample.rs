//! The documents' sample answers, which are the files of `samples/`, and how another answer is made of one.

use serde_json::Value;

/// A file of `samples/` as JSON.
pub(super) fn sample(text: &str) -> Value {
    // The text is part of the program, and the tests ask for every sample: null never comes to be.
    serde_json::from_str(text).unwrap_or_default()
}

/// The sample with something else in it.
pub(super) fn changed(text: &str, changes: Value) -> Value {
    let mut answer = sample(text);
    overlay(&mut answer, changes);
    answer
}

/// Sets in `base` what `changes` holds: objects are merged, everything else, null too, is replaced.
pub(super) fn overlay(base: &mut Value, changes: Value) {
    match (base, changes) {
        (Value::Object(base), Value::Object(changes)) => {
            for (name, value) in changes {
                overlay(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (base, changes) => *base = changes,
    }
}
