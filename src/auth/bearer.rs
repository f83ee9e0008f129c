//! The credential in `authorization: Bearer …`.

use http::{HeaderMap, header};

use super::Unidentified;
use crate::domain::{cause::Cause, redaction::Secret};

/// Longest credential that is looked at, in bytes: a token of this size is somebody's mistake.
const LONGEST: usize = 16 * 1024;

/// Takes the bearer credential out of the headers; none if there is none, or of another scheme.
///
/// # Errors
///
/// If it is said twice, or cannot be one.
pub fn take(headers: &mut HeaderMap) -> Result<Option<Secret>, Unidentified> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (all.next(), all.next());
    if second.is_some() {
        return Err(Cause::Malformed.into());
    }
    let read = first.map_or(Ok(None), |value| {
        let text = value.to_str().map_err(|_| Cause::Malformed)?;
        let Some((scheme, credential)) = text.split_once(' ') else {
            return Ok(None);
        };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Ok(None);
        }
        let credential = credential.trim();
        if credential.is_empty() || credential.len() > LONGEST {
            return Err(Cause::Malformed.into());
        }
        Ok(Some(Secret::new(credential)))
    });
    headers.remove(header::AUTHORIZATION);
    read
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn one_bearer_credential_is_taken_and_no_other() {
        let long = format!("Bearer {}", "a".repeat(LONGEST + 1));
        for (values, expected) in [
            (vec!["Bearer abc"], Ok(Some("abc"))),
            (vec!["bearer  abc "], Ok(Some("abc"))),
            (vec!["Basic abc"], Ok(None)),
            (vec!["abc"], Ok(None)),
            (vec![], Ok(None)),
            (vec!["Bearer  "], Err(Cause::Malformed)),
            (vec!["Bearer a", "Bearer b"], Err(Cause::Malformed)),
            (vec!["Bearer a", "Basic b"], Err(Cause::Malformed)),
            (vec![long.as_str()], Err(Cause::Malformed)),
            (vec!["Bearer \u{e9}"], Err(Cause::Malformed)),
        ] {
            let mut headers = HeaderMap::new();
            for value in &values {
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                headers.append(header::AUTHORIZATION, value);
            }
            let taken = take(&mut headers);
            let taken = taken
                .as_ref()
                .map(|secret| secret.as_ref().map(Secret::expose))
                .map_err(|refused| refused.cause);
            assert_eq!(taken, expected, "{values:?}");
            // What was refused is refused; what was looked at goes no further.
            assert_eq!(headers.is_empty(), values.len() < 2, "{values:?}");
        }
    }
}
