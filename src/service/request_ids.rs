//! A create with a `request_id` runs once, however often it is asked for.
//!
//! The first call with an id starts the create as a task of its own: a caller that gives up leaves
//! no half-known write, the task runs to its end and its answer waits for the repeat. A repeat waits
//! for the same task, or gets its kept answer. A create that surely was refused frees the id; one
//! whose outcome is not known keeps it, because a second try might create twice.

use std::{sync::Arc, time::Duration};

use moka::{future::Cache, policy::EvictionPolicy};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    domain::{
        failure::{Failure, Kind},
        violation::Violation,
    },
    proto::person::v1::Person,
};

type Created = Result<Person, Failure>;

/// Says what a create asks for, to find another content under the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a method and an encoded request.
    pub fn of(method: &str, request: &[u8]) -> Self {
        let hash = Sha256::new().chain_update(method).chain_update([0]);
        Self(hash.chain_update(request).finalize().into())
    }
}

#[derive(Debug, Clone)]
struct Entry {
    fingerprint: Fingerprint,
    answer: watch::Receiver<Option<Arc<Created>>>,
}

/// The creates of this process, by `request_id`.
#[derive(Debug, Clone)]
pub struct RequestIds(Cache<Uuid, Entry>);

impl RequestIds {
    /// Keeps at most `capacity` answers, each for `ttl`; the oldest goes first.
    pub fn new(capacity: u64, ttl: Duration) -> Self {
        let cache = Cache::builder()
            .max_capacity(capacity)
            .time_to_live(ttl)
            // The default policy may refuse to admit a newcomer: its repeat would create again.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self(cache)
    }

    /// Runs the create, or waits for the one that runs or ran under this id.
    pub async fn once(
        &self,
        id: Uuid,
        fingerprint: Fingerprint,
        create: impl Future<Output = Created> + Send + 'static,
    ) -> Created {
        let start = async {
            let (sender, answer) = watch::channel(None);
            let ids = self.0.clone();
            tokio::spawn(async move {
                let created = create.await;
                if let Err(failure) = &created
                    && !failure.leaves_outcome_unknown()
                {
                    // Before the answer goes out: who hears of the refusal may use the id again.
                    ids.invalidate(&id).await;
                }
                sender.send_replace(Some(Arc::new(created)));
            });
            Entry {
                fingerprint,
                answer,
            }
        };
        let entry = self.0.entry(id).or_insert_with(start).await;
        let Entry {
            fingerprint: first,
            mut answer,
        } = entry.into_value();
        if first != fingerprint {
            let mut failure = Failure::new(Kind::RequestIdReused);
            failure.violations.push(Violation {
                field: "request_id",
                rule: "was used before with another content",
            });
            return Err(failure);
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

    use super::*;
    use crate::domain::verification::Provider;

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
        let ids = RequestIds::new(10, HOUR);
        let ran = Arc::new(AtomicU32::new(0));
        let create = || {
            let ran = Arc::clone(&ran);
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                person(ran.fetch_add(1, Ordering::SeqCst))
            }
        };
        let (id, print) = (Uuid::now_v7(), Fingerprint::of("m", b"a"));
        let both = tokio::join!(ids.once(id, print, create()), ids.once(id, print, create()));
        assert_eq!(both.0.unwrap().id, "person_0");
        assert_eq!(both.1.unwrap().id, "person_0");
        assert_eq!(ids.once(id, print, create()).await.unwrap().id, "person_0");
        let other = ids.once(id, Fingerprint::of("m", b"b"), create()).await;
        assert_eq!(other.unwrap_err().kind, Kind::RequestIdReused);
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_leaves_the_create_running() {
        let ids = RequestIds::new(10, HOUR);
        let (id, print) = (Uuid::now_v7(), Fingerprint::of("m", b"a"));
        let slow = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            person(7)
        };
        let gave_up = tokio::time::timeout(Duration::from_secs(1), ids.once(id, print, slow));
        assert!(gave_up.await.is_err());
        let repeat = ids.once(id, print, async { person(8) }).await;
        assert_eq!(repeat.unwrap().id, "person_7");
    }

    #[tokio::test]
    async fn a_refused_create_frees_the_id_and_an_unknown_one_keeps_it() {
        let ids = RequestIds::new(10, HOUR);
        let print = Fingerprint::of("m", b"a");
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
                .once(id, print, std::future::ready(Err(failure.clone())))
                .await;
            assert_eq!(first, Err(failure));
            let repeat = ids.once(id, print, async { person(2) }).await;
            assert_eq!(repeat, second);
        }
    }
}
