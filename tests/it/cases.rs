//! The gateway's error table, as the contract states it. Every failing row of the scenarios names
//! one of these cases, and docs/errors.md begins with them.

use identity_gateway::domain::failure::Kind;
use tonic::Code;

/// What an error carries beside its `ErrorInfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// `BadRequest` with every bad field.
    Fields,
    /// `BadRequest`, where the provider's message names a field.
    NamedFields,
    /// `PreconditionFailure`.
    Precondition,
    /// `QuotaFailure`, and no `RetryInfo`.
    Quota,
    /// `RetryInfo`.
    Retry,
    /// `QuotaFailure` that names the caller's budget, which begins anew.
    Budget,
    /// `BadRequest` with what each field needs that the caller may not see.
    Hidden,
}

/// What is said of the cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Nothing was sent to a provider, and the call is about none.
    None,
    /// The request was not sent, or the provider documents the result as free.
    Free,
    /// An error answer: free, unless `ERRORS_ARE_FREE=false`.
    Assumed,
    /// It may have been charged.
    Unknown,
    /// Unknown if a request was out, else free.
    Depends,
}

/// Where a case is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raised {
    /// For every provider.
    Everywhere,
    /// By the answers of some provider.
    Somewhere,
    /// Under settings that the scenarios do not have; other tests do.
    Elsewhere,
}

/// A line of the error table.
#[derive(Debug)]
pub struct Case {
    pub what: &'static str,
    pub code: Code,
    pub reason: &'static str,
    pub details: &'static [Detail],
    pub cost: Cost,
    pub raised: Raised,
    /// What it is called inside.
    pub kind: Kind,
}

macro_rules! cases {
    ($($name:ident: $kind:ident, $code:ident $reason:literal, $details:expr, $cost:ident, $raised:ident, $what:literal;)*) => {
        $(pub static $name: Case = Case {
            what: $what,
            code: Code::$code,
            reason: $reason,
            details: &$details,
            cost: Cost::$cost,
            raised: Raised::$raised,
            kind: Kind::$kind,
        };)*
        /// The table, in the contract's order.
        pub static ALL: &[&Case] = &[$(&$name),*];
    };
}

use Detail::{Budget, Fields, Hidden, NamedFields, Precondition, Quota, Retry};

cases! {
    INVALID_FIELD: InvalidField, InvalidArgument "INVALID_FIELD", [Fields], None, Everywhere,
        "a field is missing, malformed or impossible; the provider is not called";
    INVALID_FRAME: InvalidFrame, Internal "INVALID_FRAME", [], None, Elsewhere,
        "the request's message is flagged as compressed, without a `grpc-encoding` or not in it; the provider is not called";
    ENCODING_NOT_SUPPORTED: EncodingNotSupported, Unimplemented "ENCODING_NOT_SUPPORTED", [], None, Elsewhere,
        "the request's `grpc-encoding` is neither `gzip` nor `identity`; `grpc-accept-encoding` names them; the provider is not called";
    CONSENT: ConsentRequired, FailedPrecondition "CONSENT_REQUIRED", [Precondition], None, Somewhere,
        "`subject_consent` is not true; the provider is not called";
    NOT_CONFIGURED: NotConfigured, FailedPrecondition "PROVIDER_NOT_CONFIGURED", [], Free, Everywhere,
        "no credential is configured for the provider; the other providers work";
    REJECTED_ARGUMENT: RejectedArgument, InvalidArgument "PROVIDER_REJECTED_ARGUMENT", [NamedFields], Assumed, Everywhere,
        "the provider refuses an argument";
    CREDENTIALS: CredentialsRejected, FailedPrecondition "PROVIDER_CREDENTIALS_REJECTED", [], Assumed, Everywhere,
        "the gateway's own credential is refused, expired or without permission";
    MISCONFIGURED: Misconfigured, FailedPrecondition "PROVIDER_MISCONFIGURED", [], Assumed, Everywhere,
        "the provider does not know the route";
    QUOTA: QuotaExhausted, ResourceExhausted "PROVIDER_QUOTA_EXHAUSTED", [Quota], Assumed, Everywhere,
        "the account at the provider is out of credit or quota";
    RATE_LIMITED_THERE: ProviderRateLimited, ResourceExhausted "PROVIDER_RATE_LIMITED", [Retry], Assumed, Everywhere,
        "the provider's rate limit is reached";
    REPEATED: RepeatedRequest, ResourceExhausted "PROVIDER_REPEATED_REQUEST", [], Assumed, Somewhere,
        "the provider has seen the same parameters too often; never retried by the gateway";
    PENDING: Pending, Unavailable "PROVIDER_PENDING", [Retry], Assumed, Somewhere,
        "the provider is still working on it";
    VERIFY_FAILED: VerifyFailed, FailedPrecondition "PROVIDER_VERIFY_FAILED", [], Assumed, Somewhere,
        "the provider could not verify";
    DOWN: ProviderDown, Unavailable "PROVIDER_UNAVAILABLE", [Retry], Assumed, Everywhere,
        "the provider reports that it or its source is down, or an intermediary did not reach it (503, 521, 522, 523, 530)";
    NOT_CONNECTED: NotConnected, Unavailable "PROVIDER_UNAVAILABLE", [Retry], Free, Everywhere,
        "no connection to the provider accepted the request";
    DATA_ERROR: DataError, Unavailable "PROVIDER_DATA_ERROR", [Retry], Free, Somewhere,
        "the provider's source has bad data, documented as free (AccuAuth result code 5)";
    SOURCE_TIMEOUT: SourceTimeout, Unavailable "PROVIDER_SOURCE_TIMEOUT", [Retry], Assumed, Somewhere,
        "the provider reports that its source timed out";
    TIMED_OUT: TimedOut, DeadlineExceeded "PROVIDER_TIMEOUT", [], Unknown, Everywhere,
        "sent, and the provider's timeout passed, or an intermediary timed out (504, 524)";
    OUTCOME_UNKNOWN: OutcomeUnknown, Unknown "PROVIDER_OUTCOME_UNKNOWN", [], Unknown, Everywhere,
        "sent, and the connection broke before the response was complete, or an intermediary answered (502, 520 and others); with `ERRORS_ARE_FREE=false` also errors that would be UNAVAILABLE";
    DEADLINE: DeadlineExceeded, DeadlineExceeded "DEADLINE_EXCEEDED", [], Depends, Everywhere,
        "the caller's own deadline passed; a lookup that was sent is finished, and its answer stored until `recoverable_until`";
    MALFORMED: Malformed, Internal "PROVIDER_RESPONSE_MALFORMED", [], Unknown, Everywhere,
        "the response is not what the provider's documentation describes: not JSON, wrong format";
    TOO_LARGE: TooLarge, Internal "PROVIDER_RESPONSE_MALFORMED", [], Unknown, Everywhere,
        "the response is larger than `max_response_bytes`";
    CIRCUIT_OPEN: CircuitOpen, Unavailable "PROVIDER_CIRCUIT_OPEN", [Retry], Free, Everywhere,
        "the provider's circuit breaker is open";
    NOT_RECORDED: AuditUnavailable, Unavailable "AUDIT_UNAVAILABLE", [Retry], Free, Elsewhere,
        "the call cannot be recorded, and `audit.required` is true; the provider is not called";
    OVERLOADED: Overloaded, ResourceExhausted "OVERLOADED", [Retry], Free, Everywhere,
        "too many calls in flight, to the provider or in total";
    RATE_LIMITED: RateLimited, ResourceExhausted "RATE_LIMITED", [Retry], Free, Everywhere,
        "the gateway's own rate limit for the provider (`rate_per_second`)";
    BUDGET: BudgetExhausted, ResourceExhausted "BUDGET_EXHAUSTED", [Budget, Retry], None, Elsewhere,
        "a budget of the caller's rule is spent (`calls_per_minute`, `charged_calls_per_day`); metadata `budget`, `unit`, `limit`, `remaining`; nothing is sent";
    PERSON_NOT_FOUND: PersonNotFound, NotFound "PERSON_NOT_FOUND", [], Assumed, Somewhere,
        "the person record does not exist";
    PERSON_EXISTS: PersonAlreadyExists, AlreadyExists "PERSON_ALREADY_EXISTS", [], Assumed, Somewhere,
        "the person record already exists";
    PERSON_CHANGED: PersonChanged, Aborted "PERSON_CHANGED", [], Unknown, Somewhere,
        "the person record was changed concurrently, or the provider's response does not show the change";
    PERSON_LOCKED: PersonLockUnavailable, Unavailable "PERSON_LOCK_UNAVAILABLE", [Retry], Free, Elsewhere,
        "the lock on a person record is unavailable, because Redis (`cache.url`) is; nothing is sent";
    LIVENESS: LivenessFailed, FailedPrecondition "LIVENESS_FAILED", [], Assumed, Somewhere,
        "the provider did not detect a live face";
    REQUEST_ID_REUSED: RequestIdReused, InvalidArgument "REQUEST_ID_REUSED", [Fields], None, Somewhere,
        "`request_id` was used before with different content";
    REQUEST_ID_UNAVAILABLE: RequestIdUnavailable, Unavailable "REQUEST_ID_UNAVAILABLE", [Retry], Free, Elsewhere,
        "Redis (`cache.url`) is unavailable, so whether a `request_id` was used before is unknown; nothing is sent";
    UNAUTHENTICATED: Unauthenticated, Unauthenticated "UNAUTHENTICATED", [], None, Elsewhere,
        "the caller is not identified; metadata `cause` is `no_credential`, `expired` or `invalid`";
    AUTH_UNAVAILABLE: AuthUnavailable, Unavailable "AUTH_UNAVAILABLE", [Retry], None, Elsewhere,
        "the keys to verify the caller's token are unavailable; nothing is sent";
    NOT_ALLOWED: MethodNotAllowed, PermissionDenied "METHOD_NOT_ALLOWED", [], None, Elsewhere,
        "the caller may not call the method; metadata `scope` names what a rule must grant it";
    FIELD_NOT_ALLOWED: FieldNotAllowed, PermissionDenied "FIELD_NOT_ALLOWED", [Hidden], None, Elsewhere,
        "`read_mask` names a field that the caller may not see; metadata `field`, `data_class`; the provider is not called";
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use identity_gateway::{
        domain::{
            failure::Failure,
            refusal::{self, Refusal},
            verification::Provider,
            violation::Violation,
        },
        status,
    };
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn every_kind_of_failure_becomes_the_status_of_the_contract() {
        for case in ALL {
            let fields = case.details.contains(&Fields) || case.details.contains(&NamedFields);
            let violation = Violation {
                field: "curp",
                rule: "is required".into(),
            };
            let refusal = match case.kind {
                Kind::BudgetExhausted => Some(Refusal::Budget(refusal::Budget {
                    quota: refusal::Quota::CallsPerMinute,
                    limit: 1,
                    remaining: 0,
                })),
                Kind::FieldNotAllowed => Some(Refusal::Fields(vec![refusal::Hidden {
                    path: "record.email".to_owned(),
                    class: Some("contacts"),
                }])),
                _ => None,
            };
            let failure = Failure {
                refusal: refusal.map(Box::new),
                retry_after: case
                    .details
                    .contains(&Retry)
                    .then_some(Duration::from_secs(7)),
                violations: fields.then_some(violation).into_iter().collect(),
                ..Failure::before_sending(case.kind, Provider::Accuauth)
            };
            let status = status::of(&failure);
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!(status.code(), case.code, "{}", case.what);
            assert_eq!(info.reason, case.reason, "{}", case.what);
            assert_eq!(info.domain, "identity-gateway", "{}", case.what);
            let retry = details.retry_info().and_then(|info| info.retry_delay);
            assert_eq!(retry, failure.retry_after, "{}", case.what);
            for (carried, expected) in [
                (details.quota_failure().is_some(), &[Quota, Budget][..]),
                (details.precondition_failure().is_some(), &[Precondition]),
                (
                    details.bad_request().is_some(),
                    &[Fields, NamedFields, Hidden],
                ),
            ] {
                let is_listed = expected.iter().any(|detail| case.details.contains(detail));
                assert_eq!(carried, is_listed, "{}", case.what);
            }
        }
    }

    #[test]
    fn the_table_has_every_kind_of_failure_but_the_gateways_own_defects() {
        for kind in Kind::ALL {
            let lines = ALL.iter().filter(|case| case.kind == kind).count();
            assert_eq!(lines, usize::from(kind != Kind::Internal), "{kind:?}");
        }
    }
}
