//! How far callers decide what is traced.
//!
//! A parent-based sampler, the default, follows the `sampled` flag of a caller's `traceparent`, which anybody can
//! set on every call. Each call puts the configured share of one decision in, each call that is traced because its
//! caller said so takes a whole one out; where none is left the flag counts as not set. Counting calls rather than
//! looking at trace ids leaves nothing to choose for callers, who choose the ids too.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use opentelemetry::trace::SpanContext;

/// What one decision takes out, in percent of a call.
const DECISION: u32 = 100;
/// What fits in: a hundred decisions, so that a few callers who are sampled in a row are followed.
const FULL: u32 = 100 * DECISION;

/// The share of the process.
static SHARE: OnceLock<Share> = OnceLock::new();

/// Takes the share that is configured, in percent.
pub(super) fn start(percent: u32) {
    let _started_before = SHARE.set(Share::new(percent));
}

/// The caller's span, which is sampled only if that is still within the share.
pub(super) fn bounded(caller: &SpanContext) -> Option<SpanContext> {
    let share = SHARE.get()?;
    (!share.follows(caller.is_sampled())).then(|| {
        SpanContext::new(
            caller.trace_id(),
            caller.span_id(),
            caller.trace_flags().with_sampled(false),
            caller.is_remote(),
            caller.trace_state().clone(),
        )
    })
}

#[derive(Debug)]
struct Share {
    percent: u32,
    saved: AtomicU32,
}

impl Share {
    fn new(percent: u32) -> Self {
        let saved = if percent == 0 { 0 } else { FULL };
        Self {
            percent,
            saved: AtomicU32::new(saved),
        }
    }

    /// Counts a call; whether what its caller decided is followed.
    fn follows(&self, sampled: bool) -> bool {
        if self.percent >= DECISION {
            return true;
        }
        let after = |saved: u32| {
            let saved = (saved + self.percent).min(FULL);
            match sampled {
                true => saved.checked_sub(DECISION),
                false => Some(saved),
            }
        };
        let counted = self
            .saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, after);
        if counted.is_err() {
            // What it put in is kept, or a flood of sampled calls would never be followed again.
            self.saved.fetch_add(self.percent, Ordering::Relaxed);
        }
        counted.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(percent: u32, calls: impl Iterator<Item = bool>) -> usize {
        let share = Share::new(percent);
        calls
            .filter(|sampled| share.follows(*sampled) && *sampled)
            .count()
    }

    #[test]
    fn a_flood_of_sampled_calls_is_traced_up_to_the_share_and_the_reserve() {
        for (percent, expected) in [(0, 0), (1, 100), (10, 1000), (50, 5000), (100, 10_000)] {
            let traced = followed(percent, std::iter::repeat_n(true, 10_000));
            let most = expected + usize::try_from(FULL / DECISION).unwrap() * 2;
            assert!((expected..=most).contains(&traced), "{percent}: {traced}");
            if percent == 0 || percent == 100 {
                assert_eq!(traced, expected);
            }
        }
    }

    #[test]
    fn callers_that_sample_less_than_the_share_are_followed_in_all() {
        let calls = (0..10_000).map(|n| n % 20 == 0);
        assert_eq!(followed(10, calls), 500);
    }
}
