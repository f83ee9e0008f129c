//! The billing rule: the one place that decides what an attempt cost and whether it may be repeated.
//!
//! | the attempt | cost | repeated |
//! |---|---|---|
//! | never left: no connection | none | yes |
//! | was answered by an error that says "later" (5xx, 512, 513, PENDING, result code 5) | none, unless `errors_are_free = false` | yes, if it is free |
//! | was answered by 429, out of credit, "too often", or by a refusal for good | none, as above | no |
//! | was sent and is unanswered, or answered by something unreadable or by somebody in between | unknown | never if it can be charged |
//!
//! A write (`REPEAT_IF_NOT_SENT`) is repeated only if it never left: twice done is worse than twice paid.
//! An RPC that is free and changes nothing (`REPEAT_ALWAYS`: reads of persons) may also be repeated
//! after a timeout or a broken connection.
//!
//! A repeat waits: a random part of 100 ms, 200 ms, 400 ms … up to 2 s, or as long as `Retry-After`
//! says if that is more. It is given up, and the caller told at once, if the wait would pass the
//! caller's deadline or `Retry-After` asks for more than 5 s: the caller can wait better than a call
//! that holds memory here.

use std::time::Duration;

use tokio::time::Instant;

use super::budget::Budget;
use crate::{
    domain::{
        failure::{Failure, Kind},
        verification::Billing,
    },
    policy::Policy,
    proto::gateway::v1::{Charge, Repeat},
};

#[cfg(test)]
mod tests;

/// The first wait is a random part of this.
const BASE: Duration = Duration::from_millis(100);
/// No wait is longer, unless the provider asks for it.
const CAP: Duration = Duration::from_secs(2);
/// The longest `Retry-After` that is waited for here.
pub const MAX_WAIT: Duration = Duration::from_secs(5);

/// What a failed attempt cost, given what the RPC can cost at all.
///
/// `errors_are_free = false` takes back the assumption that an error answer is not charged, also of one
/// that comes with HTTP 200: what would have been UNAVAILABLE, which standard clients repeat, is then an
/// unknown outcome. What the provider's document itself calls free stays so.
#[must_use]
pub fn judge(policy: &Policy, errors: Errors, mut failure: Failure) -> Failure {
    if policy.charge == Charge::Never {
        failure.billing = Some(Billing::NotBilled);
        return failure;
    }
    let error_answer = failure.http_status.is_some() && failure.kind != Kind::DataError;
    if error_answer && errors == Errors::MayBeCharged {
        failure.billing = Some(Billing::Unknown);
        if failure.is_safe_to_repeat() {
            failure.kind = Kind::OutcomeUnknown;
            failure.retry_after = None;
        }
    }
    failure
}

/// What an explicit error answer costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errors {
    /// Nothing.
    AreFree,
    /// Nobody knows.
    MayBeCharged,
}

/// Whether the call may be sent again after this failure, as [`judge`] left it.
#[must_use]
pub fn may_repeat(policy: &Policy, failure: &Failure) -> bool {
    if policy.repeat == Repeat::IfNotSent {
        return failure.kind == Kind::NotConnected && failure.billing == Some(Billing::NotBilled);
    }
    match failure.kind {
        Kind::NotConnected
        | Kind::Pending
        | Kind::ProviderDown
        | Kind::DataError
        | Kind::SourceTimeout => failure.billing == Some(Billing::NotBilled),
        Kind::TimedOut | Kind::OutcomeUnknown => policy.repeat == Repeat::Always,
        _ => false,
    }
}

/// When a provider's calls are repeated.
#[derive(Debug)]
pub struct Retry {
    max_attempts: u32,
    budget: Budget,
}

impl Retry {
    /// A call is sent so often at most.
    #[must_use]
    pub fn new(max_attempts: u32) -> Self {
        Self {
            max_attempts,
            budget: Budget::default(),
        }
    }

    /// A call goes out, for the first time.
    pub fn begin(&self) {
        self.budget.put();
    }

    /// How many repeats may still be sent.
    #[must_use]
    pub fn budget_left(&self) -> f64 {
        self.budget.left()
    }

    /// How long to wait before the call is sent again, if it is: `sent` attempts were made.
    pub fn next(
        &self,
        policy: &Policy,
        failure: &Failure,
        sent: u32,
        deadline: Option<Instant>,
    ) -> Option<Duration> {
        if !may_repeat(policy, failure) || sent >= self.max_attempts {
            return None;
        }
        let stated = failure.retry_after.unwrap_or_default();
        let wait = backoff(sent).max(stated);
        let in_time = deadline.is_none_or(|deadline| Instant::now() + wait < deadline);
        (stated <= MAX_WAIT && in_time && self.budget.take()).then_some(wait)
    }
}

/// Full jitter: callers that failed together do not come back together.
fn backoff(sent: u32) -> Duration {
    let doublings = sent.saturating_sub(1);
    let longest = BASE.saturating_mul(2_u32.saturating_pow(doublings));
    longest.min(CAP).mul_f64(fastrand::f64())
}
