//! What the page shows: names of the configuration and of the contract, words of closed sets, and figures. Nothing of a
//! call and nobody's name is in any of these types, and each list has a largest length.

use std::time::Duration;

use jiff::Timestamp;

use super::watched::Level;
use crate::{
    config::ProviderState, domain::price::Price, domain::refusal::Quota, server::lifecycle::Phase,
    telemetry::reloads::InUse,
};

/// Everything that the page shows, at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The process.
    pub program: Program,
    /// How far the figures of the last minutes reach back: ten minutes, or to the start.
    pub reach: Duration,
    /// What somebody should look at, the worst first.
    pub notices: Vec<Notice>,
    /// All calls of the last minutes.
    pub calls: Calls,
    /// The calls by RPC.
    pub rpcs: Vec<Rpc>,
    /// Why calls failed before there was a provider.
    pub reasons: Vec<Reason>,
    /// The providers' accounts: today one for each provider.
    pub accounts: Vec<Account>,
    /// What is left of the budgets, the least first.
    pub budgets: Vec<Budget>,
    /// How many budgets are not in that list.
    pub more_budgets: usize,
    /// The health services, and whether each is SERVING.
    pub health: Vec<(String, bool)>,
    /// How the gateway is set up.
    pub facts: Vec<Fact>,
    /// What became of files that changed.
    pub reloads: Vec<Reload>,
    /// What was open or broken at the start.
    pub warnings: Vec<Warning>,
}

/// The process.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its version.
    pub version: &'static str,
    /// The commit it was built from.
    pub commit: &'static str,
    /// How long it has run.
    pub up: Duration,
    /// Now.
    pub at: Timestamp,
    /// Whether it takes calls.
    pub phase: Phase,
    /// Calls in flight.
    pub in_flight: u64,
    /// Open connections on the gRPC port.
    pub connections: u64,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Above so much of it calls are refused.
    pub max_memory: Option<u64>,
}

/// Something that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// What it is.
    pub words: String,
    /// The section of the runbook; none for what needs none.
    pub section: Option<&'static str>,
}

/// Calls of the last minutes.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// How many.
    pub all: u64,
    /// Those that failed and should not have.
    pub failed: u64,
    /// Those that ended with another error: the caller's mistakes, limits, cancelled ones.
    pub refused: u64,
    /// What half of them took at most, in seconds.
    pub median: Option<f64>,
    /// What nineteen of twenty took at most.
    pub p95: Option<f64>,
    /// Those without and with [`Calls::failed`], by time.
    pub slots: Vec<Slot>,
}

/// The calls of an RPC.
#[derive(Debug, Clone)]
pub struct Rpc {
    /// `package.Service`.
    pub service: String,
    /// The method.
    pub method: String,
    /// Its calls.
    pub calls: Calls,
}

/// A part of the last minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Slot {
    /// What did not fail.
    pub good: u64,
    /// What failed.
    pub failed: u64,
    /// What half took at most, in seconds.
    pub median: Option<f64>,
    /// What nineteen of twenty took at most.
    pub p95: Option<f64>,
}

/// Why calls failed, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The reason of the contract's table.
    pub name: String,
    /// How many.
    pub count: u64,
    /// By time.
    pub slots: Vec<u64>,
    /// How long ago the last was.
    pub last: Duration,
}

/// An account at a provider.
#[derive(Debug, Clone)]
pub struct Account {
    /// Whose.
    pub name: String,
    /// Whether it can be asked, and about whom it answers.
    pub state: ProviderState,
    /// The provider's host.
    pub host: String,
    /// Its circuit; none if it is not configured.
    pub circuit: Option<Circuit>,
    /// What a billed result costs.
    pub price: Option<Price>,
    /// Seconds until its token expires, if it says so; negative afterwards.
    pub expires: Option<i64>,
    /// Requests in flight.
    pub in_flight: u64,
    /// Requests that wait for their turn.
    pub queued: u64,
    /// Requests of the last minutes, retries among them.
    pub requests: Calls,
    /// How requests ended that did not end well: an HTTP status, or what broke.
    pub errors: Vec<(String, u64)>,
    /// Why calls failed that were about this provider.
    pub reasons: Vec<Reason>,
    /// Where answers came from, since the start.
    pub answers: Answers,
}

/// The circuit breaker of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// Calls pass.
    Closed,
    /// Calls are refused for so long.
    Open(Duration),
    /// It was open, and the next call tries whether the provider is back.
    Waiting,
    /// One call tries whether the provider is back.
    HalfOpen,
}

/// Where answers came from, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answers {
    /// The provider was asked.
    pub asked: u64,
    /// Of an identical call that was on its way.
    pub shared: u64,
    /// Of the cache.
    pub cached: u64,
    /// Of an earlier call, whose caller had gone.
    pub recovered: u64,
    /// Paid for, and fetched by nobody.
    pub expired: u64,
}

impl Answers {
    /// Requests that did not have to be sent.
    #[must_use]
    pub const fn saved(&self) -> u64 {
        self.shared + self.cached + self.recovered
    }

    /// These and others.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self {
            asked: self.asked + others.asked,
            shared: self.shared + others.shared,
            cached: self.cached + others.cached,
            recovered: self.recovered + others.recovered,
            expired: self.expired + others.expired,
        }
    }

    /// All answers.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.asked + self.saved()
    }
}

/// What is left to the callers of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// The rule.
    pub rule: String,
    /// Which budget.
    pub quota: Quota,
    /// How much each caller has.
    pub limit: u64,
    /// How many have used it in this window.
    pub callers: usize,
    /// How many of them have nothing left.
    pub spent: usize,
    /// What is left to the one that has least.
    pub least: u64,
}

/// How something is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What.
    pub name: &'static str,
    /// How.
    pub value: String,
}

/// What became of a file that changed, or of a key set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// The configuration key.
    pub key: &'static str,
    /// How long ago a new version was last taken.
    pub taken: Option<Duration>,
    /// How long ago one was last rejected, and why.
    pub rejected: Option<(Duration, String)>,
    /// Which version is in use.
    pub in_use: InUse,
}

/// What was open or broken at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Its name in the log.
    pub name: &'static str,
    /// The configuration key.
    pub key: String,
    /// What is wrong.
    pub problem: String,
}
