//! Who may change a person record now: one call at a time, in this process and, through Redis, at all
//! replicas.
//!
//! A change reads the record and writes all of it, so that of two at once one would be lost. Redis holds
//! a lease for the record, which ends by itself if its owner dies. If Redis cannot be asked, the change is
//! refused before anything is sent: going on without would one day lose a change that was said to be
//! done.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::OwnedMutexGuard, time::sleep};
use uuid::Uuid;

use super::{
    keys::Keys,
    remote::{NoAnswer, Remote},
    store::Store as _,
};

/// The pauses between two attempts to get the lease: from here, doubled, to there.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How often a lease is given back until Redis takes it. Then it ends by itself.
const RELEASES: u32 = 3;
/// Records that are remembered before those that nobody changes any more are forgotten.
const SWEEP: usize = 1024;

/// The turns of all records.
#[derive(Clone)]
pub struct Turns {
    here: Arc<Mutex<Here>>,
    everywhere: Option<Everywhere>,
}

#[derive(Default)]
struct Here {
    records: HashMap<Box<str>, Weak<tokio::sync::Mutex<()>>>,
    sweep_at: usize,
}

/// The turns of all replicas.
#[derive(Clone)]
pub struct Everywhere {
    /// Where the leases are.
    pub remote: Remote,
    /// The keys under which records are named there.
    pub keys: Arc<Keys>,
    /// Where the records are: the same id at another provider is another record.
    pub scope: Arc<str>,
    /// How long a change may take.
    pub lease: Duration,
}

/// The right to change a record, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _lease: Option<Lease>,
    _here: OwnedMutexGuard<()>,
}

impl Turns {
    /// Turns in this process, and at all replicas if they share a Redis.
    #[must_use]
    pub fn new(everywhere: Option<Everywhere>) -> Self {
        Self {
            here: Arc::default(),
            everywhere,
        }
    }

    /// Waits until nobody else changes the record.
    ///
    /// # Errors
    ///
    /// If Redis cannot be asked.
    pub async fn take(&self, id: &str) -> Result<Turn, NoAnswer> {
        let here = self.record(id).lock_owned().await;
        let lease = match &self.everywhere {
            None => None,
            Some(everywhere) => Some(everywhere.lease(id).await?),
        };
        Ok(Turn {
            _lease: lease,
            _here: here,
        })
    }

    fn record(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = here.records.get(id).and_then(Weak::upgrade) {
            return known;
        }
        if here.records.len() >= here.sweep_at.max(SWEEP) {
            here.records.retain(|_, record| record.strong_count() > 0);
            here.sweep_at = here.records.len() * 2;
        }
        let record = Arc::default();
        here.records.insert(id.into(), Arc::downgrade(&record));
        record
    }
}

impl Everywhere {
    async fn lease(&self, id: &str) -> Result<Lease, NoAnswer> {
        let parts: [&[u8]; 3] = [b"person, 1", self.scope.as_bytes(), id.as_bytes()];
        let lease = Lease {
            remote: self.remote.clone(),
            key: format!("idgw:person:{}", self.keys.name(parts).text()),
            proof: Uuid::new_v4(),
        };
        let mut pause = FIRST_PAUSE;
        // If this is given up on the way, the lease that may have been taken is given back.
        while !lease.take(self.lease).await? {
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(lease)
    }
}

/// A lease in Redis, or one that is asked for.
struct Lease {
    remote: Remote,
    key: String,
    proof: Uuid,
}

impl Lease {
    async fn take(&self, lasts: Duration) -> Result<bool, NoAnswer> {
        let proof = self.proof.as_bytes();
        self.remote.set_if_absent(&self.key, proof, lasts).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (remote, key, proof) = (
            self.remote.clone(),
            std::mem::take(&mut self.key),
            self.proof,
        );
        self.remote.later(async move {
            for release in 1..=RELEASES {
                if remote.delete(&key, proof.as_bytes()).await.is_ok() {
                    return;
                }
                sleep(Duration::from_secs(1) * release).await;
            }
        });
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease")
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remote = self
            .everywhere
            .as_ref()
            .map(|everywhere| &everywhere.remote);
        write!(f, "Turns({remote:?})")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_for_each_record_and_all_at_once_for_different_ones() {
        let turns = Turns::new(None);
        let (now, most) = (AtomicU32::new(0), AtomicU32::new(0));
        let change = |id: &'static str| {
            let (turns, now, most) = (&turns, &now, &most);
            async move {
                let _turn = turns.take(id).await.unwrap();
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                sleep(Duration::from_secs(1)).await;
                now.fetch_sub(1, Ordering::SeqCst);
            }
        };
        let begun = tokio::time::Instant::now();
        futures_util::future::join_all([change("a"), change("a"), change("a")]).await;
        assert_eq!(
            (most.load(Ordering::SeqCst), begun.elapsed().as_secs()),
            (1, 3)
        );
        futures_util::future::join_all([change("a"), change("b"), change("c")]).await;
        assert_eq!(
            (most.load(Ordering::SeqCst), begun.elapsed().as_secs()),
            (3, 4)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_holds_nobody_up() {
        let turns = Turns::new(None);
        let first = turns.take("a").await.unwrap();
        let soon = Duration::from_secs(1);
        assert!(tokio::time::timeout(soon, turns.take("a")).await.is_err());
        drop(first);
        assert!(tokio::time::timeout(soon, turns.take("a")).await.is_ok());
    }

    #[tokio::test]
    async fn records_that_nobody_changes_are_forgotten() {
        let turns = Turns::new(None);
        let held = turns.take("held").await.unwrap();
        for number in 0..10 * SWEEP {
            drop(turns.take(&number.to_string()).await.unwrap());
        }
        assert!(turns.here.lock().unwrap().records.len() <= SWEEP + 1);
        let soon = Duration::from_millis(10);
        assert!(
            tokio::time::timeout(soon, turns.take("held"))
                .await
                .is_err()
        );
        drop(held);
    }
}
