//! The places of the whole process: so many calls in flight, over all connections and callers.
//!
//! A caller alone may take every place. While more than half of them are taken, none gets more than
//! its share: the places divided by the callers that have or want one. A caller that was turned away
//! within the last second wants one: without that, who holds all the places would take each that
//! falls free again before a newcomer is seen.
//!
//! With memory above its limit a call is taken only while no other is in flight: memory that the
//! allocator keeps for itself must not lock the gateway up.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// How long a caller that was turned away counts as one that wants a place.
const WANTS: Duration = Duration::from_secs(1);

/// The places, by caller `C`.
#[derive(Debug)]
pub struct Admission<C> {
    places: usize,
    memory_is_short: Arc<AtomicBool>,
    state: Mutex<State<C>>,
}

#[derive(Debug)]
struct State<C> {
    taken: usize,
    /// Only callers that hold or want a place.
    callers: HashMap<C, Caller>,
    /// Whose wish ends when, the first first. Each caller stands here once at most.
    wishes: VecDeque<(Instant, C)>,
}

#[derive(Debug, Default)]
struct Caller {
    holds: usize,
    wants: bool,
}

/// There is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl<C: Eq + Hash + Clone> Admission<C> {
    /// So many places; none while `memory_is_short`.
    #[must_use]
    pub fn new(places: usize, memory_is_short: Arc<AtomicBool>) -> Self {
        Self {
            places,
            memory_is_short,
            state: Mutex::new(State {
                taken: 0,
                callers: HashMap::new(),
                wishes: VecDeque::new(),
            }),
        }
    }

    /// Takes a place, until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is none for this caller.
    pub fn enter(self: &Arc<Self>, caller: C) -> Result<Place<C>, Full> {
        let now = Instant::now();
        let mut state = self.lock();
        state.forget_wishes(now);
        let short = self.memory_is_short.load(Ordering::Relaxed);
        let known = state.callers.get(&caller);
        let (holds, wants) = known.map_or((0, false), |known| (known.holds, known.wants));
        let callers = state.callers.len() + usize::from(known.is_none());
        let share = (self.places / callers).max(1);
        let crowded = state.taken > self.places / 2;
        let full = state.taken >= self.places
            || (crowded && callers > 1 && holds >= share)
            || (short && state.taken > 0);
        if full && !wants {
            state.callers.entry(caller.clone()).or_default().wants = true;
            state.wishes.push_back((now + WANTS, caller));
            return Err(Full);
        }
        if full {
            return Err(Full);
        }
        state.taken += 1;
        state.callers.entry(caller.clone()).or_default().holds += 1;
        drop(state);
        Ok(Place {
            admission: Arc::clone(self),
            caller,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        // Nothing panics under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Eq + Hash> State<C> {
    fn forget_wishes(&mut self, now: Instant) {
        while let Some((end, _)) = self.wishes.front()
            && *end <= now
        {
            let Some((_, caller)) = self.wishes.pop_front() else {
                return;
            };
            if let Some(known) = self.callers.get_mut(&caller) {
                known.wants = false;
            }
            self.forget(&caller);
        }
    }

    /// Forgets a caller that neither holds nor wants a place.
    fn forget(&mut self, caller: &C) {
        let idle = |known: &Caller| known.holds == 0 && !known.wants;
        if self.callers.get(caller).is_some_and(idle) {
            self.callers.remove(caller);
        }
    }
}

/// A place. Dropping it gives it back.
#[derive(Debug)]
pub struct Place<C: Eq + Hash + Clone> {
    admission: Arc<Admission<C>>,
    caller: C,
}

impl<C: Eq + Hash + Clone> Place<C> {
    /// Whether memory is short and another holds a place too: then this call shall not grow.
    #[must_use]
    pub fn is_unwelcome(&self) -> bool {
        self.admission.memory_is_short.load(Ordering::Relaxed) && self.admission.lock().taken > 1
    }
}

impl<C: Eq + Hash + Clone> Drop for Place<C> {
    fn drop(&mut self) {
        let mut state = self.admission.lock();
        state.taken = state.taken.saturating_sub(1);
        if let Some(known) = state.callers.get_mut(&self.caller) {
            known.holds = known.holds.saturating_sub(1);
        }
        state.forget(&self.caller);
    }
}
