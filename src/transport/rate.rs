//! The rate that a provider's contract allows, as a token bucket.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, Reference as _},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use tokio::time::Instant;

/// How many attempts may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In a second, in the long run.
    pub per_second: NonZeroU32,
    /// At once, after a pause.
    pub burst: NonZeroU32,
}

/// Time as the runtime knows it, so that tests can pause it.
#[derive(Debug, Clone)]
struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The token bucket.
#[derive(Debug)]
pub struct RateLimit {
    bucket: RateLimiter<NotKeyed, InMemoryState, RuntimeClock, NoOpMiddleware<Duration>>,
    clock: RuntimeClock,
}

impl RateLimit {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let clock = RuntimeClock(Instant::now());
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self {
            bucket: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// How long until there is one, if there is none.
    pub fn take(&self) -> Result<(), Duration> {
        self.bucket.check().map_err(|none| {
            let wait = none.earliest_possible().duration_since(self.clock.now());
            wait.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_then_the_rate_and_the_wait_is_told() {
        let limit = RateLimit::new(Rate {
            per_second: NonZeroU32::new(10).unwrap(),
            burst: NonZeroU32::new(3).unwrap(),
        });
        for _ in 0..3 {
            assert_eq!(limit.take(), Ok(()));
        }
        assert_eq!(limit.take(), Err(Duration::from_millis(100)));
        tokio::time::advance(Duration::from_millis(60)).await;
        assert_eq!(limit.take(), Err(Duration::from_millis(40)));
        tokio::time::advance(Duration::from_millis(40)).await;
        assert_eq!(limit.take(), Ok(()));
        let mut passed = 0;
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_millis(10)).await;
            passed += u32::from(limit.take().is_ok());
        }
        assert_eq!(passed, 100, "ten a second for ten seconds");
    }
}
