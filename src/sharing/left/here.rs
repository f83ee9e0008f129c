//! The answers that wait in this process: for their callers, or until Redis has them.
//!
//! Bounded in bytes; the oldest goes first. What is about to be moved to Redis is nobody's until that is done.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use foldhash::HashMap;
use tokio::time::Instant;

use super::Bill;
use crate::sharing::keys::Name;

/// What an entry takes beside its bytes.
const OVERHEAD: usize = 256;

/// The answers.
pub struct Here {
    max_bytes: usize,
    state: Mutex<State>,
    /// How many there are: most lookups need not look.
    count: AtomicUsize,
}

#[derive(Default)]
struct State {
    entries: HashMap<Name, Entry>,
    /// The oldest first. One that is gone may still stand here.
    order: VecDeque<(Name, u64)>,
    bytes: usize,
    next: u64,
}

struct Entry {
    number: u64,
    bytes: Bytes,
    bill: Bill,
    owed: u32,
    /// Those that are on their way to Redis.
    moving: Option<u32>,
    /// What was tried and may be there: its nonce, and for how many. Redis takes it once, however often it is tried.
    tried: Option<(u64, u32)>,
    end: Instant,
}

/// Answers that nobody has fetched in time, or for which there was no room.
pub struct Unfetched(pub Bill, pub u32);

/// What is to be moved to Redis.
pub struct Moving {
    /// The answer.
    pub bytes: Bytes,
    /// Whom it was bought from.
    pub bill: Bill,
    /// How many calls it is for.
    pub calls: u32,
    /// The same for each try.
    pub nonce: u64,
    /// Until when it waits.
    pub end: Instant,
}

impl Here {
    /// Nothing, in so many bytes at most.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            state: Mutex::default(),
            count: AtomicUsize::new(0),
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Keeps an answer for so many calls more; what had to go for it.
    pub fn put(
        &self,
        name: Name,
        calls: u32,
        bytes: Bytes,
        bill: Bill,
        end: Instant,
    ) -> Vec<Unfetched> {
        let mut state = self.state();
        if let Some(entry) = state.entries.get_mut(&name) {
            entry.owed += calls;
            entry.end = entry.end.max(end);
            return Vec::new();
        }
        let number = state.next;
        state.next += 1;
        // What was taken before its time stands in the order until its turn comes, or there is too much of it.
        if state.order.len() > 2 * state.entries.len() + 64 {
            let State { entries, order, .. } = &mut *state;
            order.retain(|(name, number)| {
                entries
                    .get(name)
                    .is_some_and(|entry| entry.number == *number)
            });
        }
        state.bytes += bytes.len() + OVERHEAD;
        state.order.push_back((name, number));
        let entry = Entry {
            number,
            bytes,
            bill,
            owed: calls,
            moving: None,
            tried: None,
            end,
        };
        state.entries.insert(name, entry);
        let mut gone = Vec::new();
        while state.bytes > self.max_bytes
            && let Some((oldest, number)) = state.order.pop_front()
        {
            gone.extend(state.remove(&oldest, number));
        }
        self.count.store(state.entries.len(), Ordering::Release);
        gone
    }

    /// Takes an answer, for one call.
    pub fn take(&self, name: &Name) -> Option<Bytes> {
        let mut state = self.state();
        let entry = state.entries.get_mut(name)?;
        if entry.end <= Instant::now() {
            return None;
        }
        entry.owed = entry.owed.checked_sub(1)?;
        let bytes = entry.bytes.clone();
        self.settle(&mut state, name);
        Some(bytes)
    }

    /// All names under which something waits.
    pub fn names(&self) -> Vec<Name> {
        self.state().entries.keys().copied().collect()
    }

    /// How many calls an answer waits for.
    pub fn owed(&self, name: &Name) -> u32 {
        self.state().entries.get(name).map_or(0, |entry| entry.owed)
    }

    /// Begins to move what waits under this name, unless somebody does or nothing does.
    pub fn moves(&self, name: &Name) -> Option<Moving> {
        let mut state = self.state();
        let entry = state.entries.get_mut(name)?;
        if entry.moving.is_some() || entry.owed == 0 {
            return None;
        }
        let (nonce, tried) = *entry
            .tried
            .get_or_insert_with(|| (fastrand::u64(..), entry.owed));
        // Those that have come since are another batch.
        let calls = entry.owed.min(tried);
        entry.owed -= calls;
        entry.moving = Some(calls);
        Some(Moving {
            nonce,
            bytes: entry.bytes.clone(),
            bill: entry.bill.clone(),
            calls,
            end: entry.end,
        })
    }

    /// It was moved, or else it waits here again.
    pub fn moved(&self, name: &Name, is_there: bool) {
        let mut state = self.state();
        if let Some(entry) = state.entries.get_mut(name) {
            let calls = entry.moving.take().unwrap_or_default();
            match is_there {
                true => entry.tried = None,
                false => entry.owed += calls,
            }
            self.settle(&mut state, name);
        }
    }

    /// Removes what nobody has fetched in time.
    pub fn sweep(&self, now: Instant) -> Vec<Unfetched> {
        let mut state = self.state();
        let mut gone = Vec::new();
        while let Some((name, number)) = state.order.front().copied() {
            match state.entries.get(&name) {
                Some(entry)
                    if entry.number == number && (entry.end > now || entry.moving.is_some()) =>
                {
                    break;
                }
                _ => {}
            }
            state.order.pop_front();
            gone.extend(state.remove(&name, number));
        }
        self.count.store(state.entries.len(), Ordering::Release);
        gone
    }

    /// An entry that waits for nobody goes.
    fn settle(&self, state: &mut State, name: &Name) {
        if let Some(entry) = state.entries.get(name)
            && entry.owed == 0
            && entry.moving.is_none()
        {
            let number = entry.number;
            state.remove(name, number);
            self.count.store(state.entries.len(), Ordering::Release);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, name: &Name, number: u64) -> Option<Unfetched> {
        if self.entries.get(name)?.number != number {
            return None;
        }
        let entry = self.entries.remove(name)?;
        self.bytes -= entry.bytes.len() + OVERHEAD;
        let calls = entry.owed + entry.moving.unwrap_or_default();
        (calls > 0).then_some(Unfetched(entry.bill, calls))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{domain::verification::Provider, sharing::keys::Keys};

    const HOUR: Duration = Duration::from_secs(3600);

    fn bill() -> Bill {
        Bill {
            provider: Provider::Verifik,
            price: None,
        }
    }

    fn put(here: &Here, name: Name, calls: u32, size: usize) -> u32 {
        let gone = here.put(
            name,
            calls,
            vec![7; size].into(),
            bill(),
            Instant::now() + HOUR,
        );
        gone.iter().map(|Unfetched(_, calls)| *calls).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_taken_once_for_each_call_and_the_next_one_has_its_own_time() {
        let (here, keys) = (Here::new(1 << 20), Keys::random().unwrap());
        let name = keys.name([b"a".as_slice()]);
        assert!(here.is_empty());
        put(&here, name, 2, 10);
        assert!(here.take(&name).is_some() && here.take(&name).is_some());
        assert!(here.take(&name).is_none() && here.is_empty());
        // The first one's time does not end the second's.
        tokio::time::advance(HOUR / 2).await;
        put(&here, name, 1, 10);
        tokio::time::advance(HOUR / 2).await;
        assert_eq!(here.sweep(Instant::now()).len(), 0);
        assert!(here.take(&name).is_some());
        put(&here, name, 3, 10);
        tokio::time::advance(HOUR).await;
        assert!(here.take(&name).is_none(), "its time is over");
        let unfetched = here.sweep(Instant::now());
        assert_eq!(unfetched.first().map(|Unfetched(_, calls)| *calls), Some(3));
        assert!(here.is_empty());
    }

    #[tokio::test]
    async fn what_comes_while_it_is_moved_is_moved_as_well_and_nobody_has_it_meanwhile() {
        let (here, keys) = (Here::new(1 << 20), Keys::random().unwrap());
        let name = keys.name([b"a".as_slice()]);
        put(&here, name, 1, 10);
        for is_there in [false, true] {
            let moving = here.moves(&name).unwrap();
            assert_eq!(moving.calls, 1);
            assert!(here.take(&name).is_none() && here.moves(&name).is_none());
            if is_there {
                put(&here, name, 2, 10);
            }
            here.moved(&name, is_there);
        }
        assert_eq!(here.moves(&name).unwrap().calls, 2);
        here.moved(&name, true);
        assert!(here.is_empty());
    }

    #[tokio::test]
    async fn the_bound_counts_bytes_and_the_oldest_goes() {
        let (here, keys) = (Here::new(10_000), Keys::random().unwrap());
        let names: Vec<_> = (0_u8..20)
            .map(|number| keys.name([[number].as_slice()]))
            .collect();
        let gone: u32 = names.iter().map(|name| put(&here, *name, 1, 1000)).sum();
        assert_eq!(gone, 20 - 7);
        assert!(here.take(&names[0]).is_none() && here.take(&names[19]).is_some());
        assert_eq!(
            put(&here, names[0], 1, 20_000),
            7,
            "one that does not fit is not kept either"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_be_there_already_is_tried_again_as_it_was() {
        let (here, keys) = (Here::new(1 << 20), Keys::random().unwrap());
        let name = keys.name([b"a".as_slice()]);
        put(&here, name, 1, 10);
        let first = here.moves(&name).unwrap();
        here.moved(&name, false);
        // Another call of the same caller goes meanwhile.
        put(&here, name, 1, 10);
        let again = here.moves(&name).unwrap();
        assert_eq!((again.nonce, again.calls), (first.nonce, 1));
        here.moved(&name, true);
        let other = here.moves(&name).unwrap();
        assert_ne!(other.nonce, first.nonce);
        assert_eq!(other.calls, 1);
        here.moved(&name, true);
        assert!(here.moves(&name).is_none() && here.is_empty());
    }
}
