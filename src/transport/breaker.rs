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
//! - **Half-open**: the probe is out and every other call is refused. A probe that ends without a
//!   verdict (its caller gave up, a limit behind the breaker refused it) gives its place back: open
//!   again, with its time over. A probe that hangs would keep a provider that is back waiting for the
//!   whole provider timeout; after [`PROBE_PATIENCE`] a second one may go.
//!
//! Each change of state begins a new generation, and a verdict counts only in the generation that its
//! call was admitted in: what was sent before the circuit opened says nothing about the probe.
//!
//! How long a provider that is back waits at most: the patience for a probe that it swallowed while it
//! was down, then the cap, 5 s + 15 s. The contract allows 30 s.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::window::Window;
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
    /// It did not answer, or said that it is down.
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
            | Kind::SourceTimeout => Self::Failure,
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
            told: false,
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
        let length = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
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

    fn tell(&self, generation: u64, verdict: Verdict) {
        let mut state = self.lock();
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
                    self.open(&mut state, 0);
                }
            }
            (Phase::HalfOpen { .. }, Verdict::Success) => {
                tracing::info!(provider = self.provider.as_str(), "circuit closed");
                let window = Window::new(self.settings.window);
                let phase = Phase::Closed {
                    in_a_row: 0,
                    window,
                };
                self.go(&mut state, phase);
            }
            (Phase::HalfOpen { openings, .. }, Verdict::Failure) => {
                let openings = *openings;
                self.open(&mut state, openings);
            }
            // No call is admitted in this generation.
            (Phase::Open { .. }, _) => {}
        }
    }

    /// A call of this generation ended without a verdict.
    fn give_back(&self, generation: u64) {
        let mut state = self.lock();
        if state.generation != generation {
            return;
        }
        if let Phase::HalfOpen { out, openings, .. } = &mut state.phase {
            *out = out.saturating_sub(1);
            if *out == 0 {
                let openings = *openings;
                let until = Instant::now();
                self.go(&mut state, Phase::Open { until, openings });
            }
        }
    }
}

/// A call that was let through. Dropped without a verdict, it gives a probe's place back.
#[derive(Debug)]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    generation: u64,
    probe: bool,
    told: bool,
}

impl Permit<'_> {
    /// Whether the circuit's way out of half-open depends on this call.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        self.probe
    }

    /// Whether the state is still the one that let the call through.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.breaker.lock().generation == self.generation
    }

    /// Says how the call went.
    pub fn tell(mut self, verdict: Verdict) {
        self.told = true;
        self.breaker.tell(self.generation, verdict);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.breaker.give_back(self.generation);
        }
    }
}
