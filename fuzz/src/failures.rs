//! What holds for every failure at a provider, and for the status that the caller gets.

use identity_gateway::{
    domain::failure::Failure, domain::provider_code::ProviderCode, domain::verification::Billing,
    status,
};
use tonic::Code;

/// The failure tells nothing of the answer but a code, and sends no caller into a second charge or after a
/// fault of its own.
pub fn is_honest(failure: &Failure) {
    if let Some(code) = failure.provider_code {
        assert_eq!(ProviderCode::new(code.as_str()), Some(code));
    }
    let unknown = failure.leaves_outcome_unknown();
    let billing = match unknown {
        true => Billing::Unknown,
        false => Billing::NotBilled,
    };
    assert_eq!(failure.billing, Some(billing), "{:?}", failure.kind);
    let status = status::of(failure);
    // The message is a sentence of ours: nothing of the answer is in it.
    let (code, _, words) = status::row(failure.kind);
    let provider = failure.provider.expect("a failure at a provider");
    let cost = match unknown {
        true => "; it may have been charged",
        false => "",
    };
    assert_eq!(status.message(), format!("{provider}: {words}{cost}"));
    assert_eq!(status.code(), code);
    assert!(!matches!(
        code,
        Code::Unauthenticated | Code::PermissionDenied | Code::Cancelled
    ));
    assert_eq!(
        code == Code::Unavailable,
        failure.is_safe_to_repeat(),
        "{:?}",
        failure.kind
    );
    assert!(status.details().len() < 4096);
}
