//! The memory of one process over a run, and whether it grows.
//!
//! Growth is a slope, and it can be seen only where nothing large comes and goes: after the giant answers
//! are over, for as long as it takes a leak to stand out from the noise.

use std::time::Duration;

use crate::figures::Table;

/// The most memory that an instance may hold.
const PEAK_MIB: f64 = 256.0;
/// By how much it may grow in a minute: some 4 KiB for each call that it takes.
const SLOPE_MIB: f64 = 8.0;
/// Over less than this a slope says nothing.
const VISIBLE: Duration = Duration::from_secs(45);

/// What was seen, each with the time from the beginning.
#[derive(Default)]
pub struct Memory(Vec<(Duration, f64)>);

impl Memory {
    /// Notes what is held now.
    pub fn note(&mut self, at: Duration, mib: f64) {
        self.0.push((at, mib));
    }

    /// Shows the peak and, from a moment on, the slope; the slope must hold if there was time to see it.
    pub fn show(&self, table: &mut Table, from: Duration, to: Duration) {
        let peak = self.0.iter().map(|(_, mib)| *mib).fold(0.0, f64::max);
        let name = format!("memory: peak (at most {PEAK_MIB:.0} MiB)");
        table.must(&name, format!("{peak:.1} MiB"), peak <= PEAK_MIB);
        let seen = self.0.iter().filter(|(at, _)| (from..=to).contains(at));
        let slope = slope(&seen.copied().collect::<Vec<_>>());
        let value = format!("{slope:.1} MiB a minute");
        match to.saturating_sub(from) >= VISIBLE {
            true => {
                let name = format!(
                    "memory: growth without giant answers (at most {SLOPE_MIB:.0} MiB a minute)"
                );
                table.must(&name, value, slope <= SLOPE_MIB);
            }
            false => table.figure("memory: growth (too short a run to judge it)", value),
        }
    }
}

/// MiB a minute: the median of the slopes between all pairs, which single peaks do not move.
fn slope(seen: &[(Duration, f64)]) -> f64 {
    let mut slopes: Vec<f64> = seen
        .iter()
        .enumerate()
        .flat_map(|(place, (at, mib))| {
            seen.iter().skip(place + 1).map(move |(later, more)| {
                (more - mib) / (*later - *at).as_secs_f64().max(1e-3) * 60.0
            })
        })
        .collect();
    slopes.sort_unstable_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied().unwrap_or_default()
}
