//! An open loop: calls are due at fixed moments, whether or not the earlier ones were answered.
//!
//! Latencies are counted from the moment a call was due. A generator that waits for answers, or that
//! starts the clock when it gets round to sending, hides exactly the moments that matter.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::{Failed, children::PATIENCE};

/// More calls in flight than this, and the run is no measurement any more.
const MAX_IN_FLIGHT: usize = 20_000;

/// A constant load.
pub struct Load {
    /// The number of the first call.
    pub first: u64,
    /// How many calls.
    pub calls: u64,
    /// How many a second.
    pub rate: f64,
}

impl Load {
    /// The load that lasts so long.
    pub fn lasting(duration: Duration, rate: f64) -> Self {
        let calls = (duration.as_secs_f64() * rate).round();
        Self {
            first: 0,
            // A count of calls is far below where a float loses units.
            calls: calls as u64,
            rate,
        }
    }

    /// Makes the calls; `call` gets the number of the call and when it is due.
    pub async fn run<T, C>(&self, call: impl Fn(u64, Instant) -> C) -> Result<Vec<T>, Failed>
    where
        T: Send + 'static,
        C: Future<Output = T> + Send + 'static,
    {
        let started = Instant::now();
        let mut flying = JoinSet::new();
        let mut answers = Vec::new();
        for number in 0..self.calls {
            let due = started + Duration::from_secs_f64(number as f64 / self.rate);
            tokio::time::sleep_until(due.into()).await;
            flying.spawn(call(self.first + number, due));
            while let Some(answer) = flying.try_join_next() {
                answers.push(answer?);
            }
            if flying.len() > MAX_IN_FLIGHT {
                return Err(format!("{MAX_IN_FLIGHT} calls are unanswered").into());
            }
        }
        let rest = async {
            while let Some(answer) = flying.join_next().await {
                answers.push(answer?);
            }
            Ok::<_, Failed>(())
        };
        let unanswered = |_| "calls are unanswered long after the last was due";
        tokio::time::timeout(2 * PATIENCE, rest)
            .await
            .map_err(unanswered)??;
        Ok(answers)
    }
}
