//! The overload run's figures, and what must hold of them.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    Failed,
    answer::Answer,
    figures::{Table, ms, percentile},
};

/// What must hold.
pub struct Bounds {
    /// Good answers, as a share of the capacity.
    goodput: f64,
    /// The p99 of accepted calls, as a multiple of the unloaded one.
    slower: f64,
    /// The p99 of refusals, from the moment they were sent.
    refusal: Duration,
}

/// What issue and documents promise.
pub const STRICT: Bounds = Bounds {
    goodput: 0.9,
    slower: 3.0,
    refusal: Duration::from_millis(50),
};

/// For a short run on a machine that does other things as well: it finds what is broken, not what is
/// a little slower.
pub const LENIENT: Bounds = Bounds {
    goodput: 0.7,
    slower: 5.0,
    refusal: Duration::from_millis(500),
};

/// The reason of a call that found no place.
const OVERLOADED: &str = "OVERLOADED";
/// By how much the memory may grow under the load.
const GROWTH_MIB: f64 = 64.0;

/// What was seen beside the load.
#[derive(Default)]
pub struct Looks {
    /// How long each health check took,
    pub healthy: Vec<Duration>,
    /// and each look at /readyz.
    pub ready: Vec<Duration>,
    /// How many of both said something else than they must.
    pub failed: u32,
    /// The most memory, in MiB.
    pub peak: f64,
}

/// What was seen in a run.
pub struct Report {
    /// The answers without overload.
    pub calm: Vec<Answer>,
    /// The answers under it.
    pub stormy: Vec<Answer>,
    /// How long it lasted, the last answer included.
    pub took: Duration,
    /// Calls a second that are possible.
    pub capacity: f64,
    /// What was seen beside.
    pub looks: Looks,
    /// By how much the memory grew, in MiB.
    pub growth: f64,
}

impl Report {
    /// Prints the figures; fails if one is not as it must be.
    pub fn show(&self, bounds: &Bounds) -> Result<(), Failed> {
        let mut table = Table::default();
        let calm: Vec<_> = self.calm.iter().filter(|answer| is_good(answer)).collect();
        let failed = self.calm.len() - calm.len();
        let counts = format!("{}, {failed}", self.calm.len());
        table.must("unloaded: calls, failed", counts, failed == 0);
        let calm = from_due(&calm);
        let both = format!("{}, {}", ms(percentile(&calm, 50)), ms(p99(&calm)));
        table.figure("unloaded: p50, p99", both);
        table.figure("overload: calls", self.stormy.len());
        let accepted = self.accepted(&mut table, &calm, bounds);
        let refused = self.refused(&mut table, bounds);
        self.others(&mut table, accepted + refused);
        let late: Vec<_> = self.stormy.iter().map(|answer| answer.late).collect();
        table.figure("sent late: p99", ms(p99(&late)));
        self.beside(&mut table);
        table.end()
    }

    fn accepted(&self, table: &mut Table, calm: &[Duration], bounds: &Bounds) -> usize {
        let good = self.stormy.iter().filter(|answer| is_good(answer));
        let accepted = from_due(&good.collect::<Vec<_>>());
        let goodput = accepted.len() as f64 / self.took.as_secs_f64();
        let share = goodput / self.capacity;
        let least = bounds.goodput * 100.0;
        let name = format!("goodput (at least {least:.0} % of capacity)");
        let value = format!("{goodput:.1}/s, {:.1} %", share * 100.0);
        table.must(&name, value, share >= bounds.goodput);
        let slower = p99(&accepted).as_secs_f64() / p99(calm).as_secs_f64().max(1e-9);
        let name = format!("accepted: p99 (at most {} times unloaded)", bounds.slower);
        let value = format!("{}, {slower:.2} times", ms(p99(&accepted)));
        table.must(&name, value, slower <= bounds.slower);
        accepted.len()
    }

    fn refused(&self, table: &mut Table, bounds: &Bounds) -> usize {
        let refused = self.stormy.iter().filter(|answer| {
            let refusal = answer.result.as_ref().err();
            refusal.is_some_and(|refusal| refusal.reason == OVERLOADED)
        });
        let refused: Vec<_> = refused.collect();
        let from_sent = refused
            .iter()
            .map(|answer| answer.latency.saturating_sub(answer.late));
        let (sent, due) = (
            p99(&from_sent.collect::<Vec<_>>()),
            p99(&from_due(&refused)),
        );
        table.figure("OVERLOADED: calls", refused.len());
        let name = format!("OVERLOADED: p99 from sent (at most {:?})", bounds.refusal);
        let value = format!("{} ({} from due)", ms(sent), ms(due));
        table.must(&name, value, sent <= bounds.refusal);
        refused.len()
    }

    /// What was neither: how often each code and reason, and when the first and the last was due.
    fn others(&self, table: &mut Table, expected: usize) {
        let others = self.stormy.len() - expected;
        table.must("neither answered nor OVERLOADED", others, others == 0);
        let mut kinds = BTreeMap::<String, (usize, usize, usize)>::new();
        for (n, answer) in self.stormy.iter().enumerate() {
            let Err(refusal) = &answer.result else {
                continue;
            };
            if refusal.reason == OVERLOADED {
                continue;
            }
            let kind = format!(
                "  {:?} {} {}",
                refusal.code, refusal.reason, refusal.message
            );
            let seen = kinds.entry(kind).or_insert((0, n, n));
            seen.0 += 1;
            seen.2 = n;
        }
        for (kind, (times, first, last)) in kinds {
            table.figure(&kind, format!("{times}, answers {first} to {last}"));
        }
    }

    fn beside(&self, table: &mut Table) {
        let looks = &self.looks;
        let both = format!("{}, {}", ms(p99(&looks.healthy)), ms(p99(&looks.ready)));
        table.figure("health, /readyz: p99", both);
        let counts = format!("{}, {}", looks.healthy.len(), looks.failed);
        let name = "health and /readyz: looks, failed";
        table.must(name, counts, looks.failed == 0 && !looks.healthy.is_empty());
        let name = format!("memory: growth (at most {GROWTH_MIB:.0} MiB)");
        table.must(
            &name,
            format!("{:.1} MiB", self.growth),
            self.growth <= GROWTH_MIB,
        );
    }
}

fn is_good(answer: &Answer) -> bool {
    answer.result.is_ok()
}

fn from_due(answers: &[&Answer]) -> Vec<Duration> {
    answers.iter().map(|answer| answer.latency).collect()
}

fn p99(values: &[Duration]) -> Duration {
    percentile(values, 99)
}
