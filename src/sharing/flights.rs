//! Identical lookups in flight share one provider call.
//!
//! The work is a future that all its waiters poll and nobody owns:
//!
//! - a waiter that goes (deadline, cancellation) takes nothing with it as long as another waits;
//! - with the last waiter the work is dropped on the spot, and with it the request upstream. Work that may
//!   have been charged is not left alone: who goes last hands it to a keeper, which is a waiter, too;
//! - a waiter judges what its call may have cost in the very task that polled the work last, so
//!   nothing can be sent between that poll and the judgement;
//! - a panic in the work is caught, and is `None` for all who wait.
//!
//! The register holds weak references only. An entry leaves it in one step with the last look at what
//! is to be kept, and for whom: whoever joins or goes before is heard, whoever comes after starts anew and
//! finds what was kept.

use std::{
    collections::hash_map,
    fmt, mem,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use foldhash::HashMap;
use futures_util::{
    FutureExt,
    future::{Shared, WeakShared},
};
use tokio::time::Instant;

use super::keys::Name;
use crate::{
    telemetry::metrics::UnderWay,
    transport::{Part, Progress},
};

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

/// The name under which an answer waits for a caller that went, and how many of its calls did.
pub type Owed = (Name, u32);

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

/// Who takes part in a flight: under which name it is known, what is to be kept of its answer, and the name
/// under which that waits for this caller should it go.
#[derive(Clone, Copy)]
pub struct Seat<'a> {
    /// The name of the flight.
    pub name: Name,
    /// What the caller wants to be kept.
    pub keep: Keep,
    /// The progress of its call.
    pub progress: &'a Progress,
    /// Made only where it is needed: it costs a hash.
    pub owed: &'a (dyn Fn() -> Name + Sync),
}

struct Entry<T: Clone> {
    work: WeakShared<Work<T>>,
    /// Tells this flight from a later one with the same name, too.
    progress: Arc<Progress>,
    keep: Keep,
    /// How many callers wait.
    callers: usize,
    /// For whom the answer is to be kept.
    owed: Vec<Owed>,
    /// While nobody waits.
    unattended: Option<UnderWay>,
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
    pub fn join(&self, seat: Seat<'_>) -> Option<Flight<T>> {
        joined(&mut locked(&self.0), seat)
    }

    /// Joins the flight of this name, or starts it unless `kept` has its answer by now.
    ///
    /// `start` makes the work, which notes its attempts in the progress it is given. `conclude` is told
    /// once or more often what is to be kept of the answer, and for whom, before any waiter gets it.
    pub fn board<K, W>(
        &self,
        seat: Seat<'_>,
        kept: impl FnOnce() -> Option<K>,
        start: impl FnOnce(Arc<Progress>) -> W,
        mut conclude: impl FnMut(&T, Keep, Vec<Owed>) + Send + 'static,
    ) -> Boarded<T, K>
    where
        W: Future<Output = T> + Send + 'static,
    {
        let mut register = locked(&self.0);
        if let Some(flight) = joined(&mut register, seat) {
            return Boarded::Flight(flight, Part::Joins);
        }
        // Asked under the lock: the flight that was missed above kept its answer before it left.
        if let Some(kept) = kept() {
            return Boarded::Kept(kept);
        }
        let shared = Arc::new(Progress::default());
        seat.progress.shares(Part::Starts, Arc::clone(&shared));
        let work = start(Arc::clone(&shared));
        // Made last: its drop takes the lock, so nothing that may fail stands between here and `insert`.
        let mut place = Place {
            register: Arc::clone(&self.0),
            name: seat.name,
            progress: Arc::clone(&shared),
            has_left: false,
        };
        // No async block: that would hold the work twice, as what it was given and as what it waits for.
        let work: Work<T> = Box::pin(AssertUnwindSafe(work).catch_unwind().map(move |ended| {
            let answer = ended.ok()?;
            let mut done = Keep::Nothing;
            // That the answer is there is told also if nobody wishes for anything.
            conclude(&answer, Keep::Nothing, Vec::new());
            while let Some((keep, owed)) = place.leave(done) {
                let more = if keep > done { keep } else { Keep::Nothing };
                conclude(&answer, more, owed);
                done = keep;
            }
            Some(answer)
        }));
        let flight = work.shared();
        if let Some(work) = flight.downgrade() {
            let entry = Entry {
                work,
                progress: shared,
                keep: seat.keep,
                callers: 1,
                owed: Vec::new(),
                unattended: None,
            };
            register.insert(seat.name, entry);
        }
        Boarded::Flight(flight, Part::Starts)
    }

    /// A caller goes without the answer, which is to be kept under the name that it is `owed` under. None if its
    /// flight has left the register: then that has its answer, or ends this moment.
    pub fn owe(&self, seat: Seat<'_>) -> Option<Flight<T>> {
        let mut register = locked(&self.0);
        let entry = of_caller(&mut register, seat)?;
        let name = (seat.owed)();
        match entry.owed.iter_mut().find(|(known, _)| *known == name) {
            Some((_, calls)) => *calls += 1,
            None => entry.owed.push((name, 1)),
        }
        entry.work.upgrade()
    }

    /// One caller less. If that was the last, the work sends nothing further, what `unattended` begins
    /// lasts for as long as nobody waits, and the work's progress is returned.
    pub fn leave(
        &self,
        seat: Seat<'_>,
        unattended: Option<impl FnOnce() -> UnderWay>,
    ) -> Option<Arc<Progress>> {
        let mut register = locked(&self.0);
        let entry = of_caller(&mut register, seat)?;
        entry.callers = entry.callers.saturating_sub(1);
        if entry.callers > 0 {
            return None;
        }
        entry.progress.ends(Instant::now());
        entry.unattended = unattended.map(|begins| begins());
        Some(Arc::clone(&entry.progress))
    }
}

impl<T: Clone> Entry<T> {
    fn owes_no_longer(&mut self, owed: &dyn Fn() -> Name) {
        if self.owed.is_empty() {
            return;
        }
        let name = owed();
        if let Some((_, calls)) = self.owed.iter_mut().find(|(known, _)| *known == name) {
            *calls -= 1;
            self.owed.retain(|(_, calls)| *calls > 0);
        }
    }
}

/// The flight that the caller takes part in, and not a later one with the same name.
fn of_caller<'a, T: Clone>(
    register: &'a mut HashMap<Name, Entry<T>>,
    seat: Seat<'_>,
) -> Option<&'a mut Entry<T>> {
    let entry = register.get_mut(&seat.name)?;
    seat.progress
        .takes_part_in(&entry.progress)
        .then_some(entry)
}

fn joined<T: Clone>(register: &mut HashMap<Name, Entry<T>>, seat: Seat<'_>) -> Option<Flight<T>> {
    let entry = register.get_mut(&seat.name)?;
    let flight = entry.work.upgrade()?;
    entry.keep = entry.keep.max(seat.keep);
    entry.callers += 1;
    entry.unattended = None;
    entry.owes_no_longer(seat.owed);
    seat.progress
        .shares(Part::Joins, Arc::clone(&entry.progress));
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
    fn leave(&mut self, done: Keep) -> Option<(Keep, Vec<Owed>)> {
        if self.has_left {
            return None;
        }
        let mut register = locked(&self.register);
        if let hash_map::Entry::Occupied(mut entry) = register.entry(self.name)
            && Arc::ptr_eq(&entry.get().progress, &self.progress)
        {
            let wishes = entry.get_mut();
            if wishes.keep > done || !wishes.owed.is_empty() {
                return Some((wishes.keep, mem::take(&mut wishes.owed)));
            }
            entry.remove();
        }
        self.has_left = true;
        None
    }
}

impl<T: Clone> Drop for Place<T> {
    fn drop(&mut self) {
        // Nobody waits, and there is no answer to keep.
        while self.leave(Keep::WithDocument).is_some() {}
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
