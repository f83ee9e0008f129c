//! The chaos run's figures, and what must hold of them.

use std::time::Duration;

use crate::{
    Failed,
    calls::Asked,
    faults::Schedule,
    figures::{Table, ms, percentile, say},
    ledger::Ledger,
    subjects::Kind,
    verdict::{Breach, Verdict},
};

/// The most memory that an instance may hold, and by how much its median may grow from the third to
/// the last quarter of the run, which meet the same faults.
const PEAK_MIB: f64 = 256.0;
const GROWTH_MIB: f64 = 32.0;
/// A generator that is later than this has no processor to itself: nothing here is a measurement.
const LATE: Duration = Duration::from_millis(500);
/// An instance has left after its lame-duck second and the longest call, and a little.
const LEAVING: Duration = Duration::from_secs(10);
/// How many breaches of a kind are shown in words; all are counted.
const SHOWN: usize = 5;

/// What was seen in a run.
pub struct Seen {
    /// All calls.
    pub asked: Vec<Asked>,
    /// How long each instance took to leave.
    pub leaving: Vec<Duration>,
    /// The memory of the instance that stayed, in MiB, at even distances.
    pub memory: Vec<f64>,
}

impl Seen {
    /// Prints the figures; fails if one is not as it must be.
    pub fn report(self, ledger: &Ledger, schedule: Schedule, restarts: u32) -> Result<(), Failed> {
        let mut verdict = Verdict::default();
        for asked in &self.asked {
            verdict.judge(asked, &ledger.receipts(asked.n), &schedule);
        }
        for (breach, words) in &verdict.breaches {
            for words in words.iter().take(SHOWN) {
                say(&format!("  ! {breach:?}: {words}"));
            }
        }
        let mut table = Table::default();
        self.leaving(&mut table, restarts);
        let answers: usize = self.asked.iter().map(|asked| asked.answers.len()).sum();
        table.figure("calls answered", answers);
        table.figure("good answers", verdict.good);
        for (reason, count) in &verdict.injected {
            table.figure(&format!("failed as injected: {reason}"), count);
        }
        for (fault, count) in &verdict.received {
            table.figure(&format!("requests received: {fault:?}"), count);
        }
        table.figure("repeated after a free error", verdict.repeated);
        table.figure("persons created", verdict.persons);
        for (breach, name) in Breach::ALL {
            let count = verdict.breaches.get(&breach).map_or(0, Vec::len);
            table.must(name, count, count == 0);
        }
        let strangers = ledger.strangers();
        table.must("requests nobody made", strangers, strangers == 0);
        self.latency(&mut table, schedule);
        self.memory(&mut table);
        let replay = |broken| format!("{broken}; replay: --seed {}", schedule.seed).into();
        table.end().map_err(replay)
    }

    fn leaving(&self, table: &mut Table, restarts: u32) {
        let (count, longest) = (self.leaving.len(), self.leaving.iter().max());
        let longest = longest.copied().unwrap_or_default();
        let name = "restarts, each with exit code 0";
        table.must(name, count, u32::try_from(count) == Ok(restarts));
        table.must(
            "longest leaving (at most 10 s)",
            ms(longest),
            longest <= LEAVING,
        );
    }

    fn latency(&self, table: &mut Table, schedule: Schedule) {
        let quiet = |asked: &&Asked| asked.n < schedule.from && Kind::of(asked.n) != Kind::Create;
        let quiet = self.asked.iter().filter(quiet);
        let answers = quiet.flat_map(|asked| &asked.answers);
        let (latencies, late): (Vec<_>, Vec<_>) = answers.map(|a| (a.latency, a.late)).unzip();
        let (p50, p99) = (percentile(&latencies, 50), percentile(&latencies, 99));
        let both = format!("{}, {}", ms(p50), ms(p99));
        table.figure("lookups without faults: p50, p99", both);
        let late = percentile(&late, 99);
        let name = "sent late: p99 (over 500 ms the machine is too busy)";
        table.must(name, ms(late), late <= LATE);
    }

    fn memory(&self, table: &mut Table) {
        let all = self.memory.iter().copied().fold(0.0, f64::max);
        let quarter = self.memory.len() / 4;
        let mut from_the_end = self.memory.rchunks(quarter.max(1));
        let last = from_the_end.next().map_or(0.0, median);
        let growth = last - from_the_end.next().map_or(last, median);
        let name = "memory: peak (at most 256 MiB)";
        table.must(name, format!("{all:.1} MiB"), all <= PEAK_MIB);
        let name = "memory: growth (at most 32 MiB)";
        table.must(name, format!("{growth:.1} MiB"), growth <= GROWTH_MIB);
    }
}

/// A giant answer is held for a moment by design: the median leaves such peaks out.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
