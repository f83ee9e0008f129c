//! Answers that were kept because their callers set `max_age`: in this process, and in Redis if it is
//! configured, so that replicas share.
//!
//! An answer is looked for here first, there second; what is found there is kept here too. It is
//! written here before any caller is answered, and there in the background. Every fault of Redis is
//! a miss: it costs a provider call, never an error, and never more time than its small budget.
//!
//! No clock that can be set tells an answer's age: in this process it is measured, and there it is
//! the part of its lifetime that Redis says is over. The replicas' clocks need not agree.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use foldhash::fast::RandomState;
use moka::{Expiry, policy::EvictionPolicy, sync::Cache};
use prost::Message;

use super::{
    kept::{Age, Kept, Lifetimes},
    keys::{Keys, Name},
    remote::Remote,
};

/// What an entry takes beside its bytes: its name, its clock, its place in the map and in the queues.
const OVERHEAD: usize = 256;

#[derive(Clone)]
struct Entry {
    bytes: Bytes,
    age: Age,
    lifetime: Duration,
}

/// How an answer can be kept: a record of the contract.
pub trait Record: Message + Default + Clone + Send + Sync + 'static {}

impl<R: Message + Default + Clone + Send + Sync + 'static> Record for R {}

/// The kept answers. Clones share them.
#[derive(Clone)]
pub struct Answers {
    keys: Arc<Keys>,
    here: Cache<Name, Entry, RandomState>,
    there: Option<Remote>,
    lifetimes: Lifetimes,
    max_bytes: u64,
}

impl Answers {
    /// Keeps at most `max_bytes` in this process, and whatever Redis holds there.
    #[must_use]
    pub fn new(
        keys: Arc<Keys>,
        there: Option<Remote>,
        lifetimes: Lifetimes,
        max_bytes: u64,
    ) -> Self {
        let here = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_, entry: &Entry| {
                u32::try_from(entry.bytes.len() + OVERHEAD).unwrap_or(u32::MAX)
            })
            .expire_after(Lifetime)
            // The default policy may refuse a newcomer, and the next caller would pay again.
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(RandomState::default());
        Self {
            keys,
            here,
            there,
            lifetimes,
            max_bytes,
        }
    }

    /// How many bytes it keeps in this process.
    pub(super) const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// The name under which an answer waits for a caller.
    pub(super) fn owed(&self, answer: &Name, mode: &[u8], caller: &[u8]) -> Name {
        self.keys
            .name([b"left, 1".as_slice(), answer.bytes(), mode, caller])
    }

    pub(super) fn sealed(&self, name: &Name, bytes: &[u8]) -> Option<Vec<u8>> {
        self.keys.seal(name, bytes)
    }

    pub(super) fn opened(&self, name: &Name, sealed: &[u8]) -> Option<Bytes> {
        self.keys.open(name, sealed).map(Bytes::from)
    }

    /// The name of an answer to what these parts describe.
    pub fn name<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Name {
        let label: &[u8] = b"answer, 2";
        self.keys.name(std::iter::once(label).chain(parts))
    }

    /// An answer that is no older than `max_age`.
    pub async fn get<R: Record>(&self, name: &Name, max_age: Duration) -> Option<Kept<R>> {
        if let Some(kept) = self.get_here(name, max_age) {
            return Some(kept);
        }
        let there = self.there.as_ref()?;
        // Boxed, as all is that waits for Redis.
        Box::pin(self.get_there(there, name, max_age)).await
    }

    async fn get_there<R: Record>(
        &self,
        there: &Remote,
        name: &Name,
        max_age: Duration,
    ) -> Option<Kept<R>> {
        let (sealed, left) = there.get(&key(name)).await?;
        let bytes = Bytes::from(self.keys.open(name, &sealed)?);
        let age = |lifetime: Duration| Age::of(lifetime.saturating_sub(left));
        let kept = Kept::decode(bytes.clone(), age)?;
        if !kept.serves(max_age, &self.lifetimes) {
            return None;
        }
        self.keep_here(name, &kept, bytes);
        Some(kept)
    }

    /// The Redis, if there is one.
    pub const fn remote(&self) -> Option<&Remote> {
        self.there.as_ref()
    }

    /// An answer that this process holds and that is no older than `max_age`.
    pub fn get_here<R: Record>(&self, name: &Name, max_age: Duration) -> Option<Kept<R>> {
        let entry = self.here.get(name)?;
        let kept = Kept::decode(entry.bytes, |_| entry.age)?;
        kept.serves(max_age, &self.lifetimes).then_some(kept)
    }

    /// Keeps an answer for as long as its outcome allows.
    pub fn keep<R: Record>(&self, name: &Name, kept: &Kept<R>) {
        let (lifetime, age) = (self.lifetimes.of(kept.verified.outcome), kept.age);
        if lifetime <= age.now() {
            return;
        }
        let bytes = Bytes::from(kept.encode(lifetime));
        self.keep_here(name, kept, bytes.clone());
        if let Some(there) = &self.there
            && let Some(sealed) = self.keys.seal(name, &bytes)
        {
            there.set_soon(key(name), sealed, move || {
                lifetime.saturating_sub(age.now())
            });
        }
    }

    fn keep_here<R: Record>(&self, name: &Name, kept: &Kept<R>, bytes: Bytes) {
        let age = kept.age;
        let lifetime = self.lifetimes.of(kept.verified.outcome);
        let lifetime = lifetime.saturating_sub(age.now());
        let entry = Entry {
            bytes,
            age,
            lifetime,
        };
        self.here.insert(*name, entry);
    }
}

fn key(name: &Name) -> String {
    format!("idgw:answer:{}", name.text())
}

/// An entry leaves when its own lifetime is over.
struct Lifetime;

impl Expiry<Name, Entry> for Lifetime {
    fn expire_after_create(&self, _: &Name, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.lifetime)
    }

    fn expire_after_update(
        &self,
        _: &Name,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.lifetime)
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::verification::{Billing, Drift, Outcome, Verified},
        proto::identity::v1::CurpRecord,
    };

    const HOUR: Duration = Duration::from_secs(3600);
    const LIFETIMES: Lifetimes = Lifetimes {
        found: HOUR,
        not_found: HOUR,
        invalid: HOUR,
    };

    fn answers(lifetimes: Lifetimes, max_bytes: u64) -> Answers {
        Answers::new(
            Arc::new(Keys::random().unwrap()),
            None,
            lifetimes,
            max_bytes,
        )
    }

    fn kept(outcome: Outcome, size: usize) -> Kept<CurpRecord> {
        let record = CurpRecord {
            document: Some(vec![7; size].into()),
            ..CurpRecord::default()
        };
        Kept {
            verified: Verified {
                outcome,
                reference: None,
                code: None,
                message: None,
                billing: Billing::Unknown,
                record: Some(Box::new(record)),
                drift: Drift::default(),
            },
            checked_at: jiff::Timestamp::now(),
            age: Age::of(Duration::ZERO),
            paid_by: None,
        }
    }

    fn name(answers: &Answers, number: usize) -> Name {
        answers.name([number.to_be_bytes().as_slice()])
    }

    #[tokio::test]
    async fn an_answer_is_kept_unless_its_outcome_says_otherwise() {
        let none = Lifetimes {
            found: Duration::ZERO,
            ..LIFETIMES
        };
        for (lifetimes, outcome, is_kept) in [
            (LIFETIMES, Outcome::Found, true),
            (LIFETIMES, Outcome::NotFound, true),
            (LIFETIMES, Outcome::InvalidIdentifier, true),
            (LIFETIMES, Outcome::Inconclusive, false),
            (none, Outcome::Found, false),
        ] {
            let answers = answers(lifetimes, 1 << 20);
            let name = name(&answers, 1);
            answers.keep(&name, &kept(outcome, 10));
            let found = answers.get::<CurpRecord>(&name, HOUR).await;
            assert_eq!(found.is_some(), is_kept, "{outcome:?}");
        }
    }

    #[test]
    fn the_bound_counts_bytes_and_the_newest_stays() {
        let answers = answers(LIFETIMES, 100_000);
        for number in 0..100 {
            answers.keep(&name(&answers, number), &kept(Outcome::Found, 10_000));
            answers.here.run_pending_tasks();
            let newest = answers.get_here::<CurpRecord>(&name(&answers, number), HOUR);
            assert!(newest.is_some(), "{number}");
        }
        assert!(answers.here.weighted_size() <= 100_000);
        assert!((5..10).contains(&answers.here.entry_count()));
    }
}
