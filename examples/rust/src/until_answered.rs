//! A call that came too late is made again, and paid for once.

use std::time::{Duration, SystemTime};

use prost_types::Timestamp;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

/// As long as the gateway itself gives a call that names no deadline.
const LONGEST: Duration = Duration::from_secs(30);
/// The attempts of a call of which the gateway did not say how long its answer can be had.
const ATTEMPTS: u32 = 5;
/// Between two attempts where nobody says how long to wait: the first time, and at most.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Who is told to wait longer than that decides for himself.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Of the `ErrorInfo` that the gateway makes. Proxies have others.
const DOMAIN: &str = "identity-gateway";

/// Makes a call, and makes it again: with twice the time when its deadline has passed, after a pause when it was refused
/// for now (as long as the gateway says, up to a minute) or when nothing is known because no gateway made the error. The
/// request of `call` must have a `request_id`, which is not checked here, and the same in each attempt: then it is the
/// same call for the gateway, and what was paid for is not paid for again. `late` is told of each error that is not the
/// last. When the answer cannot be had any more, or the call has failed otherwise, that error is returned.
pub async fn until_answered<T>(
    mut limit: Duration,
    mut late: impl FnMut(Status),
    call: impl AsyncFn(Duration) -> Result<Response<T>, Status>,
) -> Result<Response<T>, Status> {
    let mut until = None;
    let mut pause = PAUSE;
    let mut attempt = 1;
    loop {
        let status = match call(limit).await.map_err(by_its_name) {
            Err(status) => status,
            answer => return answer,
        };
        let info = status.get_details_error_info();
        let info = info.filter(|info| info.domain == DOMAIN);
        let reason = info.as_ref().map(|info| info.reason.as_str());
        let wait = match wait(&status, reason, pause) {
            Some(wait) if wait <= LONGEST_WAIT => wait,
            _ => return Err(status),
        };
        let latest = info
            .as_ref()
            .and_then(|info| info.metadata.get("recoverable_until"));
        until = latest.and_then(|text| moment(text)).or(until);
        // `until` is not known if tonic's own clock was quicker, nor if nothing was sent to the provider.
        let is_over = match until {
            Some(until) => SystemTime::now() + wait >= until,
            None => attempt == ATTEMPTS,
        };
        if is_over {
            return Err(status);
        }
        if status.code() == Code::DeadlineExceeded {
            limit = LONGEST.min(2 * limit);
        } else {
            pause = LONGEST_PAUSE.min(2 * pause);
        }
        late(status);
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

/// How long to wait before the call is made again; nothing if it is not. `reason` is the gateway's.
fn wait(status: &Status, reason: Option<&str>, pause: Duration) -> Option<Duration> {
    let said = status.get_details_retry_info();
    let said = said
        .and_then(|retry| retry.retry_delay)
        .filter(|delay| !delay.is_zero());
    match (status.code(), reason) {
        // The time has passed already. With PROVIDER_TIMEOUT it is the provider's, and not this call's.
        (Code::DeadlineExceeded, None | Some("DEADLINE_EXCEEDED")) => Some(Duration::ZERO),
        // No gateway made this error: nothing is known.
        (_, None) => said.or(Some(pause)),
        (Code::Unavailable | Code::ResourceExhausted, _) => said,
        _ => None,
    }
}

/// When its own clock was quicker than the gateway's answer, tonic calls that CANCELLED. The gateway's own has details.
fn by_its_name(status: Status) -> Status {
    if status.code() == Code::Cancelled && status.details().is_empty() {
        return Status::deadline_exceeded(status.message());
    }
    status
}

/// Reads RFC 3339.
fn moment(text: &str) -> Option<SystemTime> {
    SystemTime::try_from(text.parse::<Timestamp>().ok()?).ok()
}
