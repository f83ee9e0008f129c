//! The last ten minutes: what the metrics said every fifteen seconds, forty times and no more. Calls pay nothing for it;
//! a reading costs as much as one scrape of `/metrics`.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::MissedTickBehavior;

use super::{
    durations::Durations,
    reading::{Counted, Reading, Totals},
};

/// How many readings are kept, and thus how many bars a chart has.
pub const KEPT: usize = 40;
const EVERY: Duration = Duration::from_secs(15);
const HALF_MINUTE: Duration = Duration::from_secs(30);

/// The readings.
#[derive(Debug, Clone)]
pub struct History(Arc<Mutex<VecDeque<Arc<Sample>>>>);

/// One of them.
#[derive(Debug)]
struct Sample {
    at: Instant,
    totals: Totals,
}

impl History {
    /// Begins with what there is now.
    #[must_use]
    pub fn start() -> Self {
        let history = Self(Arc::default());
        history.note(Instant::now(), Reading::take().totals);
        history
    }

    /// Takes readings, for ever.
    pub async fn keep(self) {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + EVERY, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let history = self.clone();
            // Off the runtime's threads: figures of the process are read from files.
            let read = move || history.note(Instant::now(), Reading::take().totals);
            if tokio::task::spawn_blocking(read).await.is_err() {
                tracing::error!("status page: its history stopped: a reading panicked");
                return;
            }
        }
    }

    fn note(&self, at: Instant, totals: Totals) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::new(Sample { at, totals }));
    }

    /// What came since the oldest reading, up to this one.
    #[must_use]
    pub fn until(&self, at: Instant, totals: Totals) -> Recent {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut samples: Vec<_> = kept.iter().map(Arc::clone).collect();
        drop(kept);
        samples.push(Arc::new(Sample { at, totals }));
        Recent(samples)
    }
}

/// The last minutes, as differences between readings. There is at least one.
#[derive(Debug)]
pub struct Recent(Vec<Arc<Sample>>);

impl Recent {
    /// How far they reach back, for whoever writes it in whole minutes: so that it is the nearest of them.
    #[must_use]
    pub fn reach(&self) -> Duration {
        let ends = self.0.first().zip(self.0.last());
        let reach = ends.map_or(Duration::ZERO, |(first, last)| {
            last.at.saturating_duration_since(first.at)
        });
        match reach {
            short if short < HALF_MINUTE * 2 => short,
            long => long + HALF_MINUTE,
        }
    }

    /// How much a count has grown between each reading and the next, the oldest first.
    #[must_use]
    pub fn slots(&self, count: impl Fn(&Totals) -> u64) -> Vec<u64> {
        let counts: Vec<_> = self.0.iter().map(|sample| count(&sample.totals)).collect();
        let pairs = counts.iter().zip(counts.iter().skip(1));
        pairs.map(|(then, now)| now.saturating_sub(*then)).collect()
    }

    /// How much it has grown in all.
    #[must_use]
    pub fn total(&self, count: impl Fn(&Totals) -> u64) -> u64 {
        let ends = self.0.first().zip(self.0.last());
        ends.map_or(0, |(first, last)| {
            count(&last.totals).saturating_sub(count(&first.totals))
        })
    }

    /// How long it took what came between each reading and the next.
    #[must_use]
    pub fn durations(&self, of: impl Fn(&Totals) -> Option<&Counted>) -> Vec<Durations> {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        pairs
            .map(|(then, now)| since(of(&now.totals), of(&then.totals)))
            .collect()
    }

    /// How long all of it took.
    #[must_use]
    pub fn all_durations(&self, of: impl Fn(&Totals) -> Option<&Counted>) -> Durations {
        let ends = self.0.first().zip(self.0.last());
        ends.map_or_else(Durations::default, |(then, now)| {
            since(of(&now.totals), of(&then.totals))
        })
    }

    /// The newest reading: its keys are those of all.
    #[must_use]
    pub fn newest(&self) -> Option<&Totals> {
        self.0.last().map(|sample| &sample.totals)
    }

    /// How long ago the newest slot ended in which a count has grown; none if it has in none.
    #[must_use]
    pub fn last_grown(&self, count: impl Fn(&Totals) -> u64) -> Option<Duration> {
        let slots = self.slots(count);
        let newest = slots.iter().rposition(|grown| *grown > 0)?;
        let ended = self.0.get(newest + 1)?;
        Some(self.0.last()?.at.saturating_duration_since(ended.at))
    }
}

fn since(now: Option<&Counted>, then: Option<&Counted>) -> Durations {
    now.map_or_else(Durations::default, |now| {
        now.took.since(then.map(|then| &then.took))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(count: u64) -> Totals {
        let mut totals = Totals::default();
        totals.watched[0] = count;
        totals
    }

    fn count(totals: &Totals) -> u64 {
        totals.watched[0]
    }

    #[test]
    fn the_history_is_the_last_readings_and_does_not_grow() {
        let history = History(Arc::default());
        let start = Instant::now();
        for reading in 0..1_000_u32 {
            history.note(start + EVERY * reading, totals(u64::from(reading) * 2));
        }
        assert_eq!(history.0.lock().unwrap().len(), KEPT);
        let recent = history.until(start + EVERY * 1_000, totals(2_001));
        let slots = recent.slots(count);
        assert_eq!(slots.len(), KEPT);
        assert_eq!((slots[0], slots[KEPT - 1]), (2, 3));
        assert_eq!(recent.total(count), 2 * 39 + 3);
        assert_eq!(recent.reach().as_secs() / 60, 10);
    }

    #[test]
    fn when_something_happened_last_is_the_end_of_its_slot() {
        let history = History(Arc::default());
        let start = Instant::now();
        for (reading, seen) in [(0, 0), (1, 5), (2, 5), (3, 5)] {
            history.note(start + EVERY * reading, totals(seen));
        }
        let recent = history.until(start + EVERY * 4, totals(5));
        assert_eq!(recent.last_grown(count), Some(EVERY * 3));
        assert_eq!(recent.last_grown(|_| 0), None);
        let recent = history.until(start + EVERY * 4, totals(6));
        assert_eq!(recent.last_grown(count), Some(Duration::ZERO));
    }

    #[test]
    fn at_the_start_there_is_nothing_to_compare() {
        let history = History::start();
        let recent = history.until(Instant::now(), Totals::default());
        assert_eq!(recent.slots(count), [0]);
        assert_eq!(recent.total(count), 0);
        assert_eq!(recent.all_durations(|_| None).count(), 0);
    }
}
