//! What is known of one call while it travels: the source of its log line.
//!
//! The server makes one for each call; the rooms below add what they learn. Only bounded words and
//! ids minted here fit in: there is no field that could hold personal data.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use crate::domain::verification::{Billing, Outcome, Provider, VerificationId};

/// What is known of one call.
#[derive(Debug, Default)]
pub struct CallFacts {
    verification_id: OnceLock<VerificationId>,
    provider: OnceLock<Provider>,
    outcome: OnceLock<Outcome>,
    billing: OnceLock<Billing>,
    reason: OnceLock<&'static str>,
    attempts: AtomicU32,
    unanswered: AtomicBool,
    shared: OnceLock<(Part, Arc<CallFacts>)>,
}

/// The part that a call has in a provider call which it shares with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It started the provider call: the attempts count as its own.
    Starts,
    /// It joined one that was in flight: it sends nothing.
    Joins,
}

impl CallFacts {
    /// Notes that the call is about a provider.
    pub fn asks(&self, provider: Provider) {
        let _known_already = self.provider.set(provider);
    }

    /// Notes that the call is a verification.
    pub fn verifies(&self, id: VerificationId) {
        let _known_already = self.verification_id.set(id);
    }

    /// Notes that an attempt is about to be sent: until it is answered, it may have been charged.
    pub fn attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        self.unanswered.store(true, Ordering::Relaxed);
    }

    /// Notes that the attempt was answered, or surely never left.
    pub fn settled(&self) {
        self.unanswered.store(false, Ordering::Relaxed);
    }

    /// Notes that the call waits for what another call has sent: it may be charged, though this one
    /// sends nothing. [`settled`](Self::settled) ends it.
    pub fn waits(&self) {
        self.unanswered.store(true, Ordering::Relaxed);
    }

    /// Notes that the call waits for a provider call with facts of its own.
    pub fn shares(&self, part: Part, call: Arc<Self>) {
        let _shared_already = self.shared.set((part, call));
    }

    /// Notes what the provider found and what it costs.
    pub fn found(&self, outcome: Outcome, billing: Billing) {
        let _known_already = self.outcome.set(outcome);
        let _known_already = self.billing.set(billing);
    }

    /// Notes why the call failed.
    pub fn failed(&self, reason: &'static str, billing: Option<Billing>) {
        let _known_already = self.reason.set(reason);
        if let Some(billing) = billing {
            let _known_already = self.billing.set(billing);
        }
    }

    /// The id of the verification, once it is one.
    pub fn verification_id(&self) -> Option<VerificationId> {
        self.verification_id.get().copied()
    }

    /// The provider, once it is known.
    pub fn provider(&self) -> Option<Provider> {
        self.provider.get().copied()
    }

    /// What the provider found.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.get().copied()
    }

    /// What is known of the cost.
    pub fn billing(&self) -> Option<Billing> {
        self.billing.get().copied()
    }

    /// Why the call failed.
    pub fn reason(&self) -> Option<&'static str> {
        self.reason.get().copied()
    }

    /// How many attempts were sent for this call. One that joined another's sent none.
    pub fn attempts(&self) -> u32 {
        let own = self.attempts.load(Ordering::Relaxed);
        match self.shared.get() {
            Some((Part::Starts, call)) => own + call.attempts(),
            _ => own,
        }
    }

    /// Whether an attempt that the call waits for is out and unanswered: it may be charged.
    pub fn is_unanswered(&self) -> bool {
        let shared = self.shared.get();
        self.unanswered.load(Ordering::Relaxed)
            || shared.is_some_and(|(_, call)| call.is_unanswered())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_attempt_counts_once_and_is_unanswered_for_all() {
        let call = Arc::new(CallFacts::default());
        let (first, second) = (CallFacts::default(), CallFacts::default());
        first.shares(Part::Starts, Arc::clone(&call));
        second.shares(Part::Joins, Arc::clone(&call));
        assert!(!first.is_unanswered() && !second.is_unanswered());
        call.attempt();
        assert_eq!((first.attempts(), second.attempts()), (1, 0));
        assert!(first.is_unanswered() && second.is_unanswered());
        call.settled();
        assert!(!first.is_unanswered() && !second.is_unanswered());
    }
}
