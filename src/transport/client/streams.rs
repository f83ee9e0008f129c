//! How many requests a connection's peer takes at a time. The peer may change its mind at any time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};

/// The places of one connection. First come, first served.
#[derive(Clone)]
pub struct Streams(Arc<Shared>);

struct Shared {
    /// More than this are never allowed, whatever the peer says.
    most: usize,
    free: Semaphore,
    state: Mutex<State>,
    unused: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct State {
    allowed: usize,
    taken: usize,
    /// Places that are taken and no longer allowed.
    owed: usize,
}

/// The place of one request, until its answer is read or it is reset.
pub struct Place(Arc<Shared>);

impl Streams {
    /// As many places as the peer allows, and at most so many.
    pub fn new(most: usize, allowed: usize) -> Self {
        let allowed = allowed.min(most);
        Self(Arc::new(Shared {
            most,
            free: Semaphore::new(allowed),
            state: Mutex::new(State {
                allowed,
                taken: 0,
                owed: 0,
            }),
            unused: Notify::new(),
        }))
    }

    /// The peer allows so many from now on.
    pub fn allow(&self, allowed: usize) {
        let shared = &*self.0;
        let allowed = allowed.min(shared.most);
        let mut state = shared.state();
        if allowed > state.allowed {
            let more = allowed - state.allowed;
            let paid = more.min(state.owed);
            state.owed -= paid;
            shared.free.add_permits(more - paid);
        } else if allowed < state.allowed {
            let fewer = state.allowed - allowed;
            state.owed += fewer - shared.free.forget_permits(fewer);
        }
        state.allowed = allowed;
    }

    /// A place, if one is free.
    pub fn try_take(&self) -> Option<Place> {
        let permit = self.0.free.try_acquire().ok()?;
        permit.forget();
        Some(self.place())
    }

    /// A place, as soon as one is free; none once they are closed.
    pub async fn take(&self) -> Option<Place> {
        let permit = self.0.free.acquire().await.ok()?;
        permit.forget();
        Some(self.place())
    }

    fn place(&self) -> Place {
        self.0.state().taken += 1;
        Place(Arc::clone(&self.0))
    }

    /// Gives no further place, and sends those away who wait for one.
    pub fn close(&self) {
        self.0.free.close();
        if self.0.state().taken == 0 {
            self.0.unused.notify_one();
        }
    }

    /// Waits until they are closed and none is taken any more.
    pub async fn unused(&self) {
        self.0.unused.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.taken -= 1;
        if state.owed > 0 {
            state.owed -= 1;
        } else {
            self.0.free.add_permits(1);
        }
        if state.taken == 0 && self.0.free.is_closed() {
            self.0.unused.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Allow(usize),
        Take,
        Drop(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_usize..12).prop_map(Step::Allow),
            Just(Step::Take),
            Just(Step::Take),
            any::<usize>().prop_map(Step::Drop),
        ]
    }

    proptest! {
        #[test]
        fn a_place_is_given_if_and_only_if_the_peer_allows_one_more(steps in proptest::collection::vec(step(), 0..60)) {
            const MOST: usize = 8;
            let streams = Streams::new(MOST, 3);
            let (mut allowed, mut held) = (3, Vec::new());
            for step in steps {
                match step {
                    Step::Allow(number) => {
                        streams.allow(number);
                        allowed = number.min(MOST);
                    }
                    Step::Take => {
                        let place = streams.try_take();
                        prop_assert_eq!(place.is_some(), held.len() < allowed);
                        held.extend(place);
                    }
                    Step::Drop(which) if !held.is_empty() => {
                        held.swap_remove(which % held.len());
                    }
                    Step::Drop(_) => {}
                }
                prop_assert_eq!(streams.0.state().taken, held.len());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_the_next_place_and_none_of_a_closed_connection() {
        let streams = Streams::new(8, 1);
        let place = streams.take().await.unwrap();
        let second = async {
            let waited = streams.take().await;
            assert!(waited.is_some());
            assert!(streams.try_take().is_none());
            streams.close();
            drop(waited);
            streams.unused().await;
        };
        let third = async { assert!(streams.take().await.is_none()) };
        let first = async {
            tokio::task::yield_now().await;
            drop(place);
        };
        tokio::join!(second, third, first);
    }
}
