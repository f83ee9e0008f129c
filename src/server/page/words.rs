//! How figures are written, so that columns of them can be compared at a glance.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A number of things: `12,345`.
#[derive(Debug, Clone, Copy)]
pub struct Count(pub u64);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A number of things with their name: `1 connection`, `12 connections`.
#[derive(Debug, Clone, Copy)]
pub struct Things(pub u64, pub &'static str);

impl Display for Things {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(count, name) = *self;
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{} {name}{plural}", Count(count))
    }
}

/// A time span in its two largest units: `3 d 4 h`, `12 min`, `8 s`.
#[derive(Debug, Clone, Copy)]
pub struct Span(pub Duration);

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (days, hours) = (seconds / DAY, seconds % DAY / HOUR);
        let (minutes, rest) = (seconds % HOUR / MINUTE, seconds % MINUTE);
        match (days, hours, minutes) {
            (0, 0, 0) => write!(f, "{rest} s"),
            (0, 0, _) => write!(f, "{minutes} min"),
            (0, _, 0) => write!(f, "{hours} h"),
            (0, ..) => write!(f, "{hours} h {minutes} min"),
            (1..14, 1.., _) => write!(f, "{days} d {hours} h"),
            _ => write!(f, "{days} d"),
        }
    }
}

/// Until when something is valid, in seconds from now.
#[must_use]
pub fn expiry(left: i64) -> String {
    let span = Span(Duration::from_secs(left.unsigned_abs()));
    match left {
        0.. => format!("expires in {span}"),
        _ => format!("expired {span} ago"),
    }
}

/// A latency in seconds: `35 ms`, `1.25 s`; infinity is beyond the last bucket.
#[derive(Debug, Clone, Copy)]
pub struct Latency(pub Option<f64>);

impl Display for Latency {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("–"),
            Some(seconds) if seconds.is_infinite() => f.write_str("> 30 s"),
            Some(seconds) if seconds >= 10.0 => write!(f, "{seconds:.0} s"),
            Some(seconds) if seconds >= 1.0 => write!(f, "{seconds:.1} s"),
            Some(seconds) => write!(f, "{:.0} ms", (seconds * 1e3).max(1.0)),
        }
    }
}

/// A part of a whole: `12.5 %`. What is not nothing is never written as nothing.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// So many …
    pub of: u64,
    /// … of so many.
    pub all: u64,
}

impl Display for Share {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let percent = self.of as f64 * 100.0 / self.all.max(1) as f64;
        match percent {
            _ if self.all == 0 => f.write_str("–"),
            _ if self.of == 0 => f.write_str("0 %"),
            percent if percent < 0.1 => f.write_str("< 0.1 %"),
            percent if percent > 99.9 && self.of < self.all => f.write_str("> 99.9 %"),
            percent if percent < 10.0 => write!(f, "{percent:.1} %"),
            percent => write!(f, "{percent:.0} %"),
        }
    }
}

/// A size in memory: `45 MiB`, `1.2 GiB`.
#[derive(Debug, Clone, Copy)]
pub struct Bytes(pub u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mebibytes = self.0 as f64 / (1024.0 * 1024.0);
        match mebibytes {
            large if large >= 1024.0 => write!(f, "{:.1} GiB", large / 1024.0),
            small => write!(f, "{small:.0} MiB"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_tell_apart_what_is_not_the_same() {
        let span = |seconds| Span(Duration::from_secs(seconds)).to_string();
        for (written, expected) in [
            (Count(0).to_string(), "0"),
            (Count(999).to_string(), "999"),
            (Count(1_000).to_string(), "1,000"),
            (Count(12_345_678).to_string(), "12,345,678"),
            (Things(1, "call").to_string(), "1 call"),
            (Things(2_000, "call").to_string(), "2,000 calls"),
            (span(8), "8 s"),
            (span(60), "1 min"),
            (span(130), "2 min"),
            (span(601), "10 min"),
            (span(3_600), "1 h"),
            (span(4_000), "1 h 6 min"),
            (span(86_400), "1 d"),
            (span(3 * 86_400 + 4 * 3_600), "3 d 4 h"),
            (span(400 * 86_400 + 3_600), "400 d"),
            (expiry(90_000), "expires in 1 d 1 h"),
            (expiry(-61), "expired 1 min ago"),
            (Latency(None).to_string(), "–"),
            (Latency(Some(0.000_2)).to_string(), "1 ms"),
            (Latency(Some(0.035)).to_string(), "35 ms"),
            (Latency(Some(1.25)).to_string(), "1.2 s"),
            (Latency(Some(f64::INFINITY)).to_string(), "> 30 s"),
            (Share { of: 0, all: 0 }.to_string(), "–"),
            (Share { of: 0, all: 5 }.to_string(), "0 %"),
            (
                Share {
                    of: 1,
                    all: 100_000,
                }
                .to_string(),
                "< 0.1 %",
            ),
            (Share { of: 1, all: 30 }.to_string(), "3.3 %"),
            (
                Share {
                    of: 99_999,
                    all: 100_000,
                }
                .to_string(),
                "> 99.9 %",
            ),
            (Share { of: 5, all: 5 }.to_string(), "100 %"),
            (Bytes(45 << 20).to_string(), "45 MiB"),
            (Bytes(3 << 29).to_string(), "1.5 GiB"),
        ] {
            assert_eq!(written, expected);
        }
    }
}
