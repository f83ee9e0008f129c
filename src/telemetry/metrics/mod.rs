//! The figures: what the rooms report, by functions whose parameters are types.
//!
//! No caller can add a label value: an RPC is one of the contract's or `_OTHER`, a provider, an outcome
//! or a reason is an enum, and what comes from the network is never a label, but for an HTTP status
//! from 100 to 599. Until telemetry is started (and in every command but `serve`) all of this does
//! nothing.
// Long: every instrument and the one function that notes it stand side by side, in the order of names.rs.

mod exemplars;
mod instruments;
mod process;
pub mod prometheus;
pub mod reading;
mod series;

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::Method;
use opentelemetry::{
    KeyValue,
    metrics::{BoundCounter, BoundGauge, BoundHistogram, BoundUpDownCounter, Meter},
    trace::{SpanContext, TraceContextExt as _},
};
use tonic::Code;

use self::{exemplars::Exemplars, instruments::Instruments, series::Series};
use super::{
    labels::{
        CacheFailure, CacheResult, Drift, Fate, Limit, Recorded, Refusal, Reload, Rpc, Rule,
        Signal, State,
    },
    names,
};
use crate::{
    domain::{
        cause::Cause,
        failure::Kind,
        price::{Cost, Price},
        verification::{Billing, Outcome, Provider, Source},
    },
    proto::gateway::v1::Charge,
    status,
};

static METRICS: OnceLock<Metrics> = OnceLock::new();

struct Metrics {
    instruments: Instruments,
    exemplars: Exemplars,
    bound: Bound,
}

/// The series that ordinary calls report to.
#[derive(Default)]
struct Bound {
    rpc_duration: Series<(Rpc, Code), BoundHistogram<f64>>,
    verifications: Series<(Provider, Outcome, Source), BoundCounter<u64>>,
    results: Series<(Provider, Billing), BoundCounter<u64>>,
    retry_budget: Series<Provider, BoundGauge<f64>>,
    cache: Series<(Provider, CacheResult), BoundCounter<u64>>,
    cache_age: Series<Provider, BoundHistogram<f64>>,
    audit: Series<Recorded, BoundCounter<u64>>,
    rule_verifications: Series<(Rule, Provider, Source), BoundCounter<u64>>,
    under_way: Series<(What, Option<Provider>), BoundUpDownCounter<i64>>,
}

/// The series of successful attempts at one provider: method, path template, HTTP status.
#[derive(Debug, Default)]
pub(super) struct Attempts(Series<(Method, String, u16), BoundHistogram<f64>>);

/// Makes the instruments. A second call changes nothing.
pub(super) fn start(meter: &Meter) {
    let made = Metrics {
        instruments: Instruments::new(meter),
        exemplars: Exemplars::default(),
        bound: Bound::default(),
    };
    if METRICS.set(made).is_ok() {
        process::observe(meter);
    }
}

fn with(report: impl FnOnce(&Metrics)) {
    if let Some(metrics) = METRICS.get() {
        report(metrics);
    }
}

fn on(provider: Provider) -> KeyValue {
    KeyValue::new(names::PROVIDER, provider.as_str())
}

fn reason(kind: Kind) -> KeyValue {
    KeyValue::new(names::REASON, status::row(kind).1)
}

/// A call of the contract ended.
pub fn called(rpc: Rpc, code: Code, took: Duration, span: &SpanContext) {
    with(|metrics| {
        let labels = || {
            let mut labels = vec![
                KeyValue::new(names::RPC_SYSTEM_NAME, names::GRPC),
                KeyValue::new(names::RPC_METHOD, rpc.as_str()),
                KeyValue::new(names::RPC_STATUS_CODE, status::code_name(code)),
            ];
            if code != Code::Ok {
                labels.push(KeyValue::new(names::ERROR_TYPE, status::code_name(code)));
            }
            labels
        };
        let seconds = took.as_secs_f64();
        if span.is_sampled() {
            let exemplars = &metrics.exemplars;
            exemplars.note(&names::RPC_DURATION, &labels(), seconds, span);
        }
        metrics.bound.rpc_duration.of(
            (rpc, code),
            || metrics.instruments.rpc_duration.bind(&labels()),
            |series| series.record(seconds),
        );
    });
}

/// An attempt at a provider ended, with this HTTP status if all went well; the labels are the attempt's
/// own.
pub(super) fn attempted(
    attempts: &Attempts,
    (method, template, answered): (&Method, &str, Option<u16>),
    labels: impl Fn() -> Vec<KeyValue>,
    took: Duration,
    span: &SpanContext,
) {
    with(|metrics| {
        let seconds = took.as_secs_f64();
        if span.is_sampled() {
            let exemplars = &metrics.exemplars;
            exemplars.note(&names::HTTP_DURATION, &labels(), seconds, span);
        }
        let duration = &metrics.instruments.http_duration;
        // What failed says why, in too many ways to bind them all.
        let Some(status) = answered else {
            return duration.record(seconds, &labels());
        };
        attempts.0.with(
            |(one, path, known)| *known == status && one == method && path == template,
            || {
                let key = (method.clone(), template.to_owned(), status);
                (key, duration.bind(&labels()))
            },
            |series| series.record(seconds),
        );
    });
}

/// A call failed, for a reason of the contract's table ([`status::row`]).
pub fn failed(rpc: Rpc, reason: &'static str, provider: Option<Provider>) {
    with(|metrics| {
        let mut labels = vec![
            KeyValue::new(names::RPC_METHOD, rpc.as_str()),
            KeyValue::new(names::REASON, reason),
        ];
        labels.extend(provider.map(on));
        metrics.instruments.failures.add(1, &labels);
    });
}

/// A caller was not let in.
pub fn caller_refused(rpc: Rpc, cause: Cause) {
    with(|metrics| {
        let labels = [
            KeyValue::new(names::RPC_METHOD, rpc.as_str()),
            KeyValue::new(names::CAUSE, cause.as_str()),
        ];
        metrics.instruments.callers_refused.add(1, &labels);
    });
}

/// A verification was answered.
pub fn verified(provider: Provider, outcome: Outcome, source: Source) {
    with(|metrics| {
        let bind = || {
            metrics.instruments.verifications.bind(&[
                on(provider),
                KeyValue::new(names::OUTCOME, outcome.as_str()),
                KeyValue::new(names::SOURCE, source.as_str()),
            ])
        };
        let key = (provider, outcome, source);
        metrics
            .bound
            .verifications
            .of(key, bind, |series| series.add(1));
    });
}

/// The gateway refused a call of a rule, for what the policy file says: a reason of the contract's table.
pub fn rule_refused(rule: Rule, reason: &'static str) {
    with(|metrics| {
        let labels = [of_rule(rule), KeyValue::new(names::REASON, reason)];
        metrics.instruments.rule_refused.add(1, &labels);
    });
}

/// A verification of a rule's caller was answered.
pub fn rule_verified(rule: Rule, provider: Provider, source: Source) {
    with(|metrics| {
        let bind = || {
            let source = KeyValue::new(names::SOURCE, source.as_str());
            let labels = [of_rule(rule), on(provider), source];
            metrics.instruments.rule_verifications.bind(&labels)
        };
        let key = (rule, provider, source);
        let bound = &metrics.bound.rule_verifications;
        bound.of(key, bind, |series| series.add(1));
    });
}

/// What a call of a rule added to the bill.
pub fn rule_paid(rule: Rule, provider: Provider, cost: Cost) {
    if let Some(currency) = cost.currency() {
        with(|metrics| {
            let currency = KeyValue::new(names::CURRENCY, currency.to_owned());
            let labels = [of_rule(rule), on(provider), currency];
            metrics
                .instruments
                .rule_cost
                .add(cost.amount().to_metric(), &labels);
        });
    }
}

fn of_rule(rule: Rule) -> KeyValue {
    KeyValue::new(names::CALLER, rule.as_str())
}

/// A request to a provider ended, and this is known of its price.
fn charged(provider: Provider, billing: Billing, price: Option<&Price>) {
    with(|metrics| {
        let billed = || KeyValue::new(names::BILLING, billing.as_str());
        metrics.bound.results.of(
            (provider, billing),
            || metrics.instruments.results.bind(&[on(provider), billed()]),
            |series| series.add(1),
        );
        if let Some(price) = price.filter(|_| billing != Billing::NotBilled) {
            let currency = KeyValue::new(names::CURRENCY, price.currency().to_owned());
            let labels = [on(provider), billed(), currency];
            metrics
                .instruments
                .cost
                .add(price.amount().to_metric(), &labels);
        }
    });
}

/// A request is sent again, because the attempt before failed like this.
pub fn retried(provider: Provider, kind: Kind) {
    with(|metrics| {
        metrics
            .instruments
            .retries
            .add(1, &[on(provider), reason(kind)])
    });
}

/// How many repeats a provider's budget allows now.
pub fn retry_budget(provider: Provider, repeats: f64) {
    with(|metrics| {
        let bind = || metrics.instruments.retry_budget.bind(&[on(provider)]);
        let report = |series: &BoundGauge<f64>| series.record(repeats);
        metrics.bound.retry_budget.of(provider, bind, report);
    });
}

/// The state that a provider's circuit is in from the start on.
pub fn breaker(provider: Provider, now: State) {
    with(|metrics| {
        for state in State::ALL {
            let labels = [on(provider), KeyValue::new(names::STATE, state.as_str())];
            metrics
                .instruments
                .breaker
                .record(u64::from(state == now), &labels);
        }
    });
}

/// A provider's circuit changed its state.
pub fn breaker_changed(provider: Provider, now: State) {
    breaker(provider, now);
    with(|metrics| {
        let labels = [on(provider), KeyValue::new(names::STATE, now.as_str())];
        metrics.instruments.breaker_transitions.add(1, &labels);
    });
}

/// The gateway turned a call away; by a limit of the whole process if no provider is named.
pub fn refused(provider: Option<Provider>, limit: Limit) {
    with(|metrics| {
        let mut labels = vec![KeyValue::new(names::LIMIT, limit.as_str())];
        labels.extend(provider.map(on));
        metrics.instruments.refused.add(1, &labels);
    });
}

/// Somebody who accepts a kept answer looked for one; a hit has an age.
pub fn looked_up(provider: Provider, result: CacheResult, age: Option<Duration>) {
    with(|metrics| {
        let bind = || {
            let result = KeyValue::new(names::CACHE_RESULT, result.as_str());
            metrics.instruments.cache.bind(&[on(provider), result])
        };
        let key = (provider, result);
        metrics.bound.cache.of(key, bind, |series| series.add(1));
        if let Some(age) = age {
            let bind = || metrics.instruments.cache_age.bind(&[on(provider)]);
            let report = |series: &BoundHistogram<f64>| series.record(age.as_secs_f64());
            metrics.bound.cache_age.of(provider, bind, report);
        }
    });
}

/// An answer holds what the provider's document does not list.
pub fn drifted(provider: Provider, drift: Drift) {
    with(|metrics| {
        let labels = [on(provider), KeyValue::new(names::DRIFT, drift.as_str())];
        metrics.instruments.drifts.add(1, &labels);
    });
}

/// Nothing of that kind was seen yet: a series that begins with its first event has no increase.
pub fn no_drift(provider: Provider) {
    with(|metrics| {
        for drift in [Drift::Code, Drift::Value, Drift::Field] {
            let labels = [on(provider), KeyValue::new(names::DRIFT, drift.as_str())];
            metrics.instruments.drifts.add(0, &labels);
        }
    });
}

/// What became of an answer whose caller had gone; a price if it was charged, or may have been.
pub fn left(provider: Provider, fate: Fate, price: Option<&Price>) {
    with(|metrics| {
        let fate = KeyValue::new(names::FATE, fate.as_str());
        metrics
            .instruments
            .left
            .add(1, &[on(provider), fate.clone()]);
        if let Some(price) = price {
            let currency = KeyValue::new(names::CURRENCY, price.currency().to_owned());
            let labels = [on(provider), fate, currency];
            metrics
                .instruments
                .left_cost
                .add(price.amount().to_metric(), &labels);
        }
    });
}

/// No answer has been left yet: a counter that begins with its event has no increase.
pub fn none_left(provider: Provider, price: Option<&Price>) {
    with(|metrics| {
        for fate in Fate::ALL {
            let fate = KeyValue::new(names::FATE, fate.as_str());
            let labels = [on(provider), fate.clone()];
            metrics.instruments.left.add(0, &labels);
            if let Some(price) = price {
                let currency = KeyValue::new(names::CURRENCY, price.currency().to_owned());
                let labels = [on(provider), fate, currency];
                metrics.instruments.left_cost.add(0.0, &labels);
            }
        }
    });
}

/// The outcome of a request id was dropped before its time.
pub fn request_id_dropped() {
    with(|metrics| metrics.instruments.request_ids_dropped.add(1, &[]));
}

/// Redis had lost the entry of a request id before its time.
pub fn request_id_lost() {
    with(|metrics| metrics.instruments.request_ids_lost.add(1, &[]));
}

/// How many connections to Redis there are: one, or none.
pub fn cache_connected(connections: u64) {
    with(|metrics| metrics.instruments.cache_connected.record(connections, &[]));
}

/// Redis did not do something, or could not be reached.
pub fn cache_failed(cause: CacheFailure) {
    with(|metrics| {
        let labels = [KeyValue::new(names::CACHE_FAILURE, cause.as_str())];
        metrics.instruments.cache_failures.add(1, &labels);
    });
}

/// The primary of Redis is another server than before.
pub fn cache_primary_changed() {
    with(|metrics| metrics.instruments.cache_primary_changes.add(1, &[]));
}

/// Nothing of this was seen yet: a counter that begins with its event has no increase.
pub fn no_cache_failures() {
    with(|metrics| {
        for cause in CacheFailure::ALL {
            let labels = [KeyValue::new(names::CACHE_FAILURE, cause.as_str())];
            metrics.instruments.cache_failures.add(0, &labels);
        }
        metrics.instruments.cache_primary_changes.add(0, &[]);
        metrics.instruments.request_ids_lost.add(0, &[]);
    });
}

/// When a provider's token expires, if it says so.
pub fn token_expires(provider: Provider, at: Option<SystemTime>) {
    with(|_| process::token_expires(provider, at.map(seconds_since_epoch)));
}

/// An audit record was written or lost, or a call refused for want of one.
pub fn recorded(recorded: Recorded) {
    with(|metrics| {
        let bind = || {
            let label = KeyValue::new(names::RECORDED, recorded.as_str());
            metrics.instruments.audit.bind(&[label])
        };
        metrics
            .bound
            .audit
            .of(recorded, bind, |series| series.add(1));
    });
}

/// A connection was not taken.
pub fn connection_refused(refusal: Refusal) {
    with(|metrics| {
        let labels = [KeyValue::new(names::REFUSAL, refusal.as_str())];
        metrics.instruments.connections_refused.add(1, &labels);
    });
}

/// The server's certificate says when it expires.
pub fn certificate_expires(at: SystemTime) {
    with(|_| process::certificate_expires(seconds_since_epoch(at)));
}

/// The revocation lists of client certificates say when the first of them expires.
pub fn crl_expires(at: SystemTime) {
    with(|_| process::crl_expires(seconds_since_epoch(at)));
}

/// A file that a configuration key names has changed.
pub(super) fn reloaded(key: &'static str, reload: Reload) {
    with(|metrics| {
        let labels = [
            KeyValue::new(names::FILE_KEY, key),
            KeyValue::new(names::RELOAD, reload.as_str()),
        ];
        metrics.instruments.reloads.add(1, &labels);
    });
}

/// Nothing of it has changed yet.
pub fn no_reload(key: &'static str) {
    with(|metrics| {
        for reload in Reload::ALL {
            let reload = KeyValue::new(names::RELOAD, reload.as_str());
            let labels = [KeyValue::new(names::FILE_KEY, key), reload];
            metrics.instruments.reloads.add(0, &labels);
        }
    });
}

/// Nothing has gone wrong yet of what one event is enough to be paged for: a counter that begins with its event has no
/// increase.
pub fn nothing_wrong(rpcs: impl Iterator<Item = Rpc>) {
    let kinds = [
        Kind::CredentialsRejected,
        Kind::Misconfigured,
        Kind::QuotaExhausted,
    ];
    with(|metrics| {
        let Instruments {
            failures,
            panics,
            request_ids_dropped,
            audit,
            export_failures,
            ..
        } = &metrics.instruments;
        panics.add(0, &[]);
        request_ids_dropped.add(0, &[]);
        for recorded in [Recorded::Lost, Recorded::Refused] {
            audit.add(0, &[KeyValue::new(names::RECORDED, recorded.as_str())]);
        }
        for signal in Signal::ALL {
            export_failures.add(0, &[KeyValue::new(names::SIGNAL, signal.as_str())]);
        }
        for rpc in rpcs {
            for provider in Provider::ALL {
                for (_, reason, _) in kinds.map(crate::status::row) {
                    let rpc = KeyValue::new(names::RPC_METHOD, rpc.as_str());
                    let labels = [rpc, KeyValue::new(names::REASON, reason), on(provider)];
                    failures.add(0, &labels);
                }
            }
        }
    });
}

/// The collector did not take an export.
pub(super) fn export_failed(signal: Signal) {
    with(|metrics| {
        let labels = [KeyValue::new(names::SIGNAL, signal.as_str())];
        metrics.instruments.export_failures.add(1, &labels);
    });
}

/// A defect was caught.
pub(super) fn panicked() {
    with(|metrics| metrics.instruments.panics.add(1, &[]));
}

fn seconds_since_epoch(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// A request to a provider: what it costs is counted when this is dropped, whatever becomes of the call.
#[derive(Debug)]
#[must_use = "it is counted when it is dropped"]
pub struct PendingCharge<'a> {
    provider: Provider,
    charge: Charge,
    price: Option<&'a Price>,
    billing: Billing,
}

impl<'a> PendingCharge<'a> {
    /// A request of an RPC with this policy.
    pub const fn new(provider: Provider, charge: Charge, price: Option<&'a Price>) -> Self {
        Self {
            provider,
            charge,
            price,
            billing: Billing::NotBilled,
        }
    }

    /// Notes that it goes out on a connection: until it is known better, it may have been charged.
    pub fn sent(&mut self) {
        self.billing = Billing::Unknown;
    }

    /// Notes that it has not gone out after all.
    pub fn stayed(&mut self) {
        self.billing = Billing::NotBilled;
    }

    /// Notes what is known of the price.
    pub fn is(&mut self, billing: Option<Billing>) {
        self.billing = billing.unwrap_or(self.billing);
    }
}

impl Drop for PendingCharge<'_> {
    fn drop(&mut self) {
        let billing = match self.charge {
            Charge::Never => Billing::NotBilled,
            Charge::PerRequest | Charge::Unspecified => self.billing,
        };
        charged(self.provider, billing, self.price);
    }
}

/// Something that is under way, counted until it is dropped.
#[derive(Debug)]
#[must_use = "it is counted until it is dropped"]
pub struct UnderWay {
    what: What,
    provider: Option<Provider>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Call,
    Connection,
    InFlight,
    Queued,
    Unattended,
}

impl UnderWay {
    /// A call of the contract.
    pub fn call() -> Self {
        Self::begin(What::Call, None)
    }

    /// A connection on the gRPC port.
    pub fn connection() -> Self {
        Self::begin(What::Connection, None)
    }

    /// A request to a provider.
    pub fn in_flight(provider: Provider) -> Self {
        Self::begin(What::InFlight, Some(provider))
    }

    /// A request that waits for a place.
    pub fn queued(provider: Provider) -> Self {
        Self::begin(What::Queued, Some(provider))
    }

    /// A lookup that nobody waits for, and that may have been charged.
    pub fn unattended(provider: Provider) -> Self {
        Self::begin(What::Unattended, Some(provider))
    }

    fn begin(what: What, provider: Option<Provider>) -> Self {
        let begun = Self { what, provider };
        begun.add(1);
        begun
    }

    fn add(&self, step: i64) {
        with(|metrics| {
            let instruments = &metrics.instruments;
            let counter = match self.what {
                What::Call => &instruments.calls,
                What::Connection => &instruments.connections,
                What::InFlight => &instruments.in_flight,
                What::Queued => &instruments.queued,
                What::Unattended => &instruments.unattended,
            };
            let labels = || self.provider.map(on);
            metrics.bound.under_way.of(
                (self.what, self.provider),
                || counter.bind(labels().as_slice()),
                |series| series.add(step),
            );
        });
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.add(-1);
    }
}

/// The context of the span that is current, for exemplars and log lines.
#[must_use]
pub fn current_span() -> SpanContext {
    opentelemetry::Context::map_current(|cx| cx.span().span_context().clone())
}
