//! What a caller was told, and when.

use std::time::{Duration, Instant};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The end of one call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// From the moment it was due.
    pub latency: Duration,
    /// How late it was sent.
    pub late: Duration,
    /// The person's id for a create, else empty; or the failure.
    pub result: Result<String, Refusal>,
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
}

impl Answer {
    /// Waits for a call that was due at a moment.
    pub async fn of(due: Instant, call: impl Future<Output = Result<String, Status>>) -> Self {
        let late = due.elapsed();
        let result = call.await.map_err(|status| Refusal::from(&status));
        Self {
            latency: due.elapsed(),
            late,
            result,
        }
    }
}

impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        let info = status.get_error_details();
        let info = info.error_info();
        let billing = info.and_then(|info| info.metadata.get("billing"));
        Self {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
            billing: billing.cloned().unwrap_or_default(),
            message: status.message().to_owned(),
        }
    }
}
