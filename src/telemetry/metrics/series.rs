//! The series of one instrument that calls report to, each bound to its labels when it is first needed.
//!
//! An unbound report builds its labels, hashes them and looks them up, for every reader; a call makes a
//! dozen reports. A bound one is a few atomic steps. Labels are few (names.rs), so a series is found by
//! looking through them all.

use std::sync::{PoisonError, RwLock};

/// Bound handles `B`, by what their labels are made of.
#[derive(Debug)]
pub(super) struct Series<K, B>(RwLock<Vec<(K, B)>>);

impl<K, B> Default for Series<K, B> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K, B> Series<K, B> {
    /// Reports to the series whose key is sought; `bind` makes it if there is none.
    pub fn with(
        &self,
        is_sought: impl Fn(&K) -> bool,
        bind: impl FnOnce() -> (K, B),
        report: impl FnOnce(&B),
    ) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bound)) = known.iter().find(|(key, _)| is_sought(key)) {
            return report(bound);
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let (key, bound) = bind();
        report(&bound);
        // Another may have been as quick: both handles report to one series then, and one is kept.
        if !known.iter().any(|(key, _)| is_sought(key)) {
            known.push((key, bound));
        }
    }

    /// The same, where the key says it all.
    pub fn of(&self, key: K, bind: impl FnOnce() -> B, report: impl FnOnce(&B))
    where
        K: Copy + PartialEq,
    {
        self.with(|known| *known == key, || (key, bind()), report);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn each_key_is_bound_once() {
        let series = Series::default();
        let bound = Cell::new(0);
        let mut told = Vec::new();
        for key in [1, 2, 1, 1, 2] {
            let bind = || {
                bound.set(bound.get() + 1);
                key * 10
            };
            series.of(key, bind, |handle| told.push(*handle));
        }
        assert_eq!(told, [10, 20, 10, 10, 20]);
        assert_eq!(bound.get(), 2);
    }
}
