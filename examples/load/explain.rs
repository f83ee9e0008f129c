//! Which failures the injected faults make, to the letter: code, reason and billing.

use std::time::Duration;

use tonic::Code;

use crate::{
    answer::{Answer, Refusal},
    faults::Fault,
    ledger::{Receipt, Trouble},
    subjects::Kind,
};

/// Within this, a caller's time may be over by chance: a connection was made, or the machine was busy.
const SHORT: Duration = Duration::from_secs(1);

/// What one call met, as far as it is known.
pub struct Met<'a> {
    /// What was asked.
    pub kind: Kind,
    /// What was received of it.
    pub receipts: &'a [Receipt],
    /// Whether connections to its provider were in a trouble while it was made.
    pub troubled: &'a dyn Fn(Trouble) -> bool,
}

impl Met<'_> {
    /// Whether a fault makes exactly this failure. A lookup's last request decides; for a create, whose
    /// callers share one answer, any may.
    pub fn explains(&self, refusal: &Refusal) -> bool {
        let shared = self.kind == Kind::Create;
        // Nothing was received that counts: a later request, if there was one, met a connection in trouble.
        let unseen = self.all_free();
        let kept = shared
            && self.met(&[
                Fault::Stall,
                Fault::TrickleSlow,
                Fault::Giant,
                Fault::Freeze,
            ]);
        let (code, reason, billing) = (
            refusal.code,
            refusal.reason.as_str(),
            refusal.billing.as_str(),
        );
        match (code, reason, billing) {
            (Code::Unknown, "PROVIDER_OUTCOME_UNKNOWN", "unknown") => {
                // Another replica knows of a create only that its outcome is not known, not why.
                kept || self.lost(None)
                    || self.met(&[
                        Fault::ResetBefore,
                        Fault::ResetAfter,
                        Fault::ResetStream,
                        Fault::Truncated,
                        Fault::BadGateway,
                        // A connection that answers no ping is given up.
                        Fault::Freeze,
                    ])
                    || (shared && self.met(&[Fault::GatewayTimeout]))
                    || unseen && (self.is(Trouble::Reset) || self.is(Trouble::Frozen))
            }
            (Code::DeadlineExceeded, "PROVIDER_TIMEOUT", "unknown") => {
                self.met(&[
                    Fault::Stall,
                    Fault::TrickleSlow,
                    Fault::GatewayTimeout,
                    Fault::Freeze,
                    // Sixteen MiB take their time on a busy machine.
                    Fault::Giant,
                ]) || self.lost(Some(Trouble::Frozen))
                    || self.is(Trouble::Crowded)
                    || unseen && self.is(Trouble::Frozen)
            }
            (Code::Internal, "PROVIDER_RESPONSE_MALFORMED", "unknown") => self.met(&[Fault::Giant]),
            (Code::Unavailable, "PROVIDER_UNAVAILABLE", "not_billed") => {
                // A create's later caller may have found the connection that the first had not.
                self.met(&[Fault::Down, Fault::Refused])
                    || (unseen || shared) && self.is(Trouble::Unmade)
            }
            (Code::Unavailable, "PROVIDER_CIRCUIT_OPEN", "not_billed") => shared || unseen,
            _ => false,
        }
    }

    /// Whether the caller's time can have passed: it was short, or something took time.
    pub fn takes(&self, answer: &Answer) -> bool {
        answer.deadline <= SHORT
            || !self.receipts.is_empty() && self.all_free()
            || self.lost(Some(Trouble::Frozen))
            || self.receipts.iter().any(|one| one.fault.takes_time())
            || self.is(Trouble::Frozen)
            || self.is(Trouble::Crowded)
            || self.is(Trouble::Unmade)
    }

    /// Whether everything that was received was answered by an error that is free.
    pub fn all_free(&self) -> bool {
        self.receipts.iter().all(Receipt::is_free)
    }

    /// Whether a connection to the provider was in this trouble.
    pub fn is(&self, trouble: Trouble) -> bool {
        (self.troubled)(trouble)
    }

    fn deciding(&self) -> &[Receipt] {
        match self.kind {
            Kind::Create => self.receipts,
            _ => {
                self.receipts
                    .split_at(self.receipts.len().saturating_sub(1))
                    .1
            }
        }
    }

    fn met(&self, faults: &[Fault]) -> bool {
        let mut deciding = self.deciding().iter();
        deciding.any(|receipt| faults.contains(&receipt.fault))
    }

    fn lost(&self, to: Option<Trouble>) -> bool {
        let mut deciding = self.deciding().iter();
        deciding.any(|receipt| receipt.lost.is_some() && (to.is_none() || receipt.lost == to))
    }
}
