//! From what the process knows to what the page shows.

use std::{
    collections::BTreeMap,
    time::{Instant, SystemTime},
};

use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    history::{History, Recent},
    notices::{self, Signs},
    reading::{Counted, Now, Reading, Totals},
    snapshot::{
        Account, Answers, Budget, Calls, Circuit, Fact, Program, Reason, Reload, Rpc, Slot,
        Snapshot, Warning,
    },
    words,
};
use crate::{
    access::left::{Left, OfRule},
    config::ProviderState,
    domain::{
        price::Price,
        verification::{Provider, Source},
    },
    server::{health::HealthService, lifecycle::Lifecycle},
    telemetry::{names, reloads},
    transport::breaker,
};

const MEDIAN: f64 = 0.5;
const P95: f64 = 0.95;
/// Most rows of budgets; a policy file may have thousands.
const BUDGETS: usize = 30;
/// Most reasons of one account.
const REASONS: usize = 8;
/// Most ways of failing of one account.
const ERRORS: usize = 8;

/// What does not change while the process runs.
#[derive(Debug)]
pub struct Fixed {
    /// How it is set up.
    pub facts: Vec<Fact>,
    /// What was open or broken at the start.
    pub warnings: Vec<Warning>,
    /// The RPCs, as `package.Service/Method`.
    pub rpcs: Vec<String>,
    /// The providers.
    pub accounts: Vec<FixedAccount>,
    /// Above so many bytes calls are refused.
    pub max_memory: Option<u64>,
}

/// What does not change of an account.
#[derive(Debug)]
pub struct FixedAccount {
    /// At whom.
    pub provider: Provider,
    /// Whether it can be asked.
    pub state: ProviderState,
    /// The provider's host.
    pub host: String,
    /// What a billed result costs.
    pub price: Option<Price>,
}

/// Where the rest is read.
#[derive(Debug)]
pub struct Sources {
    /// Whether calls are taken.
    pub lifecycle: Lifecycle,
    /// The health services.
    pub health: HealthService,
    /// The circuits of the configured providers.
    pub circuits: Vec<(Provider, watch::Receiver<breaker::Circuit>)>,
    /// The budgets.
    pub left: Left,
}

/// All of it, ready to be shown.
#[derive(Debug)]
pub struct Gather {
    /// What does not change.
    pub fixed: Fixed,
    /// What does.
    pub sources: Sources,
    /// The last minutes.
    pub history: History,
    /// When the process began.
    pub started: Instant,
}

impl Gather {
    /// Everything at this moment.
    #[must_use]
    pub fn now(&self) -> Snapshot {
        let Reading { totals, now } = Reading::take();
        let recent = self.history.until(Instant::now(), totals);
        let (fixed, sources) = (&self.fixed, &self.sources);
        let accounts = fixed.accounts.iter();
        let (budgets, more_budgets) = budgets(&sources.left);
        let mut snapshot = Snapshot {
            program: Program {
                version: env!("CARGO_PKG_VERSION"),
                commit: option_env!("IDGW_REVISION").unwrap_or("unknown"),
                up: self.started.elapsed(),
                at: Timestamp::now(),
                phase: sources.lifecycle.phase(),
                in_flight: now.calls,
                connections: now.connections,
                memory: now.memory,
                max_memory: fixed.max_memory,
            },
            reach: recent.reach(),
            notices: Vec::new(),
            calls: counted(&recent, |totals| Some(&totals.every_call)),
            rpcs: rpcs(&fixed.rpcs, &recent),
            reasons: reasons(&recent, None),
            accounts: accounts
                .map(|one| account(one, sources, &recent, &now))
                .collect(),
            budgets,
            more_budgets,
            health: sources.health.all(),
            facts: fixed.facts.clone(),
            reloads: reloaded(),
            warnings: fixed.warnings.clone(),
        };
        snapshot.facts.extend(moving_facts(&now));
        let watched = recent.newest().map_or(0, |newest| newest.watched.len());
        let watched = (0..watched)
            .map(|one| recent.total(|totals| totals.watched.get(one).copied().unwrap_or_default()));
        let signs = Signs {
            watched: watched.collect(),
            certificate: now.certificate,
            crl: now.crl,
            redis: now.redis,
        };
        snapshot.notices = notices::of(&snapshot, &signs);
        snapshot
    }
}

fn counted(recent: &Recent, of: impl Fn(&Totals) -> Option<&Counted>) -> Calls {
    let count = |which: fn(&Counted) -> u64| {
        let of = &of;
        move |totals: &Totals| of(totals).map_or(0, which)
    };
    let all = recent.slots(count(|counted| counted.all));
    let failed = recent.slots(count(|counted| counted.failed));
    let durations = recent.durations(&of);
    let slots = all.iter().zip(&failed).zip(&durations);
    let total = recent.all_durations(&of);
    Calls {
        all: recent.total(count(|counted| counted.all)),
        failed: recent.total(count(|counted| counted.failed)),
        refused: recent.total(count(|counted| counted.refused)),
        median: total.quantile(MEDIAN),
        p95: total.quantile(P95),
        slots: slots
            .map(|((all, failed), durations)| Slot {
                good: all.saturating_sub(*failed),
                failed: *failed,
                median: durations.quantile(MEDIAN),
                p95: durations.quantile(P95),
            })
            .collect(),
    }
}

/// Every RPC of the contract, and what was called that is none.
fn rpcs(known: &[String], recent: &Recent) -> Vec<Rpc> {
    let other = names::OTHER.to_owned();
    let rows = known.iter().chain([&other]).map(|rpc| {
        let (service, method) = rpc.split_once('/').unwrap_or(("", rpc));
        Rpc {
            service: service.to_owned(),
            method: method.to_owned(),
            calls: counted(recent, |totals| totals.calls.get(rpc)),
        }
    });
    rows.filter(|row| !row.service.is_empty() || row.calls.all > 0)
        .collect()
}

fn account(fixed: &FixedAccount, sources: &Sources, recent: &Recent, now: &Now) -> Account {
    let name = fixed.provider.as_str();
    let mut circuits = sources.circuits.iter();
    let circuit = circuits.find(|(provider, _)| *provider == fixed.provider);
    let at = |of: &BTreeMap<&'static str, u64>| of.get(name).copied().unwrap_or_default();
    let answers = |source: Source| {
        let count = now.answers.get(&(name, source.as_str()));
        count.copied().unwrap_or_default()
    };
    Account {
        name: name.to_owned(),
        state: fixed.state,
        host: fixed.host.clone(),
        circuit: circuit.map(|(_, circuit)| shown(*circuit.borrow())),
        price: fixed.price,
        expires: now.token.get(name).copied(),
        in_flight: at(&now.in_flight),
        queued: at(&now.queued),
        requests: counted(recent, |totals| totals.requests.get(name)),
        errors: errors(recent, name),
        reasons: reasons(recent, Some(name)),
        answers: Answers {
            asked: answers(Source::Provider),
            shared: answers(Source::Coalesced),
            cached: answers(Source::Cache),
            recovered: answers(Source::Recovered),
            expired: at(&now.expired),
        },
    }
}

/// As health has it: a circuit whose open time is over lets the next call through.
fn shown(circuit: breaker::Circuit) -> Circuit {
    match circuit {
        breaker::Circuit::Closed => Circuit::Closed,
        breaker::Circuit::HalfOpen => Circuit::HalfOpen,
        breaker::Circuit::Open { until } => {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            match left.is_zero() {
                true => Circuit::Waiting,
                false => Circuit::Open(left),
            }
        }
    }
}

/// How requests to a provider ended that did not end well, the most frequent first.
fn errors(recent: &Recent, provider: &'static str) -> Vec<(String, u64)> {
    let newest = recent.newest().into_iter();
    let keys = newest.flat_map(|totals| totals.errors.keys());
    let of_provider = keys.filter(|(of, _)| *of == provider);
    let counts = of_provider.map(|key| {
        let count = recent.total(|totals| totals.errors.get(key).copied().unwrap_or_default());
        (key.1.clone(), count)
    });
    let mut counts: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.truncate(ERRORS);
    counts
}

/// Why calls failed, the most frequent first.
fn reasons(recent: &Recent, provider: Option<&'static str>) -> Vec<Reason> {
    let newest = recent.newest().into_iter();
    let keys = newest.flat_map(|totals| totals.failures.keys());
    let of_provider = keys.filter(|(of, _)| *of == provider);
    let rows = of_provider.filter_map(|key| {
        let count = |totals: &Totals| totals.failures.get(key).copied().unwrap_or_default();
        Some(Reason {
            name: key.1.clone(),
            count: recent.total(count),
            slots: recent.slots(count),
            last: recent.last_grown(count)?,
        })
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    rows.truncate(REASONS);
    rows
}

/// The budgets of which least is left, and how many others there are.
fn budgets(left: &Left) -> (Vec<Budget>, usize) {
    let mut rows = left.by_rule();
    let part = |row: &OfRule| row.least as f64 / row.limit.max(1) as f64;
    rows.sort_by(|one, other| part(one).total_cmp(&part(other)));
    let more = rows.len().saturating_sub(BUDGETS);
    rows.truncate(BUDGETS);
    let rows = rows.into_iter().map(|row| Budget {
        rule: row.rule.to_string(),
        quota: row.quota,
        limit: row.limit,
        callers: row.callers,
        spent: row.spent,
        least: row.least,
    });
    (rows.collect(), more)
}

fn reloaded() -> Vec<Reload> {
    let ago = |at: SystemTime| at.elapsed().unwrap_or_default();
    let all = reloads::all().into_iter();
    let rows = all.map(|known| Reload {
        key: known.key,
        taken: known.taken.map(ago),
        rejected: known.rejected.map(|(at, why)| (ago(at), why)),
        in_use: known.in_use,
    });
    rows.collect()
}

/// What is a fact for the moment.
fn moving_facts(now: &Now) -> impl Iterator<Item = Fact> {
    let expiry = |name, left: Option<i64>| {
        let value = words::expiry(left?);
        Some(Fact { name, value })
    };
    let redis = |connected| Fact {
        name: "Redis",
        value: match connected {
            true => "connected".to_owned(),
            false => "not connected".to_owned(),
        },
    };
    let facts = [
        expiry("Server certificate", now.certificate),
        expiry("Revocation lists (CRL)", now.crl),
        now.redis.map(redis),
    ];
    facts.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn totals(calls: u64, failures: u64) -> Totals {
        let mut totals = Totals::default();
        let counted = Counted {
            all: calls,
            failed: failures,
            ..Counted::default()
        };
        totals.calls.insert("a.B/C".to_owned(), counted);
        let key = (Some("verifik"), "PROVIDER_TIMEOUT".to_owned());
        totals.failures.insert(key, failures);
        totals
            .failures
            .insert((None, "INVALID_FIELD".to_owned()), 7);
        totals
            .errors
            .insert(("verifik", "503".to_owned()), failures);
        totals
    }

    #[test]
    fn only_what_came_in_the_last_minutes_is_shown() {
        let history = History::start();
        let now = Instant::now();
        let first = history.until(now, totals(5, 2));
        let [row] = &rpcs(&["a.B/C".to_owned()], &first)[..] else {
            panic!("one row");
        };
        assert_eq!((row.service.as_str(), row.method.as_str()), ("a.B", "C"));
        assert_eq!((row.calls.all, row.calls.failed), (5, 2));
        let slot = row.calls.slots.last().unwrap();
        assert_eq!((slot.good, slot.failed), (3, 2));
        let [reason] = &reasons(&first, Some("verifik"))[..] else {
            panic!("one reason");
        };
        assert_eq!(
            (reason.name.as_str(), reason.count),
            ("PROVIDER_TIMEOUT", 2)
        );
        assert_eq!(reason.last, Duration::ZERO);
        assert_eq!(reasons(&first, None).len(), 1);
        assert_eq!(reasons(&first, Some("accuauth")), []);
        assert_eq!(errors(&first, "verifik"), [("503".to_owned(), 2)]);
        assert_eq!(errors(&first, "accuauth"), []);
    }

    #[test]
    fn a_circuit_whose_open_time_is_over_waits_for_the_next_call() {
        let now = tokio::time::Instant::now();
        let open = |until| shown(breaker::Circuit::Open { until });
        assert_eq!(open(now), Circuit::Waiting);
        let later = open(now + Duration::from_secs(60));
        assert!(matches!(later, Circuit::Open(left) if left > Duration::from_secs(50)));
        assert_eq!(shown(breaker::Circuit::Closed), Circuit::Closed);
        assert_eq!(shown(breaker::Circuit::HalfOpen), Circuit::HalfOpen);
    }
}
