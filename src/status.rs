//! The only place where a failure becomes a gRPC status.
//!
//! Two rules stand above the table (contract, section 2): UNAVAILABLE, which standard clients repeat
//! by themselves, is used only where a repeat cannot be charged twice; and what is wrong between
//! gateway and provider is never UNAUTHENTICATED or PERMISSION_DENIED, which would send the caller to
//! look for a fault of its own. Details name fields, never values, and stay under 4 KiB.
// Long: one table of every failure, and what follows from it.

mod code;
mod refused;

use std::collections::HashMap;

use jiff::Timestamp;
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, QuotaViolation, StatusExt};

pub use self::code::code_name;
use crate::domain::{
    cause::Cause,
    failure::{Failure, Kind},
    refusal::Refusal,
    verification::Billing,
};

/// The `domain` of every `ErrorInfo`.
pub const DOMAIN: &str = "identity-gateway";
/// Where native clients look for how long to wait: they do not read details.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// The gRPC code, the reason, and what is said in words: nothing about the cost, which depends on more
/// than the kind ([`cost`]).
#[must_use]
pub const fn row(kind: Kind) -> (Code, &'static str, &'static str) {
    use Code::{
        Aborted, AlreadyExists, DeadlineExceeded, FailedPrecondition, Internal, InvalidArgument,
        NotFound, PermissionDenied, ResourceExhausted, Unauthenticated, Unavailable, Unimplemented,
        Unknown,
    };
    match kind {
        Kind::InvalidField => (
            InvalidArgument,
            "INVALID_FIELD",
            "the request has fields that are missing, malformed or impossible",
        ),
        Kind::InvalidFrame => (
            Internal,
            "INVALID_FRAME",
            "the request's message is flagged as compressed, and is not what its grpc-encoding says",
        ),
        Kind::EncodingNotSupported => (
            Unimplemented,
            "ENCODING_NOT_SUPPORTED",
            "the request's grpc-encoding is not supported: gzip and identity are",
        ),
        Kind::ConsentRequired => (
            FailedPrecondition,
            "CONSENT_REQUIRED",
            "the person's consent is required: subject_consent must be true",
        ),
        Kind::NotConfigured => (
            FailedPrecondition,
            "PROVIDER_NOT_CONFIGURED",
            "the gateway has no credential for the provider",
        ),
        Kind::RejectedArgument => (
            InvalidArgument,
            "PROVIDER_REJECTED_ARGUMENT",
            "the provider refused an argument",
        ),
        Kind::CredentialsRejected => (
            FailedPrecondition,
            "PROVIDER_CREDENTIALS_REJECTED",
            "the provider refused the gateway's own credential",
        ),
        Kind::Misconfigured => (
            FailedPrecondition,
            "PROVIDER_MISCONFIGURED",
            "the provider does not know the route that the gateway is configured to use",
        ),
        Kind::QuotaExhausted => (
            ResourceExhausted,
            "PROVIDER_QUOTA_EXHAUSTED",
            "the gateway's account at the provider is out of credit or quota",
        ),
        Kind::ProviderRateLimited => (
            ResourceExhausted,
            "PROVIDER_RATE_LIMITED",
            "the provider's rate limit is reached",
        ),
        Kind::RepeatedRequest => (
            ResourceExhausted,
            "PROVIDER_REPEATED_REQUEST",
            "the provider has seen the same parameters too often",
        ),
        Kind::Pending => (
            Unavailable,
            "PROVIDER_PENDING",
            "the provider is still working on it",
        ),
        Kind::VerifyFailed => (
            FailedPrecondition,
            "PROVIDER_VERIFY_FAILED",
            "the provider could not verify",
        ),
        Kind::ProviderDown => (
            Unavailable,
            "PROVIDER_UNAVAILABLE",
            "the provider or its source is down",
        ),
        Kind::NotConnected => (
            Unavailable,
            "PROVIDER_UNAVAILABLE",
            "no connection to the provider accepted the request",
        ),
        Kind::DataError => (
            Unavailable,
            "PROVIDER_DATA_ERROR",
            "the provider's source answered with bad data",
        ),
        Kind::SourceTimeout => (
            Unavailable,
            "PROVIDER_SOURCE_TIMEOUT",
            "the provider's source timed out",
        ),
        Kind::TimedOut => (
            DeadlineExceeded,
            "PROVIDER_TIMEOUT",
            "the provider did not answer in time",
        ),
        Kind::OutcomeUnknown => (
            Unknown,
            "PROVIDER_OUTCOME_UNKNOWN",
            "the request was sent and its outcome is unknown",
        ),
        Kind::DeadlineExceeded => (
            DeadlineExceeded,
            "DEADLINE_EXCEEDED",
            "the caller's deadline passed",
        ),
        Kind::Malformed => (
            Internal,
            "PROVIDER_RESPONSE_MALFORMED",
            "the provider's answer is not what its document describes",
        ),
        Kind::TooLarge => (
            Internal,
            "PROVIDER_RESPONSE_MALFORMED",
            "the provider's answer is larger than max_response_bytes",
        ),
        Kind::CircuitOpen => (
            Unavailable,
            "PROVIDER_CIRCUIT_OPEN",
            "the circuit breaker is open: the provider has failed too often",
        ),
        Kind::AuditUnavailable => (
            Unavailable,
            "AUDIT_UNAVAILABLE",
            "the call could not be recorded in the audit",
        ),
        Kind::Overloaded => (
            ResourceExhausted,
            "OVERLOADED",
            "the gateway has too many calls in flight",
        ),
        Kind::RateLimited => (
            ResourceExhausted,
            "RATE_LIMITED",
            "the gateway's own rate limit is reached",
        ),
        Kind::BudgetExhausted => (
            ResourceExhausted,
            "BUDGET_EXHAUSTED",
            "the caller's budget is spent",
        ),
        Kind::PersonNotFound => (
            NotFound,
            "PERSON_NOT_FOUND",
            "the person record does not exist",
        ),
        Kind::PersonAlreadyExists => (
            AlreadyExists,
            "PERSON_ALREADY_EXISTS",
            "the person record already exists",
        ),
        Kind::PersonChanged => (
            Aborted,
            "PERSON_CHANGED",
            "the person record was changed concurrently, or does not show the change: read it again",
        ),
        Kind::PersonLockUnavailable => (
            Unavailable,
            "PERSON_LOCK_UNAVAILABLE",
            "the lock on the person record is unavailable",
        ),
        Kind::LivenessFailed => (
            FailedPrecondition,
            "LIVENESS_FAILED",
            "the provider did not detect a live face",
        ),
        Kind::RequestIdReused => (
            InvalidArgument,
            "REQUEST_ID_REUSED",
            "request_id was used before with different content",
        ),
        Kind::RequestIdUnavailable => (
            Unavailable,
            "REQUEST_ID_UNAVAILABLE",
            "the request id store is unavailable: whether this is a retry is unknown",
        ),
        Kind::Unauthenticated => (
            Unauthenticated,
            "UNAUTHENTICATED",
            "the caller is not identified",
        ),
        Kind::AuthUnavailable => (
            Unavailable,
            "AUTH_UNAVAILABLE",
            "the keys to verify the caller's credential are unavailable",
        ),
        Kind::MethodNotAllowed => (
            PermissionDenied,
            "METHOD_NOT_ALLOWED",
            "the caller may not call this method",
        ),
        Kind::FieldNotAllowed => (
            PermissionDenied,
            "FIELD_NOT_ALLOWED",
            "read_mask names fields that the caller may not see",
        ),
        Kind::Internal => (Internal, "INTERNAL", "internal error in the gateway"),
    }
}

/// What is said of the cost, so that the words never differ from `billing`.
#[must_use]
pub const fn cost(kind: Kind, billing: Option<Billing>) -> Option<&'static str> {
    match (billing, kind) {
        (Some(Billing::Unknown), _) => Some("it may have been charged"),
        (Some(Billing::Billed), _) => Some("it was charged"),
        (
            Some(Billing::NotBilled) | None,
            Kind::InvalidField
            | Kind::InvalidFrame
            | Kind::EncodingNotSupported
            | Kind::ConsentRequired
            | Kind::AuditUnavailable
            | Kind::RequestIdUnavailable
            | Kind::PersonLockUnavailable
            | Kind::AuthUnavailable
            | Kind::BudgetExhausted
            | Kind::FieldNotAllowed,
        ) => Some("the provider was not called"),
        (Some(Billing::NotBilled) | None, _) => None,
    }
}

/// The status that the caller gets.
#[must_use]
pub fn of(failure: &Failure) -> Status {
    let (code, reason, words) = row(failure.kind);
    let mut message = match failure.provider {
        Some(provider) => format!("{provider}: {words}"),
        None => words.to_owned(),
    };
    if let Some(cost) = cost(failure.kind, failure.billing) {
        message.push_str("; ");
        message.push_str(cost);
    }
    if let Some(told) = failure.cause.and_then(Cause::told) {
        message.push_str(": ");
        message.push_str(told.words());
    }
    if let Some(Refusal::Scope(scope)) = failure.refusal.as_deref() {
        message.push_str(": no rule grants it ");
        message.push_str(scope);
    }
    if let Some(until) = recoverable_until(failure) {
        message.push_str("; the same call before ");
        message.push_str(&until);
        message.push_str(" gets the answer without another charge");
    }
    let mut metadata = MetadataMap::new();
    if let Some(wait) = failure.retry_after {
        // A whole number of milliseconds, and never earlier than RetryInfo says.
        let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        metadata.insert(PUSHBACK, millis.into());
    }
    Status::with_error_details_and_metadata(code, message, details(failure, reason), metadata)
}

fn details(failure: &Failure, reason: &'static str) -> ErrorDetails {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, DOMAIN, metadata(failure));
    if let Some(wait) = failure.retry_after {
        details.set_retry_info(Some(wait));
    }
    if !failure.violations.is_empty() {
        let violations = failure.violations.iter();
        let violations = violations.map(|bad| FieldViolation::new(bad.field, &*bad.rule));
        details.set_bad_request(violations.collect::<Vec<_>>());
    }
    match failure.kind {
        Kind::ConsentRequired => {
            details.set_precondition_failure(vec![PreconditionViolation::new(
                "CONSENT",
                "subject_consent",
                "subject_consent must be true",
            )]);
        }
        Kind::QuotaExhausted => {
            let subject = failure.provider.map_or("provider", |p| p.as_str());
            details.set_quota_failure(vec![QuotaViolation::new(
                format!("provider:{subject}"),
                "out of credit or quota at the provider",
            )]);
        }
        _ => {}
    }
    if let Some(refusal) = &failure.refusal {
        refused::explain(&mut details, refusal);
    }
    details
}

fn metadata(failure: &Failure) -> HashMap<String, String> {
    let pairs = [
        ("provider", failure.provider.map(|p| p.as_str().to_owned())),
        (
            "provider_code",
            failure
                .provider_code
                .as_ref()
                .map(|code| code.as_str().to_owned()),
        ),
        (
            "http_status",
            failure.http_status.map(|status| status.to_string()),
        ),
        (
            "verification_id",
            failure.verification_id.map(|id| id.to_string()),
        ),
        (
            "billing",
            failure.billing.map(|billing| billing.as_str().to_owned()),
        ),
        ("recoverable_until", recoverable_until(failure)),
        (
            "cause",
            failure
                .cause
                .and_then(Cause::told)
                .map(|told| told.as_str().to_owned()),
        ),
    ];
    let known = pairs
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    let refused = failure.refusal.as_deref().map(refused::metadata);
    known.chain(refused.into_iter().flatten()).collect()
}

/// In whole seconds, and never later than it is.
fn recoverable_until(failure: &Failure) -> Option<String> {
    let until = failure.recoverable_until?;
    let until = Timestamp::from_second(until.as_second()).ok()?;
    Some(until.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{person::PersonField, violation::Violation};

    #[test]
    fn unavailable_is_said_only_where_a_repeat_cannot_be_charged_twice() {
        for kind in Kind::ALL {
            let unavailable = row(kind).0 == Code::Unavailable;
            let failure = Failure::new(kind);
            assert_eq!(unavailable, failure.is_safe_to_repeat(), "{kind:?}");
        }
    }

    #[test]
    fn the_callers_credentials_are_blamed_for_nothing_but_themselves() {
        for kind in Kind::ALL {
            let blamed = matches!(row(kind).0, Code::Unauthenticated | Code::PermissionDenied);
            let own = matches!(
                kind,
                Kind::Unauthenticated | Kind::MethodNotAllowed | Kind::FieldNotAllowed
            );
            assert_eq!(blamed, own, "{kind:?}");
        }
    }

    #[test]
    fn words_never_contradict_the_billing() {
        let billings = [Billing::NotBilled, Billing::Unknown, Billing::Billed];
        for kind in Kind::ALL {
            for billing in billings.map(Some).into_iter().chain([None]) {
                let failure = Failure {
                    billing,
                    ..Failure::new(kind)
                };
                let status = of(&failure);
                let said = status.message();
                let says = |words: &str| said.contains(words);
                assert_eq!(
                    says("may have been charged"),
                    billing == Some(Billing::Unknown),
                    "{said}"
                );
                let was_charged = billing == Some(Billing::Billed);
                assert_eq!(says("was charged"), was_charged, "{said}");
                let not_called = says("not called") || says("nothing was sent");
                let is_free = matches!(billing, None | Some(Billing::NotBilled));
                assert!(!not_called || is_free, "{said}");
            }
        }
    }

    #[test]
    fn where_there_is_retry_info_there_is_the_trailer_of_native_clients() {
        for (wait, millis) in [
            (None, None),
            (Some(Duration::ZERO), Some("0")),
            (Some(Duration::from_micros(1500)), Some("2")),
            (Some(Duration::from_secs(3600)), Some("3600000")),
        ] {
            for kind in Kind::ALL {
                let failure = Failure {
                    retry_after: wait,
                    ..Failure::new(kind)
                };
                let status = of(&failure);
                let trailer = status.metadata().get(PUSHBACK);
                let trailer = trailer.map(|millis| millis.to_str().unwrap());
                assert_eq!(trailer, millis);
                assert_eq!(status.get_details_retry_info().is_some(), wait.is_some());
            }
        }
    }

    #[test]
    fn details_stay_under_four_kilobytes_with_every_field_bad() {
        let violations = PersonField::ALL.map(|field| Violation {
            field: field.path(),
            rule: "must be 1 to 20 of A-Z, 0-9, / and - for a service id".into(),
        });
        let failure = Failure {
            violations: violations.into(),
            ..Failure::before_sending(
                Kind::InvalidField,
                crate::domain::verification::Provider::Verifik,
            )
        };
        let status = of(&failure);
        assert_eq!(
            status
                .get_details_bad_request()
                .unwrap()
                .field_violations
                .len(),
            9
        );
        assert!(status.details().len() < 4096, "{}", status.details().len());
    }
}
