//! Identical lookups in flight share one provider call.
//!
//! The work is a future that all its waiters poll and nobody owns:
//!
//! - a waiter that goes (deadline, cancellation) takes nothing with it as long as another waits;
//! - with the last waiter the work is dropped on the spot, and with it the request upstream;
//! - a waiter judges what its call may have cost in the very task that polled the work last, so
//!   nothing can be sent between that poll and the judgement;
//! - a panic in the work is caught, and is `None` for all who wait.
//!
//! The register holds weak references only. An entry leaves it in one step with the last look at what
//! the waiters wish to be kept: whoever joins before is heard, whoever comes after starts anew and
//! finds what was kept.

use std::{
    collections::hash_map,
    fmt,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use foldhash::HashMap;
use futures_util::{
    FutureExt,
    future::{Shared, WeakShared},
};

use super::keys::Name;
use crate::transport::{Part, Progress};

/// What the waiters of a flight want to be kept of its answer. The greatest wish counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// Nothing: none of them set `max_age`.
    Nothing,
    /// The answer without the document.
    Answer,
    /// The answer, and the document with it.
    WithDocument,
}

type Work<T> = Pin<Box<dyn Future<Output = Option<T>> + Send>>;

/// The provider call that a caller waits for. It ends in `None` if the work panicked.
pub type Flight<T> = Shared<Work<T>>;

/// What a caller that wants to fly has come to.
pub enum Boarded<T, K> {
    /// A flight, and the part that the caller has in it.
    Flight(Flight<T>, Part),
    /// An answer that was kept a moment ago.
    Kept(K),
}

struct Entry<T: Clone> {
    work: WeakShared<Work<T>>,
    /// Tells this flight from a later one with the same name, too.
    progress: Arc<Progress>,
    keep: Keep,
}

type Register<T> = Mutex<HashMap<Name, Entry<T>>>;

/// The flights of one kind of lookup.
pub struct Flights<T: Clone>(Arc<Register<T>>);

impl<T: Clone> Default for Flights<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Joins the flight of this name, if there is one.
    pub fn join(&self, name: Name, keep: Keep, progress: &Progress) -> Option<Flight<T>> {
        joined(&mut locked(&self.0), name, keep, progress)
    }

    /// Joins the flight of this name, or starts it unless `kept` has its answer by now.
    ///
    /// `start` makes the work, which notes its attempts in the progress it is given. `conclude` is told
    /// once or more often what is to be kept of the answer, before any waiter gets it.
    pub fn board<K, W>(
        &self,
        name: Name,
        keep: Keep,
        progress: &Progress,
        kept: impl FnOnce() -> Option<K>,
        start: impl FnOnce(Arc<Progress>) -> W,
        conclude: impl Fn(&T, Keep) + Send + 'static,
    ) -> Boarded<T, K>
    where
        W: Future<Output = T> + Send + 'static,
    {
        let mut register = locked(&self.0);
        if let Some(flight) = joined(&mut register, name, keep, progress) {
            return Boarded::Flight(flight, Part::Joins);
        }
        // Asked under the lock: the flight that was missed above kept its answer before it left.
        if let Some(kept) = kept() {
            return Boarded::Kept(kept);
        }
        let shared = Arc::new(Progress::default());
        progress.shares(Part::Starts, Arc::clone(&shared));
        let work = start(Arc::clone(&shared));
        // Made last: its drop takes the lock, so nothing that may fail stands between here and `insert`.
        let mut place = Place {
            register: Arc::clone(&self.0),
            name,
            progress: Arc::clone(&shared),
            has_left: false,
        };
        // No async block: that would hold the work twice, as what it was given and as what it waits for.
        let work: Work<T> = Box::pin(AssertUnwindSafe(work).catch_unwind().map(move |ended| {
            let answer = ended.ok()?;
            let mut done = Keep::Nothing;
            while let Some(keep) = place.leave(done) {
                conclude(&answer, keep);
                done = keep;
            }
            Some(answer)
        }));
        let flight = work.shared();
        if let Some(work) = flight.downgrade() {
            let entry = Entry {
                work,
                progress: shared,
                keep,
            };
            register.insert(name, entry);
        }
        Boarded::Flight(flight, Part::Starts)
    }
}

fn joined<T: Clone>(
    register: &mut HashMap<Name, Entry<T>>,
    name: Name,
    keep: Keep,
    progress: &Progress,
) -> Option<Flight<T>> {
    let entry = register.get_mut(&name)?;
    let flight = entry.work.upgrade()?;
    entry.keep = entry.keep.max(keep);
    progress.shares(Part::Joins, Arc::clone(&entry.progress));
    Some(flight)
}

/// The flight's entry in the register. It goes with the flight, however that ends.
struct Place<T: Clone> {
    register: Arc<Register<T>>,
    name: Name,
    progress: Arc<Progress>,
    has_left: bool,
}

impl<T: Clone> Place<T> {
    /// Leaves the register, unless somebody wishes more to be kept than is done: then that wish.
    fn leave(&mut self, done: Keep) -> Option<Keep> {
        if self.has_left {
            return None;
        }
        let mut register = locked(&self.register);
        if let hash_map::Entry::Occupied(entry) = register.entry(self.name)
            && Arc::ptr_eq(&entry.get().progress, &self.progress)
        {
            let keep = entry.get().keep;
            if keep > done {
                return Some(keep);
            }
            entry.remove();
        }
        self.has_left = true;
        None
    }
}

impl<T: Clone> Drop for Place<T> {
    fn drop(&mut self) {
        self.leave(Keep::WithDocument);
    }
}

/// Nothing that can panic runs under the lock but `kept` and `start`, which leave the map alone.
fn locked<T: Clone>(register: &Register<T>) -> MutexGuard<'_, HashMap<Name, Entry<T>>> {
    register.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Clone> fmt::Debug for Flights<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flights({})", locked(&self.0).len())
    }
}

#[cfg(test)]
mod tests;
