//! Why a caller is not identified, and as whom it came where its credential says so all the same.

use std::{sync::Arc, time::Duration};

use super::identity::Identity;
use crate::domain::{
    cause::Cause,
    failure::{Failure, Kind},
};

/// A caller that is not identified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unidentified {
    /// Why.
    pub cause: Cause,
    /// Whose the credential is that is not good here (any more): its signature holds. It gives no rights.
    pub identity: Option<Arc<Identity>>,
    /// When a repeat makes sense, if the gateway is at fault.
    pub retry_after: Option<Duration>,
}

impl Unidentified {
    /// The keys that would tell cannot be had: the gateway's fault.
    #[must_use]
    pub const fn keys_unavailable(wait: Duration) -> Self {
        Self {
            cause: Cause::KeysUnavailable,
            identity: None,
            retry_after: Some(wait),
        }
    }
}

impl From<Cause> for Unidentified {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            identity: None,
            retry_after: None,
        }
    }
}

impl From<&Unidentified> for Failure {
    fn from(unidentified: &Unidentified) -> Self {
        let kind = match unidentified.cause {
            Cause::KeysUnavailable => Kind::AuthUnavailable,
            _ => Kind::Unauthenticated,
        };
        Self {
            cause: Some(unidentified.cause),
            retry_after: unidentified.retry_after,
            ..Self::new(kind)
        }
    }
}
