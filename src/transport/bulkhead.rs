//! So many attempts in flight to one provider, and a short queue behind them.
//!
//! The queue takes up the ripples of an even load, no more: it is bounded in places and in time, so
//! that a provider that is slow makes calls fail fast and not late. First come, first served.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// The places of one provider.
#[derive(Debug)]
pub struct Bulkhead {
    places: Semaphore,
    queue: Semaphore,
    patience: Duration,
}

/// There is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Bulkhead {
    /// So many places, and so many that may wait for one, each so long.
    #[must_use]
    pub const fn new(places: usize, queue: usize, patience: Duration) -> Self {
        Self {
            places: Semaphore::const_new(places),
            queue: Semaphore::const_new(queue),
            patience,
        }
    }

    /// Takes a place, if one is free.
    pub fn try_enter(&self) -> Option<SemaphorePermit<'_>> {
        self.places.try_acquire().ok()
    }

    /// Takes a place, if need be after a short wait.
    ///
    /// # Errors
    ///
    /// [`Full`], at once if the queue is full too.
    pub async fn enter(&self) -> Result<SemaphorePermit<'_>, Full> {
        // A freed place goes to the first in the queue, never to a newcomer: there is no barging.
        if let Some(place) = self.try_enter() {
            return Ok(place);
        }
        // The semaphore is never closed.
        self.queue(self.places.acquire()).await?.map_err(|_| Full)
    }

    /// Waits in the queue for what comes, if there is room, and for a short time only.
    ///
    /// # Errors
    ///
    /// [`Full`], at once if the queue is full.
    pub async fn queue<P>(&self, comes: impl Future<Output = P>) -> Result<P, Full> {
        let _waiting = self.queue.try_acquire().map_err(|_| Full)?;
        let in_time = tokio::time::timeout(self.patience, comes).await;
        in_time.map_err(|_elapsed| Full)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(250);

    #[tokio::test(start_paused = true)]
    async fn over_the_queue_is_refused_at_once_and_in_it_after_a_while() {
        let bulkhead = Bulkhead::new(1, 1, PATIENCE);
        let begun = Instant::now();
        let _place = bulkhead.enter().await.unwrap();
        let waits = async {
            assert_eq!(bulkhead.enter().await.unwrap_err(), Full);
            begun.elapsed()
        };
        let too_many = async {
            assert_eq!(bulkhead.enter().await.unwrap_err(), Full);
            begun.elapsed()
        };
        let (waited, refused) = tokio::join!(waits, too_many);
        assert_eq!(refused, Duration::ZERO);
        assert!((PATIENCE..PATIENCE * 2).contains(&waited), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_served_in_its_order_and_nobody_passes_it() {
        let bulkhead = Arc::new(Bulkhead::new(1, 8, PATIENCE));
        let order = Arc::new(Mutex::new(Vec::new()));
        let place = bulkhead.enter().await.unwrap();
        let waiting: Vec<_> = (0..8)
            .map(|number| {
                let (bulkhead, order) = (Arc::clone(&bulkhead), Arc::clone(&order));
                tokio::spawn(async move {
                    let _place = bulkhead.enter().await.unwrap();
                    order.lock().unwrap().push(number);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(place);
        assert!(bulkhead.places.try_acquire().is_err(), "barged in");
        for waiting in waiting {
            waiting.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), (0..8).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_the_queue() {
        let bulkhead = Bulkhead::new(1, 1, PATIENCE);
        let place = bulkhead.enter().await.unwrap();
        let gives_up = tokio::time::timeout(Duration::from_millis(10), bulkhead.enter());
        assert!(gives_up.await.is_err());
        assert_eq!(bulkhead.queue.available_permits(), 1);
        drop(place);
        assert!(bulkhead.enter().await.is_ok());
    }
}
