//! How many records of refusals are written: strangers decide how many there could be.
//!
//! Files are bounded, so a flood of such records would push out those of calls. At most [`MOST`] a minute are written of
//! callers that are not identified, and as many of those that are and may not call, so that the first do not hide them: together
//! they fill less than a file of the default size in a day. The others are counted, and the next line of the audit says
//! how many they were (`refusals_left_out`); by their causes the metric counts all (`idgw.callers.refused`).

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::record::Record;
use crate::domain::cause::Cause;

/// Most records in a minute.
const MOST: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);

/// The records of refusals of this minute.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    strangers: Mutex<Minute>,
    known: Mutex<Minute>,
}

#[derive(Debug, Default)]
struct Minute {
    began: Option<Instant>,
    written: u32,
}

impl Refusals {
    /// Whether there is room for this one.
    pub fn takes(&self, record: &Record) -> bool {
        let call = record.call();
        let cause = call.and_then(|call| call.end.as_ref()?.cause);
        let minute = if is_let_in(cause) {
            &self.known
        } else {
            &self.strangers
        };
        let now = Instant::now();
        // Nothing panics under the lock.
        let mut minute = minute.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.began.is_none_or(|began| now - began >= WINDOW) {
            *minute = Minute {
                began: Some(now),
                written: 0,
            };
        }
        let takes = minute.written < MOST;
        minute.written += u32::from(takes);
        takes
    }
}

/// Whether the caller was identified, and may only not call. A token that has expired, or is for somebody else, names
/// somebody too, but whoever has many of them is a stranger.
fn is_let_in(cause: Option<Cause>) -> bool {
    matches!(cause, Some(Cause::NoRule | Cause::NotGranted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_told_that_its_credential_is_not_good_hides_nobody_who_was_let_in() {
        for cause in Cause::ALL {
            let is_good = cause.told().is_none() && cause != Cause::KeysUnavailable;
            assert_eq!(is_let_in(Some(cause)), is_good, "{cause:?}");
        }
    }
}
