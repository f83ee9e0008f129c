//! The persons that the sandbox keeps, in memory only, in the order they were created.
//!
//! Bounded in number and in bytes: beyond that the oldest make room for the newest.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::SAMPLE;
use crate::sandbox::sample::sample;

const MAX_PERSONS: usize = 10_000;
const MAX_BYTES: usize = 256 * 1024 * 1024;

struct Kept {
    person: Value,
    bytes: usize,
}

impl Kept {
    fn new(person: Value) -> Self {
        let bytes = size(&person);
        Self { person, bytes }
    }

    fn has(&self, id: &str) -> bool {
        self.person.get("id").and_then(Value::as_str) == Some(id)
    }
}

pub(in crate::sandbox) struct PersonStore(Mutex<VecDeque<Kept>>);

impl Default for PersonStore {
    fn default() -> Self {
        Self(Mutex::new(VecDeque::from([Kept::new(sample(SAMPLE))])))
    }
}

impl PersonStore {
    pub fn add(&self, person: Value) {
        let mut kept = self.lock();
        kept.push_back(Kept::new(person));
        make_room(&mut kept, MAX_PERSONS, MAX_BYTES);
    }

    /// Puts persons in the place of others.
    pub fn replace(&self, others: &[Value], persons: &[Value]) {
        let ids = || {
            others
                .iter()
                .chain(persons)
                .filter_map(|one| one.get("id")?.as_str())
        };
        let mut kept = self.lock();
        kept.retain(|k| !ids().any(|id| k.has(id)));
        kept.extend(persons.iter().cloned().map(Kept::new));
        make_room(&mut kept, MAX_PERSONS, MAX_BYTES);
    }

    pub fn get(&self, id: &str) -> Option<Value> {
        let kept = self.lock();
        kept.iter().find(|k| k.has(id)).map(|k| k.person.clone())
    }

    /// Applies `change` to the person and returns the result. One change at a time.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut Value)) -> Option<Value> {
        let mut kept = self.lock();
        let found = kept.iter_mut().find(|k| k.has(id))?;
        change(&mut found.person);
        found.bytes = size(&found.person);
        let person = found.person.clone();
        make_room(&mut kept, MAX_PERSONS, MAX_BYTES);
        Some(person)
    }

    /// Returns whether the person was there.
    pub fn remove(&self, id: &str) -> bool {
        let mut kept = self.lock();
        let before = kept.len();
        kept.retain(|k| !k.has(id));
        kept.len() < before
    }

    /// A page of persons, counted from 1, and how many there are in all.
    pub fn page(&self, page: usize, limit: usize) -> (Vec<Value>, usize) {
        let kept = self.lock();
        let skipped = page.saturating_sub(1).saturating_mul(limit);
        let persons = kept.iter().skip(skipped).take(limit);
        (persons.map(|k| k.person.clone()).collect(), kept.len())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(kept: &mut VecDeque<Kept>, persons: usize, bytes: usize) {
    let mut held: usize = kept.iter().map(|k| k.bytes).sum();
    while kept.len() > persons || (held > bytes && kept.len() > 1) {
        if let Some(oldest) = kept.pop_front() {
            held = held.saturating_sub(oldest.bytes);
        }
    }
}

/// Roughly the memory that a person takes.
fn size(value: &Value) -> usize {
    const EACH: usize = 32;
    EACH + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.iter().map(|(k, v)| k.len() + size(v)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ids(kept: &VecDeque<Kept>) -> Vec<u64> {
        kept.iter()
            .filter_map(|k| k.person["id"].as_u64())
            .collect()
    }

    #[test]
    fn the_oldest_make_room_by_number_and_by_bytes() {
        let person = |id: u64| Kept::new(json!({ "id": id, "image": "x".repeat(1000) }));
        let mut kept: VecDeque<_> = (1..=5).map(person).collect();
        make_room(&mut kept, 4, usize::MAX);
        assert_eq!(ids(&kept), [2, 3, 4, 5]);
        make_room(&mut kept, 4, 2500);
        assert_eq!(ids(&kept), [4, 5]);
        make_room(&mut kept, 4, 1);
        assert_eq!(ids(&kept), [5], "the newest stays however large it is");
    }
}
