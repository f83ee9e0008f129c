//! What holds for every failure at a provider, and for the status that the caller gets.

use identity_gateway::{
    domain::failure::{Failure, Kind},
    domain::verification::Billing,
    status,
    telemetry::call_facts::CallFacts,
};
use tonic::Code;

/// The failure tells nothing of the answer but a code, and sends no caller into a second charge or after a
/// fault of its own.
pub fn is_honest(failure: &Failure) {
    if let Some(code) = &failure.provider_code {
        let code = code.as_str();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let digits = code.bytes().filter(u8::is_ascii_digit).count();
        assert!((1..=64).contains(&code.len()) && digits <= 4 && code.bytes().all(plain));
    }
    match failure.kind {
        Kind::Malformed => assert_eq!(failure.billing, Some(Billing::Unknown)),
        _ => assert_eq!(failure.billing, Some(Billing::NotBilled)),
    }
    let status = status::of(failure, &CallFacts::default());
    // The message is a sentence of ours: nothing of the answer is in it.
    let (code, _, words) = status::row(failure.kind);
    let provider = failure.provider.expect("a failure at a provider");
    assert_eq!(status.message(), format!("{provider}: {words}"));
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
