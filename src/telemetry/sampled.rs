//! Lines that strangers can cause: so many a second, and a count of the others.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Most lines in a second.
const MOST: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);

/// The lines of one kind.
#[derive(Debug, Default)]
pub struct Sampled(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Sampled {
    /// Whether a line is to be written now, and how many were left out since the last one.
    pub fn next(&self) -> Option<u64> {
        let now = Instant::now();
        // Nothing panics under the lock.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.began.is_none_or(|began| now - began >= WINDOW) {
            state.began = Some(now);
            state.written = 0;
        }
        if state.written >= MOST {
            state.left_out += 1;
            return None;
        }
        state.written += 1;
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_lines_a_second_and_a_count_of_the_others() {
        let lines = Sampled::default();
        let written = (0..1000).filter_map(|_| lines.next()).count();
        assert_eq!(written, 10);
        tokio::time::advance(WINDOW).await;
        assert_eq!(lines.next(), Some(990));
        assert_eq!(lines.next(), Some(0));
    }
}
