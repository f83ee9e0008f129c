//! Budgets: how many calls a caller may make in a minute, and how many in a day that a provider may
//! charge for.
//!
//! Windows are those of the clock: minutes, and days in UTC. Every call is counted in this process;
//! with `cache.url` also in Redis, whose count of all replicas decides. Redis has the lookup's small
//! budget (`cache.timeout`) to answer. While it does not, each process goes on with its own count and
//! the last number it heard: a caller gets at most its budget at each replica, and waits for nothing.
//!
//! A charged call is reserved before anything is sent, and given back if it turns out to be free. So
//! a budget is never overdrawn; while the last of it is out, another call may be refused that would
//! have found it given back.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use moka::sync::Cache;

use crate::{
    auth::identity::Identity,
    domain::{
        failure::{Failure, Kind},
        refusal::{Budget, Quota, Refusal},
    },
    sharing::{Keys, Remote},
    telemetry::{labels::Limit, metrics},
};

/// Most callers that are counted in this process; the longest unseen are forgotten first.
const COUNTED: u64 = 100_000;

/// The two counts, of all callers.
#[derive(Debug)]
pub struct Budgets {
    counts: Cache<(Arc<Identity>, Quota), Arc<Count>>,
    shared: Option<Shared>,
}

/// Where the replicas count together.
#[derive(Clone)]
pub struct Shared {
    /// The Redis.
    pub remote: Remote,
    /// Under which a caller's name is hashed.
    pub keys: Arc<Keys>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared({:?})", self.remote)
    }
}

/// One count of one caller.
#[derive(Debug, Default)]
struct Count(Mutex<Window>);

#[derive(Debug, Default, Clone, Copy)]
struct Window {
    /// Which one, counted from 1970.
    number: u64,
    /// Calls counted in this process: the count of all replicas cannot be less.
    own: u64,
    /// Calls of all replicas: what was heard last, and what was counted here since.
    all: u64,
}

/// A call that was counted.
#[derive(Debug)]
#[must_use = "it counts unless it is given back"]
pub struct Counted {
    count: Arc<Count>,
    window: u64,
    shared: Option<(Shared, String)>,
}

impl Quota {
    const fn length(self) -> Duration {
        match self {
            Self::CallsPerMinute => Duration::from_secs(60),
            Self::ChargedCallsPerDay => Duration::from_secs(86_400),
        }
    }
}

impl Budgets {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(shared: Option<Shared>) -> Self {
        Self {
            counts: Cache::builder()
                .max_capacity(COUNTED)
                .time_to_idle(Quota::ChargedCallsPerDay.length())
                // The default policy may refuse to admit a newcomer, who would then have no limit.
                .eviction_policy(moka::policy::EvictionPolicy::lru())
                .build(),
            shared,
        }
    }

    /// Counts a call of a caller.
    ///
    /// # Errors
    ///
    /// [`Kind::BudgetExhausted`] if that would be more than the limit.
    pub async fn take(
        &self,
        caller: &Arc<Identity>,
        quota: Quota,
        limit: u64,
    ) -> Result<Counted, Failure> {
        self.take_at(since_1970(), caller, quota, limit).await
    }

    /// How much of a budget is left, as far as this process knows: without asking Redis, and none while it has not heard
    /// of this window from there.
    #[must_use]
    pub fn left(&self, caller: &Arc<Identity>, quota: Quota, limit: u64) -> Option<Budget> {
        self.left_at(since_1970(), caller, quota, limit)
    }

    fn left_at(
        &self,
        now: Duration,
        caller: &Arc<Identity>,
        quota: Quota,
        limit: u64,
    ) -> Option<Budget> {
        let window = now.as_secs() / quota.length().as_secs();
        let count = self.counts.get(&(Arc::clone(caller), quota));
        let spent = count.map_or(0, |count| count.all(window));
        let is_known = self.shared.is_none() || spent > 0;
        is_known.then(|| Budget {
            quota,
            limit,
            remaining: limit.saturating_sub(spent),
        })
    }

    async fn take_at(
        &self,
        now: Duration,
        caller: &Arc<Identity>,
        quota: Quota,
        limit: u64,
    ) -> Result<Counted, Failure> {
        let length = quota.length();
        let window = now.as_secs() / length.as_secs();
        let left = length
            .saturating_sub(now.saturating_sub(Duration::from_secs(window * length.as_secs())));
        let key = (Arc::clone(caller), quota);
        let count = self.counts.get_with(key, Arc::default);
        let spent = || {
            metrics::refused(None, Limit::Budget);
            let refusal = Refusal::Budget(Budget {
                quota,
                limit,
                remaining: 0,
            });
            Failure {
                refusal: Some(Box::new(refusal)),
                retry_after: Some(left.max(Duration::from_secs(1))),
                ..Failure::new(Kind::BudgetExhausted)
            }
        };
        count.up(window, limit).ok_or_else(spent)?;
        let mut counted = Counted {
            count,
            window,
            shared: None,
        };
        let Some(shared) = &self.shared else {
            return Ok(counted);
        };
        let key = shared.key(caller, quota, window);
        // A window's count is of no use to anybody soon after its end.
        match shared.remote.count_up(&key, limit, left + length).await {
            Ok(Some(all)) => {
                counted.count.heard(window, all);
                counted.shared = Some((shared.clone(), key));
                Ok(counted)
            }
            Ok(None) => {
                counted.count.down(window);
                counted.count.heard(window, limit);
                Err(spent())
            }
            // Whether Redis has counted it is not known: should it be given back, it stays counted there.
            Err(_) if counted.count.all(window) <= limit => Ok(counted),
            Err(_) => {
                counted.count.down(window);
                Err(spent())
            }
        }
    }
}

fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

impl Shared {
    fn key(&self, caller: &Identity, quota: Quota, window: u64) -> String {
        let window = window.to_be_bytes();
        let name = self.keys.name([
            b"budget, 1".as_slice(),
            quota.as_str().as_bytes(),
            caller.mode().as_str().as_bytes(),
            caller.name().as_bytes(),
            &window,
        ]);
        format!("idgw:budget:{}", name.text())
    }
}

impl Count {
    /// Counts one more, unless that is more than the limit.
    fn up(&self, number: u64, limit: u64) -> Option<()> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that is set back must not begin an old window anew.
        if window.number < number {
            *window = Window {
                number,
                ..Window::default()
            };
        }
        if window.own >= limit {
            return None;
        }
        window.own += 1;
        window.all += 1;
        Some(())
    }

    fn down(&self, number: u64) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.number == number {
            window.own = window.own.saturating_sub(1);
            window.all = window.all.saturating_sub(1);
        }
    }

    fn heard(&self, number: u64, all: u64) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.number == number {
            window.all = all;
        }
    }

    fn all(&self, number: u64) -> u64 {
        let window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match window.number == number {
            true => window.all,
            false => 0,
        }
    }
}

impl Counted {
    /// The call was free after all.
    pub fn give_back(self) {
        self.count.down(self.window);
        if let Some((shared, key)) = self.shared {
            shared.remote.count_down_soon(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::AuthMode;

    const MINUTE: Quota = Quota::CallsPerMinute;
    const DAY: Quota = Quota::ChargedCallsPerDay;

    fn caller(name: &str) -> Arc<Identity> {
        Arc::new(Identity::new(AuthMode::Keys, name).unwrap())
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn a_minute_has_its_calls_and_the_next_one_has_its_own() {
        let budgets = Budgets::new(None);
        let (one, other) = (caller("one"), caller("other"));
        for second in [600, 610] {
            let _counted = budgets.take_at(at(second), &one, MINUTE, 2).await.unwrap();
        }
        let refused = budgets.take_at(at(615), &one, MINUTE, 2).await.unwrap_err();
        assert_eq!(refused.kind, Kind::BudgetExhausted);
        let spent = Budget {
            quota: MINUTE,
            limit: 2,
            remaining: 0,
        };
        assert_eq!(refused.refusal, Some(Box::new(Refusal::Budget(spent))));
        assert_eq!(refused.retry_after, Some(at(45)));
        // Nobody else is concerned, nor the other budget.
        let _counted = budgets.take_at(at(615), &other, MINUTE, 2).await.unwrap();
        let _counted = budgets.take_at(at(615), &one, DAY, 2).await.unwrap();
        let _counted = budgets.take_at(at(660), &one, MINUTE, 2).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_given_back_can_be_taken_again() {
        let budgets = Budgets::new(None);
        let one = caller("one");
        let counted = budgets.take_at(at(5), &one, DAY, 1).await.unwrap();
        let refused = budgets.take_at(at(86_399), &one, DAY, 1).await.unwrap_err();
        assert_eq!(refused.retry_after, Some(at(1)));
        counted.give_back();
        let counted = budgets.take_at(at(86_399), &one, DAY, 1).await.unwrap();
        // Given back after midnight, it does not enlarge the new day.
        let _today = budgets.take_at(at(86_400), &one, DAY, 1).await.unwrap();
        counted.give_back();
        assert!(budgets.take_at(at(86_401), &one, DAY, 1).await.is_err());
        // A clock that is set back begins no day anew.
        assert!(budgets.take_at(at(86_000), &one, DAY, 1).await.is_err());
    }

    #[tokio::test]
    async fn what_is_left_is_the_limit_less_what_was_taken_and_not_given_back() {
        let budgets = Budgets::new(None);
        let one = caller("one");
        let left = |second| {
            let left = budgets.left_at(at(second), &one, DAY, 3);
            left.map(|budget| budget.remaining)
        };
        assert_eq!(left(5), Some(3));
        let counted = budgets.take_at(at(5), &one, DAY, 3).await.unwrap();
        let _stays = budgets.take_at(at(6), &one, DAY, 3).await.unwrap();
        assert_eq!(left(7), Some(1));
        counted.give_back();
        assert_eq!(left(8), Some(2));
        // A limit that was lowered since.
        assert_eq!(budgets.left_at(at(8), &one, DAY, 0).unwrap().remaining, 0);
        assert_eq!(left(86_400), Some(3));
    }

    /// A Redis that nobody serves.
    fn no_redis(timeout: &str) -> Shared {
        let url = crate::domain::redaction::Secret::new("redis://127.0.0.1:1/");
        let settings = crate::sharing::settings::Settings {
            url: Some(url),
            timeout: timeout.parse().unwrap(),
            ..Default::default()
        };
        Shared {
            remote: Remote::new(&settings).unwrap(),
            keys: Arc::new(Keys::random().unwrap()),
        }
    }

    #[tokio::test]
    async fn nothing_is_said_to_be_left_of_what_is_counted_elsewhere_and_not_known_here() {
        let shared = no_redis("1ms");
        let budgets = Budgets::new(Some(shared));
        let one = caller("one");
        assert_eq!(budgets.left_at(at(5), &one, DAY, 3), None);
        let _counted = budgets.take_at(at(5), &one, DAY, 3).await.unwrap();
        assert_eq!(budgets.left_at(at(5), &one, DAY, 3).unwrap().remaining, 2);
    }

    #[tokio::test]
    async fn a_budget_of_zero_lets_nothing_pass() {
        let budgets = Budgets::new(None);
        assert!(budgets.take(&caller("one"), DAY, 0).await.is_err());
    }

    #[tokio::test]
    async fn a_redis_that_is_not_there_costs_no_time_and_the_process_goes_on_counting() {
        let shared = no_redis("1s");
        let budgets = Budgets::new(Some(shared));
        let one = caller("one");
        let begun = std::time::Instant::now();
        for _ in 0..100 {
            let _counted = budgets.take(&one, DAY, 100).await.unwrap();
        }
        // Had each waited for its time, it would be a hundred seconds.
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert!(budgets.take(&one, DAY, 100).await.is_err());
    }
}
