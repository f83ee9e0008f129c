//! The chaos run's figures, and what must hold of them.

use std::time::Duration;

use crate::{
    Failed,
    calls::Asked,
    faults::Schedule,
    figures::{Table, ms, percentile, say},
    ledger::{Ledger, Trouble},
    memory::Memory,
    stalls::Stalls,
    subjects::Kind,
    verdict::{Breach, Verdict},
};

/// An instance has left after its lame-duck time and the longest attempt, and a little.
const LEAVING: Duration = Duration::from_secs(10);
/// A frozen connection is given up after this: HTTP/2's pings of the gateway, and a little.
const FROZEN: Duration = Duration::from_secs(15);
/// Of those that were told `unknown` in the end, so many in a hundred may be nowhere to be found, and
/// always this many.
const NEVER_SENT: (u64, u64) = (2, 1);
/// How many breaches of a kind are shown in words; all are counted.
const SHOWN: usize = 5;

/// What was seen in a run.
pub struct Seen {
    /// All calls.
    pub asked: Vec<Asked>,
    /// How long each instance took to leave.
    pub leaving: Vec<Duration>,
    /// The memory of the instance that stayed.
    pub memory: Memory,
    /// From when on there were no giant answers, and until when there were calls.
    pub settled: (Duration, Duration),
    /// When the machine stood still.
    pub stalls: Stalls,
}

impl Seen {
    /// Prints the figures; fails if one is not as it must be.
    pub fn report(self, ledger: &Ledger, schedule: Schedule, restarts: u32) -> Result<(), Failed> {
        let mut verdict = Verdict::default();
        for asked in &self.asked {
            verdict.judge(asked, ledger, &self.stalls, &schedule);
        }
        for (breach, words) in &verdict.breaches {
            for words in words.iter().take(SHOWN) {
                say(&format!("  ! {breach:?}: {words}"));
            }
        }
        let mut table = Table::default();
        leaving(&mut table, &self.leaving, restarts, &self.stalls);
        let answers: usize = self.asked.iter().map(|asked| asked.answers.len()).sum();
        table.figure("calls answered", answers);
        table.figure("good answers", verdict.good);
        for (reason, count) in &verdict.injected {
            table.figure(&format!("failed as injected: {reason}"), count);
        }
        for ((spoken, fault), count) in &verdict.received {
            table.figure(&format!("{spoken} requests received: {fault:?}"), count);
        }
        table.figure("repeated after a free error", verdict.repeated);
        table.figure("persons created", verdict.persons);
        for (breach, name) in Breach::ALL {
            let count = verdict.breaches.get(&breach).map_or(0, Vec::len);
            table.must(name, count, count == 0);
        }
        never_sent(&mut table, &verdict);
        let strangers = ledger.strangers();
        table.must("requests nobody made", strangers, strangers == 0);
        connections(&mut table, ledger, &self.stalls);
        self.latency(&mut table, schedule);
        let (from, to) = self.settled;
        self.memory.show(&mut table, from, to);
        let replay = |broken| format!("{broken}; replay: --seed {}", schedule.seed).into();
        table.end().map_err(replay)
    }

    fn latency(&self, table: &mut Table, schedule: Schedule) {
        let quiet = |asked: &&Asked| asked.n < schedule.from && Kind::of(asked.n) != Kind::Create;
        let quiet = self.asked.iter().filter(quiet);
        let answers = quiet.flat_map(|asked| &asked.answers);
        let (latencies, late): (Vec<_>, Vec<_>) = answers.map(|a| (a.latency, a.late)).unzip();
        let (p50, p99) = (percentile(&latencies, 50), percentile(&latencies, 99));
        let both = format!("{}, {}", ms(p50), ms(p99));
        table.figure("lookups without faults: p50, p99", both);
        table.figure("sent late: p99", ms(percentile(&late, 99)));
        self.stalls.show(table);
    }
}

/// Shows how often an instance has left in order, and the longest time that one took.
pub fn leaving(table: &mut Table, leaving: &[Duration], restarts: u32, stalls: &Stalls) {
    let (count, longest) = (leaving.len(), leaving.iter().max());
    let longest = longest.copied().unwrap_or_default();
    let name = "restarts, each with exit code 0";
    table.must(name, count, u32::try_from(count) == Ok(restarts));
    let (_, still) = stalls.total();
    table.must(
        "longest shutdown (at most 10 s)",
        ms(longest),
        longest <= LEAVING + still,
    );
}

fn never_sent(table: &mut Table, verdict: &Verdict) {
    let (percent, always) = NEVER_SENT;
    let count = verdict.never_sent.len();
    for words in verdict.never_sent.iter().take(SHOWN) {
        say(&format!("  ! reported as unknown, never received: {words}"));
    }
    let most = always.max(verdict.own_ends * percent / 100);
    let name = format!("reported as unknown, but never received (at most {most})");
    let value = format!("{count} of {}", verdict.own_ends);
    table.must(&name, value, count as u64 <= most);
}

fn connections(table: &mut Table, ledger: &Ledger, stalls: &Stalls) {
    let count = |trouble| ledger.spells(trouble).0;
    table.figure("connections reset", count(Trouble::Reset));
    let slow = "TLS handshakes slow or unanswered";
    table.figure(slow, count(Trouble::Unmade));
    let (frozen, longest) = ledger.spells(Trouble::Frozen);
    let (_, still) = stalls.total();
    table.must(
        "connections frozen, the longest (at most 15 s)",
        format!("{frozen}, {}", ms(longest)),
        longest <= FROZEN + still,
    );
}
