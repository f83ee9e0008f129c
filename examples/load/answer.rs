//! What a caller was told, and when.

use std::time::{Duration, Instant};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::ledger::Span;

/// A request that had to wait is not sent any more if less than this is left before the gateway's own end.
const LEAST_LEFT: Duration = Duration::from_millis(100);

/// The end of one call.
#[derive(Clone, Debug)]
pub struct Answer<T = String> {
    /// When it was due.
    pub due: Instant,
    /// How long its caller would wait, from the moment it was sent.
    pub deadline: Duration,
    /// From the moment it was due.
    pub latency: Duration,
    /// How late it was sent.
    pub late: Duration,
    /// What it gave: in the chaos run the person's id for a create, else empty; or the failure.
    pub result: Result<T, Refusal>,
}

/// A failure as the contract tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The gRPC code.
    pub code: Code,
    /// `ErrorInfo.reason`; empty if there is no ErrorInfo, which the gateway never does.
    pub reason: String,
    /// `ErrorInfo.metadata["billing"]`, or empty.
    pub billing: String,
    /// The message, which holds no personal data.
    pub message: String,
    /// How long to wait before a repeat, if `RetryInfo` says that there may be one.
    pub retry_after: Option<Duration>,
}

impl<T> Answer<T> {
    /// Waits for a call that was due at a moment.
    pub async fn of(
        due: Instant,
        deadline: Duration,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Self {
        let late = due.elapsed();
        let result = call.await.map_err(|status| Refusal::from(&status));
        Self {
            due,
            deadline,
            latency: due.elapsed(),
            late,
            result,
        }
    }

    /// The time from sending to the end.
    pub const fn waited(&self) -> Duration {
        self.latency.saturating_sub(self.late)
    }

    /// When it was asked for, and when it ended.
    pub fn span(&self) -> Span {
        (self.due, self.due + self.latency)
    }

    /// How the caller's own time, or the gateway just before it, has ended the call; never long before it.
    pub fn ended_by_caller(&self) -> Option<OwnEnd> {
        let refusal = self.result.as_ref().err()?;
        let waited = self.waited();
        match (refusal.code, refusal.reason.as_str()) {
            (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
                if waited >= self.deadline * 4 / 5
                    || refusal.billing == "not_billed"
                        && waited + not_worth(self.deadline) >= self.deadline =>
            {
                Some(OwnEnd::Told)
            }
            // The client's timer was first: it knows of no reason.
            (Code::Cancelled | Code::DeadlineExceeded, "") if waited >= self.deadline => {
                Some(OwnEnd::Alone)
            }
            _ => None,
        }
    }
}

/// How long before the caller's deadline a request that had to wait is given up: the gateway ends a call earlier
/// than its caller by a margin that grows with the deadline (docs/resilience.md).
fn not_worth(deadline: Duration) -> Duration {
    LEAST_LEFT + deadline / 100 + (deadline / 10).min(Duration::from_millis(100))
}

/// Who said that the caller's time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnEnd {
    /// The gateway, with what it cost.
    Told,
    /// The caller's own timer.
    Alone,
}

impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let retry = details.retry_info();
        let billing = info.and_then(|info| info.metadata.get("billing"));
        Self {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
            billing: billing.cloned().unwrap_or_default(),
            message: status.message().to_owned(),
            retry_after: retry.map(|retry| retry.retry_delay.unwrap_or_default()),
        }
    }
}
