//! The mark of what is on its way: a lease in Redis that is renewed until the answer is there.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::oneshot, time::timeout};

use super::{Bill, LEASE, Left, key};
use crate::sharing::keys::Name;

/// For how long after an answer was handed over a repeat at another replica waits, should it come back.
const LINGER: Duration = Duration::from_millis(50);
/// How often a mark is renewed.
const BEAT: Duration = Duration::from_secs(1);

/// The answer, made only if somebody wants it.
type Arrived = Box<dyn FnOnce() -> Option<(Bytes, Bill)> + Send>;

/// Says to all replicas that a request is on its way. Dropped without an answer, it says that it is not.
pub struct Mark(Option<oneshot::Sender<Arrived>>);

impl Mark {
    /// The mark of what Redis has just marked for this owner.
    pub(super) fn new(left: &Left, name: Name, owner: Arc<str>) -> Self {
        left.marked().insert(name);
        let (sender, mut arrives) = oneshot::channel::<Arrived>();
        let keeper = left.clone();
        left.keep(async move {
            let arrived = loop {
                match timeout(BEAT, &mut arrives).await {
                    Ok(arrived) => break arrived.ok(),
                    Err(_elapsed) => {
                        if let Some(remote) = keeper.0.answers.remote() {
                            remote.mark_left(&key(&name), &owner, LEASE).await;
                        }
                    }
                }
            };
            keeper.arrived(name, &owner, arrived).await;
        });
        Self(Some(sender))
    }

    /// The answer is there; for those who have gone it is kept already.
    pub fn arrives(&mut self, answer: impl FnOnce() -> Option<(Bytes, Bill)> + Send + 'static) {
        if let Some(sender) = self.0.take() {
            let _nobody_listens = sender.send(Box::new(answer));
        }
    }
}

impl Left {
    /// Gives what has arrived to the calls of this caller that want it elsewhere, and takes the mark away.
    async fn arrived(&self, name: Name, owner: &str, arrived: Option<Arrived>) {
        let Some(remote) = self.0.answers.remote() else {
            return;
        };
        let key = key(&name);
        // From here on who goes moves it by itself.
        self.marked().remove(&name);
        let is_owed = self.0.here.owed(&name) > 0;
        let wanted = remote
            .wanted_left(&key, owner, is_owed, LINGER)
            .await
            .unwrap_or(0);
        if wanted > 0
            && !is_owed
            && let Some((bytes, bill)) = arrived.and_then(|answer| answer())
        {
            // How many it is for, the mark says in the end.
            self.put((name, 1), bytes, bill);
        }
        if (is_owed || wanted > 0) && !self.move_there(name, owner).await {
            remote.release_left(&key, owner).await;
        }
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mark")
    }
}
