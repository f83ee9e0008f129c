//! What a caller finds later: an answer, or the failure of what was charged or may have been.
//!
//! Two forms are stored. What waits for a caller that went ([`encode`], [`decode`]) is either of them. What a
//! `request_id` brings ([`Told`]) is an answer; how its failures are kept is for `once` to say. Both
//! are protobuf with numbers of their own, so that replicas of two versions can share.

use std::{fmt, time::Duration};

use prost::{Message, bytes::Bytes};

use super::{
    answers::Record,
    kept::{self, Age, Kept},
    once::Outcome,
};
use crate::domain::{
    failure::{Failure, Kind},
    verification::{Billing, Provider, Source},
};

/// An answer that is kept for a caller, or the failure in its place.
pub type Paid<R> = Result<Kept<R>, Failure>;

/// The stored form; none for a failure that cost nothing, which is not kept.
#[must_use]
pub fn encode<R: Record>(paid: &Paid<R>) -> Option<Bytes> {
    let stored = match paid {
        Ok(kept) => Stored {
            answer: Some(kept.encode(Duration::ZERO).into()),
            failure: None,
        },
        Err(failure) if cost_nothing(failure) => return None,
        Err(failure) => Stored {
            answer: None,
            failure: Some(StoredFailure {
                kind: format!("{:?}", failure.kind),
                provider: failure
                    .provider
                    .map(|provider| provider.as_str().to_owned()),
                http_status: failure.http_status.map(u32::from),
                billing: kept::billing_number(failure.billing.unwrap_or(Billing::Unknown)),
            }),
        },
    };
    Some(stored.encode_to_vec().into())
}

/// Reads the stored form; none if it is none, or of a later version.
#[must_use]
pub fn decode<R: Record>(bytes: Bytes) -> Option<Paid<R>> {
    let stored = Stored::decode(bytes).ok()?;
    if let Some(answer) = stored.answer {
        return Kept::decode(answer, |_| Age::of(Duration::ZERO)).map(Ok);
    }
    let failure = stored.failure?;
    let is_named = |kind: &Kind| format!("{kind:?}") == failure.kind;
    let named = |provider: &Provider| Some(provider.as_str()) == failure.provider.as_deref();
    Some(Err(Failure {
        provider: Provider::ALL.into_iter().find(named),
        http_status: failure
            .http_status
            .and_then(|status| status.try_into().ok()),
        billing: Some(kept::billing(failure.billing)?),
        ..Failure::new(Kind::ALL.into_iter().find(is_named)?)
    }))
}

/// Whether nothing can have been charged for what failed like this.
#[must_use]
pub fn cost_nothing(failure: &Failure) -> bool {
    let free = matches!(failure.billing, None | Some(Billing::NotBilled));
    free && !failure.leaves_outcome_unknown()
}

/// What a lookup with a `request_id` brought, of whatever RPC.
#[derive(Clone)]
pub struct Told(Bytes);

impl Told {
    /// The answer, and whence it came for the call that asked.
    #[must_use]
    pub fn of<R: Record>(kept: &Kept<R>, source: Source) -> Self {
        let told = StoredTold {
            answer: kept.encode(Duration::ZERO).into(),
            source: source.as_str().to_owned(),
        };
        Self(told.encode_to_vec().into())
    }

    /// Reads it; none if it is of a later version.
    #[must_use]
    pub fn read<R: Record>(&self) -> Option<(Kept<R>, Source)> {
        let told = StoredTold::decode(self.0.clone()).ok()?;
        let kept = Kept::decode(told.answer, |_| Age::of(Duration::ZERO))?;
        let mut sources = Source::ALL.into_iter();
        let source = sources.find(|source| source.as_str() == told.source)?;
        Some((kept, source))
    }
}

impl Outcome for Told {
    fn encode(&self) -> Bytes {
        self.0.clone()
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        Some(Self(bytes))
    }

    fn size(&self) -> usize {
        self.0.len()
    }

    fn frees_the_id(failure: &Failure) -> bool {
        cost_nothing(failure)
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told([redacted])")
    }
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Stored {
    #[prost(bytes = "bytes", optional, tag = "1")]
    answer: Option<Bytes>,
    #[prost(message, optional, tag = "2")]
    failure: Option<StoredFailure>,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stored([redacted])")
    }
}

#[derive(Clone, PartialEq, Message)]
struct StoredFailure {
    /// By its name: numbers would move when a kind is added.
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, optional, tag = "2")]
    provider: Option<String>,
    #[prost(uint32, optional, tag = "3")]
    http_status: Option<u32>,
    #[prost(uint32, tag = "4")]
    billing: u32,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct StoredTold {
    #[prost(bytes = "bytes", tag = "1")]
    answer: Bytes,
    #[prost(string, tag = "2")]
    source: String,
}

impl fmt::Debug for StoredTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredTold([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::identity::v1::CurpRecord;

    #[test]
    fn a_failure_is_kept_if_it_may_have_been_charged_and_says_the_same_later() {
        for kind in Kind::ALL {
            for billing in [
                None,
                Some(Billing::NotBilled),
                Some(Billing::Billed),
                Some(Billing::Unknown),
            ] {
                let failure = Failure {
                    provider: Some(Provider::Accuauth),
                    http_status: Some(504),
                    billing,
                    ..Failure::new(kind)
                };
                let stored = encode::<CurpRecord>(&Err(failure.clone()));
                assert_eq!(stored.is_none(), cost_nothing(&failure), "{failure:?}");
                let Some(bytes) = stored else { continue };
                let read = decode::<CurpRecord>(bytes)
                    .unwrap()
                    .map(|_| ())
                    .unwrap_err();
                let billing = billing.or(Some(Billing::Unknown));
                assert_eq!(read, Failure { billing, ..failure });
            }
        }
        assert!(decode::<CurpRecord>(Bytes::from_static(b"\xff")).is_none());
    }
}
