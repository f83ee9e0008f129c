//! The caller's deadline, from the `grpc-timeout` header.
//!
//! The handler gets a little less than the caller gave, so that the caller hears DEADLINE_EXCEEDED
//! from here before its own timer, or tonic's (which would answer CANCELLED), fires.

use std::time::Duration;

use http::HeaderMap;

const HEADER: &str = "grpc-timeout";
/// The margin is a tenth of the time, and no more than this.
const MAX_MARGIN: Duration = Duration::from_millis(50);
/// No call waits longer, whatever it asks for.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// How long a call may take here, from now.
#[must_use]
pub fn budget(headers: &HeaderMap, default: Duration) -> Duration {
    let Some(timeout) = headers
        .get(HEADER)
        .and_then(|value| parse(value.to_str().ok()?))
    else {
        return default;
    };
    let timeout = timeout.min(MAX_TIMEOUT);
    timeout.saturating_sub((timeout / 10).min(MAX_MARGIN))
}

/// At most eight digits and a unit, as the gRPC protocol says.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_header_is_read_as_the_protocol_says() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("9n", Some(Duration::from_nanos(9))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("123456789m", None),
            ("", None),
            ("S", None),
            ("+1S", None),
            ("1s", None),
            ("1é", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_margin_is_kept_and_odd_headers_get_the_default() {
        let default = Duration::from_secs(30);
        let with = |text| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_static(text));
            budget(&headers, default)
        };
        assert_eq!(budget(&HeaderMap::new(), default), default);
        assert_eq!(with("soon"), default);
        assert_eq!(with("100m"), Duration::from_millis(90));
        assert_eq!(with("10S"), Duration::from_millis(9950));
        assert_eq!(with("99999999H"), MAX_TIMEOUT - MAX_MARGIN);
        assert_eq!(with("0S"), Duration::ZERO);
    }
}
