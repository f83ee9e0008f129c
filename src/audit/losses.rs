//! Counts what was written, lost and refused, and says so in the log without flooding it.
//!
//! Under `audit.required`, a lost result of a call that reached a provider is logged every time, at
//! error level, with its ids: its intent is on record, and the log line stands for the rest. Anything
//! else is logged once a minute at most, with the total.

use std::{
    fmt, io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::record::Record;
use crate::{
    status,
    telemetry::{labels::Recorded, metrics},
};

/// How often the log hears of losses.
const QUIET: Duration = Duration::from_secs(60);

/// Why a record did not arrive.
#[derive(Debug)]
pub enum Why {
    /// The queue is full: the sink is slower than the calls.
    Full,
    /// The writer has ended.
    Closed,
    /// The sink failed.
    Failed(io::Error),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the queue is full"),
            Self::Closed => f.write_str("the process is ending"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// The figures of the audit, since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that were written.
    pub written: u64,
    /// Records of ended calls that were lost.
    pub lost: u64,
    /// Calls that were refused because they could not be recorded (`audit.required`).
    pub refused: u64,
}

/// The counters behind [`Counts`].
#[derive(Debug)]
pub struct Losses {
    is_required: bool,
    written: AtomicU64,
    lost: AtomicU64,
    refused: AtomicU64,
    /// Lost and not yet told of by a line.
    untold: AtomicU64,
    /// Refusals that were left out, and not yet told of by a line.
    left_out: AtomicU64,
    last_said: Mutex<Option<Instant>>,
}

impl Losses {
    /// Counters at zero.
    #[must_use]
    pub fn new(is_required: bool) -> Self {
        Self {
            is_required,
            written: AtomicU64::default(),
            lost: AtomicU64::default(),
            refused: AtomicU64::default(),
            untold: AtomicU64::default(),
            left_out: AtomicU64::default(),
            last_said: Mutex::default(),
        }
    }

    /// The figures now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            written: self.written.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// A record was written.
    pub fn written(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
        metrics::recorded(Recorded::Written);
    }

    /// A call was refused.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        metrics::recorded(Recorded::Refused);
    }

    /// How many lost records no line tells of yet.
    #[must_use]
    pub fn untold(&self) -> u64 {
        self.untold.load(Ordering::Relaxed)
    }

    /// A line told of so many.
    pub fn told(&self, count: u64) {
        self.untold.fetch_sub(count, Ordering::Relaxed);
    }

    /// The record of a refusal was left out, as there were too many.
    pub fn leave_out(&self) {
        self.left_out.fetch_add(1, Ordering::Relaxed);
    }

    /// How many refusals were left out of which no line tells yet.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// A line told of so many.
    pub fn told_of_left_out(&self, count: u64) {
        self.left_out.fetch_sub(count, Ordering::Relaxed);
    }

    /// A record was lost.
    pub fn lost(&self, record: &Record, why: &Why) {
        metrics::recorded(Recorded::Lost);
        self.untold.fetch_add(1, Ordering::Relaxed);
        let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
        let reached = record.call().filter(|call| {
            let attempts = call.end.map_or(0, |end| end.attempts);
            self.is_required && attempts > 0
        });
        if let Some(call) = reached {
            tracing::error!(
                call = %call.call,
                rpc = &*call.rpc,
                verification_id = call.verification_id.map(tracing::field::display),
                code = call.end.map(|end| status::code_name(end.code)),
                %why,
                lost,
                "audit record of a call result lost"
            );
        } else if self.may_speak() {
            tracing::warn!(%why, lost, "audit records lost");
        }
    }

    fn may_speak(&self) -> bool {
        let mut last = self
            .last_said
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|said| said.elapsed() >= QUIET);
        if may {
            *last = Some(Instant::now());
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_log_hears_of_losses_once_a_minute_and_every_one_is_counted() {
        let losses = Losses::new(false);
        let mut said = 0;
        for second in 0..121 {
            said += u32::from(losses.may_speak());
            losses.lost(&Record::stop(), &Why::Full);
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(losses.counts().lost, second + 1);
        }
        assert_eq!(said, 3);
        losses.told(100);
        assert_eq!(losses.untold(), 21);
    }
}
