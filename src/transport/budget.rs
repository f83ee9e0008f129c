//! Repeats are at most a fifth of the calls.
//!
//! When a provider is in trouble every call fails, and three attempts for each would triple the load
//! just then. Each call that is sent puts a fifth of a repeat into the budget and each repeat takes a
//! whole one out; a call that is refused here puts nothing in. The budget holds ten at most, and begins full: a quiet gateway may repeat too, and a quiet
//! hour does not pay for a storm of repeats.

use std::sync::atomic::{AtomicU32, Ordering};

/// What a call puts in: a fifth of [`REPEAT`].
const CALL: u32 = 1;
/// What a repeat takes out.
const REPEAT: u32 = 5;
/// What fits in: ten repeats.
const FULL: u32 = 10 * REPEAT;

/// The budget of one provider.
#[derive(Debug)]
pub struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(FULL))
    }
}

impl Budget {
    /// A call puts its share in.
    pub fn put(&self) {
        let more = |saved: u32| Some((saved + CALL).min(FULL));
        let _always = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// How many repeats are in it.
    pub fn left(&self) -> f64 {
        f64::from(self.0.load(Ordering::Relaxed)) / f64::from(REPEAT)
    }

    /// Takes a repeat out, if there is one.
    pub fn take(&self) -> bool {
        let less = |saved: u32| saved.checked_sub(REPEAT);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_failing_calls_repeat_a_fifth_and_the_reserve() {
        let budget = Budget::default();
        let mut repeats = 0;
        for _ in 0..1000 {
            budget.put();
            while budget.take() {
                repeats += 1;
            }
        }
        // The first call found the budget full.
        assert_eq!(repeats, 10 + 199);
    }

    #[test]
    fn quiet_times_are_not_saved_up() {
        let budget = Budget::default();
        for _ in 0..1_000_000 {
            budget.put();
        }
        let repeats = std::iter::from_fn(|| budget.take().then_some(())).count();
        assert_eq!(repeats, 10);
    }
}
