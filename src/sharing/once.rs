//! What has a `request_id` is sent once by all replicas that share a Redis.
//!
//! ```text
//!                         ┌─ done ───────────▶ Done: every repeat gets the first outcome
//!  (none) ──SET NX──▶ Running ─ unknown ─────▶ Unknown: every repeat hears that it is unknown
//!     ▲                   │ └─ no word until the lease ends ──▶ the same, without being written
//!     └── nothing done ───┘
//! ```
//!
//! The entry lives for the `lifetime` from the first SET; Redis's own clock tells how old it
//! is, so the replicas' clocks need not agree. An owner that is gone leaves Running behind: whether
//! it sent its request is not known, so nobody takes over. An owner ends its work with its lease.
//!
//! If Redis cannot be asked, the call is refused before anything is sent (UNAVAILABLE: nothing was
//! charged, and a standard client repeats it). Going on without would be more available, and would
//! one day pay twice, without anybody's knowing.
//!
//! What an outcome is, whoever asks says ([`Outcome`]): nothing here knows a company or an RPC.

use std::{fmt, sync::Arc, time::Duration};

use prost::{Message, bytes::Bytes};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{
    keys::{Keys, Name},
    remote::{NoAnswer, Remote},
    store::Store,
};
use crate::{
    domain::{
        failure::{Failure, Kind},
        refusal::Refusal,
        verification::Provider,
    },
    telemetry::{labels::CacheFailure, metrics},
    transport::Progress,
};

/// What a call with a `request_id` may bring.
pub trait Outcome: Clone + Send + Sync + 'static {
    /// Its stored form.
    fn encode(&self) -> Bytes;

    /// Reads the stored form; none if it is none.
    fn decode(bytes: Bytes) -> Option<Self>;

    /// How many bytes it holds.
    fn size(&self) -> usize;

    /// Whether the id may be used again after this failure.
    fn frees_the_id(failure: &Failure) -> bool;
}

/// How the work of a call ended.
pub type Ended<T> = Result<T, Failure>;

/// One call with a `request_id`.
#[derive(Clone, Copy)]
pub struct Question {
    /// The id; another caller's is another one.
    pub id: Uuid,
    /// Tells another content under the same id.
    pub fingerprint: [u8; 32],
    /// Who is asked.
    pub provider: Provider,
    /// How long the work may take.
    pub lease: Duration,
}

/// How a call came to its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By work of its own.
    Ran,
    /// It waited for another call's.
    Waited,
    /// It was there.
    Kept,
}

/// How long after its end a lease is still respected.
pub const GRACE: Duration = Duration::from_secs(2);
/// The pauses between two looks at another replica's work: from here, doubled, to there.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// What a caller is asked to wait while Redis is down.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often an outcome is written until Redis takes it.
const WRITES: u32 = 10;

/// The request ids of all replicas. Clones share them.
#[derive(Clone)]
pub struct Once<S = Remote> {
    store: S,
    keys: Arc<Keys>,
    /// What is kept apart: the same id in another one is another id.
    scope: Arc<[String; 2]>,
    lifetime: Duration,
}

/// What a look at an entry found.
enum Seen<T> {
    Nothing,
    /// For so long the entry will still be there, and for so long its owner may still work.
    Running(Duration, Duration),
    Over(Box<Ended<T>>),
}

impl<S: Store> Once<S> {
    /// The ids of a `kind` of calls in a `scope`. An outcome is kept for `lifetime`.
    #[must_use]
    pub fn new(store: S, keys: Arc<Keys>, [kind, scope]: [&str; 2], lifetime: Duration) -> Self {
        Self {
            store,
            keys,
            scope: Arc::new([kind.to_owned(), scope.to_owned()]),
            lifetime,
        }
    }

    /// Runs the work unless a replica runs or ran it; then its outcome.
    pub async fn once<T: Outcome>(
        &self,
        question: Question,
        progress: &Progress,
        work: impl Future<Output = Ended<T>> + Send,
    ) -> (Ended<T>, How) {
        let [kind, scope] = &*self.scope;
        let label = format!("{kind}, 1");
        let parts = [label.as_bytes(), scope.as_bytes(), question.id.as_bytes()];
        let entry = Entry {
            ids: self.clone(),
            name: self.keys.name(parts),
            question,
        };
        // Sealing is random, so the sealed lease is also the proof of who holds it.
        let Some(lease) = entry.sealed(State::Running, Bytes::new()) else {
            let defect = Failure::before_sending(Kind::Internal, question.provider);
            return (Err(defect), How::Ran);
        };
        let mut pause = FIRST_PAUSE;
        loop {
            match entry.take(&lease).await {
                Ok(true) => return (entry.run(lease, work).await, How::Ran),
                Ok(false) => {}
                Err(NoAnswer(cause)) => {
                    // The lease may have been taken all the same.
                    entry.release_later(lease);
                    return (Err(entry.not_now(cause)), How::Ran);
                }
            }
            progress.waits();
            if let Some(outcome) = entry.outcome(progress).await {
                return outcome;
            }
            // Refused over there, and free of charge: the id is free again.
            progress.settled();
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// One id.
#[derive(Clone)]
struct Entry<S> {
    ids: Once<S>,
    name: Name,
    question: Question,
}

impl<S: Store> Entry<S> {
    fn key(&self) -> String {
        let [kind, _] = &*self.ids.scope;
        format!("idgw:{kind}:{}", self.name.text())
    }

    async fn take(&self, lease: &[u8]) -> Result<bool, NoAnswer> {
        let Once {
            store, lifetime, ..
        } = &self.ids;
        store.set_if_absent(&self.key(), lease, *lifetime).await
    }

    /// Runs the work under the lease, and writes what became of it.
    async fn run<T: Outcome>(
        &self,
        lease: Vec<u8>,
        work: impl Future<Output = Ended<T>>,
    ) -> Ended<T> {
        let ended = match timeout(self.question.lease, work).await {
            Ok(ended) => ended,
            Err(_elapsed) => Err(self.unknown()),
        };
        let written = match &ended {
            Ok(outcome) => self.sealed(State::Done, outcome.encode()),
            Err(failure) if T::frees_the_id(failure) => {
                if self.release(&lease).await.is_err() {
                    self.release_later(lease);
                }
                return ended;
            }
            Err(_) => self.sealed(State::Unknown, Bytes::new()),
        };
        if let Some(value) = written
            && self.write(&lease, &value).await.is_err()
        {
            self.write_later(lease, value);
        }
        ended
    }

    /// Writes an outcome in the place of the lease, which is there unless the store has lost it.
    async fn write(&self, lease: &[u8], value: &[u8]) -> Result<(), NoAnswer> {
        let Once {
            store, lifetime, ..
        } = &self.ids;
        if !store.replace(&self.key(), lease, value, *lifetime).await? {
            metrics::request_id_lost();
            tracing::error!(
                advice = "docs/sharing.md, \"When Redis loses data\"",
                "the shared cache lost a running request id: a repeat at another replica may have been charged again"
            );
        }
        Ok(())
    }

    fn write_later(&self, lease: Vec<u8>, value: Vec<u8>) {
        let entry = self.clone();
        self.ids.store.later(async move {
            for write in 1..=WRITES {
                sleep(RETRY_AFTER * write).await;
                if entry.write(&lease, &value).await.is_ok() {
                    return;
                }
            }
            tracing::warn!(
                "outcome of a request id not written to the shared cache: a retry at another replica gets an unknown \
                 outcome"
            );
        });
    }

    async fn release(&self, lease: &[u8]) -> Result<(), NoAnswer> {
        self.ids.store.delete(&self.key(), lease).await
    }

    /// Frees the id as soon as Redis answers: nothing was done under this lease.
    fn release_later(&self, lease: Vec<u8>) {
        let entry = self.clone();
        self.ids.store.later(async move {
            for release in 1..=WRITES {
                sleep(RETRY_AFTER * release).await;
                if entry.release(&lease).await.is_ok() {
                    return;
                }
            }
        });
    }

    /// Waits for the outcome of another's work; none if the id is free again.
    async fn outcome<T: Outcome>(&self, progress: &Progress) -> Option<(Ended<T>, How)> {
        let mut heard = Instant::now();
        let mut end = None;
        let mut pause = FIRST_PAUSE;
        let mut how = How::Kept;
        loop {
            let asked = Instant::now();
            match self.look().await {
                // It was not freed: its time is over, and its owner may be gone.
                Ok(Seen::Nothing) if end.is_some_and(|end| Instant::now() >= end) => {
                    return Some((Err(self.unknown()), how));
                }
                Ok(Seen::Nothing) => return None,
                Ok(Seen::Over(ended)) => return Some((*ended, how)),
                Ok(Seen::Running(left, works)) => {
                    heard = Instant::now();
                    end = Some(asked + left);
                    how = How::Waited;
                    progress.answered_by(asked + works);
                }
                Err(_) if heard.elapsed() < self.question.lease => {}
                Err(_) => return Some((Err(self.unknown()), how)),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn look<T: Outcome>(&self) -> Result<Seen<T>, NoAnswer> {
        let found = self.ids.store.get(&self.key()).await?;
        let Some((sealed, left)) = found else {
            return Ok(Seen::Nothing);
        };
        let opened = self.ids.keys.open(&self.name, &sealed);
        let stored = opened.and_then(|bytes| Stored::decode(bytes.as_slice()).ok());
        // What cannot be read was written by somebody: that it did nothing is not known.
        let Some(stored) = stored else {
            return Ok(over(Err(self.unknown())));
        };
        if *stored.fingerprint != self.question.fingerprint {
            return Ok(over(Err(Failure::request_id_reused())));
        }
        let age = Duration::from_millis(stored.lifetime_ms).saturating_sub(left);
        let lease = Duration::from_millis(stored.lease_ms);
        Ok(match State::of(stored.state) {
            Some(State::Running) if age < lease.saturating_add(GRACE) => {
                Seen::Running(left, lease.saturating_sub(age))
            }
            Some(State::Done) => over(T::decode(stored.outcome).ok_or_else(|| self.unknown())),
            Some(State::Running | State::Unknown) | None => over(Err(self.unknown())),
        })
    }

    fn unknown(&self) -> Failure {
        Failure::after_sending(Kind::OutcomeUnknown, self.question.provider)
    }

    /// Nothing was sent, and the call may be repeated.
    fn not_now(&self, cause: CacheFailure) -> Failure {
        Failure {
            refusal: Some(Box::new(Refusal::Store(cause.as_str()))),
            retry_after: Some(RETRY_AFTER),
            ..Failure::before_sending(Kind::RequestIdUnavailable, self.question.provider)
        }
    }

    fn sealed(&self, state: State, outcome: Bytes) -> Option<Vec<u8>> {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let stored = Stored {
            state: state as u32,
            fingerprint: self.question.fingerprint.to_vec().into(),
            lifetime_ms: millis(self.ids.lifetime),
            lease_ms: millis(self.question.lease),
            outcome,
        };
        self.ids.keys.seal(&self.name, &stored.encode_to_vec())
    }
}

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running = 1,
    Done = 2,
    Unknown = 3,
}

impl State {
    const fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Running),
            2 => Some(Self::Done),
            3 => Some(Self::Unknown),
            _ => None,
        }
    }
}

/// An entry, before it is sealed.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Stored {
    #[prost(uint32, tag = "1")]
    state: u32,
    #[prost(bytes = "bytes", tag = "2")]
    fingerprint: Bytes,
    #[prost(uint64, tag = "3")]
    lifetime_ms: u64,
    /// The owner's: a replica may be configured otherwise.
    #[prost(uint64, tag = "4")]
    lease_ms: u64,
    #[prost(bytes = "bytes", tag = "5")]
    outcome: Bytes,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stored([redacted])")
    }
}

impl<S: fmt::Debug> fmt::Debug for Once<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Once({:?})", self.store)
    }
}

fn over<T>(ended: Ended<T>) -> Seen<T> {
    Seen::Over(Box::new(ended))
}

#[cfg(test)]
mod model;
