//! After a 429 a provider is asked nothing until the time that it named is over.
//!
//! A call that is sent all the same would be refused too, and providers lengthen the ban of clients
//! that go on. The 429 itself is passed on at once; the calls that follow hear the rest of the time.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The provider is held back until a moment.
#[derive(Debug, Default)]
pub struct Hold(Mutex<Option<Instant>>);

impl Hold {
    /// Holds calls back for at least so long.
    pub fn extend(&self, length: Duration) {
        let until = Instant::now() + length;
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = held.max(Some(until));
    }

    /// How long calls are still held back.
    #[must_use]
    pub fn rest(&self) -> Option<Duration> {
        let held = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = held?.saturating_duration_since(Instant::now());
        (!rest.is_zero()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_are_held_until_the_latest_time_named() {
        let hold = Hold::default();
        assert_eq!(hold.rest(), None);
        hold.extend(Duration::from_secs(7));
        hold.extend(Duration::from_secs(2));
        assert_eq!(hold.rest(), Some(Duration::from_secs(7)));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(hold.rest(), Some(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(hold.rest(), None);
    }
}
