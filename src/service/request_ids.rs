//! A create with a `request_id` runs once, however often it is asked for.
//!
//! The first call with an id starts the create as a task of its own: a caller that gives up leaves
//! no half-known write, the task runs to its end and its answer waits for the repeat. A repeat waits
//! for the same task, or gets its kept answer. A create that surely was refused frees the id; one
//! whose outcome is not known keeps it, because a second try might create twice. A defect, or a task
//! that is killed, is an unknown outcome if anything was sent. It is under nobody's deadline, and a
//! process that leaves waits for it ([`RequestIds::finished`]).
//!
//! Where the replicas share a Redis, the task asks there first (`sharing::creates`): it may end with
//! the outcome of another replica's create. Then the other replicas are the judges of what is a reuse
//! too, and another content under the same id has an entry of its own here.

mod register;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::register::{Entry, Found, Register};
use super::defect;
use crate::{
    auth::{AuthMode, identity::Caller},
    call::Call,
    domain::{failure::Failure, verification::Provider},
    sha256::Sha256,
    sharing::{Creates, creates::Created},
    transport::{Part, Progress},
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

/// The creates of this process, by `request_id`.
#[derive(Debug, Clone)]
pub struct RequestIds {
    here: Register,
    running: TaskTracker,
    everywhere: Option<Creates>,
}

impl RequestIds {
    /// Keeps at most `capacity` outcomes, each for `ttl` from its create's end; the oldest goes first. A
    /// create that runs is always known.
    pub fn new(capacity: u64, ttl: Duration, everywhere: Option<Creates>) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        Self {
            here: Register::new(capacity, ttl),
            running: TaskTracker::new(),
            everywhere,
        }
    }

    /// Waits until no create runs: one whose caller has left is no call in flight.
    pub async fn finished(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// Runs the create, or waits for the one that runs or ran under this id. It is given the progress
    /// that all who wait for it share.
    pub async fn once<C>(
        &self,
        id: Uuid,
        fingerprint: Fingerprint,
        call: &Call,
        create: impl FnOnce(Arc<Progress>) -> C,
    ) -> Created
    where
        C: Future<Output = Created> + Send + 'static,
    {
        let key = (id, self.everywhere.as_ref().map(|_| fingerprint));
        let entry = match self.here.enter(key, fingerprint, call.facts.provider()) {
            Found::Free(run) => {
                let entry = run.entry();
                let progress = Arc::clone(&entry.progress);
                call.progress.shares(Part::Starts, Arc::clone(&progress));
                progress.has_no_deadline();
                let create = create(Arc::clone(&progress));
                let create = caught(create, entry.provider, Arc::clone(&progress));
                let everywhere = self.everywhere.clone();
                self.running.spawn(async move {
                    let created = match everywhere {
                        Some(creates) => creates.once(id, fingerprint.0, &progress, create).await,
                        None => create.await,
                    };
                    run.ends(created);
                });
                entry
            }
            Found::Taken(entry) if entry.fingerprint != fingerprint => {
                return Err(Failure::request_id_reused());
            }
            Found::Taken(entry) => {
                // What the first has sent may be charged, and this caller is told of it as well.
                match entry.is_over() {
                    true => call.progress.waits(),
                    false => call
                        .progress
                        .shares(Part::Joins, Arc::clone(&entry.progress)),
                }
                entry
            }
        };
        let Entry {
            answer, progress, ..
        } = entry;
        register::outcome(answer)
            .await
            .unwrap_or_else(|| Err(defect(call.facts.provider(), &progress)))
    }
}

/// The create, whose panic is an outcome too: the replicas must hear of it like of any other.
async fn caught(
    create: impl Future<Output = Created>,
    provider: Option<Provider>,
    progress: Arc<Progress>,
) -> Created {
    let created = AssertUnwindSafe(create).catch_unwind().await;
    created.unwrap_or_else(|_panic| Err(defect(provider, &progress)))
}

#[cfg(test)]
mod tests;
