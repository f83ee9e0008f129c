//! Holds what callers were told against what the provider received.
//!
//! Every failure must be the one that the injected fault makes, to the letter: code, reason and
//! billing. A failure that no fault explains was caused by the gateway, by its leaving above all.

use std::collections::{BTreeMap, BTreeSet};

use tonic::Code;

use crate::{
    answer::Refusal,
    calls::Asked,
    faults::{Fault, Schedule},
    ledger::Receipt,
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
    /// A caller that was told nothing was charged, when something was.
    UnderReported,
}

impl Breach {
    /// All, with the words for them.
    pub const ALL: [(Self, &str); 5] = [
        (Self::FeltLeaving, "failed, no fault injected (SIGTERM)"),
        (Self::Unexplained, "failed, not by the injected fault"),
        (Self::SentAgain, "sent again, maybe charged twice"),
        (Self::UnderReported, "told as free, but charged"),
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
    /// Requests received, by what happened to them.
    pub received: BTreeMap<Fault, u64>,
    /// Requests received again after a free error.
    pub repeated: u64,
    /// Persons created, each by its own `request_id`.
    pub persons: u64,
    /// What must not happen and did, each in words without identifiers.
    pub breaches: BTreeMap<Breach, Vec<String>>,
}

impl Verdict {
    /// Judges one call.
    pub fn judge(&mut self, asked: &Asked, receipts: &[Receipt], schedule: &Schedule) {
        let (n, kind) = (asked.n, Kind::of(asked.n));
        for receipt in receipts {
            *self.received.entry(receipt.fault).or_default() += 1;
        }
        let again = receipts.len().saturating_sub(1);
        self.repeated += again as u64;
        let before = receipts.iter().take(again);
        if !before.clone().all(Receipt::is_free) {
            self.found(
                Breach::SentAgain,
                format!("call {n} {kind:?}: received {receipts:?}"),
            );
        }
        for (index, answer) in asked.answers.iter().enumerate() {
            let impatient = index == 0 && asked.impatient;
            match &answer.result {
                Ok(_) if receipts.iter().any(is_answered) => self.good += 1,
                Ok(_) => self.blame(n < schedule.from, n, "OK out of nothing", receipts),
                Err(refusal) if impatient && gave_up(refusal) => {
                    *self
                        .injected
                        .entry("(the caller gave up)".to_owned())
                        .or_default() += 1;
                }
                Err(refusal) if n >= schedule.from && explained(kind, refusal, receipts) => {
                    *self.injected.entry(refusal.reason.clone()).or_default() += 1;
                    self.bill(n, refusal, receipts);
                }
                Err(refusal) => {
                    let told = format!("{refusal:?} after {:?}", answer.latency);
                    self.blame(n < schedule.from, n, &told, receipts);
                }
            }
        }
        if kind == Kind::Create {
            self.persons(asked, receipts);
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

    fn bill(&mut self, n: u64, refusal: &Refusal, receipts: &[Receipt]) {
        if refusal.billing == "not_billed" && Kind::of(n) != Kind::Create {
            let charged = receipts.iter().any(|receipt| receipt.charged);
            if charged {
                self.found(Breach::UnderReported, format!("call {n}: {receipts:?}"));
            }
        }
    }

    fn blame(&mut self, quiet: bool, n: u64, told: &str, receipts: &[Receipt]) {
        let breach = match quiet {
            true => Breach::FeltLeaving,
            false => Breach::Unexplained,
        };
        let kind = Kind::of(n);
        self.found(
            breach,
            format!("call {n} {kind:?}: {told}; received {receipts:?}"),
        );
    }

    fn found(&mut self, breach: Breach, words: String) {
        self.breaches.entry(breach).or_default().push(words);
    }
}

/// Whether a whole answer went back.
const fn is_answered(receipt: &Receipt) -> bool {
    use Fault::{Delay, HangUp, None, Trickle};
    matches!(receipt.fault, None | Delay | Trickle | HangUp)
}

/// How the caller's own timer, or the gateway just before it, ends a call.
fn gave_up(refusal: &Refusal) -> bool {
    let local = refusal.reason.is_empty() && refusal.code == Code::Cancelled;
    local || (refusal.code == Code::DeadlineExceeded && refusal.reason == "DEADLINE_EXCEEDED")
}

/// Whether a fault makes exactly this failure. A lookup's last request decides; for a create, whose
/// callers share one answer, any may.
fn explained(kind: Kind, refusal: &Refusal, receipts: &[Receipt]) -> bool {
    let any = kind == Kind::Create;
    let deciding = if any {
        receipts
    } else {
        receipts.split_at(receipts.len().saturating_sub(1)).1
    };
    let met = |faults: &[Fault]| {
        deciding
            .iter()
            .any(|receipt| faults.contains(&receipt.fault))
    };
    let free_so_far = receipts.iter().all(Receipt::is_free);
    let (code, reason, billing) = (
        refusal.code,
        refusal.reason.as_str(),
        refusal.billing.as_str(),
    );
    match (code, reason, billing) {
        (Code::Unknown, "PROVIDER_OUTCOME_UNKNOWN", "unknown") => {
            // Without a receipt: it met a connection that was being reset after another's answer.
            let lost = deciding.iter().any(|receipt| receipt.lost) || free_so_far;
            // Another replica knows of a create only that its outcome is not known, not why.
            let kept = any && met(&[Fault::Stall, Fault::TrickleSlow, Fault::Giant]);
            lost || kept || met(&[Fault::ResetBefore, Fault::ResetAfter, Fault::Truncated])
        }
        (Code::DeadlineExceeded, "PROVIDER_TIMEOUT", "unknown") => {
            met(&[Fault::Stall, Fault::TrickleSlow])
        }
        (Code::Internal, "PROVIDER_RESPONSE_MALFORMED", "unknown") => met(&[Fault::Giant]),
        (Code::Unavailable, "PROVIDER_UNAVAILABLE", "not_billed") => met(&[Fault::Down]),
        (Code::Unavailable, "PROVIDER_CIRCUIT_OPEN", "not_billed") => any || free_so_far,
        _ => false,
    }
}
