//! Everything that can go wrong with a call, named as the contract's error table names it.
//!
//! A failure says who is at fault, what it cost, and whether a repeat is safe. It holds no personal
//! data: provider messages never enter it, codes only in the form of [`ProviderCode`].

use std::time::Duration;

use jiff::Timestamp;

use super::{
    cause::Cause,
    provider_code::ProviderCode,
    refusal::Refusal,
    verification::{Billing, Drift, Provider, VerificationId},
    violation::Violation,
};

/// What happened. The gRPC code and the reason of each stand in `status.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A field of the request is missing, malformed or impossible.
    InvalidField,
    /// The request breaks gRPC's own rules on compression.
    InvalidFrame,
    /// The request is compressed in a way that is not supported.
    EncodingNotSupported,
    /// The person's consent is missing.
    ConsentRequired,
    /// There is no credential for the provider.
    NotConfigured,
    /// The provider refused an argument.
    RejectedArgument,
    /// The provider refused the gateway's credential.
    CredentialsRejected,
    /// The provider does not know the route.
    Misconfigured,
    /// The account at the provider is out of credit or quota.
    QuotaExhausted,
    /// The provider limits the rate.
    ProviderRateLimited,
    /// The provider saw the same parameters too often.
    RepeatedRequest,
    /// The provider is still working on it.
    Pending,
    /// The provider could not verify.
    VerifyFailed,
    /// The provider or its source is down, and said so.
    ProviderDown,
    /// No connection to the provider took the request: it never left, or the connection says that nothing was
    /// done with it (HTTP/2: `REFUSED_STREAM`, GOAWAY).
    NotConnected,
    /// The provider called its source's data bad, and free of charge (AccuAuth result code 5).
    DataError,
    /// The provider answered that its source timed out.
    SourceTimeout,
    /// The request was sent and the provider's time is over.
    TimedOut,
    /// The request was sent and it is not known what became of it.
    OutcomeUnknown,
    /// The caller's own deadline passed.
    DeadlineExceeded,
    /// The answer is not what the provider's document describes.
    Malformed,
    /// The answer is larger than what is read of one: the provider is well, and nobody knows what it said.
    TooLarge,
    /// The provider's circuit is open.
    CircuitOpen,
    /// The call could not be recorded, and nothing is sent without a record.
    AuditUnavailable,
    /// Too many calls are in flight.
    Overloaded,
    /// The gateway's own rate limit.
    RateLimited,
    /// A budget of the caller is spent.
    BudgetExhausted,
    /// There is no such person record.
    PersonNotFound,
    /// There is such a person record already.
    PersonAlreadyExists,
    /// The person record changed while it was being changed, or does not show the change.
    PersonChanged,
    /// The replicas' lock on the person record cannot be had: nothing was sent.
    PersonLockUnavailable,
    /// The face is not seen as a living person's.
    LivenessFailed,
    /// The request id was used with another content.
    RequestIdReused,
    /// The replicas' store of request ids cannot be asked: the request was not sent.
    RequestIdUnavailable,
    /// The caller is not known.
    Unauthenticated,
    /// Whether the caller's token is good cannot be told: the keys cannot be had.
    AuthUnavailable,
    /// The caller may not call this RPC.
    MethodNotAllowed,
    /// The caller's mask asks for a field that it may not see.
    FieldNotAllowed,
    /// A defect of the gateway.
    Internal,
}

impl Kind {
    /// Every kind, in the order of the contract's table.
    pub const ALL: [Self; 39] = [
        Self::InvalidField,
        Self::InvalidFrame,
        Self::EncodingNotSupported,
        Self::ConsentRequired,
        Self::NotConfigured,
        Self::RejectedArgument,
        Self::CredentialsRejected,
        Self::Misconfigured,
        Self::QuotaExhausted,
        Self::ProviderRateLimited,
        Self::RepeatedRequest,
        Self::Pending,
        Self::VerifyFailed,
        Self::ProviderDown,
        Self::NotConnected,
        Self::DataError,
        Self::SourceTimeout,
        Self::TimedOut,
        Self::OutcomeUnknown,
        Self::DeadlineExceeded,
        Self::Malformed,
        Self::TooLarge,
        Self::CircuitOpen,
        Self::AuditUnavailable,
        Self::Overloaded,
        Self::RateLimited,
        Self::BudgetExhausted,
        Self::PersonNotFound,
        Self::PersonAlreadyExists,
        Self::PersonChanged,
        Self::PersonLockUnavailable,
        Self::LivenessFailed,
        Self::RequestIdReused,
        Self::RequestIdUnavailable,
        Self::Unauthenticated,
        Self::AuthUnavailable,
        Self::MethodNotAllowed,
        Self::FieldNotAllowed,
        Self::Internal,
    ];
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub kind: Kind,
    /// The provider concerned.
    pub provider: Option<Provider>,
    /// The provider's own code.
    pub provider_code: Option<ProviderCode>,
    /// The HTTP status of the provider's answer.
    pub http_status: Option<u16>,
    /// What is known of the cost.
    pub billing: Option<Billing>,
    /// When a repeat makes sense.
    pub retry_after: Option<Duration>,
    /// The fields concerned.
    pub violations: Vec<Violation>,
    /// The verification that failed.
    pub verification_id: Option<VerificationId>,
    /// What a refused caller is told beside the kind.
    pub refusal: Option<Box<Refusal>>,
    /// What of the answer the provider's document does not list.
    pub drift: Drift,
    /// Until when the same call may find what this one did not wait for, without paying again.
    pub recoverable_until: Option<Timestamp>,
    /// Why the caller was not let in.
    pub cause: Option<Cause>,
}

impl Failure {
    /// The failure with what the answer's head says of a repeat; without that, what its body said stands.
    #[must_use]
    pub fn no_sooner_than(self, head: Option<Duration>) -> Self {
        Self {
            retry_after: head.or(self.retry_after),
            ..self
        }
    }

    /// A failure of which nothing more is known.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            provider: None,
            provider_code: None,
            http_status: None,
            billing: None,
            retry_after: None,
            violations: Vec::new(),
            verification_id: None,
            refusal: None,
            drift: Drift {
                code: false,
                value: false,
                field: false,
            },
            recoverable_until: None,
            cause: None,
        }
    }

    /// Bad fields in the request.
    #[must_use]
    pub fn invalid(violations: Vec<Violation>) -> Self {
        Self {
            violations,
            ..Self::new(Kind::InvalidField)
        }
    }

    /// A `request_id` that was used before with another content.
    #[must_use]
    pub fn request_id_reused() -> Self {
        Self {
            violations: vec![Violation {
                field: "request_id",
                rule: "was used before with different content".into(),
            }],
            ..Self::new(Kind::RequestIdReused)
        }
    }

    /// A failure at a provider before the request left: nothing can have been charged.
    #[must_use]
    pub const fn before_sending(kind: Kind, provider: Provider) -> Self {
        let mut failure = Self::new(kind);
        failure.provider = Some(provider);
        failure.billing = Some(Billing::NotBilled);
        failure
    }

    /// A failure after the request was sent, of which the cost is not known.
    #[must_use]
    pub const fn after_sending(kind: Kind, provider: Provider) -> Self {
        let mut failure = Self::new(kind);
        failure.provider = Some(provider);
        failure.billing = Some(Billing::Unknown);
        failure
    }

    /// The same failure, of a verification.
    #[must_use]
    pub fn of(mut self, id: VerificationId) -> Self {
        self.verification_id = Some(id);
        self
    }

    /// Whether the provider may have done what was asked.
    #[must_use]
    pub const fn leaves_outcome_unknown(&self) -> bool {
        match self.kind {
            Kind::TimedOut | Kind::OutcomeUnknown | Kind::Malformed | Kind::TooLarge => true,
            // A defect that came before anything was sent says so.
            Kind::Internal => !matches!(self.billing, Some(Billing::NotBilled)),
            _ => false,
        }
    }

    /// Whether a repeat surely cannot be charged twice.
    ///
    /// These are the failures that become UNAVAILABLE, the code that standard clients retry.
    #[must_use]
    pub const fn is_safe_to_repeat(&self) -> bool {
        matches!(
            self.kind,
            Kind::Pending
                | Kind::ProviderDown
                | Kind::NotConnected
                | Kind::DataError
                | Kind::SourceTimeout
                | Kind::CircuitOpen
                | Kind::AuditUnavailable
                | Kind::PersonLockUnavailable
                | Kind::RequestIdUnavailable
                | Kind::AuthUnavailable
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_only_the_body_states_is_kept() {
        let (one, two) = (Some(Duration::from_secs(1)), Some(Duration::from_secs(2)));
        for (body, head, expected) in [
            (None, None, None),
            (one, None, one),
            (None, two, two),
            (one, two, two),
        ] {
            let failure = Failure {
                retry_after: body,
                ..Failure::new(Kind::ProviderRateLimited)
            };
            assert_eq!(failure.no_sooner_than(head).retry_after, expected);
        }
    }
}
