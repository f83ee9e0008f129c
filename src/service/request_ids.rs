//! What has a `request_id` is done once, however often it is asked for.
//!
//! The first call with an id starts the work as a task of its own: once it has sent anything, a caller that gives up
//! leaves nothing half known, the task runs to its end and its outcome waits for the repeat. A repeat waits
//! for the same task, or gets its kept outcome. What surely was not done frees the id; an outcome that
//! is not known keeps it, because a second try might do it twice. A defect, or a task
//! that is killed, is an unknown outcome if anything was sent. A process that leaves waits for the tasks
//! ([`RequestIds::finished`]).
//!
//! What has not been sent ends with its last caller: whoever is told that nothing was charged has left nothing behind
//! that may be.
//!
//! Where the replicas share a Redis, the task asks there first (`sharing::once`): it may end with
//! the outcome of another replica's work. Then the other replicas are the judges of what is a reuse
//! too, and another content under the same id has an entry of its own here.

mod register;
mod wanted;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::register::{Found, Register};
use super::defect;
use crate::{
    auth::{AuthMode, identity::Caller},
    call::Call,
    domain::{failure::Failure, verification::Provider},
    sha256::Sha256,
    sharing::{
        Once,
        once::{Ended, How, Outcome, Question},
    },
    telemetry::metrics::UnderWay,
    transport::{Part, Progress},
};

/// Says what is asked for, to find another content under the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a method and an encoded request.
    pub fn of(method: &str, request: &[u8]) -> Self {
        Self::of_parts(method, [request])
    }

    /// The fingerprint of a method and the parts of what it sends.
    pub fn of_parts<'a>(method: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new().chain_update(method);
        for part in parts {
            hash = hash.chain_update([0]).chain_update(part);
        }
        Self(hash.finish())
    }
}

/// Reads a `request_id`; none if there is none.
///
/// # Errors
///
/// The rule that it breaks.
pub fn parse(text: &str) -> Result<Option<Uuid>, &'static str> {
    match text {
        "" => Ok(None),
        text => match Uuid::try_parse(text) {
            // What a client sends that has forgotten to make one, and every other such client, too.
            Ok(id) if id.is_nil() => Err("must not be the nil UUID"),
            Ok(id) => Ok(Some(id)),
            Err(_) => Err("must be a UUID"),
        },
    }
}

/// The id of this caller's call. Two callers may have the same id by chance or by guessing: each has
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

/// What is done when all callers have gone and something is out that may have been charged; what it returns is held
/// while nobody waits.
pub type Left = Box<dyn Fn(&Progress) -> Option<UnderWay> + Send + Sync>;

/// A call with a `request_id`.
pub struct Asked {
    /// The id, of this caller.
    pub id: Uuid,
    /// What is asked.
    pub fingerprint: Fingerprint,
    /// Who is asked.
    pub provider: Provider,
    /// How long the work may take.
    pub lease: Duration,
    /// What is done when nobody waits for it any more.
    pub left: Left,
}

/// What a call is told.
#[derive(Debug)]
pub struct Told<T> {
    /// How the work ended.
    pub ended: Ended<T>,
    /// How the call came to it.
    pub how: How,
    /// Whether another call with the same id had gone without it. Each is told of once.
    pub had_gone: bool,
}

/// The work of this process, by `request_id`.
#[derive(Debug, Clone)]
pub struct RequestIds<T> {
    here: Register<T>,
    running: TaskTracker,
    everywhere: Option<Once>,
}

/// How many outcomes are kept, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// So many.
    pub capacity: u64,
    /// So many bytes of them.
    pub max_bytes: usize,
    /// Each from the end of its work.
    pub ttl: Duration,
}

impl<T: Outcome> RequestIds<T> {
    /// The oldest outcome goes first. Work that runs is always known.
    pub fn new(bounds: Bounds, everywhere: Option<Once>) -> Self {
        Self {
            // What is dropped here is still there.
            here: Register::new(bounds, everywhere.is_some()),
            running: TaskTracker::new(),
            everywhere,
        }
    }

    /// Waits until nothing runs: what has no caller any more is no call in flight.
    pub async fn finished(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// Does the work, or waits for that which runs or ran under this id. It is given the progress
    /// that all who wait for it share.
    pub async fn once<W>(
        &self,
        asked: Asked,
        call: &Call,
        work: impl FnOnce(Arc<Progress>) -> W,
    ) -> Told<T>
    where
        W: Future<Output = Ended<T>> + Send + 'static,
    {
        let Asked {
            id,
            fingerprint,
            provider,
            lease,
            left,
        } = asked;
        let key = (id, self.everywhere.as_ref().map(|_| fingerprint));
        let (found, waits) = self.here.enter(key, fingerprint, provider);
        let (entry, waited) = match found {
            Found::Free(run) => {
                let entry = run.entry();
                let progress = Arc::clone(&entry.progress);
                call.progress.shares(Part::Starts, Arc::clone(&progress));
                let work = wanted::work(run.wanted(), work(Arc::clone(&progress)), provider, left);
                let work = caught(work, provider, Arc::clone(&progress)).boxed();
                let everywhere = self.everywhere.clone();
                let question = Question {
                    id,
                    fingerprint: fingerprint.0,
                    provider,
                    lease,
                };
                self.running.spawn(async move {
                    let (ended, how) = match everywhere {
                        Some(ids) => ids.once(question, &progress, work).await,
                        None => (work.await, How::Ran),
                    };
                    run.ends(ended, how);
                });
                (entry, None)
            }
            Found::Taken(entry) if entry.fingerprint != fingerprint => {
                waits.was_no_repeat();
                return Told {
                    ended: Err(Failure::request_id_reused()),
                    how: How::Kept,
                    had_gone: false,
                };
            }
            Found::Taken(entry) => {
                // What the first has sent may be charged, and this caller is told of it as well.
                let how = match entry.is_over() {
                    true => {
                        call.progress.waits();
                        How::Kept
                    }
                    false => {
                        let progress = Arc::clone(&entry.progress);
                        call.progress.shares(Part::Joins, progress);
                        How::Waited
                    }
                };
                (entry, Some(how))
            }
        };
        let told = register::outcome(entry.answer.clone()).await;
        let lost = || (Err(defect(Some(provider), &entry.progress)), How::Ran);
        let (ended, how) = told.unwrap_or_else(lost);
        let had_gone = waits.told();
        // Of another replica's work it is not known here who has gone without it.
        let is_elsewhere = waited.is_none() && how == How::Kept;
        Told {
            ended,
            how: waited.unwrap_or(how),
            had_gone: had_gone || is_elsewhere,
        }
    }
}

/// The work, whose panic is an outcome too: the replicas must hear of it like of any other.
async fn caught<T>(
    work: impl Future<Output = Ended<T>>,
    provider: Provider,
    progress: Arc<Progress>,
) -> Ended<T> {
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    ended.unwrap_or_else(|_panic| Err(defect(Some(provider), &progress)))
}

#[cfg(test)]
mod tests;
