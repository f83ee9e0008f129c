//! What stands between a call and its provider: every attempt passes these checks, in this order.
//!
//! 1. **Hold**: has the provider asked for a pause by a 429, of all calls or of those about this number?
//!    Its own word comes first.
//! 2. **Circuit**: is it failing? Then no token and no place is spent on it.
//! 3. **Rate**: does the contract with the provider allow another request?
//! 4. **Bulkhead**: is there a place, or will there be one in a moment?
//! 5. After a wait, 1 and 2 again; and is there time left?
//! 6. The attempt, which may wait in the bulkhead's queue once more, if the connection takes fewer requests
//!    than the bulkhead; then its verdict for the circuit, and what it cost for the call's progress.
//! 7. May it be repeated, and when ([`retry`](super::retry))? Then from 1.
//!
//! A refusal by 1 to 5 costs nothing and is not repeated here. If it meets a repeat, the caller hears
//! of the failure before it, which says more.
//!
//! The circuit counts the first attempt of a call, and probes. A repeat asks the same question again:
//! if it is the question that makes the provider fail, five different ones shall open the circuit and
//! not two. That a repeat succeeded is counted.
//!
//! Nothing here knows HTTP: an attempt is a future. Dropping the call drops it, and that is a verdict too
//! ([`breaker`](super::breaker)).

use std::time::Duration;

use tokio::sync::{SemaphorePermit, watch};
use tokio::time::Instant;

use super::{
    Progress,
    breaker::{self, Breaker, Circuit, Counts, Permit, Verdict},
    bulkhead::{Bulkhead, Full},
    hold::{Hold, Subject},
    rate::{Rate, RateLimit},
    retry::{self, Errors, Retry},
};
use crate::{
    domain::{
        failure::{Failure, Kind},
        verification::{Billing, Provider},
    },
    policy::Policy,
    proto::gateway::v1::Charge,
    telemetry::{
        labels::Limit,
        metrics::{self, UnderWay},
        spans::{Wait, WaitSpan},
    },
};

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

/// How long a caller is asked to wait if nobody knows better.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Who has waited for a place is sent only if there is this much time left: no registry answers in less, and
/// places come free at the very moment when callers give up.
const LEAST_LEFT: Duration = Duration::from_millis(100);
/// What is shorter is no wait.
const WAIT: Duration = Duration::from_millis(1);

/// The limits of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Attempts in flight.
    pub max_in_flight: usize,
    /// Attempts that may wait for a place.
    pub queue: usize,
    /// How long they may wait.
    pub queue_timeout: Duration,
    /// The rate, if there is a limit.
    pub rate: Option<Rate>,
    /// How often a call is sent at most.
    pub max_attempts: u32,
    /// When the circuit opens.
    pub breaker: breaker::Settings,
    /// How long a 429 for one number may hold back calls about others.
    pub rate_limit_hold: Duration,
    /// What an error answer costs.
    pub errors: Errors,
}

/// The checks of one provider.
#[derive(Debug)]
pub struct Guard {
    provider: Provider,
    hold: Hold,
    breaker: Breaker,
    rate: Option<RateLimit>,
    bulkhead: Bulkhead,
    retry: Retry,
    errors: Errors,
}

impl Guard {
    /// Everything open and empty.
    #[must_use]
    pub fn new(provider: Provider, limits: Limits) -> Self {
        Self {
            provider,
            hold: Hold::new(limits.rate_limit_hold),
            breaker: Breaker::new(provider, limits.breaker),
            rate: limits.rate.map(RateLimit::new),
            bulkhead: Bulkhead::new(limits.max_in_flight, limits.queue, limits.queue_timeout),
            retry: Retry::new(limits.max_attempts),
            errors: limits.errors,
        }
    }

    /// The state of the circuit, and every change of it.
    #[must_use]
    pub fn circuit(&self) -> watch::Receiver<Circuit> {
        self.breaker.watch()
    }

    /// Nobody waits any more for what was sent with this progress, and it is finished all the same: once, that may
    /// speak against the provider.
    pub fn left(&self, progress: &Progress) {
        if !progress.was_counted() && self.breaker.left() {
            progress.is_counted();
        }
    }

    /// Makes attempts until one succeeds or may not be repeated.
    ///
    /// An attempt says by [`Progress::sent`] when it leaves; until then it is free. Its failure has a
    /// `retry_after` only if the provider stated one. Whom the call is about is asked only if that matters.
    ///
    /// # Errors
    ///
    /// The failure of the last attempt, or the refusal of the first.
    pub async fn call<T, A>(
        &self,
        progress: &Progress,
        policy: &Policy,
        subject: impl Fn() -> Subject,
        attempt: impl Fn() -> A,
    ) -> Result<T, Failure>
    where
        A: Future<Output = Result<T, Failure>>,
    {
        let mut sent = 0;
        let mut earlier = None;
        loop {
            let (mut permit, place) = match self.admit(progress, &subject).await {
                Ok(admitted) => admitted,
                Err(refusal) => return Err(earlier.unwrap_or(refusal)),
            };
            let counts = match &earlier {
                None => {
                    self.retry.begin();
                    Counts::Yes
                }
                Some(failure) => {
                    metrics::retried(self.provider, failure.kind);
                    Counts::No
                }
            };
            metrics::retry_budget(self.provider, self.retry.budget_left());
            sent += 1;
            progress.attempt();
            permit.send(counts);
            let failure = match attempt().await {
                // It waited for its connection, and nothing was sent: no verdict, no repeat.
                Err(refusal)
                    if matches!(refusal.kind, Kind::Overloaded | Kind::DeadlineExceeded) =>
                {
                    permit.stays();
                    return Err(earlier.unwrap_or(refusal));
                }
                Ok(answer) => {
                    permit.tell(Verdict::Success);
                    self.hold.answered();
                    if policy.charge == Charge::Never {
                        progress.settled();
                    }
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            drop(place);
            let verdict = Verdict::of(&failure);
            match verdict {
                Verdict::Failure if progress.was_counted() => permit.failed_before(),
                verdict => permit.tell(verdict),
            }
            let failure = retry::judge(policy, self.errors, failure);
            if failure.billing == Some(Billing::NotBilled) {
                progress.settled();
            }
            match (failure.kind, verdict) {
                (Kind::ProviderRateLimited, _) => {
                    let pause = failure.retry_after.unwrap_or(DEFAULT_RETRY_AFTER);
                    self.hold.limited(subject(), pause);
                }
                (_, Verdict::Success) => self.hold.answered(),
                (_, Verdict::Failure) => {}
            }
            // Once this failure, or another call's, has opened the circuit a wait would be for nothing.
            let refused = self.breaker.refuses() || self.hold.rest(&subject).is_some();
            let wait =
                (!refused).then(|| self.retry.next(policy, &failure, sent, progress.deadline()));
            let failure = with_wait(failure);
            match wait.flatten() {
                None => return Err(failure),
                Some(wait) => {
                    let _told = WaitSpan::start(Wait::Backoff, self.provider);
                    tokio::time::sleep(wait).await;
                }
            }
            earlier = Some(failure);
        }
    }

    async fn admit(
        &self,
        progress: &Progress,
        subject: &impl Fn() -> Subject,
    ) -> Result<(Permit<'_>, SemaphorePermit<'_>), Failure> {
        self.not_held(subject)?;
        let permit = self.closed()?;
        if let Some(rate) = &self.rate {
            let over = |wait| self.refusal(Kind::RateLimited, wait);
            rate.take().map_err(over)?;
        }
        let begun = Instant::now();
        let place = match self.bulkhead.try_enter() {
            Some(place) => place,
            None => self.queued(self.bulkhead.enter()).await?,
        };
        self.not_held(subject)?;
        let permit = match permit.is_current() {
            true => permit,
            false => self.closed()?,
        };
        self.in_time(progress, begun)?;
        Ok((permit, place))
    }

    /// Whether there is time left for a request that has waited since then.
    ///
    /// # Errors
    ///
    /// [`Kind::DeadlineExceeded`].
    pub fn in_time(&self, progress: &Progress, since: Instant) -> Result<(), Failure> {
        let now = Instant::now();
        let least = match now - since < WAIT {
            true => now,
            false => now + LEAST_LEFT,
        };
        match progress.deadline() {
            Some(deadline) if deadline <= least => Err(Failure::before_sending(
                Kind::DeadlineExceeded,
                self.provider,
            )),
            _ => Ok(()),
        }
    }

    /// Waits in the provider's queue for a place that its connection has not got now: the provider takes
    /// fewer requests at a time than the bulkhead.
    ///
    /// # Errors
    ///
    /// [`Kind::Overloaded`] if the queue is full, or the wait too long.
    pub async fn queue<P>(&self, place: impl Future<Output = P>) -> Result<P, Failure> {
        self.queued(self.bulkhead.queue(place)).await
    }

    async fn queued<P>(&self, place: impl Future<Output = Result<P, Full>>) -> Result<P, Failure> {
        let _told = WaitSpan::start(Wait::Queue, self.provider);
        let _counted = UnderWay::queued(self.provider);
        let full = |Full| self.refusal(Kind::Overloaded, DEFAULT_RETRY_AFTER);
        place.await.map_err(full)
    }

    fn not_held(&self, subject: &impl Fn() -> Subject) -> Result<(), Failure> {
        match self.hold.rest(subject) {
            None => Ok(()),
            Some(rest) => Err(self.refusal(Kind::ProviderRateLimited, rest)),
        }
    }

    fn closed(&self) -> Result<Permit<'_>, Failure> {
        let open = |rest| self.refusal(Kind::CircuitOpen, rest);
        self.breaker.admit().map_err(open)
    }

    fn refusal(&self, kind: Kind, wait: Duration) -> Failure {
        let limit = match kind {
            Kind::CircuitOpen => Limit::Circuit,
            Kind::RateLimited => Limit::Rate,
            Kind::ProviderRateLimited => Limit::Held,
            _ => Limit::Provider,
        };
        metrics::refused(Some(self.provider), limit);
        Failure {
            retry_after: Some(wait),
            ..Failure::before_sending(kind, self.provider)
        }
    }
}

/// Adds how long to wait to the failures that invite a repeat.
fn with_wait(mut failure: Failure) -> Failure {
    let invites = failure.is_safe_to_repeat() || failure.kind == Kind::ProviderRateLimited;
    failure.retry_after = match invites {
        true => Some(failure.retry_after.unwrap_or(DEFAULT_RETRY_AFTER)),
        false => None,
    };
    failure
}
