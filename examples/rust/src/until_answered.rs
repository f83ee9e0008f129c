//! A call that came too late is made again, and paid for once.

use std::time::{Duration, SystemTime};

use prost_types::Timestamp;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

/// As long as the gateway itself gives a call that names no deadline.
const LONGEST: Duration = Duration::from_secs(30);
/// The attempts of a call of which the gateway did not say how long its answer can be had.
const ATTEMPTS: u32 = 5;

/// Makes a call whose request has a `request_id`, and again with twice the time whenever its deadline has passed. It is
/// the same call for the gateway: what was paid for is not paid for again. `late` is told of each error that is not the
/// last. When the answer cannot be had any more, or the call has failed otherwise, that error is returned.
pub async fn until_answered<T>(
    mut limit: Duration,
    mut late: impl FnMut(Status),
    call: impl AsyncFn(Duration) -> Result<Response<T>, Status>,
) -> Result<Response<T>, Status> {
    let mut until = None;
    let mut attempt = 1;
    loop {
        let status = match call(limit).await.map_err(by_its_name) {
            Err(status) if status.code() == Code::DeadlineExceeded => status,
            result => return result,
        };
        if let Some(info) = status.get_details_error_info() {
            if info.reason != "DEADLINE_EXCEEDED" {
                // The provider's time has passed, and not this call's: there will be no answer.
                return Err(status);
            }
            let latest = info.metadata.get("recoverable_until");
            until = latest.and_then(|text| moment(text)).or(until);
        }
        // `until` is not known if tonic's own clock was quicker, nor if nothing was sent to the provider.
        let is_over = match until {
            Some(until) => SystemTime::now() >= until,
            None => attempt == ATTEMPTS,
        };
        if is_over {
            return Err(status);
        }
        late(status);
        limit = LONGEST.min(2 * limit);
        attempt += 1;
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
