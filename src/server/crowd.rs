//! Tasks for strangers, so many at once. One too many ends the oldest.
//!
//! Honest ones are done in a moment; those that grow old are the slow and the silent. So whoever opens more of
//! them than there may be ends only their own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::AbortHandle;

/// By number; a smaller one is older.
type Running = BTreeMap<u64, AbortHandle>;

/// The tasks. Dropping this ends them all.
#[derive(Debug)]
pub struct Crowd {
    most: usize,
    next: u64,
    running: Arc<Mutex<Running>>,
}

fn lock(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    // Nothing panics under the lock.
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crowd {
    /// At most so many at once.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            next: 0,
            running: Arc::default(),
        }
    }

    /// Begins one; whether another was ended for it.
    pub fn start(&mut self, stranger: impl Future<Output = ()> + Send + 'static) -> bool {
        let number = self.next;
        self.next += 1;
        let done = Arc::clone(&self.running);
        let mut running = lock(&self.running);
        let crowded = running.len() >= self.most;
        if crowded && let Some((_, oldest)) = running.pop_first() {
            oldest.abort();
        }
        let task = tokio::spawn(async move {
            stranger.await;
            lock(&done).remove(&number);
        });
        running.insert(number, task.abort_handle());
        crowded
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for (_, task) in std::mem::take(&mut *lock(&self.running)) {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::mpsc;

    use super::*;

    /// Says its number when it is ended.
    struct Says(u8, mpsc::UnboundedSender<u8>);

    impl Drop for Says {
        fn drop(&mut self) {
            let _nobody_listens = self.1.send(self.0);
        }
    }

    #[tokio::test]
    async fn one_too_many_ends_the_oldest() {
        let (ended, mut ends) = mpsc::unbounded_channel();
        let mut crowd = Crowd::new(2);
        let stuck = |number| {
            let says = Says(number, ended.clone());
            async move {
                let _says = says;
                pending::<()>().await;
            }
        };
        let displaced = [1, 2, 3].map(|number| crowd.start(stuck(number)));
        assert_eq!(displaced, [false, false, true]);
        assert_eq!(ends.recv().await, Some(1));
        assert_eq!(lock(&crowd.running).len(), 2);
        drop(crowd);
        let mut rest = [ends.recv().await, ends.recv().await];
        rest.sort_unstable();
        assert_eq!(rest, [Some(2), Some(3)]);
    }

    #[tokio::test]
    async fn one_that_is_done_makes_room() {
        let mut crowd = Crowd::new(1);
        for _ in 0..3 {
            let (done, over) = tokio::sync::oneshot::channel();
            crowd.start(async move {
                let _ = done.send(());
            });
            over.await.unwrap();
            while !lock(&crowd.running).is_empty() {
                tokio::task::yield_now().await;
            }
        }
    }
}
