//! What happens to a request on its way to the provider and back: a pure function of the seed, the
//! number of the call and how often it was received before. The same seed gives the same schedule,
//! in whatever order the requests arrive.

use std::time::Duration;

/// Answers that are late, but in time.
pub const DELAY: Duration = Duration::from_millis(300);
/// Answers that come after every provider timeout of the run.
pub const STALL: Duration = Duration::from_secs(6);
/// The gateway's provider timeout in the run.
pub const PROVIDER_TIMEOUT: Duration = Duration::from_secs(3);
/// A burst of errors begins once in so many calls,
const BURST_EVERY: u64 = 500;
/// and lasts for so many.
const BURST: u64 = 25;

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
    /// 503, without asking the provider.
    Down,
    /// The connection is reset within the body.
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

/// The schedule of a run.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Where everything random comes from.
    pub seed: u64,
    /// Calls before this one meet no fault.
    pub from: u64,
}

impl Schedule {
    /// What happens when call number `n` is received for the `nth` time, counted from 0.
    pub fn fault(&self, n: u64, nth: u64) -> Fault {
        if n < self.from {
            return Fault::None;
        }
        if self.is_burst(n) && (nth == 0 || self.chance(n, 10 + nth, 2)) {
            return Fault::Down;
        }
        match self.roll(n, 100 + nth) % 1000 {
            0..30 => Fault::Delay,
            30..36 => Fault::Stall,
            36..48 => Fault::ResetBefore,
            48..60 => Fault::ResetAfter,
            60..70 => Fault::Truncated,
            70..85 => Fault::Trickle,
            85..89 => Fault::TrickleSlow,
            89..93 => Fault::Giant,
            93..103 => Fault::HangUp,
            103..120 => Fault::Down,
            _ => Fault::None,
        }
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
