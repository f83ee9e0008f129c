//! The caller's deadline, from the `grpc-timeout` header.
//!
//! The handler gets a little less than the caller gave, so that the caller hears DEADLINE_EXCEEDED, with what
//! the call may have cost, from here before its own timer fires and says nothing.
//!
//! What stands in the header is not always what the caller gave. The clients that are made of gRPC's C core
//! (Python, C++, Ruby, PHP, C#) write at most three digits and round up, by up to one part in a hundred: 15 s
//! become `15100m`, 120 s and a moment `121S`. So the margin is that part of the time, and the way besides.

use std::time::Duration;

use http::HeaderMap;

use crate::domain::violation::Violation;

const HEADER: &str = "grpc-timeout";
/// What a client may have added by rounding: one part in so many.
const ROUNDING: u32 = 100;
/// What the way there and back gets: a tenth of the time, and no more than this.
const MAX_WAY: Duration = Duration::from_millis(100);
/// No call waits longer, whatever it asks for.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// How long a call may take here, from now.
///
/// # Errors
///
/// What is wrong with a header that says no time, or two: a caller whose deadline nobody knows may not wait for its answer.
pub fn budget(headers: &HeaderMap, default: Duration) -> Result<Duration, Violation> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(default);
    };
    let only = value.to_str().ok().filter(|_| values.next().is_none());
    let timeout = only.and_then(parse).ok_or(Violation {
        field: HEADER,
        rule: "must be one to eight digits and a unit: H, M, S, m, u or n".into(),
    })?;
    let timeout = timeout.min(MAX_TIMEOUT);
    let margin = timeout / ROUNDING + (timeout / 10).min(MAX_WAY);
    Ok(timeout.saturating_sub(margin))
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
    fn a_margin_is_kept_and_a_header_that_says_no_time_is_named() {
        let default = Duration::from_secs(30);
        let with = |texts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append(HEADER, HeaderValue::from_static(text));
            }
            budget(&headers, default).map_err(|violation| violation.field)
        };
        for (texts, expected) in [
            (&[][..], Ok(default)),
            (&["100m"], Ok(Duration::from_millis(89))),
            (&["10S"], Ok(Duration::from_millis(9800))),
            (&["99999999H"], Ok(MAX_TIMEOUT * 99 / 100 - MAX_WAY)),
            (&["0S"], Ok(Duration::ZERO)),
            (&["soon"], Err(HEADER)),
            (&[""], Err(HEADER)),
            (&["123456789m"], Err(HEADER)),
            (&["-1S"], Err(HEADER)),
            (&["1.5S"], Err(HEADER)),
            (&["10S", "1S"], Err(HEADER)),
        ] {
            assert_eq!(with(texts), expected, "{texts:?}");
        }
    }

    /// How gRPC's C core writes a timeout: src/core/lib/transport/timeout_encoding.cc of its 1.60 and later.
    fn c_core(timeout: Duration) -> String {
        let millis = u64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap();
        let steps = [(1000, 1), (10_000, 10), (100_000, 100)];
        let rounded = |value: u64| {
            let (_, step) = steps.into_iter().find(|(below, _)| value < *below)?;
            Some(value.div_ceil(step) * step)
        };
        match rounded(millis) {
            Some(millis) if millis % 1000 != 0 => return format!("{millis}m"),
            _ => {}
        }
        let seconds = millis.div_ceil(1000);
        match rounded(seconds) {
            Some(seconds) if seconds % 60 != 0 => return format!("{seconds}S"),
            _ => {}
        }
        format!("{}M", seconds.div_ceil(60))
    }

    #[test]
    fn what_is_known_of_the_c_core_is_what_it_writes() {
        // Seen on the wire, of 15 s and 120 s less the moment that the client needs, or plus one.
        assert_eq!(c_core(Duration::from_micros(15_000_001)), "15100m");
        assert_eq!(c_core(Duration::from_micros(120_000_001)), "121S");
        assert_eq!(c_core(Duration::from_secs(120)), "2M");
        assert_eq!(c_core(Duration::from_millis(250)), "250m");
    }

    proptest::proptest! {
        #[test]
        fn a_client_that_rounds_up_hears_before_its_own_timer_fires(micros in 1_000_u64..3_500_000_000) {
            let given = Duration::from_micros(micros);
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_str(&c_core(given)).unwrap());
            let budget = budget(&headers, Duration::MAX).unwrap();
            let way = given.saturating_sub(budget);
            // A hundredth of a short time is less than the millisecond that it is counted in.
            let least = (given / 11).min(MAX_WAY).saturating_sub(Duration::from_millis(1));
            proptest::prop_assert!(way >= least, "{given:?}: {budget:?}");
        }
    }
}
