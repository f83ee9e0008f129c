//! The overload run's figures, and what must hold of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    Failed,
    answer::{Answer, OwnEnd},
    figures::{Table, ms, percentile},
    ledger::{Ledger, Receipt},
    subjects::Kind,
};

/// What must hold. The times are those below which so many of a hundred are: where the machine does other
/// things too, a median says something and a p99 does not.
pub struct Bounds {
    /// The percentile that is judged.
    rank: usize,
    /// How much of the time the places were taken.
    busy: f64,
    /// Accepted calls, as a multiple of the unloaded ones.
    slower: f64,
    /// Refusals, from the moment they were sent, as a part of the accepted.
    refusal: f64,
}

/// What the documents promise.
pub const STRICT: Bounds = Bounds {
    rank: 99,
    busy: 0.9,
    slower: 3.0,
    refusal: 0.25,
};

/// For a short run on a machine that does other things as well: it finds what is broken, not what is
/// a little slower.
pub const LENIENT: Bounds = Bounds {
    rank: 50,
    busy: 0.7,
    slower: 3.0,
    refusal: 0.5,
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
    /// The answers without overload, by number.
    pub calm: Vec<(u64, Answer)>,
    /// The answers under it.
    pub stormy: Vec<(u64, Answer)>,
    /// How long it lasted, the last answer included.
    pub took: Duration,
    /// Calls that the gateway takes at once.
    pub places: f64,
    /// What was seen beside.
    pub looks: Looks,
    /// By how much the memory grew, in MiB.
    pub growth: f64,
    /// What reached the provider.
    pub ledger: Arc<Ledger>,
}

impl Report {
    /// Prints the figures; fails if one is not as it must be.
    pub fn show(&self, bounds: &Bounds) -> Result<(), Failed> {
        let mut table = Table::default();
        let calm: Vec<_> = self.calm.iter().map(|(_, answer)| answer).collect();
        let failed = calm.iter().filter(|answer| !is_good(answer)).count();
        let counts = format!("{}, {failed}", calm.len());
        table.must("unloaded: calls, failed", counts, failed == 0);
        let calm: Vec<_> = calm.iter().map(|answer| answer.latency).collect();
        let both = format!("{}, {}", ms(percentile(&calm, 50)), ms(p99(&calm)));
        table.figure("unloaded: p50, p99", both);
        table.figure("overload: calls", self.stormy.len());
        let accepted = self.accepted(&mut table, &calm, bounds);
        self.refused(&mut table, &accepted, bounds);
        self.others(&mut table);
        self.money(&mut table);
        let late: Vec<_> = self.answers().map(|answer| answer.late).collect();
        table.figure("sent late: p99", ms(p99(&late)));
        self.beside(&mut table);
        table.end()
    }

    fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.stormy.iter().map(|(_, answer)| answer)
    }

    /// The latencies of the accepted. How much of the time the places were taken is what is left of goodput
    /// when the machine's own speed is taken out of it.
    fn accepted(&self, table: &mut Table, calm: &[Duration], bounds: &Bounds) -> Vec<Duration> {
        let accepted: Vec<_> = self
            .answers()
            .filter(|answer| is_good(answer))
            .map(|answer| answer.latency)
            .collect();
        let goodput = accepted.len() as f64 / self.took.as_secs_f64();
        table.figure("goodput", format!("{goodput:.1}/s"));
        let took_place = self.answers().filter(|answer| !is_overloaded(answer));
        let taken: Duration = took_place.map(Answer::waited).sum();
        let busy = taken.as_secs_f64() / self.took.as_secs_f64() / self.places;
        let name = format!(
            "concurrency limit used (at least {:.0} %)",
            bounds.busy * 100.0
        );
        table.must(&name, format!("{:.1} %", busy * 100.0), busy >= bounds.busy);
        let rank = bounds.rank;
        let (loaded, unloaded) = (percentile(&accepted, rank), percentile(calm, rank));
        let slower = loaded.as_secs_f64() / unloaded.as_secs_f64().max(1e-9);
        let name = format!(
            "accepted: p{rank} (at most {} times unloaded)",
            bounds.slower
        );
        let value = format!("{}, {slower:.2} times", ms(loaded));
        table.must(&name, value, slower <= bounds.slower);
        accepted
    }

    fn refused(&self, table: &mut Table, accepted: &[Duration], bounds: &Bounds) {
        let refused = self.answers().filter(|answer| is_overloaded(answer));
        let refused: Vec<_> = refused.map(Answer::waited).collect();
        table.must("OVERLOADED: calls", refused.len(), !refused.is_empty());
        let rank = bounds.rank;
        let (no, yes) = (percentile(&refused, rank), percentile(accepted, rank));
        let share = no.as_secs_f64() / yes.as_secs_f64().max(1e-9);
        let name = format!(
            "OVERLOADED: p{rank} (at most {} of accepted)",
            bounds.refusal
        );
        let value = format!("{}, {share:.3}", ms(no));
        table.must(&name, value, share <= bounds.refusal);
    }

    /// What was neither: how often each code and reason, and when the first and the last was due.
    fn others(&self, table: &mut Table) {
        let own = |answer: &&Answer| answer.ended_by_caller().is_some();
        let own = self.answers().filter(own).count();
        table.figure("the caller's own deadline", own);
        let mut kinds = BTreeMap::<String, (usize, u64, u64)>::new();
        for (n, answer) in &self.stormy {
            let Err(refusal) = &answer.result else {
                continue;
            };
            if is_overloaded(answer) || answer.ended_by_caller().is_some() {
                continue;
            }
            let kind = format!(
                "  {:?} {} {}",
                refusal.code, refusal.reason, refusal.message
            );
            let seen = kinds.entry(kind).or_insert((0, *n, *n));
            seen.0 += 1;
            seen.2 = *n;
        }
        let others: usize = kinds.values().map(|(times, ..)| times).sum();
        table.must(
            "neither answered nor OVERLOADED nor that",
            others,
            others == 0,
        );
        for (kind, (times, first, last)) in kinds {
            table.figure(&kind, format!("{times}, calls {first} to {last}"));
        }
    }

    /// What was told of money, against what reached the provider.
    fn money(&self, table: &mut Table) {
        let mut free_but_sent = 0;
        let (mut unknown, mut never_sent, mut again) = (0_usize, 0_usize, 0);
        for (n, answer) in self.calm.iter().chain(&self.stormy) {
            let receipts: Vec<Receipt> = self.ledger.receipts_of(&Kind::Foreigner.identifier(*n));
            again += usize::from(receipts.len() > 1);
            let Err(refusal) = &answer.result else {
                continue;
            };
            free_but_sent += usize::from(refusal.billing == "not_billed" && !receipts.is_empty());
            if answer.ended_by_caller() == Some(OwnEnd::Told) && refusal.billing == "unknown" {
                unknown += 1;
                never_sent += usize::from(receipts.is_empty());
            }
        }
        table.must("sent more than once", again, again == 0);
        table.must(
            "reported as free, but sent",
            free_but_sent,
            free_but_sent == 0,
        );
        // What is cancelled in the moment of its leaving may never arrive.
        let most = 1.max(unknown / 50);
        let name = format!("reported as unknown, but never received (at most {most})");
        table.must(
            &name,
            format!("{never_sent} of {unknown}"),
            never_sent <= most,
        );
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

const fn is_good(answer: &Answer) -> bool {
    answer.result.is_ok()
}

fn is_overloaded(answer: &Answer) -> bool {
    let refusal = answer.result.as_ref().err();
    refusal.is_some_and(|refusal| refusal.reason == OVERLOADED)
}

fn p99(values: &[Duration]) -> Duration {
    percentile(values, 99)
}
