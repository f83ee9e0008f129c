//! SPIFFE ids, as far as they are names: `spiffe://TRUST-DOMAIN/PATH` (SPIFFE-ID standard, section 2).

const SCHEME: &str = "spiffe://";

/// Whether a URI wants to be a SPIFFE id.
#[must_use]
pub fn is_meant(uri: &str) -> bool {
    uri.get(..SCHEME.len())
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
}

/// A DNS name in lower case; none for a wildcard, and for what is none: a SPIFFE id in a field of another kind would be
/// taken for one that was verified.
#[must_use]
pub fn dns_name(text: &str) -> Option<String> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_name = !text.is_empty() && text.bytes().all(is_part);
    is_name.then(|| text.to_ascii_lowercase())
}

/// The SPIFFE id, if it is the only URI: the standard wants exactly one, and whoever has two could be
/// taken for either.
#[must_use]
pub fn only<'a>(uris: &[&'a str]) -> Option<&'a str> {
    match uris {
        [uri] if is_one(uri) => Some(uri),
        _ => None,
    }
}

/// Whether it is one: a pattern of the policy file must not be met by a path with dots in it.
fn is_one(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix(SCHEME) else {
        return false;
    };
    let (domain, path) = rest.split_once('/').unwrap_or((rest, ""));
    let in_domain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
    };
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(in_path);
    let has_path = rest.len() > domain.len();
    !domain.is_empty()
        && domain.bytes().all(in_domain)
        && (!has_path || path.split('/').all(is_segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spiffe_id_is_what_its_standard_says() {
        for (uri, expected) in [
            ("spiffe://bank.example", true),
            ("spiffe://bank.example/ns/payments/sa/api", true),
            ("spiffe://bank.example/a_B-1.2", true),
            ("spiffe://", false),
            ("spiffe:///path", false),
            ("spiffe://Bank.example/a", false),
            ("SPIFFE://bank.example/a", false),
            ("spiffe://bank.example/", false),
            ("spiffe://bank.example/a//b", false),
            ("spiffe://bank.example/a/", false),
            ("spiffe://bank.example/a/../b", false),
            ("spiffe://bank.example/a%2fb", false),
            ("spiffe://bank.example:8443/a", false),
            ("spiffe://user@bank.example/a", false),
            ("spiffe://bank.example/a?b", false),
            ("https://bank.example/a", false),
        ] {
            assert_eq!(is_one(uri), expected, "{uri}");
        }
        assert_eq!(only(&[]), None);
        assert_eq!(only(&["spiffe://a/b", "spiffe://a/b"]), None);
        assert!(is_meant("SPIFFE://x") && !is_meant("é") && !is_meant("spiffe:/"));
    }
}
