//! What the page needs of the metrics, read in one go. Labels are bounded where they are reported (names.rs, labels.rs).

use std::collections::BTreeMap;

use super::{
    durations::Durations,
    watched::{self, WATCHED},
};
use crate::{
    domain::verification::{Provider, Source},
    telemetry::{
        metrics::reading::{self, Figure, Series},
        names,
    },
};

const RPC_DURATION: &str = names::RPC_DURATION.name;
const HTTP_DURATION: &str = names::HTTP_DURATION.name;
const FAILURES: &str = names::FAILURES.name;
const VERIFICATIONS: &str = names::VERIFICATIONS.name;
const LEFT: &str = names::LEFT.name;
const CALLS: &str = names::CALLS.name;
const CONNECTIONS: &str = names::CONNECTIONS.name;
const IN_FLIGHT: &str = names::IN_FLIGHT.name;
const QUEUED: &str = names::QUEUED.name;
const TOKEN_EXPIRES: &str = names::TOKEN_EXPIRES.name;
const CERTIFICATE_EXPIRES: &str = names::CERTIFICATE_EXPIRES.name;
const CRL_EXPIRES: &str = names::CRL_EXPIRES.name;
const MEMORY: &str = names::PROCESS_MEMORY.name;
const CACHE_CONNECTED: &str = names::CACHE_CONNECTED.name;

/// The codes of the alert IdgwErrorBudgetBurn: the gateway or a provider is at fault, not the caller.
const SERVER_ERRORS: [&str; 5] = [
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];
/// What the alert IdgwProviderDown counts as a failed request, beside HTTP status 500 and above.
const REQUEST_FAILED: [&str; 3] = ["connect", "timeout", "broken"];
/// Ends of requests that were not sent, or that their callers broke off: how long they took says nothing.
const NO_LATENCY: [&str; 3] = ["connect", "overloaded", "cancelled"];

/// Everything that is read.
#[derive(Debug, Default)]
pub struct Reading {
    /// What only grows: the history is made of it.
    pub totals: Totals,
    /// What is as it is now.
    pub now: Now,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Totals {
    /// Every call.
    pub every_call: Counted,
    /// The calls by RPC.
    pub calls: BTreeMap<String, Counted>,
    /// The requests by provider.
    pub requests: BTreeMap<&'static str, Counted>,
    /// Requests that did not end well, by provider and how they ended.
    pub errors: BTreeMap<(&'static str, String), u64>,
    /// Failed calls, by provider (none: before there was one) and reason.
    pub failures: BTreeMap<(Option<&'static str>, String), u64>,
    /// Of each of [`WATCHED`].
    pub watched: [u64; WATCHED.len()],
}

/// Calls, or requests to a provider.
#[derive(Debug, Default)]
pub struct Counted {
    /// All of them.
    pub all: u64,
    /// Calls with one of [`SERVER_ERRORS`], or requests that failed.
    pub failed: u64,
    /// Calls that ended with another code: the caller's own mistakes, limits, what the policy forbids, cancelled ones.
    pub refused: u64,
    /// How long they took; of requests those that were sent and waited for.
    pub took: Durations,
}

/// Figures of this moment, and sums since the start.
#[derive(Debug, Default)]
pub struct Now {
    /// Calls in flight.
    pub calls: u64,
    /// Open connections.
    pub connections: u64,
    /// Requests in flight, by provider.
    pub in_flight: BTreeMap<&'static str, u64>,
    /// Requests that wait, by provider.
    pub queued: BTreeMap<&'static str, u64>,
    /// Seconds until the token expires, by provider.
    pub token: BTreeMap<&'static str, i64>,
    /// Seconds until the certificate expires.
    pub certificate: Option<i64>,
    /// Seconds until the first revocation list expires.
    pub crl: Option<i64>,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Whether Redis is connected; none without Redis.
    pub redis: Option<bool>,
    /// Answered verifications, by provider and source.
    pub answers: BTreeMap<(&'static str, &'static str), u64>,
    /// Answers that were paid for and not fetched, by provider.
    pub expired: BTreeMap<&'static str, u64>,
}

impl Reading {
    /// Reads everything.
    #[must_use]
    pub fn take() -> Self {
        let mut reading = Self::default();
        reading::visit(|series| reading.add(series));
        reading
    }

    fn add(&mut self, series: &Series<'_>) {
        let provider = series.label(names::PROVIDER).and_then(known);
        let (totals, now) = (&mut self.totals, &mut self.now);
        watched::count(&mut totals.watched, series);
        match (series.metric, provider) {
            (RPC_DURATION, _) => totals.add_calls(series),
            (HTTP_DURATION, Some(provider)) => {
                totals.add_requests(provider, series);
            }
            (FAILURES, provider) => {
                let reason = series.label(names::REASON).unwrap_or_default().to_owned();
                *totals.failures.entry((provider, reason)).or_default() += series.count();
            }
            (VERIFICATIONS, Some(provider)) => {
                let source = series.label(names::SOURCE).and_then(source);
                if let Some(source) = source {
                    *now.answers.entry((provider, source)).or_default() += series.count();
                }
            }
            (LEFT, Some(provider)) if series.label(names::FATE) == Some("expired") => {
                *now.expired.entry(provider).or_default() += series.count();
            }
            (CALLS, _) => now.calls = series.count(),
            (CONNECTIONS, _) => now.connections = series.count(),
            (IN_FLIGHT, Some(provider)) => drop(now.in_flight.insert(provider, series.count())),
            (QUEUED, Some(provider)) => drop(now.queued.insert(provider, series.count())),
            (TOKEN_EXPIRES, Some(provider)) => drop(now.token.insert(provider, seconds(series))),
            (CERTIFICATE_EXPIRES, _) => now.certificate = Some(seconds(series)),
            (CRL_EXPIRES, _) => now.crl = Some(seconds(series)),
            (MEMORY, _) => now.memory = series.count(),
            (CACHE_CONNECTED, _) => now.redis = Some(series.count() > 0),
            _ => {}
        }
    }
}

impl Totals {
    fn add_calls(&mut self, series: &Series<'_>) {
        let Figure::Buckets(buckets) = &series.figure else {
            return;
        };
        let count = buckets.iter().sum::<u64>();
        let (failed, refused) = match series.label(names::RPC_STATUS_CODE) {
            Some("OK") | None => (0, 0),
            Some(code) if SERVER_ERRORS.contains(&code) => (count, 0),
            Some(_) => (0, count),
        };
        let rpc = series.label(names::RPC_METHOD).unwrap_or(names::OTHER);
        let of_rpc = self.calls.entry(rpc.to_owned()).or_default();
        // Probes and scanners, who ask for what is not there, are no callers: the alerts leave them out too.
        let every = (rpc != names::OTHER).then_some(&mut self.every_call);
        for counted in every.into_iter().chain([of_rpc]) {
            counted.all += count;
            counted.failed += failed;
            counted.refused += refused;
            counted.took.add(buckets);
        }
    }

    fn add_requests(&mut self, provider: &'static str, series: &Series<'_>) {
        let Figure::Buckets(buckets) = &series.figure else {
            return;
        };
        let count = buckets.iter().sum::<u64>();
        let counted = self.requests.entry(provider).or_default();
        counted.all += count;
        let Some(error) = series.label(names::ERROR_TYPE) else {
            return counted.took.add(buckets);
        };
        if !NO_LATENCY.contains(&error) {
            counted.took.add(buckets);
        }
        let is_5xx = error.len() == 3 && error.starts_with('5');
        if is_5xx || REQUEST_FAILED.contains(&error) {
            counted.failed += count;
        }
        let errors = self.errors.entry((provider, error.to_owned()));
        *errors.or_default() += count;
    }
}

/// The name of a provider that there is.
fn known(name: &str) -> Option<&'static str> {
    let mut all = Provider::ALL.into_iter().map(Provider::as_str);
    all.find(|known| *known == name)
}

fn source(name: &str) -> Option<&'static str> {
    let mut all = Source::ALL.into_iter().map(Source::as_str);
    all.find(|known| *known == name)
}

/// Whole seconds; negative ones are over.
const fn seconds(series: &Series<'_>) -> i64 {
    series.number() as i64
}
