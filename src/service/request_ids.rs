//! A create with a `request_id` runs once, however often it is asked for.
//!
//! The first call with an id starts the create as a task of its own: a caller that gives up leaves
//! no half-known write, the task runs to its end and its answer waits for the repeat. A repeat waits
//! for the same task, or gets its kept answer. A create that surely was refused frees the id; one
//! whose outcome is not known keeps it, because a second try might create twice. It is under
//! nobody's deadline, and a process that leaves waits for it ([`RequestIds::finished`]).
//!
//! Where the replicas share a Redis, the task asks there first (`sharing::creates`): it may end with
//! the outcome of another replica's create. Then the other replicas are the judges of what is a reuse
//! too, and another content under the same id has an entry of its own here.

use std::{sync::Arc, time::Duration};

use moka::{future::Cache, policy::EvictionPolicy};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{
    auth::identity::Caller,
    config::AuthMode,
    domain::failure::{Failure, Kind},
    sha256::Sha256,
    sharing::{Creates, creates::Created},
    telemetry::call_facts::{CallFacts, Part},
};

/// Says what a create asks for, to find another content under the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a method and an encoded request.
    pub fn of(method: &str, request: &[u8]) -> Self {
        let hash = Sha256::new().chain_update(method).chain_update([0]);
        Self(hash.chain_update(request).finish())
    }
}

/// The id of this caller's create. Two callers may have the same id by chance or by guessing: each has
/// its own, and never the other's answer.
pub fn of_caller(id: Uuid, caller: Option<&Arc<Caller>>) -> Uuid {
    let identity = caller.map(|caller| &caller.identity);
    let Some(identity) = identity.filter(|identity| identity.mode() != AuthMode::None) else {
        return id;
    };
    let hash = Sha256::new()
        .chain_update("request id of a caller, 1")
        .chain_update(id.as_bytes())
        .chain_update(identity.mode().as_str())
        .chain_update([0])
        .chain_update(identity.name())
        .finish();
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash) {
        *to = from;
    }
    Uuid::new_v8(bytes)
}

/// The id; where Redis is the judge of reuse, with its content.
type Key = (Uuid, Option<Fingerprint>);

#[derive(Debug, Clone)]
struct Entry {
    fingerprint: Fingerprint,
    answer: watch::Receiver<Option<Arc<Created>>>,
    call: Arc<CallFacts>,
}

/// The creates of this process, by `request_id`.
#[derive(Debug, Clone)]
pub struct RequestIds {
    here: Cache<Key, Entry>,
    running: TaskTracker,
    everywhere: Option<Creates>,
}

impl RequestIds {
    /// Keeps at most `capacity` answers, each for `ttl`; the oldest goes first.
    pub fn new(capacity: u64, ttl: Duration, everywhere: Option<Creates>) -> Self {
        let here = Cache::builder()
            .max_capacity(capacity)
            .time_to_live(ttl)
            // The default policy may refuse to admit a newcomer: its repeat would create again.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self {
            here,
            running: TaskTracker::new(),
            everywhere,
        }
    }

    /// Waits until no create runs: one whose caller has left is no call in flight.
    pub async fn finished(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// Runs the create, or waits for the one that runs or ran under this id. It is given the facts that
    /// all who wait for it share.
    pub async fn once<C>(
        &self,
        id: Uuid,
        fingerprint: Fingerprint,
        facts: &Arc<CallFacts>,
        create: impl FnOnce(Arc<CallFacts>) -> C,
    ) -> Created
    where
        C: Future<Output = Created> + Send + 'static,
    {
        let key = (id, self.everywhere.as_ref().map(|_| fingerprint));
        let start = async {
            let (sender, answer) = watch::channel(None);
            let (ids, call) = (self.clone(), Arc::<CallFacts>::default());
            facts.shares(Part::Starts, Arc::clone(&call));
            call.has_no_deadline();
            let (create, shared) = (create(Arc::clone(&call)), Arc::clone(&call));
            self.running.spawn(async move {
                let created = match &ids.everywhere {
                    Some(creates) => creates.once(id, fingerprint.0, &shared, create).await,
                    None => create.await,
                };
                if let Err(failure) = &created
                    && !failure.leaves_outcome_unknown()
                {
                    // Before the answer goes out: who hears of the refusal may use the id again.
                    ids.here.invalidate(&key).await;
                }
                sender.send_replace(Some(Arc::new(created)));
            });
            Entry {
                fingerprint,
                answer,
                call,
            }
        };
        let entry = self.here.entry(key).or_insert_with(start).await;
        let is_repeat = !entry.is_fresh();
        let Entry {
            fingerprint: first,
            mut answer,
            call,
        } = entry.into_value();
        if first != fingerprint {
            return Err(Failure::request_id_reused());
        }
        if is_repeat {
            // What the first has sent may be charged, and this caller is told of it as well.
            let is_kept = answer.borrow().is_some();
            match is_kept {
                true => facts.waits(),
                false => facts.shares(Part::Joins, call),
            }
        }
        let answer = answer.wait_for(Option::is_some).await;
        match answer.ok().and_then(|answer| answer.clone()) {
            Some(created) => Result::clone(&created),
            // The task died: what became of the create is not known.
            None => Err(Failure::new(Kind::Internal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::Instant;

    use super::*;
    use crate::{domain::verification::Provider, proto::person::v1::Person};

    const HOUR: Duration = Duration::from_secs(3600);

    fn person(id: u32) -> Created {
        let id = format!("person_{id}");
        Ok(Person {
            id,
            ..Person::default()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeat_gets_the_first_answer_also_while_the_first_runs() {
        let ids = RequestIds::new(10, HOUR, None);
        let ran = Arc::new(AtomicU32::new(0));
        let create = || {
            let ran = Arc::clone(&ran);
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                person(ran.fetch_add(1, Ordering::SeqCst))
            }
        };
        let (id, print) = (Uuid::now_v7(), Fingerprint::of("m", b"a"));
        let facts = Arc::default();
        let both = tokio::join!(
            ids.once(id, print, &facts, |_| create()),
            ids.once(id, print, &facts, |_| create()),
        );
        assert_eq!(both.0.unwrap().id, "person_0");
        assert_eq!(both.1.unwrap().id, "person_0");
        assert_eq!(
            ids.once(id, print, &facts, |_| create()).await.unwrap().id,
            "person_0"
        );
        let other = ids
            .once(id, Fingerprint::of("m", b"b"), &facts, |_| create())
            .await;
        assert_eq!(other.unwrap_err().kind, Kind::RequestIdReused);
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_leaves_the_create_running() {
        let ids = RequestIds::new(10, HOUR, None);
        let (id, print) = (Uuid::now_v7(), Fingerprint::of("m", b"a"));
        let slow = |call: Arc<CallFacts>| async move {
            call.attempt();
            tokio::time::sleep(Duration::from_secs(5)).await;
            person(7)
        };
        let facts = Arc::new(CallFacts::default());
        let once = ids.once(id, print, &facts, slow);
        let gave_up = tokio::time::timeout(Duration::from_secs(1), once);
        assert!(gave_up.await.is_err());
        let repeat = ids.once(id, print, &facts, |_| async { person(8) });
        let mut repeat = std::pin::pin!(repeat);
        let gave_up = tokio::time::timeout(Duration::from_secs(1), repeat.as_mut());
        assert!(gave_up.await.is_err());
        assert!(
            facts.may_be_charged(),
            "the repeat waits for what may be charged"
        );
        assert_eq!(repeat.await.unwrap().id, "person_7");
    }

    #[tokio::test]
    async fn a_refused_create_frees_the_id_and_an_unknown_one_keeps_it() {
        let ids = RequestIds::new(10, HOUR, None);
        let (print, facts) = (Fingerprint::of("m", b"a"), Arc::default());
        for (failure, second) in [
            (
                Failure::before_sending(Kind::NotConnected, Provider::Verifik),
                person(2),
            ),
            (
                Failure::after_sending(Kind::OutcomeUnknown, Provider::Verifik),
                Err(Failure::after_sending(
                    Kind::OutcomeUnknown,
                    Provider::Verifik,
                )),
            ),
        ] {
            let id = Uuid::now_v7();
            let first = ids
                .once(id, print, &facts, |_| {
                    std::future::ready(Err(failure.clone()))
                })
                .await;
            assert_eq!(first, Err(failure));
            let repeat = ids.once(id, print, &facts, |_| async { person(2) }).await;
            assert_eq!(repeat, second);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_create_outlives_the_deadline_of_its_caller_and_the_process_waits_for_it() {
        let ids = RequestIds::new(10, HOUR, None);
        let (id, print) = (Uuid::now_v7(), Fingerprint::of("m", b"a"));
        let until = |seconds| {
            let facts = Arc::new(CallFacts::default());
            facts.ends(Instant::now() + Duration::from_secs(seconds));
            facts
        };
        let (hasty, patient) = (until(1), until(20));
        let create = |call: Arc<CallFacts>| async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert_eq!(call.deadline(), None);
            person(7)
        };
        let first = ids.once(id, print, &hasty, create);
        let gave_up = tokio::time::timeout(Duration::from_secs(1), first).await;
        assert!(gave_up.is_err());
        let begun = Instant::now();
        ids.finished().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        let repeat = ids.once(id, print, &patient, |_| async { person(8) });
        assert_eq!(repeat.await.unwrap().id, "person_7");
    }
}
