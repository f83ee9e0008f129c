//! What happens to a request on its way to the provider and back: a pure function of the seed, the
//! number of the call and how often it was received before. The same seed gives the same schedule,
//! in whatever order the requests arrive.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use identity_gateway::domain::verification::Provider;

use crate::{Failed, subjects::Kind};

/// Answers that are late, but in time.
pub const DELAY: Duration = Duration::from_millis(300);
/// Answers that come after every provider timeout of the run.
pub const STALL: Duration = Duration::from_secs(6);
/// The gateway's provider timeout in the run.
pub const PROVIDER_TIMEOUT: Duration = Duration::from_secs(3);
/// How long connecting to a provider may take in the run. Less than a whole attempt, so that it is known
/// which of the two has ended.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a slow TLS handshake is kept waiting: longer than some callers, shorter than the gateway.
pub const SLOW_HANDSHAKE: Duration = Duration::from_millis(1_200);
/// A connection freezes once in so many calls.
const FREEZE_EVERY: u64 = 300;
/// A burst of errors begins once in so many calls,
const BURST_EVERY: u64 = 500;
/// and lasts for so many.
const BURST: u64 = 25;

/// What is spoken on a connection from the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// HTTP/1.1 in plain text: a connection carries one request at a time.
    Http1,
    /// HTTP/2 over TLS, by ALPN: a connection carries all.
    Http2,
}

/// What happens to one request. In all cases it was received in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing.
    None,
    /// The answer is late, but in time.
    Delay,
    /// The answer is later than any timeout.
    Stall,
    /// The connection is reset; the provider never saw the request, which nobody but us knows.
    ResetBefore,
    /// The provider has answered; the connection is reset before the first byte of it.
    ResetAfter,
    /// The provider has answered; its stream is reset before the first byte of it.
    ResetStream,
    /// The stream is refused: nothing was done with the request, and HTTP/2 says so.
    Refused,
    /// The gateway is asked to leave the connection (GOAWAY), and everything on it is answered.
    Leave,
    /// The provider has answered; the connection carries nothing any more, in either direction, and stays open.
    Freeze,
    /// 503, without asking the provider.
    Down,
    /// The provider has answered; 502 goes back, from something in between.
    BadGateway,
    /// The same with 504.
    GatewayTimeout,
    /// The body is cut off: by a reset of the stream, or of the connection where it has no streams.
    Truncated,
    /// The body comes in pieces, but in time.
    Trickle,
    /// The body comes in pieces, and its end after any timeout.
    TrickleSlow,
    /// The body has more than 16 MiB.
    Giant,
    /// The answer is whole; then the connection is reset, though it should have been kept.
    HangUp,
}

impl Fault {
    /// Whether the answer comes late: a caller with less time than that may have given up.
    pub const fn takes_time(self) -> bool {
        matches!(
            self,
            Self::Delay
                | Self::Stall
                | Self::Trickle
                | Self::TrickleSlow
                | Self::Giant
                | Self::Freeze
        )
    }
}

/// What happens to a TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// It is made.
    Prompt,
    /// It is made after [`SLOW_HANDSHAKE`].
    Slow,
    /// It is never answered.
    Silent,
}

/// The schedule of a run.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Where everything random comes from.
    pub seed: u64,
    /// Calls before this one meet no fault.
    pub from: u64,
    /// Calls from this one on meet no giant answers.
    pub giants_until: u64,
    /// Whether the provider takes its time for every call, and not only as a fault.
    pub takes_time: bool,
}

/// The seed that was given, or one that the clock gives.
pub fn seed(given: Option<u64>) -> Result<u64, Failed> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(given.unwrap_or(clock.as_secs() % 1_000_000))
}

impl Schedule {
    /// Nothing happens to anybody.
    pub const fn quiet(seed: u64) -> Self {
        Self {
            seed,
            from: u64::MAX,
            giants_until: 0,
            takes_time: false,
        }
    }

    /// How long the provider takes to answer what it has charged for: as often between 0.2 and 0.4 s as between
    /// 0.75 and 1.5 s, and for one number always the same.
    pub fn latency(&self, n: u64) -> Duration {
        match self.takes_time {
            true => self.between(n, 30, 0.2, 1.5),
            false => Duration::ZERO,
        }
    }

    /// What a provider speaks: two of the three HTTP/2, which two is the seed's to say.
    pub fn protocol(&self, provider: Provider) -> Protocol {
        let old = self.roll(0, 20) % 3;
        let place = Provider::ALL.iter().position(|one| *one == provider);
        match place.and_then(|place| u64::try_from(place).ok()) == Some(old) {
            true => Protocol::Http1,
            false => Protocol::Http2,
        }
    }

    /// What happens when call number `n` is received for the `nth` time, counted from 0.
    pub fn fault(&self, n: u64, nth: u64) -> Fault {
        let fault = self.drawn(n, nth);
        match (self.protocol(Kind::of(n).provider()), fault) {
            // Without streams there are none to be reset or refused.
            (Protocol::Http1, Fault::ResetStream) => Fault::ResetAfter,
            (Protocol::Http1, Fault::Refused) => Fault::Down,
            (Protocol::Http1 | Protocol::Http2, fault) => fault,
        }
    }

    fn drawn(&self, n: u64, nth: u64) -> Fault {
        if n < self.from {
            return Fault::None;
        }
        if nth == 0 && n % FREEZE_EVERY == self.roll(n / FREEZE_EVERY, 8) % FREEZE_EVERY {
            return Fault::Freeze;
        }
        if self.is_burst(n) && (nth == 0 || self.chance(n, 10 + nth, 2)) {
            return Fault::Down;
        }
        match self.roll(n, 100 + nth) % 1000 {
            0..30 => Fault::Delay,
            30..36 => Fault::Stall,
            36..42 => Fault::ResetBefore,
            42..48 => Fault::ResetAfter,
            48..60 => Fault::ResetStream,
            60..70 => Fault::Truncated,
            70..85 => Fault::Trickle,
            85..89 => Fault::TrickleSlow,
            89..97 if n < self.giants_until => Fault::Giant,
            97..103 => Fault::HangUp,
            103..120 => Fault::Down,
            120..132 => Fault::Refused,
            132..144 => Fault::Leave,
            144..150 => Fault::BadGateway,
            150..156 => Fault::GatewayTimeout,
            _ => Fault::None,
        }
    }

    /// What happens to the TLS handshake of connection number `nth`.
    pub fn handshake(&self, nth: u64) -> Handshake {
        match self.roll(nth, 21) % 16 {
            0..4 => Handshake::Slow,
            4 => Handshake::Silent,
            _ => Handshake::Prompt,
        }
    }

    /// The deadline of a caller: as many between 0.1 and 0.4 s as between 10 and 40 s. Before the faults
    /// begin nobody has less than 5 s: whoever fails there was failed by an instance's leaving.
    pub fn deadline(&self, n: u64, salt: u64) -> Duration {
        const LONGEST: f64 = 40.0;
        let least: f64 = if n < self.from { 5.0 } else { 0.1 };
        self.between(n, salt, least, LONGEST)
    }

    /// Seconds between two bounds, log-uniform.
    fn between(&self, n: u64, salt: u64, least: f64, most: f64) -> Duration {
        Duration::from_secs_f64(least * (most / least).powf(self.share(n, salt)))
    }

    /// A number from 0 to 1, uniform.
    pub fn share(&self, n: u64, salt: u64) -> f64 {
        (self.roll(n, salt) % 10_000) as f64 / 10_000.0
    }

    fn is_burst(&self, n: u64) -> bool {
        let begin = self.roll(n / BURST_EVERY, 1) % (BURST_EVERY - BURST);
        (begin..begin + BURST).contains(&(n % BURST_EVERY))
    }

    /// True once in so many numbers.
    pub fn chance(&self, n: u64, salt: u64, one_in: u64) -> bool {
        self.roll(n, salt).is_multiple_of(one_in)
    }

    /// A random number of its own for each number and salt.
    pub fn roll(&self, n: u64, salt: u64) -> u64 {
        [n, salt]
            .iter()
            .fold(mix(self.seed), |state, part| mix(state ^ mix(*part)))
    }
}

/// SplitMix64's step and finish.
const fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
