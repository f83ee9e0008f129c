//! Calls and failures of the last seconds, in ten slices: the window moves on a slice at a time.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::breaker::Verdict;

/// A window's memory is this many counters, however many calls there are.
const SLICES: u32 = 10;

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Calls that gave a verdict.
    pub calls: u64,
    /// Those of them that failed.
    pub failures: u64,
}

/// The sliding window.
#[derive(Debug)]
pub struct Window {
    slice: Duration,
    /// The oldest first, each with its beginning; at most [`SLICES`].
    slices: VecDeque<(Instant, Count)>,
}

impl Window {
    /// An empty window of this length.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        Self {
            slice: length / SLICES,
            slices: VecDeque::new(),
        }
    }

    /// Counts a call; what the window holds then.
    pub fn count(&mut self, now: Instant, verdict: Verdict) -> Count {
        let length = self.slice * SLICES;
        while let Some((begun, _)) = self.slices.front()
            && now.duration_since(*begun) >= length
        {
            self.slices.pop_front();
        }
        let fresh = match self.slices.back() {
            Some((begun, _)) => now.duration_since(*begun) >= self.slice,
            None => true,
        };
        if fresh {
            self.slices.push_back((now, Count::default()));
        }
        if let Some((_, slice)) = self.slices.back_mut() {
            slice.calls += 1;
            slice.failures += u64::from(verdict == Verdict::Failure);
        }
        let add = |sum: Count, (_, slice): &(Instant, Count)| Count {
            calls: sum.calls + slice.calls,
            failures: sum.failures + slice.failures,
        };
        self.slices.iter().fold(Count::default(), add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut window = Window::new(Duration::from_secs(10));
        let count = |calls, failures| Count { calls, failures };
        assert_eq!(window.count(at(0), Verdict::Failure), count(1, 1));
        assert_eq!(window.count(at(900), Verdict::Failure), count(2, 2));
        assert_eq!(window.count(at(5000), Verdict::Success), count(3, 2));
        assert_eq!(window.count(at(9999), Verdict::Success), count(4, 2));
        // The first slice, of 0 to 999 ms, goes.
        assert_eq!(window.count(at(10_000), Verdict::Success), count(3, 0));
        assert_eq!(window.count(at(60_000), Verdict::Failure), count(1, 1));
    }

    #[test]
    fn the_window_does_not_grow_with_the_calls() {
        let start = Instant::now();
        let mut window = Window::new(Duration::from_secs(10));
        for ms in 0..60_000 {
            window.count(start + Duration::from_millis(ms), Verdict::Success);
            assert!(window.slices.len() <= 10);
        }
    }
}
