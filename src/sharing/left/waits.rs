//! A look at all replicas before a lookup is sent, and the wait for what is on its way to another one.

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use super::{Bill, LEASE, Left, Mark, key};
use crate::{
    sharing::{
        keys::Name,
        remote::{Left as There, NoAnswer},
    },
    telemetry::labels::CacheFailure,
    transport::Progress,
};

/// The pauses between two looks at what is on its way to another replica: from here, doubled, to there.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What a look at all replicas came to.
pub enum Entered<N> {
    /// An answer; whether the call waited for it while it was on its way.
    Answer(Bytes, bool),
    /// Nothing is there: the call is to ask, and has marked that it does.
    Marked(Mark),
    /// It has been asked for in this process meanwhile.
    Near(N),
    /// Redis cannot tell in time.
    Unknown,
}

/// What one look came to.
enum Looked {
    Answer(Taken),
    OnItsWay(String, Duration, bool),
    Marked(Mark),
}

impl Left {
    /// Looks at all replicas before anything is sent. What is on its way at another one is waited for, unless it is
    /// `near` by now: asked for in this process.
    pub async fn enter<N>(
        &self,
        name: Name,
        bill: Bill,
        progress: &Progress,
        near: impl Fn() -> Option<N>,
    ) -> Entered<N> {
        let mut pause = FIRST_PAUSE;
        let mut waits = Waits {
            left: self,
            name,
            until: None,
        };
        loop {
            let seen = waits.until.as_ref().map(|(_, owner)| owner.clone());
            let is_first = seen.is_none();
            match self.look(name, bill.clone(), seen).await {
                Ok(Looked::Answer(taken)) => {
                    waits.until = None;
                    return Entered::Answer(taken.keeps(), !is_first);
                }
                Ok(Looked::Marked(mark)) => {
                    waits.ends(progress);
                    return Entered::Marked(mark);
                }
                Ok(Looked::OnItsWay(owner, left, lingers)) => {
                    let end = Instant::now() + left;
                    // What was handed over and may come back is not on its way to this call.
                    if lingers {
                        progress.settled();
                    } else {
                        progress.waits();
                        progress.answered_by(end);
                    }
                    waits.until = Some((end, owner));
                }
                Err(_) if waits.lasts() => {}
                Err(_) => {
                    waits.ends(progress);
                    return Entered::Unknown;
                }
            }
            sleep(pause).await;
            if let Some(near) = near() {
                waits.says(false);
                waits.ends(progress);
                return Entered::Near(near);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Looks in a task of its own, for which no call waits longer than it may: what it finds for somebody who has gone
    /// meanwhile, or has not waited, undoes itself.
    async fn look(&self, name: Name, bill: Bill, seen: Option<String>) -> Result<Looked, NoAnswer> {
        let Some(remote) = self.0.answers.remote() else {
            return Err(NoAnswer(CacheFailure::Connecting));
        };
        let budget = remote.budget();
        let (sender, looked) = oneshot::channel();
        let (left, remote) = (self.clone(), remote.clone());
        self.keep(async move {
            let owner = left.owner();
            let found = remote
                .enter_left(&key(&name), LEASE, &owner, seen.as_deref())
                .await;
            let found = found.map(|found| match found {
                There::OnItsWay(owner, left, lingers) => Looked::OnItsWay(owner, left, lingers),
                There::Nothing => Looked::Marked(Mark::new(&left, name, owner)),
                There::Answer(sealed, lifetime) => {
                    match left.0.answers.opened(&name, &sealed) {
                        Some(bytes) => Looked::Answer(Taken {
                            left: left.clone(),
                            name,
                            end: Instant::now() + lifetime,
                            answer: Some((bytes, bill)),
                        }),
                        // Another version's: it is nobody's.
                        None => Looked::Marked(Mark::new(&left, name, owner)),
                    }
                }
            });
            // Not sent, or not read, it is dropped.
            let _nobody_waits = sender.send(found);
        });
        match timeout(budget, looked).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => Err(NoAnswer(CacheFailure::Timeout)),
        }
    }
}

/// An answer that was taken from Redis. Dropped by a call that has gone, it is given back.
struct Taken {
    left: Left,
    name: Name,
    end: Instant,
    answer: Option<(Bytes, Bill)>,
}

impl Taken {
    /// The call has it.
    fn keeps(mut self) -> Bytes {
        let answer = self.answer.take();
        if let Some(remote) = self.left.0.answers.remote() {
            self.left.keep(remote.taken_left(&key(&self.name)));
        }
        answer.map(|(bytes, _)| bytes).unwrap_or_default()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some((bytes, bill)) = self.answer.take() {
            let (left, name) = (self.left.clone(), self.name);
            // Here at once, and there when Redis has it: until then its mark keeps the others waiting.
            left.keep_until((name, 1), bytes, bill, self.end);
            self.left.keep(async move {
                left.move_there(name, "").await;
            });
        }
    }
}

/// A call that waits for what is on its way to another replica. Its drop is its going.
struct Waits<'a> {
    left: &'a Left,
    name: Name,
    /// While it does: until when it may, and for whose mark.
    until: Option<(Instant, String)>,
}

impl Waits<'_> {
    fn lasts(&self) -> bool {
        let until = self.until.as_ref();
        until.is_some_and(|(end, _)| Instant::now() < *end)
    }

    fn ends(&mut self, progress: &Progress) {
        if self.until.take().is_some() {
            progress.settled();
        }
    }

    fn says(&self, has_gone: bool) {
        if let (Some(remote), Some((_, owner))) = (self.left.0.answers.remote(), &self.until) {
            let said = remote.waits_no_longer_for_left(&key(&self.name), owner, has_gone);
            self.left.keep(said);
        }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.says(true);
    }
}
