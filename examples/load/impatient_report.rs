//! The impatient run's figures: what was paid for, against what was asked and answered.

use std::{collections::BTreeMap, time::Duration};

use identity_gateway::{proto::identity::v1::Source, status::code_name};

use crate::{
    Failed,
    answer::Refusal,
    chaos_report,
    figures::{Table, ms, percentile},
    impatient::Talk,
    ledger::Ledger,
    stalls::Stalls,
};

/// What was seen in a run.
pub struct Report {
    /// All conversations.
    pub talks: Vec<Talk>,
    /// How long each gateway took to leave.
    pub leaving: Vec<Duration>,
    /// How often one should have left.
    pub restarts: u32,
    /// The most charges for each question.
    pub at_most: Option<f64>,
    /// When the machine stood still.
    pub stalls: Stalls,
}

impl Report {
    /// Prints the figures; fails if one is not as it must be.
    pub fn show(&self, ledger: &Ledger) -> Result<(), Failed> {
        let mut table = Table::default();
        if self.restarts > 0 {
            chaos_report::leaving(&mut table, &self.leaving, self.restarts, &self.stalls);
        }
        self.money(&mut table, ledger);
        self.answers(&mut table);
        self.errors(&mut table);
        let strangers = ledger.strangers();
        table.must("requests nobody made", strangers, strangers == 0);
        self.time(&mut table);
        table.end()
    }

    fn money(&self, table: &mut Table, ledger: &Ledger) {
        let charges = |talk: &Talk| {
            let receipts = ledger.receipts_of(&talk.identifier());
            receipts.iter().filter(|receipt| receipt.charged).count()
        };
        // How many questions were charged how often.
        let mut times = BTreeMap::<usize, usize>::new();
        for talk in &self.talks {
            *times.entry(charges(talk)).or_default() += 1;
        }
        let never = times.remove(&0).unwrap_or_default();
        let distinct: usize = times.values().sum();
        let charged: usize = times.iter().map(|(often, count)| often * count).sum();
        let answered = self.answered().count();
        let of_distinct = |count| count as f64 / distinct.max(1) as f64;

        table.figure("conversations", self.talks.len());
        table.figure("conversations answered", answered);
        let tries: usize = self.talks.iter().map(|talk| talk.tries.len()).sum();
        table.figure("tries", tries);
        table.figure("charges at the providers", charged);
        // Out of nothing no ratio is any good.
        table.must("distinct questions charged", distinct, distinct > 0);
        let (name, each) = ("charges per distinct question", of_distinct(charged));
        match self.at_most {
            None => table.figure(name, format!("{each:.4}")),
            Some(most) => {
                let name = format!("{name} (at most {most})");
                table.must(&name, format!("{each:.4}"), each <= most);
            }
        }
        let delivered = format!("{:.4}", of_distinct(answered));
        table.figure("paid answers delivered", delivered);
        for (often, count) in times.range(2..) {
            table.figure(&format!("questions charged {often} times"), count);
        }
        table.figure("questions never charged", never);
    }

    fn answers(&self, table: &mut Table) {
        let sources = self.answered().map(|(_, source)| source.as_str_name());
        for (source, count) in counted(sources) {
            table.figure(&format!("answers: {source}"), count);
        }
    }

    /// Of all tries, and of those that a caller had to leave it at.
    fn errors(&self, table: &mut Table) {
        let tries = self.talks.iter().flat_map(|talk| &talk.tries);
        let errors = tries.filter_map(|answer| answer.result.as_ref().err());
        for (error, count) in counted(errors.map(name)) {
            table.figure(&format!("tries failed: {error}"), count);
        }
        let last = self.talks.iter().filter_map(|talk| talk.tries.last());
        let errors = last.filter_map(|answer| answer.result.as_ref().err());
        for (error, count) in counted(errors.map(name)) {
            table.figure(&format!("conversations failed: {error}"), count);
        }
    }

    fn time(&self, table: &mut Table) {
        let took = |talk: &Talk| {
            let (first, last) = (talk.tries.first()?, talk.tries.last()?);
            Some(last.span().1 - first.span().0)
        };
        let took: Vec<_> = self.answered().filter_map(|(talk, _)| took(talk)).collect();
        let (p50, p99) = (percentile(&took, 50), percentile(&took, 99));
        let both = format!("{}, {}", ms(p50), ms(p99));
        table.figure("from the first try to the answer: p50, p99", both);
        let tries = self.talks.iter().flat_map(|talk| &talk.tries);
        let late: Vec<_> = tries.map(|answer| answer.late).collect();
        table.figure("sent late: p99", ms(percentile(&late, 99)));
        self.stalls.show(table);
    }

    fn answered(&self) -> impl Iterator<Item = (&Talk, Source)> {
        self.talks
            .iter()
            .filter_map(|talk| Some((talk, talk.source()?)))
    }
}

/// Code, reason and billing; without a reason it was not the gateway that said so, and its words stand here.
fn name(refusal: &Refusal) -> String {
    let code = code_name(refusal.code);
    match refusal.reason.as_str() {
        "" => format!("{code} ({})", refusal.message),
        reason => format!("{code} {reason} {}", refusal.billing),
    }
}

fn counted<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}
