//! From serving to gone, in order.
//!
//! `Serving` → first SIGTERM or SIGINT → `LameDuck`: every health service says NOT_SERVING, open
//! watches hear it and end, `/readyz` fails; calls are still taken, because load balancers need a
//! moment to look elsewhere → after the lame-duck time, or a second signal → `Draining`: no new
//! connections or calls, those in flight finish, up to the drain timeout or a third signal.

use tokio::sync::watch;

/// Where the process is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Calls are taken.
    Serving,
    /// Calls are taken, and everyone is told to go elsewhere.
    LameDuck,
    /// Calls in flight finish.
    Draining,
}

/// The phase, for everyone who needs to know it.
#[derive(Debug, Clone)]
pub struct Lifecycle(watch::Sender<Phase>);

impl Default for Lifecycle {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }
}

impl Lifecycle {
    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Goes on to a later phase.
    pub fn enter(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }

    /// Waits for a phase, or a later one.
    pub async fn reached(&self, phase: Phase) {
        let mut phases = self.0.subscribe();
        // The sender lives as long as `self`: this cannot end before the phase is there.
        let _reached = phases.wait_for(|now| *now >= phase).await;
    }
}
