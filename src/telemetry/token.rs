//! When a token expires, if it says so: Verifik's is a JWT. Its signature is the provider's affair.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::domain::redaction::Secret;

#[derive(Deserialize)]
struct Claims {
    exp: f64,
}

/// The `exp` claim of a JWT; none for a token of another kind.
#[must_use]
pub fn expiry(token: &Secret) -> Option<SystemTime> {
    let claims = token.expose().split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    let since = Duration::try_from_secs_f64(exp).ok()?;
    UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_that_says_when_it_expires_has_an_expiry() {
        let jwt = |claims: &str| {
            let claims = URL_SAFE_NO_PAD.encode(claims);
            expiry(&Secret::new(format!("e30.{claims}.c2ln")))
        };
        let at = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        assert_eq!(jwt(r#"{"exp":1800000000,"sub":"x"}"#), Some(at));
        assert_eq!(jwt(r#"{"sub":"x"}"#), None);
        assert_eq!(jwt(r#"{"exp":-1}"#), None);
        assert_eq!(jwt(r#"{"exp":1e300}"#), None);
        assert_eq!(expiry(&Secret::new("no-jwt")), None);
        assert_eq!(expiry(&Secret::new("a.b.c")), None);
    }
}
