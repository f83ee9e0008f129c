//! A kept answer: what is kept of it, in which form, and for how long.
//!
//! An answer is found, not found, or about an invalid number; each has its own longest lifetime. An
//! inconclusive one is never kept: asking again is the only thing it is good for. The form is
//! protobuf with numbers of its own, so that replicas of two versions can share.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use prost::{Message, bytes::Bytes};
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::verification::{Billing, Drift, Outcome, Verified};

/// The longest that an answer is kept, by its outcome.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// A record was found.
    pub found: Duration,
    /// Nobody was found.
    pub not_found: Duration,
    /// The provider calls the number invalid.
    pub invalid: Duration,
}

impl Lifetimes {
    /// How long an answer of this outcome may be kept; zero is not at all.
    #[must_use]
    pub const fn of(&self, outcome: Outcome) -> Duration {
        match outcome {
            Outcome::Found => self.found,
            Outcome::NotFound => self.not_found,
            Outcome::InvalidIdentifier => self.invalid,
            Outcome::Inconclusive => Duration::ZERO,
        }
    }
}

/// How old something is, by a clock that nobody sets: its age at a moment of this process.
#[derive(Debug, Clone, Copy)]
pub struct Age {
    then: Duration,
    at: Instant,
}

impl Age {
    /// Of what is this old now.
    #[must_use]
    pub fn of(then: Duration) -> Self {
        let at = Instant::now();
        Self { then, at }
    }

    /// The age by now.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.then.saturating_add(self.at.elapsed())
    }
}

/// An answer with the moment in which the provider gave it.
#[derive(Clone)]
pub struct Kept<R> {
    /// The answer.
    pub verified: Verified<R>,
    /// When the provider answered, by the clock of who asked it. It is shown and decides nothing.
    pub checked_at: Timestamp,
    /// How long ago that was.
    pub age: Age,
    /// The id of the call that asked, in the audit.
    pub paid_by: Option<Uuid>,
}

impl<R> Kept<R> {
    /// Whether it may be given to a caller that accepts this age.
    #[must_use]
    pub fn serves(&self, max_age: Duration, lifetimes: &Lifetimes) -> bool {
        let longest = max_age.min(lifetimes.of(self.verified.outcome));
        !longest.is_zero() && self.age.now() <= longest
    }
}

impl<R: Message + Default> Kept<R> {
    /// Its stored form, for a store that forgets it at this age.
    #[must_use]
    pub fn encode(&self, lifetime: Duration) -> Vec<u8> {
        let Verified {
            outcome,
            reference,
            code,
            message,
            billing,
            record,
            drift: _,
        } = &self.verified;
        let stored = Stored {
            outcome: outcome_number(*outcome),
            reference: reference.clone(),
            code: code.clone(),
            message: message.clone(),
            billing: billing_number(*billing),
            seconds: self.checked_at.as_second(),
            nanos: self.checked_at.subsec_nanosecond(),
            record: record.as_ref().map(|record| record.encode_to_vec().into()),
            lifetime_ms: u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX),
            paid_by: self.paid_by.map(|call| call.as_bytes().to_vec()),
        };
        stored.encode_to_vec()
    }

    /// Reads the stored form; none if it is none, or of a later version. The store tells the age, and is
    /// told at which age it forgets.
    #[must_use]
    pub fn decode(bytes: Bytes, age: impl FnOnce(Duration) -> Age) -> Option<Self> {
        let stored = Stored::decode(bytes).ok()?;
        let record = stored.record.map(R::decode).transpose().ok()?.map(Box::new);
        Some(Self {
            verified: Verified {
                outcome: outcome(stored.outcome)?,
                reference: stored.reference,
                code: stored.code,
                message: stored.message,
                billing: billing(stored.billing)?,
                record,
                drift: Drift::default(),
            },
            checked_at: Timestamp::new(stored.seconds, stored.nanos).ok()?,
            age: age(Duration::from_millis(stored.lifetime_ms)),
            paid_by: stored
                .paid_by
                .and_then(|bytes| Uuid::from_slice(&bytes).ok()),
        })
    }
}

/// The stored form.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Stored {
    #[prost(uint32, tag = "1")]
    outcome: u32,
    #[prost(string, optional, tag = "2")]
    reference: Option<String>,
    #[prost(string, optional, tag = "3")]
    code: Option<String>,
    #[prost(string, optional, tag = "4")]
    message: Option<String>,
    #[prost(uint32, tag = "5")]
    billing: u32,
    #[prost(int64, tag = "6")]
    seconds: i64,
    #[prost(int32, tag = "7")]
    nanos: i32,
    #[prost(bytes = "bytes", optional, tag = "8")]
    record: Option<Bytes>,
    #[prost(uint64, tag = "9")]
    lifetime_ms: u64,
    #[prost(bytes = "vec", optional, tag = "10")]
    paid_by: Option<Vec<u8>>,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stored([redacted])")
    }
}

const fn outcome_number(outcome: Outcome) -> u32 {
    match outcome {
        Outcome::Found => 1,
        Outcome::NotFound => 2,
        Outcome::InvalidIdentifier => 3,
        Outcome::Inconclusive => 4,
    }
}

const fn outcome(number: u32) -> Option<Outcome> {
    match number {
        1 => Some(Outcome::Found),
        2 => Some(Outcome::NotFound),
        3 => Some(Outcome::InvalidIdentifier),
        4 => Some(Outcome::Inconclusive),
        _ => None,
    }
}

pub(super) const fn billing_number(billing: Billing) -> u32 {
    match billing {
        Billing::Billed => 1,
        Billing::NotBilled => 2,
        Billing::Unknown => 3,
    }
}

pub(super) const fn billing(number: u32) -> Option<Billing> {
    match number {
        1 => Some(Billing::Billed),
        2 => Some(Billing::NotBilled),
        3 => Some(Billing::Unknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::identity::v1::CurpRecord;

    const LIFETIMES: Lifetimes = Lifetimes {
        found: Duration::from_secs(100),
        not_found: Duration::from_secs(10),
        invalid: Duration::ZERO,
    };

    fn kept(outcome: Outcome) -> Kept<CurpRecord> {
        let record = CurpRecord {
            given_name: Some("ROSA".to_owned()),
            ..CurpRecord::default()
        };
        Kept {
            verified: Verified {
                outcome,
                reference: Some("r-1".to_owned()),
                code: None,
                message: Some(String::new()),
                billing: Billing::Billed,
                record: (outcome == Outcome::Found).then(|| Box::new(record)),
                drift: Drift::default(),
            },
            checked_at: "2026-11-21T10:00:00.5Z".parse().unwrap(),
            age: Age::of(Duration::ZERO),
            paid_by: Some(Uuid::from_u128(7)),
        }
    }

    fn decode(bytes: impl Into<Bytes>) -> Option<Kept<CurpRecord>> {
        Kept::decode(bytes.into(), Age::of)
    }

    #[test]
    fn it_comes_back_as_it_was() {
        for outcome in [Outcome::Found, Outcome::NotFound] {
            let before = kept(outcome);
            let lifetime = Duration::from_secs(7);
            let after = decode(before.encode(lifetime)).unwrap();
            assert_eq!(after.checked_at, before.checked_at);
            assert!(
                after.age.now() >= lifetime,
                "the store is told the lifetime"
            );
            let (before, after) = (before.verified, after.verified);
            assert_eq!(after.outcome, before.outcome);
            assert_eq!(after.billing, before.billing);
            assert_eq!(after.reference, before.reference);
            assert_eq!((after.code, after.message), (before.code, before.message));
            assert_eq!(after.record, before.record);
        }
        assert!(decode(Bytes::from_static(b"\xff")).is_none());
        assert!(decode(Bytes::new()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn age_and_outcome_decide_whether_it_is_served() {
        let second = Duration::from_secs;
        for (outcome, max_age, age, served) in [
            (Outcome::Found, 5, 5, true),
            (Outcome::Found, 5, 6, false),
            (Outcome::Found, 1000, 100, true),
            (Outcome::Found, 1000, 101, false),
            (Outcome::Found, 0, 0, false),
            (Outcome::NotFound, 1000, 10, true),
            (Outcome::NotFound, 1000, 11, false),
            (Outcome::InvalidIdentifier, 1000, 0, false),
            (Outcome::Inconclusive, 1000, 0, false),
        ] {
            let mut kept = kept(outcome);
            let serves = |kept: &Kept<_>| kept.serves(second(max_age), &LIFETIMES);
            kept.age = Age::of(second(age));
            assert_eq!(serves(&kept), served, "{outcome:?} {max_age} {age}");
            // The same after as much time as in whatever age it came.
            kept.age = Age::of(Duration::ZERO);
            tokio::time::advance(second(age)).await;
            assert_eq!(serves(&kept), served, "{outcome:?} {max_age} {age}");
            // No clock of another replica's has a say.
            for year in ["1999", "2099"] {
                kept.checked_at = format!("{year}-01-01T00:00:00Z").parse().unwrap();
                assert_eq!(serves(&kept), served, "{year}");
            }
        }
    }
}
