//! Holds what callers were told against what the provider received.
//!
//! Every failure must be the one that the injected fault makes, or the end of the caller's own time. A
//! failure that neither explains was caused by the gateway, by its leaving above all.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    answer::{Answer, OwnEnd, Refusal},
    calls::Asked,
    explain::Met,
    faults::{Fault, Protocol, Schedule},
    ledger::{Ledger, Receipt, Span, Trouble},
    stalls::Stalls,
    subjects::Kind,
};

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breach {
    /// A failure while no faults were injected: an instance's leaving was felt.
    FeltLeaving,
    /// A failure that is not the one which the injected fault makes.
    Unexplained,
    /// A request that was received again though the first may have been charged.
    SentAgain,
    /// A `request_id` that made two persons, or was told of two.
    CreatedTwice,
    /// A caller that was told nothing was charged, when something may have been.
    UnderReported,
}

impl Breach {
    /// All, with the words for them.
    pub const ALL: [(Self, &str); 5] = [
        (Self::FeltLeaving, "failed, no fault injected (SIGTERM)"),
        (Self::Unexplained, "failed, not by the injected fault"),
        (Self::SentAgain, "retried, maybe charged twice"),
        (Self::UnderReported, "reported as free, but sent"),
        (Self::CreatedTwice, "persons created twice"),
    ];
}

/// What came out.
#[derive(Default)]
pub struct Verdict {
    /// Answers that were good.
    pub good: u64,
    /// Failures that an injected fault explains, by reason.
    pub injected: BTreeMap<String, u64>,
    /// Requests received, by protocol and what happened to them.
    pub received: BTreeMap<(&'static str, Fault), u64>,
    /// Requests received again after a free error.
    pub repeated: u64,
    /// Persons created, each by its own `request_id`.
    pub persons: u64,
    /// Callers whose own time ended the call, and who were told what it cost.
    pub own_ends: u64,
    /// Those of them that were told `unknown`, though nothing was received and no connection was frozen.
    pub never_sent: Vec<String>,
    /// What must not happen and did, each in words without identifiers.
    pub breaches: BTreeMap<Breach, Vec<String>>,
}

impl Verdict {
    /// Judges one call.
    pub fn judge(&mut self, asked: &Asked, ledger: &Ledger, stalls: &Stalls, schedule: &Schedule) {
        let (n, kind) = (asked.n, Kind::of(asked.n));
        let receipts = &ledger.receipts(n)[..];
        let spoken = match schedule.protocol(kind.provider()) {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
        };
        for receipt in receipts {
            *self.received.entry((spoken, receipt.fault)).or_default() += 1;
        }
        let again = receipts.len().saturating_sub(1);
        self.repeated += again as u64;
        if !receipts.iter().take(again).all(Receipt::is_free) {
            self.found(
                Breach::SentAgain,
                format!("call {n} {kind:?}: received {receipts:?}"),
            );
        }
        let Some(span) = span(&asked.answers) else {
            return;
        };
        let met = Met {
            kind,
            receipts,
            troubled: &|trouble| ledger.troubled(kind.provider(), trouble, span),
        };
        for answer in &asked.answers {
            self.judge_one(answer, n, &met, stalls, n < schedule.from);
        }
        if kind == Kind::Create {
            self.persons(asked, receipts);
        }
    }

    fn judge_one(&mut self, answer: &Answer, n: u64, met: &Met<'_>, stalls: &Stalls, quiet: bool) {
        let refusal = match &answer.result {
            Ok(_) if met.receipts.iter().any(is_answered) => {
                self.good += 1;
                return;
            }
            Ok(_) => return self.blame(quiet, n, "OK out of nothing", met),
            Err(refusal) => refusal,
        };
        // Whatever else it is, it must not lie about money.
        self.bill(n, refusal, met);
        let own = answer.ended_by_caller();
        if let Some(own) = own.filter(|_| !quiet && met.takes(answer)) {
            let reason = match own {
                OwnEnd::Told => "DEADLINE_EXCEEDED, the caller's own",
                OwnEnd::Alone => "the caller's own timer, or it hung up",
            };
            self.count(reason);
            if own == OwnEnd::Told {
                self.own_ends += 1;
                self.own(n, refusal, met);
            }
        } else if !quiet && met.explains(refusal) {
            self.count(&refusal.reason);
        } else if stalls.during(answer.span()) {
            self.count("(while the machine stood still)");
        } else {
            let told = format!(
                "{refusal:?} after {:?} of {:?}",
                answer.waited(),
                answer.deadline
            );
            self.blame(quiet, n, &told, met);
        }
    }

    fn persons(&mut self, asked: &Asked, receipts: &[Receipt]) {
        let told = asked
            .answers
            .iter()
            .filter_map(|answer| answer.result.as_ref().ok());
        let told: BTreeSet<_> = told.collect();
        let made = receipts.iter().filter(|receipt| receipt.charged).count();
        self.persons += made as u64;
        if made > 1 || told.len() > 1 {
            let told = told.len();
            self.found(
                Breach::CreatedTwice,
                format!("call {}: {made} made, {told} told of", asked.n),
            );
        }
    }

    /// Nothing was charged only if nothing reached the provider, or it said no for nothing. Of a create
    /// three callers are told, and what was sent may be another's.
    fn bill(&mut self, n: u64, refusal: &Refusal, met: &Met<'_>) {
        if refusal.billing == "not_billed" && met.kind != Kind::Create && !met.all_free() {
            let words = format!("call {n} {:?}: {refusal:?}; {:?}", met.kind, met.receipts);
            self.found(Breach::UnderReported, words);
        }
    }

    /// The cost of a call that its caller's time has ended is unknown only if something has left. What is
    /// cancelled in the moment of its leaving may never arrive: that is rare.
    fn own(&mut self, n: u64, refusal: &Refusal, met: &Met<'_>) {
        let left = !met.receipts.is_empty() || met.is(Trouble::Frozen);
        if refusal.billing == "unknown" && met.kind != Kind::Create && !left {
            self.never_sent.push(format!("call {n} {:?}", met.kind));
        }
    }

    fn count(&mut self, reason: &str) {
        *self.injected.entry(reason.to_owned()).or_default() += 1;
    }

    fn blame(&mut self, quiet: bool, n: u64, told: &str, met: &Met<'_>) {
        let breach = match quiet {
            true => Breach::FeltLeaving,
            false => Breach::Unexplained,
        };
        let words = format!(
            "call {n} {:?}: {told}; received {:?}",
            met.kind, met.receipts
        );
        self.found(breach, words);
    }

    fn found(&mut self, breach: Breach, words: String) {
        self.breaches.entry(breach).or_default().push(words);
    }
}

/// From the first caller's call to the last one's answer.
fn span(answers: &[Answer]) -> Option<Span> {
    let spans = answers.iter().map(Answer::span);
    spans.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
}

/// Whether a whole answer went back.
const fn is_answered(receipt: &Receipt) -> bool {
    use Fault::{Delay, HangUp, Leave, None, Trickle};
    matches!(receipt.fault, None | Delay | Trickle | HangUp | Leave)
}
