//! A create with a `request_id` runs once at all replicas that share a Redis.
//!
//! ```text
//!                         ┌─ created ────────▶ Done: every repeat gets the first answer
//!  (none) ──SET NX──▶ Running ─ unknown ─────▶ Unknown: every repeat hears that it is unknown
//!     ▲                   │ └─ no word until the lease ends ──▶ the same, without being written
//!     └──── refused ──────┘
//! ```
//!
//! The entry lives for `persons.request_id_ttl` from the first SET; Redis's own clock tells how old it
//! is, so the replicas' clocks need not agree. An owner that is gone leaves Running behind: whether
//! it sent its request is not known, so nobody takes over. An owner ends its create with its lease.
//!
//! If Redis cannot be asked, the create is refused before it is sent (UNAVAILABLE: nothing was
//! charged, and a standard client repeats it). Going on without would be more available, and would
//! one day pay twice, without anybody's knowing.

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
        verification::Provider,
    },
    proto::person::v1::Person,
    transport::Progress,
};

/// What became of a create.
pub type Created = Result<Person, Failure>;

/// How long after its end a lease is still respected.
pub const GRACE: Duration = Duration::from_secs(2);
/// The pauses between two looks at another replica's create: from here, doubled, to there.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// What a caller is asked to wait while Redis is down.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often the outcome of a create is written until Redis takes it.
const WRITES: u32 = 10;

/// The creates of all replicas. Clones share them.
#[derive(Clone)]
pub struct Creates<S = Remote> {
    store: S,
    keys: Arc<Keys>,
    /// Where the creates go: the same id at another provider is another create.
    scope: String,
    lifetime: Duration,
    lease: Duration,
}

/// What a look at an entry found.
enum Seen {
    Nothing,
    /// For so long the entry will still be there.
    Running(Duration),
    Over(Box<Created>),
}

impl<S: Store> Creates<S> {
    /// The creates that go to `scope`. An outcome is kept for `lifetime`; a create may take `lease`.
    #[must_use]
    pub fn new(
        store: S,
        keys: Arc<Keys>,
        scope: String,
        lifetime: Duration,
        lease: Duration,
    ) -> Self {
        Self {
            store,
            keys,
            scope,
            lifetime,
            lease,
        }
    }

    /// Runs the create unless a replica runs or ran it; then its outcome.
    pub async fn once(
        &self,
        id: Uuid,
        fingerprint: [u8; 32],
        progress: &Progress,
        create: impl Future<Output = Created> + Send,
    ) -> Created {
        let label: &[u8] = b"create, 1";
        let parts = [label, self.scope.as_bytes(), id.as_bytes()];
        let entry = Entry {
            creates: self.clone(),
            name: self.keys.name(parts),
            fingerprint,
        };
        // Sealing is random, so the sealed lease is also the proof of who holds it.
        let Some(lease) = entry.sealed(State::Running, Bytes::new()) else {
            return Err(Failure::before_sending(Kind::Internal, Provider::Verifik));
        };
        let mut pause = FIRST_PAUSE;
        loop {
            match entry.take(&lease).await {
                Ok(true) => return entry.run(lease, create).await,
                Ok(false) => {}
                Err(NoAnswer) => {
                    // The lease may have been taken all the same.
                    entry.release_later(lease);
                    return Err(not_now());
                }
            }
            progress.waits();
            if let Some(outcome) = entry.outcome().await {
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
    creates: Creates<S>,
    name: Name,
    fingerprint: [u8; 32],
}

impl<S: Store> Entry<S> {
    fn key(&self) -> String {
        format!("idgw:create:{}", self.name.text())
    }

    async fn take(&self, lease: &[u8]) -> Result<bool, NoAnswer> {
        let Creates {
            store, lifetime, ..
        } = &self.creates;
        store.set_if_absent(&self.key(), lease, *lifetime).await
    }

    /// Runs the create under the lease, and writes what became of it.
    async fn run(&self, lease: Vec<u8>, create: impl Future<Output = Created>) -> Created {
        let created = match timeout(self.creates.lease, create).await {
            Ok(created) => created,
            Err(_elapsed) => Err(unknown()),
        };
        let written = match &created {
            Ok(person) => self.sealed(State::Done, person.encode_to_vec().into()),
            Err(failure) if failure.leaves_outcome_unknown() => {
                self.sealed(State::Unknown, Bytes::new())
            }
            Err(_) => {
                if self.release(&lease).await.is_err() {
                    self.release_later(lease);
                }
                return created;
            }
        };
        if let Some(value) = written
            && self.write(&value).await.is_err()
        {
            self.write_later(value);
        }
        created
    }

    async fn write(&self, value: &[u8]) -> Result<(), NoAnswer> {
        let Creates {
            store, lifetime, ..
        } = &self.creates;
        store.set(&self.key(), value, *lifetime).await
    }

    fn write_later(&self, value: Vec<u8>) {
        let entry = self.clone();
        self.creates.store.later(async move {
            for write in 1..=WRITES {
                sleep(RETRY_AFTER * write).await;
                if entry.write(&value).await.is_ok() {
                    return;
                }
            }
            tracing::warn!(
                "outcome of a create not written to the shared cache: a retry at another replica gets an unknown \
                 outcome"
            );
        });
    }

    async fn release(&self, lease: &[u8]) -> Result<(), NoAnswer> {
        self.creates.store.delete(&self.key(), lease).await
    }

    /// Frees the id as soon as Redis answers: nothing was created under this lease.
    fn release_later(&self, lease: Vec<u8>) {
        let entry = self.clone();
        self.creates.store.later(async move {
            for release in 1..=WRITES {
                sleep(RETRY_AFTER * release).await;
                if entry.release(&lease).await.is_ok() {
                    return;
                }
            }
        });
    }

    /// Waits for the outcome of another's create; none if the id is free again.
    async fn outcome(&self) -> Option<Created> {
        let mut heard = Instant::now();
        let mut end = None;
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = Instant::now();
            match self.look().await {
                // It was not freed: its time is over, and its owner may be gone.
                Ok(Seen::Nothing) if end.is_some_and(|end| Instant::now() >= end) => {
                    return Some(Err(unknown()));
                }
                Ok(Seen::Nothing) => return None,
                Ok(Seen::Over(created)) => return Some(*created),
                Ok(Seen::Running(left)) => {
                    heard = Instant::now();
                    end = Some(asked + left);
                }
                Err(NoAnswer) if heard.elapsed() < self.creates.lease => {}
                Err(NoAnswer) => return Some(Err(unknown())),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn look(&self) -> Result<Seen, NoAnswer> {
        let found = self.creates.store.get(&self.key()).await?;
        let Some((sealed, left)) = found else {
            return Ok(Seen::Nothing);
        };
        let opened = self.creates.keys.open(&self.name, &sealed);
        let stored = opened.and_then(|bytes| Stored::decode(bytes.as_slice()).ok());
        // What cannot be read was written by somebody: that it created nothing is not known.
        let Some(stored) = stored else {
            return Ok(over(Err(unknown())));
        };
        if *stored.fingerprint != self.fingerprint {
            return Ok(over(Err(Failure::request_id_reused())));
        }
        let age = Duration::from_millis(stored.lifetime_ms).saturating_sub(left);
        let lease = Duration::from_millis(stored.lease_ms);
        Ok(match State::of(stored.state) {
            Some(State::Running) if age < lease.saturating_add(GRACE) => Seen::Running(left),
            Some(State::Done) => {
                let person = Person::decode(stored.person);
                over(person.map_err(|_| unknown()))
            }
            Some(State::Running | State::Unknown) | None => over(Err(unknown())),
        })
    }

    fn sealed(&self, state: State, person: Bytes) -> Option<Vec<u8>> {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let stored = Stored {
            state: state as u32,
            fingerprint: self.fingerprint.to_vec().into(),
            lifetime_ms: millis(self.creates.lifetime),
            lease_ms: millis(self.creates.lease),
            person,
        };
        self.creates.keys.seal(&self.name, &stored.encode_to_vec())
    }
}

/// What is known of a create.
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
    person: Bytes,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stored([redacted])")
    }
}

impl<S: fmt::Debug> fmt::Debug for Creates<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Creates({:?})", self.store)
    }
}

fn over(created: Created) -> Seen {
    Seen::Over(Box::new(created))
}

fn unknown() -> Failure {
    Failure::after_sending(Kind::OutcomeUnknown, Provider::Verifik)
}

/// Nothing was sent, and the call may be repeated.
fn not_now() -> Failure {
    Failure {
        retry_after: Some(RETRY_AFTER),
        ..Failure::before_sending(Kind::RequestIdUnavailable, Provider::Verifik)
    }
}

#[cfg(test)]
mod model;
