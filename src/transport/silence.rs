//! For how long attempts have been out at a provider without an answer to any of them.
//!
//! An attempt that its caller gives up early says nothing of the provider: perhaps the caller was in a
//! hurry. Many of them do, if there was time for an answer and none came. Only time in which something
//! was out counts: a quiet night is no silence.

use std::time::Duration;

use tokio::time::Instant;

/// The silence of one provider.
#[derive(Debug)]
pub struct Silence {
    out: u32,
    since: Instant,
    before: Duration,
}

impl Silence {
    /// Nothing is out.
    pub const fn new(now: Instant) -> Self {
        Self {
            out: 0,
            since: now,
            before: Duration::ZERO,
        }
    }

    /// An attempt goes out.
    pub fn begins(&mut self, now: Instant) {
        if self.out == 0 {
            self.since = now;
        }
        self.out = self.out.saturating_add(1);
    }

    /// An attempt ends without an answer.
    pub fn ends(&mut self, now: Instant) {
        if self.out == 1 {
            self.before += now - self.since;
        }
        self.out = self.out.saturating_sub(1);
    }

    /// An attempt ends with an answer.
    pub fn answered(&mut self, now: Instant) {
        self.out = self.out.saturating_sub(1);
        self.since = now;
        self.before = Duration::ZERO;
    }

    /// How long it lasts.
    pub fn length(&self, now: Instant) -> Duration {
        match self.out {
            0 => self.before,
            _ => self.before + (now - self.since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_with_something_out_and_no_answer_counts() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let lasts = |silence: &Silence, ms| silence.length(at(ms)).as_millis();
        let mut silence = Silence::new(start);
        silence.begins(at(1000));
        silence.begins(at(1050));
        silence.ends(at(1100));
        assert_eq!(lasts(&silence, 1120), 120);
        silence.ends(at(1150));
        assert_eq!(lasts(&silence, 9000), 150);
        silence.begins(at(9000));
        silence.begins(at(9010));
        assert_eq!(lasts(&silence, 9100), 250);
        silence.answered(at(9100));
        assert_eq!(lasts(&silence, 9130), 30);
        silence.ends(at(9200));
        assert_eq!(lasts(&silence, 9999), 100);
    }
}
