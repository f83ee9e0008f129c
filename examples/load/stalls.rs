//! Moments in which the machine stood still: a thread that only sleeps woke up far too late.
//!
//! What such a moment does to timeouts is nobody's fault, and it is no excuse for anything else.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    figures::{Table, ms},
    ledger::Span,
};

/// How long the thread sleeps,
const NAP: Duration = Duration::from_millis(20);
/// and how late it must wake for the moment to count. What a loaded scheduler does is far below.
const LATE: Duration = Duration::from_millis(500);

/// Watches until it is dropped.
#[derive(Default)]
pub struct Stalls {
    seen: Arc<Mutex<Vec<Span>>>,
    over: Arc<AtomicBool>,
}

impl Stalls {
    /// Begins to watch.
    pub fn watch() -> Self {
        let stalls = Self::default();
        let (seen, over) = (Arc::clone(&stalls.seen), Arc::clone(&stalls.over));
        thread::spawn(move || {
            let mut asleep = Instant::now();
            while !over.load(Ordering::Relaxed) {
                thread::sleep(NAP);
                let awake = Instant::now();
                if awake - asleep > NAP + LATE {
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.push((asleep, awake));
                }
                asleep = awake;
            }
        });
        stalls
    }

    /// Whether the machine stood still in this time.
    pub fn during(&self, (begun, ended): Span) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().any(|(from, to)| *from <= ended && *to >= begun)
    }

    /// How often, and how long in all.
    pub fn total(&self) -> (usize, Duration) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.len(), seen.iter().map(|(from, to)| *to - *from).sum())
    }

    /// Shows both.
    pub fn show(&self, table: &mut Table) {
        let (times, long) = self.total();
        let still = format!("{times}, {}", ms(long));
        table.figure("the machine stood still: times, in all", still);
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
