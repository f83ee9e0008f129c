//! A length of time as people write it: `250ms`, `5s`, `1m`.
//!
//! Read by `humantime`; written back as one number in the largest unit that loses nothing, so that what
//! `check-config` prints can be read again. Its errors never repeat what was written.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Every unit that is read.
const UNITS: [&str; 40] = [
    "nanos", "nsec", "ns", "usec", "us", "µs", "millis", "msec", "ms", "seconds", "second", "secs",
    "sec", "s", "minutes", "minute", "mins", "min", "m", "hours", "hour", "hrs", "hr", "h", "days",
    "day", "d", "weeks", "week", "wks", "wk", "w", "months", "month", "M", "years", "year", "yrs",
    "yr", "y",
];

/// A length of time, written `250ms`, `5s`, `1m`, `24h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

/// What was written is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {form}", form = Span::FORM)]
pub struct NotASpan;

impl Span {
    /// How a span is written, for messages and documents.
    pub const FORM: &str = "a duration such as 250ms, 5s or 1m";

    /// The same for JSON schema: one or several numbers, each with its unit. It says all but what no pattern can: how
    /// long is too long, and how many decimals a unit has.
    fn pattern() -> String {
        let units = UNITS.join("|");
        let number = r"[0-9][0-9 ]*(\.[0-9 ]*[0-9][0-9 ]*)?";
        format!("^ *(0|({number}({units}) *)+) *$")
    }

    /// A span of this length.
    #[must_use]
    pub const fn new(length: Duration) -> Self {
        Self(length)
    }

    /// A span of whole seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The length.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, NotASpan> {
        // humantime would take any white space.
        if text
            .chars()
            .any(|letter| letter.is_whitespace() && letter != ' ')
        {
            return Err(NotASpan);
        }
        let length = humantime::parse_duration(text.trim()).map_err(|_| NotASpan)?;
        // Beyond 584 years not every length can be written in one unit and read again.
        u64::try_from(length.as_nanos()).map_err(|_| NotASpan)?;
        Ok(Self(length))
    }
}

impl TryFrom<String> for Span {
    type Error = NotASpan;

    fn try_from(text: String) -> Result<Self, NotASpan> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: [(u128, &str); 6] = [
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
            (1, "ns"),
        ];
        let nanos = self.0.as_nanos();
        let whole = SHOWN
            .iter()
            .find(|(unit, _)| nanos > 0 && nanos.is_multiple_of(*unit));
        match whole {
            Some((unit, name)) => write!(f, "{}{name}", nanos / unit),
            None => f.write_str("0s"),
        }
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "title": Self::FORM, "pattern": Self::pattern() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_as_it_is_read() {
        for (written, length, shown) in [
            ("0s", Duration::ZERO, "0s"),
            ("250ms", Duration::from_millis(250), "250ms"),
            ("5s", Duration::from_secs(5), "5s"),
            ("60s", Duration::from_secs(60), "1m"),
            ("1m 30s", Duration::from_secs(90), "90s"),
            ("24h", Duration::from_secs(86_400), "24h"),
            (" 1day ", Duration::from_secs(86_400), "24h"),
            ("1500us", Duration::from_micros(1500), "1500us"),
            ("7ns", Duration::from_nanos(7), "7ns"),
        ] {
            let span: Span = written.parse().expect(written);
            assert_eq!((span.get(), span.to_string().as_str()), (length, shown));
            assert_eq!(shown.parse(), Ok(span));
        }
    }

    #[test]
    fn what_is_no_span_is_refused_without_being_repeated() {
        for written in [
            "",
            "5",
            "-5s",
            "s",
            "5 parsecs",
            "99999999999999999999s",
            "1e9s",
            "463998days 1s 999995ms",
        ] {
            let error = written.parse::<Span>().expect_err(written);
            assert_eq!(
                error.to_string(),
                "expected a duration such as 250ms, 5s or 1m"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn the_pattern_of_the_schema_takes_what_is_read(text in texts()) {
            let pattern = regex::Regex::new(&Span::pattern()).unwrap();
            let (matches, is_read) = (pattern.is_match(&text), text.parse::<Span>().is_ok());
            // What no pattern can say: how long is too long, and what is less than a nanosecond or no whole second.
            let runs = text.split(|letter: char| !letter.is_ascii_digit() && letter != ' ');
            let is_short = |run: &str| run.replace(' ', "").len() <= 2;
            let is_plain = !text.contains('.') && runs.into_iter().all(is_short);
            proptest::prop_assert!(matches || !is_read, "{text:?} is read");
            proptest::prop_assert!(is_read || !matches || !is_plain, "{text:?} is not read");
        }
    }

    /// Texts like spans, most of which are: numbers of up to four digits, units known and not, spaces and signs.
    fn texts() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let number = "[0-9 ]{0,3}(\\.[0-9 ]{0,2})?";
        let unit = proptest::sample::select(
            UNITS
                .iter()
                .copied()
                .chain(["", " ", "x", "\t", "S", "-", "0"])
                .collect::<Vec<_>>(),
        );
        let term =
            (number, unit, "[ ]{0,1}").prop_map(|(number, unit, after)| number + unit + &after);
        proptest::collection::vec(term, 0..4).prop_map(|terms| terms.concat())
    }
}
