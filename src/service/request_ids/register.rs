//! The ids that are known in this process: those whose create runs, and those whose outcome is kept.
//!
//! ```text
//!  (free) ──enter──▶ running ── ends or is dropped ──▶ kept ── ttl, or more than the capacity ──▶ (free)
//!     ▲                 │
//!     └──── refused ────┘
//! ```
//!
//! Each arrow is one step under one lock, and only the owner of a [`Run`] can end it: the entry is
//! there before its create begins, and what ends it finds it. Neither time nor capacity touches an
//! entry whose create runs, or a repeat would create a second time.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foldhash::{HashMap, HashMapExt as _};
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use super::Fingerprint;
use crate::{
    domain::verification::Provider, service::defect, sharing::creates::Created, telemetry::metrics,
    transport::Progress,
};

/// The id; where Redis is the judge of reuse, with its content.
pub type Key = (Uuid, Option<Fingerprint>);

/// Hears of the outcome, once there is one.
type Answer = watch::Receiver<Option<Arc<Created>>>;

/// What is known of an id.
#[derive(Clone)]
pub struct Entry {
    /// What its create asks for.
    pub fingerprint: Fingerprint,
    /// Its outcome.
    pub answer: Answer,
    /// The provider that is asked.
    pub provider: Option<Provider>,
    /// How far it came, for all who wait for it.
    pub progress: Arc<Progress>,
}

impl Entry {
    /// Whether its create has ended.
    pub fn is_over(&self) -> bool {
        self.answer.borrow().is_some()
    }
}

/// The outcome; none if it was never told.
pub async fn outcome(mut answer: Answer) -> Option<Created> {
    let told = answer.wait_for(Option::is_some).await;
    let told = told.ok().and_then(|told| told.clone());
    told.map(|created| Created::clone(&created))
}

/// What an id was found to be.
pub enum Found {
    /// It is the finder's now, who owes an outcome.
    Free(Run),
    /// Another has it.
    Taken(Entry),
}

/// The known ids. Clones share them.
#[derive(Clone)]
pub struct Register(Arc<Inner>);

struct Inner {
    capacity: usize,
    ttl: Duration,
    ids: Mutex<Ids>,
}

struct Ids {
    known: HashMap<Key, Entry>,
    /// Those whose outcome is kept, with the end of their time; the oldest is first. They alone may go.
    kept: VecDeque<(Instant, Key)>,
}

impl Register {
    /// Keeps at most `capacity` outcomes, each for `ttl`.
    pub fn new(capacity: usize, ttl: Duration) -> Self {
        Self(Arc::new(Inner {
            capacity,
            ttl,
            ids: Mutex::new(Ids {
                known: HashMap::new(),
                kept: VecDeque::new(),
            }),
        }))
    }

    /// Takes the id, unless it is taken.
    pub fn enter(&self, key: Key, fingerprint: Fingerprint, provider: Option<Provider>) -> Found {
        let mut ids = self.0.ids();
        ids.forget_the_old();
        if let Some(entry) = ids.known.get(&key) {
            return Found::Taken(entry.clone());
        }
        let (sender, answer) = watch::channel(None);
        let entry = Entry {
            fingerprint,
            answer,
            provider,
            progress: Arc::default(),
        };
        ids.known.insert(key, entry.clone());
        Found::Free(Run {
            register: Arc::clone(&self.0),
            key,
            entry,
            sender: Some(sender),
        })
    }
}

impl Inner {
    /// Nothing that can panic runs under the lock.
    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ids {
    fn forget_the_old(&mut self) {
        let now = Instant::now();
        while let Some((_, key)) = self.kept.pop_front_if(|(end, _)| *end <= now) {
            self.known.remove(&key);
        }
    }

    fn keep(&mut self, key: Key, end: Instant, capacity: usize) {
        self.kept.push_back((end, key));
        while self.kept.len() > capacity
            && let Some((_, oldest)) = self.kept.pop_front()
        {
            self.known.remove(&oldest);
            metrics::request_id_dropped();
        }
    }
}

/// The right to run the create of an id, and the duty to say how it ended: dropped without a word, by
/// a panic or with its task, it says so itself.
pub struct Run {
    register: Arc<Inner>,
    key: Key,
    entry: Entry,
    sender: Option<watch::Sender<Option<Arc<Created>>>>,
}

impl Run {
    /// What others find.
    pub fn entry(&self) -> Entry {
        self.entry.clone()
    }

    /// Says how the create ended.
    pub fn ends(mut self, created: Created) {
        self.end(created);
    }

    fn end(&mut self, created: Created) {
        let Some(sender) = self.sender.take() else {
            return;
        };
        let refused = matches!(&created, Err(failure) if !failure.leaves_outcome_unknown());
        let mut ids = self.register.ids();
        // Before the outcome goes out: who hears of a refusal may use the id again.
        if refused {
            ids.known.remove(&self.key);
        } else {
            let Inner { capacity, ttl, .. } = *self.register;
            ids.forget_the_old();
            ids.keep(self.key, Instant::now() + ttl, capacity);
        }
        drop(ids);
        sender.send_replace(Some(Arc::new(created)));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.sender.is_some() {
            let Entry {
                provider, progress, ..
            } = self.entry.clone();
            self.end(Err(defect(provider, &progress)));
        }
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Register({})", self.0.ids().known.len())
    }
}
