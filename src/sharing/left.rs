//! Answers that were paid for and whose callers went without them.
//!
//! ```text
//!  on its way ── the answer comes ──▶ kept here ── Redis takes it ──▶ kept there
//!                                        │                              │
//!                                        └──────── taken, once for each call that went, or expired
//! ```
//!
//! Each waits under a name of its own for one caller: what was asked, and who asked. Without Redis it waits in
//! this process ([`here`]). With Redis it waits there, sealed, so that the replica that the caller repeats at finds it;
//! while Redis does not answer it stays here.
//!
//! From before a request leaves until its answer is there, Redis has a mark of it ([`Mark`]): the same call of the same
//! caller at another replica waits for what becomes of it, also if it comes before this replica has heard that the
//! first one has gone. The mark is a lease: who crashes keeps nobody waiting for longer than [`LEASE`].
//!
//! A caller that goes while it takes an answer gives it back: taking is a task of its own.

mod here;
mod mark;
mod waits;

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::TaskTracker;

use self::here::{Here, Moving, Unfetched};
pub use self::{mark::Mark, waits::Entered};
use super::{
    answers::Answers,
    flights::Owed,
    keys::Name,
    remote::{Batch, Remote},
};
use crate::{
    domain::{price::Price, verification::Provider},
    telemetry::{labels::Fate, metrics},
};

/// The pause between two tries to move an answer to Redis. In between it can be had here.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a process that leaves may take to move what still waits in it.
const LAST: Duration = Duration::from_secs(2);
/// For how long a mark holds that nobody renews.
const LEASE: Duration = Duration::from_secs(3);
/// How often it is looked for what nobody has fetched.
const SWEEP: Duration = Duration::from_millis(50);

/// So many answers in Redis are counted when nobody fetches them; they expire there by themselves.
const COUNTED: usize = 100_000;

/// Whom an answer was bought from, and what it cost, for the figures.
#[derive(Debug, Clone)]
pub struct Bill {
    /// Who was asked.
    pub provider: Provider,
    /// What it cost, if that is known and not nothing.
    pub price: Option<Price>,
}

impl Bill {
    fn note(&self, fate: Fate, times: u32) {
        for _ in 0..times {
            metrics::left(self.provider, fate, self.price.as_ref());
        }
    }
}

/// The answers that wait. Clones share them.
#[derive(Clone)]
pub struct Left(Arc<Inner>);

struct Inner {
    answers: Answers,
    ttl: Duration,
    here: Here,
    /// What was moved to Redis, and when its time is over there; the first first.
    there: Mutex<Moved>,
    /// What this process has marked as on its way.
    marked: Mutex<HashSet<Name>>,
    keepers: TaskTracker,
    replica: u64,
}

#[derive(Default)]
struct Moved {
    is_swept: bool,
    until: VecDeque<(Instant, Name, Bill)>,
}

impl Left {
    /// Each waits for `ttl`; zero switches this off.
    #[must_use]
    pub fn new(answers: Answers, ttl: Duration) -> Self {
        let (ttl, max_bytes) = match (answers.max_bytes(), answers.remote()) {
            (0, None) => (Duration::ZERO, 0),
            // It only passes through.
            (0, Some(_)) => (ttl, PASSAGE),
            (max_bytes, _) => (ttl, usize::try_from(max_bytes).unwrap_or(usize::MAX)),
        };
        Self(Arc::new(Inner {
            answers,
            ttl,
            here: Here::new(max_bytes),
            there: Mutex::default(),
            marked: Mutex::default(),
            keepers: TaskTracker::new(),
            replica: fastrand::u64(..),
        }))
    }

    /// How long an answer waits; none if a request is given up with its last caller.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        Some(self.0.ttl).filter(|ttl| !ttl.is_zero())
    }

    /// The name under which the answer to a flight waits for a caller.
    #[must_use]
    pub fn name(&self, flight: &Name, caller: [&[u8]; 2]) -> Name {
        let [mode, name] = caller;
        self.0.answers.owed(flight, mode, name)
    }

    /// Waits until no request is on its way any more for callers that went.
    pub async fn finished(&self) {
        self.0.keepers.close();
        self.0.keepers.wait().await;
        // What Redis did not take at first: there is no later any more.
        let moves = async {
            for name in self.0.here.names() {
                self.move_there(name, "").await;
            }
        };
        let _lost_if_it_takes_longer = timeout(LAST, moves).await;
    }

    /// Keeps an answer for a caller, once for each of its calls that went.
    pub fn put(&self, owed: Owed, bytes: Bytes, bill: Bill) {
        bill.note(Fate::Kept, owed.1);
        self.keep_until(owed, bytes, bill, Instant::now() + self.0.ttl);
    }

    fn keep_until(&self, (name, calls): Owed, bytes: Bytes, bill: Bill, end: Instant) {
        let gone = self.0.here.put(name, calls, bytes, bill, end);
        expired(gone);
        self.sweeps();
    }

    /// An answer that waits in this process.
    pub fn take_here(&self, name: impl FnOnce() -> Name) -> Option<Bytes> {
        match self.0.here.is_empty() {
            true => None,
            false => self.0.here.take(&name()),
        }
    }

    /// An answer was delivered in another way: it waits one time less.
    pub fn deliver(&self, name: Name) {
        if self.take_here(|| name).is_none() && self.is_shared() {
            let left = self.clone();
            self.keep(async move {
                if let Some(remote) = left.0.answers.remote() {
                    let _popped = remote.pop_left(&key(&name)).await;
                }
            });
        }
    }

    /// Whether other replicas are to be asked.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        !self.0.ttl.is_zero() && self.0.answers.remote().is_some()
    }

    /// Waits for a flight that a caller has left, and moves its answer to where all replicas find it. It is
    /// on its way for so long at most. `marked` is told when the replicas know.
    pub fn attend(
        &self,
        name: Name,
        on_its_way: Duration,
        marked: oneshot::Sender<()>,
        flight: impl Future<Output = ()> + Send + 'static,
    ) {
        let left = self.clone();
        self.keep(async move {
            // What this process has marked is its mark's to move.
            let owner = match left.marked().contains(&name) {
                true => None,
                false => Some(left.owner()),
            };
            if let (Some(remote), Some(owner)) = (left.0.answers.remote(), &owner) {
                remote
                    .mark_left(&key(&name), owner, on_its_way + LEASE)
                    .await;
            }
            let _nobody_listens = marked.send(());
            flight.await;
            if left.marked().contains(&name) {
                return;
            }
            let moved = left
                .move_there(name, owner.as_deref().unwrap_or_default())
                .await;
            if let (Some(remote), Some(owner), false) = (left.0.answers.remote(), &owner, moved) {
                remote.release_left(&key(&name), owner).await;
            }
        });
    }

    /// Moves what waits here to where all replicas find it; false if nothing did, or Redis does not take it: then it
    /// stays here.
    async fn move_there(&self, name: Name, owner: &str) -> bool {
        let Some(remote) = self.0.answers.remote() else {
            return false;
        };
        let mut has_moved = false;
        while let Some(moving) = self.0.here.moves(&name) {
            let is_there = self.is_moved(remote, name, &moving, owner).await;
            self.0.here.moved(&name, is_there);
            if !is_there {
                self.move_later(name, owner.to_owned());
                return false;
            }
            has_moved = true;
            let mut there = locked(&self.0.there);
            if there.until.len() < COUNTED {
                there.until.push_back((moving.end, name, moving.bill));
            }
            drop(there);
            self.sweeps();
        }
        has_moved
    }

    async fn is_moved(&self, remote: &Remote, name: Name, moving: &Moving, owner: &str) -> bool {
        let lifetime = moving.end.saturating_duration_since(Instant::now());
        if lifetime.is_zero() || !remote.is_up() {
            return false;
        }
        let Some(sealed) = self.0.answers.sealed(&name, &moving.bytes) else {
            return false;
        };
        let batch = Batch {
            nonce: moving.nonce,
            sealed: &sealed,
            calls: moving.calls,
            lifetime,
            owner,
        };
        let Ok(pushed) = remote.push_left(&key(&name), &batch).await else {
            return false;
        };
        moving
            .bill
            .note(Fate::Kept, pushed.saturating_sub(moving.calls));
        true
    }

    /// Tries it again once Redis is there, if the answer still waits.
    fn move_later(&self, name: Name, owner: String) {
        let left = self.clone();
        // No keeper: a process that leaves does not wait for it.
        spawn(async move {
            sleep(PAUSE).await;
            if left.0.here.owed(&name) > 0 {
                Box::pin(left.move_there(name, &owner)).await;
            }
        });
    }

    /// Sees to it that what nobody fetches is counted, and forgotten.
    fn sweeps(&self) {
        if std::mem::replace(&mut locked(&self.0.there).is_swept, true) {
            return;
        }
        let left = self.clone();
        spawn(async move {
            loop {
                sleep(SWEEP).await;
                let now = Instant::now();
                expired(left.0.here.sweep(now));
                while let Some((name, bill)) = left.over_there(now) {
                    if let Some(remote) = left.0.answers.remote() {
                        let forgotten = remote.forget_left(&key(&name), 4 * SWEEP).await;
                        bill.note(Fate::Expired, forgotten.unwrap_or_default());
                    }
                }
                let mut there = locked(&left.0.there);
                if there.until.is_empty() && left.0.here.is_empty() {
                    there.is_swept = false;
                    return;
                }
            }
        });
    }

    /// What will be over in Redis in a moment.
    fn over_there(&self, now: Instant) -> Option<(Name, Bill)> {
        let mut there = locked(&self.0.there);
        let moment = (3 * SWEEP).min(self.0.ttl / 4);
        let over = |(end, ..): &mut (Instant, Name, Bill)| *end <= now + moment;
        let (_, name, bill) = there.until.pop_front_if(over)?;
        Some((name, bill))
    }

    /// What tells one that marks something from all others. Those of this process begin alike.
    fn owner(&self) -> Arc<str> {
        format!("{:016x}{:016x}", self.0.replica, fastrand::u64(..)).into()
    }

    fn marked(&self) -> MutexGuard<'_, HashSet<Name>> {
        locked(&self.0.marked)
    }

    fn keep(&self, work: impl Future<Output = ()> + Send + 'static) {
        // A process that ends drops its calls outside of the runtime.
        if let Ok(runtime) = Handle::try_current() {
            self.0.keepers.spawn_on(work, &runtime);
        }
    }
}

/// Most bytes that pass through a process which keeps no answers itself.
const PASSAGE: usize = 64 * 1024 * 1024;

fn expired(unfetched: Vec<Unfetched>) {
    for Unfetched(bill, calls) in unfetched {
        bill.note(Fate::Expired, calls);
    }
}

/// Nothing panics under these locks.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(work);
    }
}

fn key(name: &Name) -> String {
    // All keys of a name are at one place of a cluster.
    format!("idgw:left:{{{}}}", name.text())
}

impl fmt::Debug for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Left([redacted])")
    }
}
