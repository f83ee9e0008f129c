//! The ids that are known in this process: those whose work runs, and those whose outcome is kept.
//!
//! ```text
//!  (free) ──enter──▶ running ── ends or is dropped ──▶ kept ── ttl, or too many ──▶ (free)
//!     ▲                 │                               │
//!     └─ nothing done ──┘                               └─ too many bytes ──▶ kept without its answer
//! ```
//!
//! Each arrow is one step under one lock, and only the owner of a [`Run`] can end it: the entry is
//! there before its work begins, and what ends it finds it. Neither time nor capacity touches an
//! entry whose work runs, or a repeat would do it a second time. An id whose answer had to go is still
//! known, and its repeat hears that the outcome is unknown: it is not paid for twice. Where other replicas have the
//! answer, the whole entry goes, and the repeat asks there.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use foldhash::{HashMap, HashMapExt as _};
use futures_util::task::AtomicWaker;
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use super::{Bounds, Fingerprint};
use crate::{
    domain::{
        failure::{Failure, Kind},
        verification::Provider,
    },
    service::defect,
    sharing::once::{Ended, How, Outcome},
    telemetry::metrics,
    transport::Progress,
};

/// The id; where Redis is the judge of reuse, with its content.
pub type Key = (Uuid, Option<Fingerprint>);

/// The outcome, once there is one.
type Told<T> = Option<Arc<(Ended<T>, How)>>;

/// Hears of the outcome.
type Answer<T> = watch::Receiver<Told<T>>;

/// What is known of an id.
#[derive(Clone)]
pub struct Entry<T> {
    /// What its work asks for.
    pub fingerprint: Fingerprint,
    /// Its outcome.
    pub answer: Answer<T>,
    /// The provider that is asked.
    pub provider: Provider,
    /// How far it came, for all who wait for it.
    pub progress: Arc<Progress>,
    callers: Arc<Callers>,
}

/// Who waits for the work of an id.
#[derive(Debug, Default)]
pub struct Callers {
    count: AtomicUsize,
    /// How many went before they were told.
    gone: AtomicUsize,
    /// Of the work, which looks whether anybody waits.
    pub work: AtomicWaker,
    /// Held while the work is polled, and by a caller that goes.
    going: Mutex<()>,
}

impl Callers {
    /// Whether nobody waits.
    pub fn are_gone(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Nobody goes until this is dropped: who goes and finds that nothing was sent may rely on it.
    pub fn stay(&self) -> MutexGuard<'_, ()> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits.
pub struct Waits {
    callers: Arc<Callers>,
    is_told: bool,
}

impl Waits {
    /// This one asked for something else.
    pub fn was_no_repeat(mut self) {
        self.is_told = true;
    }

    /// The outcome is told to this one. Whether it makes up for one that went without.
    pub fn told(mut self) -> bool {
        self.is_told = true;
        let less = |gone: usize| gone.checked_sub(1);
        let gone = &self.callers.gone;
        gone.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less)
            .is_ok()
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        let going = self.callers.stay();
        if !self.is_told {
            self.callers.gone.fetch_add(1, Ordering::AcqRel);
        }
        self.callers.count.fetch_sub(1, Ordering::AcqRel);
        drop(going);
        self.callers.work.wake();
    }
}

impl<T> Entry<T> {
    /// Whether its work has ended.
    pub fn is_over(&self) -> bool {
        self.answer.borrow().is_some()
    }
}

/// The outcome; none if it was never told.
pub async fn outcome<T: Outcome>(mut answer: Answer<T>) -> Option<(Ended<T>, How)> {
    let told = answer.wait_for(Option::is_some).await;
    let told = told.ok().and_then(|told| told.clone());
    told.map(|told| (*told).clone())
}

/// What an id was found to be.
pub enum Found<T: Outcome> {
    /// It is the finder's now, who owes an outcome.
    Free(Run<T>),
    /// Another has it.
    Taken(Entry<T>),
}

/// The known ids. Clones share them.
#[derive(Clone)]
pub struct Register<T>(Arc<Inner<T>>);

struct Inner<T> {
    bounds: Bounds,
    has_others: bool,
    ids: Mutex<Ids<T>>,
}

struct Ids<T> {
    known: HashMap<Key, Entry<T>>,
    /// Those whose outcome is kept; the oldest is first. They alone may go.
    kept: VecDeque<Kept>,
    /// How many of them have lost their answer: the oldest.
    empty: usize,
    bytes: usize,
}

struct Kept {
    end: Instant,
    key: Key,
    bytes: usize,
}

impl<T: Outcome> Register<T> {
    /// Keeps outcomes within these bounds; where there are others who know, nothing of one that must go.
    pub fn new(bounds: Bounds, has_others: bool) -> Self {
        Self(Arc::new(Inner {
            bounds,
            has_others,
            ids: Mutex::new(Ids {
                known: HashMap::new(),
                kept: VecDeque::new(),
                empty: 0,
                bytes: 0,
            }),
        }))
    }

    /// Takes the id, unless it is taken. Either way the finder counts as one who waits.
    pub fn enter(
        &self,
        key: Key,
        fingerprint: Fingerprint,
        provider: Provider,
    ) -> (Found<T>, Waits) {
        let mut ids = self.0.ids();
        ids.forget_the_old();
        if let Some(entry) = ids.known.get(&key) {
            let waits = entry.waits();
            return (Found::Taken(entry.clone()), waits);
        }
        let (sender, answer) = watch::channel(None);
        let entry = Entry {
            fingerprint,
            answer,
            provider,
            progress: Arc::default(),
            callers: Arc::default(),
        };
        let waits = entry.waits();
        ids.known.insert(key, entry.clone());
        let run = Run {
            register: Arc::clone(&self.0),
            key,
            entry,
            sender: Some(sender),
        };
        (Found::Free(run), waits)
    }
}

impl<T> Entry<T> {
    fn waits(&self) -> Waits {
        self.callers.count.fetch_add(1, Ordering::AcqRel);
        self.callers.work.wake();
        Waits {
            callers: Arc::clone(&self.callers),
            is_told: false,
        }
    }
}

impl<T> Inner<T> {
    /// Nothing that can panic runs under the lock.
    fn ids(&self) -> MutexGuard<'_, Ids<T>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Outcome> Inner<T> {
    /// The work of the id is given up, unless somebody waits for it: whoever comes now begins anew.
    fn is_given_up(&self, key: &Key, entry: &Entry<T>) -> bool {
        let mut ids = self.ids();
        if !entry.callers.are_gone() {
            return false;
        }
        ids.forget(key, entry);
        true
    }
}

impl<T: Outcome> Ids<T> {
    fn forget_the_old(&mut self) {
        let now = Instant::now();
        while let Some(kept) = self.kept.pop_front_if(|kept| kept.end <= now) {
            self.forgets(&kept);
        }
    }

    /// Forgets an entry that is still this one.
    fn forget(&mut self, key: &Key, entry: &Entry<T>) {
        let is_it = |known: &Entry<T>| Arc::ptr_eq(&known.progress, &entry.progress);
        if self.known.get(key).is_some_and(is_it) {
            self.known.remove(key);
        }
    }

    fn forgets(&mut self, kept: &Kept) {
        self.known.remove(&kept.key);
        self.bytes -= kept.bytes;
        self.empty = self.empty.saturating_sub(1);
    }

    fn keep(&mut self, kept: Kept, bounds: &Bounds, has_others: bool) {
        self.bytes += kept.bytes;
        self.kept.push_back(kept);
        let capacity = usize::try_from(bounds.capacity).unwrap_or(usize::MAX);
        while self.kept.len() > capacity
            && let Some(oldest) = self.kept.pop_front()
        {
            self.forgets(&oldest);
            metrics::request_id_dropped();
        }
        while self.bytes > bounds.max_bytes {
            if has_others {
                let Some(oldest) = self.kept.pop_front() else {
                    return;
                };
                self.forgets(&oldest);
            } else {
                let Some(oldest) = self.kept.get_mut(self.empty) else {
                    return;
                };
                self.bytes -= std::mem::take(&mut oldest.bytes);
                self.empty += 1;
                if let Some(entry) = self.known.get_mut(&oldest.key) {
                    entry.answer = unknown(entry.provider);
                }
            }
            metrics::request_id_dropped();
        }
    }
}

/// An answer that had to go.
fn unknown<T: Outcome>(provider: Provider) -> Answer<T> {
    let unknown = Failure::after_sending(Kind::OutcomeUnknown, provider);
    watch::channel(Some(Arc::new((Err(unknown), How::Kept)))).1
}

/// The right to do the work of an id, and the duty to say how it ended: dropped without a word, by
/// a panic or with its task, it says so itself.
pub struct Run<T: Outcome> {
    register: Arc<Inner<T>>,
    key: Key,
    entry: Entry<T>,
    sender: Option<watch::Sender<Told<T>>>,
}

/// The look whether anybody waits for the work of an id.
pub struct Wanted<T: Outcome> {
    register: Arc<Inner<T>>,
    key: Key,
    entry: Entry<T>,
}

impl<T: Outcome> Wanted<T> {
    /// Who waits.
    pub fn callers(&self) -> &Callers {
        &self.entry.callers
    }

    /// How far the work came.
    pub fn progress(&self) -> &Progress {
        &self.entry.progress
    }

    /// Gives the work up, unless somebody waits for it: whoever comes now begins anew.
    pub fn is_given_up(&self) -> bool {
        self.register.is_given_up(&self.key, &self.entry)
    }
}

impl<T: Outcome> Run<T> {
    /// What others find.
    pub fn entry(&self) -> Entry<T> {
        self.entry.clone()
    }

    /// The look whether anybody waits.
    pub fn wanted(&self) -> Wanted<T> {
        Wanted {
            register: Arc::clone(&self.register),
            key: self.key,
            entry: self.entry.clone(),
        }
    }

    /// Says how the work ended.
    pub fn ends(mut self, ended: Ended<T>, how: How) {
        self.end(ended, how);
    }

    fn end(&mut self, ended: Ended<T>, how: How) {
        let Some(sender) = self.sender.take() else {
            return;
        };
        let frees = matches!(&ended, Err(failure) if T::frees_the_id(failure));
        let bytes = ended.as_ref().map_or(0, |outcome| outcome.size());
        let mut ids = self.register.ids();
        // Before the outcome goes out: who hears that nothing was done may use the id again.
        if frees {
            ids.forget(&self.key, &self.entry);
        } else {
            let Inner {
                bounds, has_others, ..
            } = &*self.register;
            ids.forget_the_old();
            let kept = Kept {
                end: Instant::now() + bounds.ttl,
                key: self.key,
                bytes,
            };
            ids.keep(kept, bounds, *has_others);
        }
        drop(ids);
        sender.send_replace(Some(Arc::new((ended, how))));
    }
}

impl<T: Outcome> Drop for Run<T> {
    fn drop(&mut self) {
        if self.sender.is_some() {
            let failure = defect(Some(self.entry.provider), &self.entry.progress);
            self.end(Err(failure), How::Ran);
        }
    }
}

impl<T> fmt::Debug for Register<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Register({})", self.0.ids().known.len())
    }
}
