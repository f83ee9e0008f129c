//! The circuit breaker of one provider: a provider that fails is left alone for a moment.
//!
//! ```text
//!                 N failures in a row, or too many in the window
//!        ┌────────┐ ─────────────────────────────────────► ┌──────┐
//!        │ closed │                                        │ open │ ◄─┐
//!        └────────┘ ◄──────────┐             the open time └──────┘   │
//!                              │             is over, and a    │      │ the probe fails:
//!           the probe succeeds │             call comes        ▼      │ open twice as long
//!                              │                          ┌───────────┐
//!                              └───────────────────────── │ half-open │
//!                                                         └───────────┘
//! ```
//!
//! - **Closed**: every call goes through and its verdict is counted.
//! - **Open**: no call goes through. The open time is 1 s, 2 s, 4 s … up to a cap, less up to half of
//!   it by chance, so that the replicas of a gateway do not all knock at once. Nothing happens when it
//!   is over: the next call finds that out, and is the probe.
//! - **Half-open**: the probe is out and every other call is refused. A probe that was not sent (a limit
//!   behind the breaker refused it) gives its place back: open again, with its time over. A probe that
//!   hangs would keep a provider that is back waiting for the whole provider timeout; after
//!   [`PROBE_PATIENCE`] a second one may go.
//!
//! An attempt that its caller gives up has failed if it was out for [`Settings::abandoned_after`], or if
//! nothing has come back from the provider for that long while attempts were out: callers in a hurry must
//! not send one request after the other to a provider that hangs. Given up earlier it says nothing; if it
//! was the probe, the circuit stays open for the first, shortest time, and no longer: a hurried caller
//! must not keep the others from a provider that is back.
//!
//! An attempt that its callers leave and that is finished without them has failed if nothing has come back for
//! that long: a provider that is slow and answers is well, and one that hangs must not be sent one
//! request after the other for as long as its timeout lasts. When it ends it says how it went, like any other; a
//! failure is counted once.
//!
//! Each change of state begins a new generation, and a verdict counts only in the generation that its
//! call was admitted in: what was sent before the circuit opened says nothing about the probe.
//!
//! How long a provider that is back waits at most: the patience for a probe that it swallowed while it
//! was down, then the cap, 5 s + 15 s. The contract allows 30 s.
// Long: one state machine with its settings and its permits.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{silence::Silence, window::Window};
use crate::{
    domain::{
        failure::{Failure, Kind},
        verification::Provider,
    },
    telemetry::{labels, metrics},
};

#[cfg(test)]
mod tests;

/// The first open time, before chance takes its part.
const FIRST_OPEN: Duration = Duration::from_secs(1);
/// How long a probe may be out before another may go.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);

/// When the circuit opens, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// It opens after so many failures in a row; 0 = never for that.
    pub consecutive_failures: u32,
    /// It opens if so many of a hundred calls in the window failed …
    pub failure_percent: u32,
    /// … and there were at least so many.
    pub minimum_calls: u32,
    /// The length of the window.
    pub window: Duration,
    /// The longest open time.
    pub max_open: Duration,
    /// An attempt that is given up has failed if it was out for so long.
    pub abandoned_after: Duration,
}

/// The state, as health shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// Calls go through.
    Closed,
    /// Calls are refused until then.
    Open {
        /// The end of the open time.
        until: Instant,
    },
    /// Calls are refused until the probe's verdict.
    HalfOpen,
}

/// What a call says of the provider's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answered, be it with a refusal.
    Success,
    /// It did not answer, or not in its own words, or said that it is down.
    Failure,
}

impl Verdict {
    /// The verdict of a failed attempt.
    #[must_use]
    pub const fn of(failure: &Failure) -> Self {
        match failure.kind {
            Kind::NotConnected
            | Kind::TimedOut
            | Kind::OutcomeUnknown
            | Kind::ProviderDown
            | Kind::SourceTimeout
            | Kind::Malformed => Self::Failure,
            _ => Self::Success,
        }
    }
}

/// The circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    provider: Provider,
    settings: Settings,
    state: Mutex<State>,
    shown: watch::Sender<Circuit>,
}

#[derive(Debug)]
struct State {
    generation: u64,
    phase: Phase,
    silence: Silence,
}

#[derive(Debug)]
enum Phase {
    Closed {
        in_a_row: u32,
        window: Window,
    },
    Open {
        until: Instant,
        openings: u32,
    },
    HalfOpen {
        out: u32,
        sent: Instant,
        openings: u32,
    },
}

impl Breaker {
    /// A closed circuit.
    #[must_use]
    pub fn new(provider: Provider, settings: Settings) -> Self {
        metrics::breaker(provider, labels::State::Closed);
        let phase = Phase::Closed {
            in_a_row: 0,
            window: Window::new(settings.window),
        };
        Self {
            provider,
            settings,
            state: Mutex::new(State {
                generation: 0,
                phase,
                silence: Silence::new(Instant::now()),
            }),
            shown: watch::Sender::new(Circuit::Closed),
        }
    }

    /// Lets a call through.
    ///
    /// # Errors
    ///
    /// How long to wait, if it may not pass.
    pub fn admit(&self) -> Result<Permit<'_>, Duration> {
        let now = Instant::now();
        let mut state = self.lock();
        let probe = match &mut state.phase {
            Phase::Closed { .. } => false,
            Phase::Open { until, .. } if now < *until => return Err(*until - now),
            Phase::Open { openings, .. } => {
                let openings = *openings;
                let phase = Phase::HalfOpen {
                    out: 1,
                    sent: now,
                    openings,
                };
                self.go(&mut state, phase);
                true
            }
            Phase::HalfOpen { out, sent, .. } => {
                let waited = now - *sent;
                if *out > 0 && waited < PROBE_PATIENCE {
                    return Err(PROBE_PATIENCE - waited);
                }
                *out += 1;
                *sent = now;
                true
            }
        };
        Ok(Permit {
            breaker: self,
            generation: state.generation,
            probe,
            stage: Stage::Waiting,
        })
    }

    /// Whether a call would be refused now.
    #[must_use]
    pub fn refuses(&self) -> bool {
        match self.lock().phase {
            Phase::Closed { .. } => false,
            Phase::Open { until, .. } => Instant::now() < until,
            Phase::HalfOpen { out, sent, .. } => out > 0 && sent.elapsed() < PROBE_PATIENCE,
        }
    }

    /// The state, and every change of it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Circuit> {
        self.shown.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock, and each change is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state: all permits that are out are of an older generation now.
    fn go(&self, state: &mut State, phase: Phase) {
        let circuit = match phase {
            Phase::Closed { .. } => Circuit::Closed,
            Phase::Open { until, .. } => Circuit::Open { until },
            Phase::HalfOpen { .. } => Circuit::HalfOpen,
        };
        let shown = match circuit {
            Circuit::Closed => labels::State::Closed,
            Circuit::Open { .. } => labels::State::Open,
            Circuit::HalfOpen => labels::State::HalfOpen,
        };
        metrics::breaker_changed(self.provider, shown);
        state.generation += 1;
        state.phase = phase;
        self.shown.send_replace(circuit);
    }

    fn open(&self, state: &mut State, openings: u32) {
        let longest = FIRST_OPEN
            .saturating_mul(2_u32.saturating_pow(openings))
            .min(self.settings.max_open);
        let length = chance_part(longest);
        tracing::warn!(
            provider = self.provider.as_str(),
            open_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
            "circuit open"
        );
        let until = Instant::now() + length;
        self.go(
            state,
            Phase::Open {
                until,
                openings: openings.saturating_add(1),
            },
        );
    }

    /// Nobody waits any more for an attempt that is out: whether that counts as its failure.
    pub fn left(&self) -> bool {
        let state = &mut *self.lock();
        let silence = state.silence.length(Instant::now());
        if silence < self.settings.abandoned_after {
            return false;
        }
        let Phase::Closed { .. } = state.phase else {
            return false;
        };
        self.tell(state, state.generation, Verdict::Failure);
        true
    }

    fn tell(&self, state: &mut State, generation: u64, verdict: Verdict) {
        if state.generation != generation {
            return;
        }
        match (&mut state.phase, verdict) {
            (Phase::Closed { in_a_row, window }, Verdict::Success) => {
                *in_a_row = 0;
                window.count(Instant::now(), Verdict::Success);
            }
            (Phase::Closed { in_a_row, window }, Verdict::Failure) => {
                *in_a_row = in_a_row.saturating_add(1);
                let in_window = window.count(Instant::now(), Verdict::Failure);
                let row = self.settings.consecutive_failures;
                let too_many = in_window.calls >= u64::from(self.settings.minimum_calls)
                    && in_window.failures * 100
                        >= in_window.calls * u64::from(self.settings.failure_percent);
                if (row > 0 && *in_a_row >= row) || too_many {
                    self.open(state, 0);
                }
            }
            (Phase::HalfOpen { .. }, Verdict::Success) => {
                tracing::info!(provider = self.provider.as_str(), "circuit closed");
                let window = Window::new(self.settings.window);
                let phase = Phase::Closed {
                    in_a_row: 0,
                    window,
                };
                self.go(state, phase);
            }
            (Phase::HalfOpen { openings, .. }, Verdict::Failure) => {
                let openings = *openings;
                self.open(state, openings);
            }
            // No call is admitted in this generation.
            (Phase::Open { .. }, _) => {}
        }
    }

    /// A probe of this generation ended without a verdict. The next may go once this is over.
    fn give_back(&self, state: &mut State, generation: u64, rest: Duration) {
        if state.generation != generation {
            return;
        }
        if let Phase::HalfOpen { out, openings, .. } = &mut state.phase {
            *out = out.saturating_sub(1);
            if *out == 0 {
                let openings = *openings;
                let until = Instant::now() + rest;
                self.go(state, Phase::Open { until, openings });
            }
        }
    }

    /// An attempt was given up.
    fn abandon(&self, permit: &Permit<'_>, sent: Instant, counts: Counts) {
        let now = Instant::now();
        let state = &mut *self.lock();
        let enough = self.settings.abandoned_after;
        let was_patient = now - sent >= enough;
        let nobody_hears = state.silence.length(now) >= enough;
        state.silence.ends(now);
        if was_patient && (permit.probe || counts == Counts::Yes)
            || nobody_hears && !permit.probe && counts == Counts::Yes
        {
            self.tell(state, permit.generation, Verdict::Failure);
        } else if permit.probe {
            let rest = chance_part(FIRST_OPEN);
            self.give_back(state, permit.generation, rest);
        }
    }
}

/// At least half of it.
fn chance_part(longest: Duration) -> Duration {
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Whether a failure of an attempt counts. That of a probe always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// It does.
    Yes,
    /// It does not: the attempt repeats a question that has failed before.
    No,
}

/// How far a call that was let through has come.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Waiting,
    Out { since: Instant, counts: Counts },
    Over,
}

/// A call that was let through. Dropped before it is sent, it gives a probe's place back; dropped while it
/// is out, its caller has given up.
#[derive(Debug)]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    generation: u64,
    probe: bool,
    stage: Stage,
}

impl Permit<'_> {
    /// Whether the state is still the one that let the call through.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.breaker.lock().generation == self.generation
    }

    /// The attempt is sent.
    pub fn send(&mut self, counts: Counts) {
        let since = Instant::now();
        self.breaker.lock().silence.begins(since);
        self.stage = Stage::Out { since, counts };
    }

    /// The attempt was not sent after all: it says nothing of the provider.
    pub fn stays(mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Waiting);
        if let Stage::Out { .. } = stage {
            self.breaker.lock().silence.ends(Instant::now());
        }
    }

    /// The attempt failed, and that was counted when its callers left it.
    pub fn failed_before(mut self) {
        match &mut self.stage {
            Stage::Out { counts, .. } if !self.probe => *counts = Counts::No,
            _ => {}
        }
        self.tell(Verdict::Failure);
    }

    /// Says how the attempt went.
    pub fn tell(mut self, verdict: Verdict) {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let state = &mut *self.breaker.lock();
        let now = Instant::now();
        let counts = match (stage, verdict) {
            (Stage::Out { .. }, Verdict::Success) => {
                state.silence.answered(now);
                true
            }
            (Stage::Out { counts, .. }, Verdict::Failure) => {
                state.silence.ends(now);
                self.probe || counts == Counts::Yes
            }
            (Stage::Waiting | Stage::Over, _) => true,
        };
        if counts {
            self.breaker.tell(state, self.generation, verdict);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        match self.stage {
            Stage::Over => {}
            Stage::Waiting => {
                let state = &mut *self.breaker.lock();
                self.breaker
                    .give_back(state, self.generation, Duration::ZERO);
            }
            Stage::Out { since, counts } => self.breaker.abandon(self, since, counts),
        }
    }
}
