//! How fast the machine is now: an open loop must not ask for more than a part of that, or it measures the
//! machine, and fails by what else runs there.

use std::time::Instant;

use futures_util::{StreamExt as _, stream};

/// Calls that are made to find out.
pub const CALLS: u64 = 128;
/// The first of them are not measured.
const WARM_UP: u64 = 32;
/// So many at a time.
const AT_ONCE: usize = 8;
/// The part of what is possible that is asked for.
const SHARE: f64 = 0.25;

/// Calls a second that a run may make: a quarter of those that are possible in a closed loop. `call` gets
/// the numbers from 1 to [`CALLS`].
pub async fn bearable<C: Future>(call: impl Fn(u64) -> C) -> f64 {
    let make = async |numbers: std::ops::RangeInclusive<u64>| {
        let calls = stream::iter(numbers).map(&call);
        calls.buffer_unordered(AT_ONCE).for_each(|_| async {}).await;
    };
    // Connections are made, and pages of the program read.
    make(1..=WARM_UP).await;
    let begun = Instant::now();
    make(WARM_UP + 1..=CALLS).await;
    (CALLS - WARM_UP) as f64 / begun.elapsed().as_secs_f64() * SHARE
}
