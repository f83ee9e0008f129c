//! How far a call came at the provider: until when it has time, how often it was sent, and what of that may
//! be charged.
//!
//! Several calls may wait for one request: then that request has a progress of
//! its own, and each call knows the part that it has in it.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use opentelemetry::trace::SpanContext;
use tokio::time::Instant;

/// The progress of one call, or of a request that several calls share.
#[derive(Debug, Default)]
pub struct Progress {
    deadline: Mutex<Option<Instant>>,
    attempts: AtomicU32,
    unsettled: AtomicBool,
    counted: AtomicBool,
    answered_by: Mutex<Option<Instant>>,
    shared: OnceLock<(Part, Arc<Progress>)>,
    span: OnceLock<SpanContext>,
}

/// The part that a call has in a provider call which it shares with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It started the provider call: the attempts count as its own.
    Starts,
    /// It joined one that was in flight: it sends nothing.
    Joins,
}

impl Progress {
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
        *locked(&self.answered_by) = None;
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
        match part {
            Part::Starts => *call.locked_deadline() = own,
            Part::Joins => call.waits_until(own),
        }
        let _shared_already = self.shared.set((part, call));
    }

    /// Somebody more waits for this, and for what it waits for itself.
    fn waits_until(&self, deadline: Option<Instant>) {
        let mut longest = self.locked_deadline();
        *longest = longest.zip(deadline).map(|(one, other)| one.max(other));
        drop(longest);
        if let Some((_, call)) = self.shared.get() {
            call.waits_until(deadline);
        }
    }

    /// Notes that what was sent last is answered by then, or never.
    pub fn answered_by(&self, end: Instant) {
        *locked(&self.answered_by) = Some(end);
    }

    /// Whether the call shares this progress, or one of those that it shares does.
    pub fn takes_part_in(&self, other: &Arc<Self>) -> bool {
        let shared = self.shared.get();
        shared.is_some_and(|(_, call)| Arc::ptr_eq(call, other) || call.takes_part_in(other))
    }

    /// The progress that this one shares in the end, or this one.
    pub fn innermost(&self) -> &Self {
        self.shared.get().map_or(self, |(_, call)| call.innermost())
    }

    /// Until when there may be an answer to what was sent for this call, or for one that it waits for.
    pub fn may_be_answered_by(&self) -> Option<Instant> {
        let own = *locked(&self.answered_by);
        own.or_else(|| self.shared.get()?.1.may_be_answered_by())
    }

    /// Notes that the attempt that is out counts as a failure of its provider already.
    pub fn is_counted(&self) {
        self.counted.store(true, Ordering::Relaxed);
    }

    /// Whether it does.
    pub fn was_counted(&self) -> bool {
        self.counted.load(Ordering::Relaxed)
    }

    /// Notes the span under which the provider is asked for all who share the call.
    pub fn runs_under(&self, span: SpanContext) {
        let _known_already = self.span.set(span);
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
        locked(&self.deadline)
    }
}

fn locked(at: &Mutex<Option<Instant>>) -> MutexGuard<'_, Option<Instant>> {
    at.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_attempt_counts_once_and_may_be_charged_for_all() {
        let call = Arc::new(Progress::default());
        let (first, second) = (Progress::default(), Progress::default());
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
        let join = |call: &Arc<Progress>, part, deadline: Option<Instant>| {
            let own = Progress::default();
            if let Some(deadline) = deadline {
                own.ends(deadline);
            }
            own.shares(part, Arc::clone(call));
        };
        let call = Arc::new(Progress::default());
        join(&call, Part::Starts, Some(second(2)));
        assert_eq!(call.deadline(), Some(second(2)));
        join(&call, Part::Joins, Some(second(5)));
        join(&call, Part::Joins, Some(second(1)));
        assert_eq!(call.deadline(), Some(second(5)));
        join(&call, Part::Joins, None);
        assert_eq!(call.deadline(), None);
    }

    /// Who waits for a `request_id` waits for what that waits for.
    #[tokio::test(start_paused = true)]
    async fn whoever_joins_gives_time_to_all_that_it_waits_for() {
        let second = |count| Instant::now() + std::time::Duration::from_secs(count);
        let (request, of_id) = (Arc::new(Progress::default()), Arc::new(Progress::default()));
        let [hasty, patient] = [1, 9].map(|deadline| {
            let own = Progress::default();
            own.ends(second(deadline));
            own
        });
        hasty.shares(Part::Starts, Arc::clone(&of_id));
        of_id.shares(Part::Starts, Arc::clone(&request));
        assert_eq!(request.deadline(), Some(second(1)));
        patient.shares(Part::Joins, Arc::clone(&of_id));
        assert_eq!(request.deadline(), Some(second(9)));
        assert!(patient.takes_part_in(&request));
    }
}
