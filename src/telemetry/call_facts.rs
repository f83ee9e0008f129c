//! What is known of one call while it travels: the source of its log line.
//!
//! The server makes one for each call; the rooms below add what they learn. Only bounded words and
//! ids minted here fit in: there is no field that could hold personal data of those asked about. Who
//! calls is known here too, for the audit; the log line and the span tell only the policy file's rule.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use opentelemetry::trace::SpanContext;
use tokio::time::Instant;

use crate::{
    access::{budget::Counted, door::Rights, fields::Fields, persons::Records, share::Share},
    audit::call::Call,
    auth::identity::Caller,
    domain::{
        failure::Failure,
        verification::{Billing, Outcome, Provider, Source, VerificationId},
    },
};

/// What is known of one call.
#[derive(Debug, Default)]
pub struct CallFacts {
    verification_id: OnceLock<VerificationId>,
    provider: OnceLock<Provider>,
    outcome: OnceLock<Outcome>,
    billing: OnceLock<Billing>,
    source: OnceLock<Source>,
    reason: OnceLock<&'static str>,
    deadline: Mutex<Option<Instant>>,
    attempts: AtomicU32,
    unsettled: AtomicBool,
    shared: OnceLock<(Part, Arc<CallFacts>)>,
    span: OnceLock<SpanContext>,
    caller: OnceLock<Arc<Caller>>,
    rule: OnceLock<Arc<str>>,
    rights: OnceLock<Rights>,
    audit: Option<Call>,
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
    /// The facts of a call that the audit records.
    #[must_use]
    pub fn audited(call: Call) -> Self {
        Self {
            audit: Some(call),
            ..Self::default()
        }
    }

    /// The audit's part.
    pub const fn audit(&self) -> Option<&Call> {
        self.audit.as_ref()
    }

    /// Notes who calls.
    pub fn called_by(&self, caller: Arc<Caller>) {
        let _known_already = self.caller.set(caller);
    }

    /// Notes the name of the policy file's rule that the caller falls under.
    pub fn falls_under(&self, rule: Arc<str>) {
        let _known_already = self.rule.set(rule);
    }

    /// Notes what the caller may do. Without this, everything.
    pub fn may(&self, rights: Rights) {
        let _known_already = self.rights.set(rights);
    }

    /// Who calls, once that is known.
    pub fn caller(&self) -> Option<&Arc<Caller>> {
        self.caller.get()
    }

    /// The name of the policy file's rule that the caller falls under.
    pub fn rule(&self) -> Option<&str> {
        self.rule.get().map(|rule| &**rule)
    }

    /// The fields that the caller may see of the answer.
    pub fn visible(&self) -> &Fields {
        self.rights.get().map_or(&Fields::All, Rights::fields)
    }

    /// Whose person records the caller may use.
    pub fn records(&self) -> &Records {
        self.rights.get().map_or(&Records::All, Rights::records)
    }

    /// With whom the caller shares answers.
    pub fn share(&self) -> &Share {
        self.rights.get().map_or(&Share::Everybody, Rights::share)
    }

    /// Counts a provider call that may be charged, before it is sent; none if the caller has no budget
    /// for these.
    ///
    /// # Errors
    ///
    /// [`Kind::RateLimited`](crate::domain::failure::Kind::RateLimited) if the budget is spent.
    pub async fn charge(&self) -> Result<Option<Counted>, Failure> {
        let (Some(rights), Some(caller)) = (self.rights.get(), self.caller.get()) else {
            return Ok(None);
        };
        rights.charge(caller).await.map_err(|failure| Failure {
            provider: self.provider(),
            billing: Some(Billing::NotBilled),
            ..failure
        })
    }

    /// Notes that the call is about a provider.
    pub fn asks(&self, provider: Provider) {
        let _known_already = self.provider.set(provider);
    }

    /// Notes that the call is a verification.
    pub fn verifies(&self, id: VerificationId) {
        let _known_already = self.verification_id.set(id);
    }

    /// Notes when the caller stops waiting.
    pub fn ends(&self, deadline: Instant) {
        *self.locked_deadline() = Some(deadline);
    }

    /// Notes that an attempt begins. Until it is [`sent`](Self::sent) it costs nothing.
    pub fn attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that the attempt's request goes out on a connection: unless it is settled, it may have been
    /// charged.
    pub fn sent(&self) {
        self.unsettled.store(true, Ordering::Relaxed);
    }

    /// Notes that the attempt surely cost nothing. One that was answered and charged is not settled:
    /// its answer may still be on its way to a caller whose time runs out just then.
    pub fn settled(&self) {
        self.unsettled.store(false, Ordering::Relaxed);
    }

    /// Notes that the call waits for what another call has sent: it may be charged, though this one
    /// sends nothing.
    pub fn waits(&self) {
        self.unsettled.store(true, Ordering::Relaxed);
    }

    /// Notes that the call waits for a provider call with facts of its own. That one has time until the
    /// last of those who wait stops.
    pub fn shares(&self, part: Part, call: Arc<Self>) {
        let own = self.deadline();
        let mut longest = call.locked_deadline();
        *longest = match part {
            Part::Starts => own,
            Part::Joins => longest.zip(own).map(|(one, other)| one.max(other)),
        };
        drop(longest);
        let _shared_already = self.shared.set((part, call));
    }

    /// Notes that the call runs to its end, whoever still waits for it.
    pub fn has_no_deadline(&self) {
        *self.locked_deadline() = None;
    }

    /// Notes the span under which the provider is asked for all who share the call.
    pub fn runs_under(&self, span: SpanContext) {
        let _known_already = self.span.set(span);
    }

    /// Notes what the provider found and what it costs.
    pub fn found(&self, outcome: Outcome, billing: Billing) {
        let _known_already = self.outcome.set(outcome);
        let _known_already = self.billing.set(billing);
    }

    /// Notes where the answer comes from.
    pub fn comes_from(&self, source: Source) {
        let _known_already = self.source.set(source);
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

    /// Where the answer came from.
    pub fn source(&self) -> Option<Source> {
        self.source.get().copied()
    }

    /// Why the call failed.
    pub fn reason(&self) -> Option<&'static str> {
        self.reason.get().copied()
    }

    /// When the caller stops waiting, or the last of several; none if that is not known.
    pub fn deadline(&self) -> Option<Instant> {
        *self.locked_deadline()
    }

    /// The span under which the provider is asked, of the call that this one joined.
    pub fn span_of_starter(&self) -> Option<SpanContext> {
        match self.shared.get()? {
            (Part::Joins, call) => call.span.get().cloned(),
            (Part::Starts, _) => None,
        }
    }

    /// Whether the call joined one that was in flight.
    pub fn joined(&self) -> bool {
        matches!(self.shared.get(), Some((Part::Joins, _)))
    }

    /// How many attempts were made for this call. One that joined another's made none.
    pub fn attempts(&self) -> u32 {
        let own = self.attempts.load(Ordering::Relaxed);
        match self.shared.get() {
            Some((Part::Starts, call)) => own + call.attempts(),
            _ => own,
        }
    }

    /// Whether an attempt was sent, by this call or by one that it waits for, that may be charged.
    pub fn may_be_charged(&self) -> bool {
        let shared = self.shared.get();
        self.unsettled.load(Ordering::Relaxed)
            || shared.is_some_and(|(_, call)| call.may_be_charged())
    }

    fn locked_deadline(&self) -> MutexGuard<'_, Option<Instant>> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_attempt_counts_once_and_may_be_charged_for_all() {
        let call = Arc::new(CallFacts::default());
        let (first, second) = (CallFacts::default(), CallFacts::default());
        first.shares(Part::Starts, Arc::clone(&call));
        second.shares(Part::Joins, Arc::clone(&call));
        assert!(!first.may_be_charged() && !second.may_be_charged());
        call.attempt();
        assert_eq!((first.attempts(), second.attempts()), (1, 0));
        assert!(!first.may_be_charged() && !second.may_be_charged());
        call.sent();
        assert!(first.may_be_charged() && second.may_be_charged());
        call.settled();
        assert!(!first.may_be_charged() && !second.may_be_charged());
    }

    #[tokio::test(start_paused = true)]
    async fn a_shared_call_has_time_until_the_last_who_waits_stops() {
        let second = |count| Instant::now() + std::time::Duration::from_secs(count);
        let join = |call: &Arc<CallFacts>, part, deadline: Option<Instant>| {
            let facts = CallFacts::default();
            if let Some(deadline) = deadline {
                facts.ends(deadline);
            }
            facts.shares(part, Arc::clone(call));
        };
        let call = Arc::new(CallFacts::default());
        join(&call, Part::Starts, Some(second(2)));
        assert_eq!(call.deadline(), Some(second(2)));
        join(&call, Part::Joins, Some(second(5)));
        join(&call, Part::Joins, Some(second(1)));
        assert_eq!(call.deadline(), Some(second(5)));
        join(&call, Part::Joins, None);
        assert_eq!(call.deadline(), None);
    }
}
