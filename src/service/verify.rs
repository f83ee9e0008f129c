//! One verification: from a kept answer, from an identical call in flight, or from the provider.
//!
//! In this order: a kept answer if the caller set `max_age` and one is young enough; else the flight
//! of an identical lookup, or a new one. Each caller has an id, a deadline and a mask of its own, and
//! each reads the record for itself if it wants another part of the provider's answer than the
//! starter did. `billing` is what the provider's document says of the result, wherever it comes from;
//! `source` says whether the provider was asked for this call.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use opentelemetry::context::FutureExt as _;

use super::{
    defect,
    gateway::{Gateway, Route, configured},
    lookups::Lookup,
};
use crate::{
    access::{budget::Counted, share::Share},
    audit::call as audit,
    domain::{
        failure::Failure,
        lookup::Document,
        verification::{Billing, Environment, Outcome, Source, VerificationId, Verified},
    },
    policy::Policy,
    proto::identity::v1 as pb,
    provider::Listed as _,
    sharing::{
        Age, Answers, Flights, Kept, Name,
        flights::{Boarded, Keep},
    },
    telemetry::{
        call_facts::{CallFacts, Part},
        labels::{CacheResult, Drift},
        metrics::{self, current_span},
        spans::{Wait, WaitSpan},
    },
    transport::{Answer, Priced, Request},
};

/// An RPC that verifies, with its lookups in flight.
#[derive(Debug)]
pub struct Rpc<L: Lookup> {
    policy: Policy,
    flights: Flights<Landed<L>>,
}

/// How a flight ended, for all who waited.
type Landed<L> = Arc<Result<Fresh<L>, Failure>>;

/// The answer of a flight.
struct Fresh<L: Lookup> {
    verified: Verified<L::Record>,
    /// What of the answer was read.
    document: Document,
    answer: Answer,
    checked_at: Timestamp,
    age: Age,
}

impl<L: Lookup> Rpc<L> {
    /// The RPC under its policy.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            flights: Flights::default(),
        }
    }
}

/// Answers a lookup whose request passed its checks.
///
/// # Errors
///
/// What went wrong; every failure carries the verification's own id.
pub async fn verify<L: Lookup>(
    gateway: &Arc<Gateway>,
    facts: &CallFacts,
    rpc: &Rpc<L>,
    lookup: L,
    max_age: Option<Duration>,
) -> Result<(pb::Verification, Option<Box<L::Record>>), Failure> {
    let id = VerificationId::mint();
    facts.verifies(id);
    facts.asks(L::PROVIDER);
    let asked = async {
        audit::intend(facts).await?;
        let route = configured(L::PROVIDER, L::route(gateway))?;
        let (kept, source) = answer(gateway, facts, rpc, route, lookup, max_age).await?;
        Ok((kept, source, route.environment))
    };
    let (kept, source, environment) = asked.await.map_err(|failure: Failure| failure.of(id))?;
    let verified = kept.verified;
    if source == Source::Provider {
        report_drift::<L>(&verified);
    }
    facts.found(verified.outcome, verified.billing);
    facts.comes_from(source);
    let verification = pb::Verification {
        id: id.to_string(),
        outcome: outcome(verified.outcome).into(),
        provider: L::PROVIDER.as_str().to_owned(),
        provider_reference: verified.reference,
        provider_code: verified.code,
        provider_message: verified.message,
        checked_at: Some(timestamp(kept.checked_at)),
        source: shown(source).into(),
        billing: billing(verified.billing).into(),
        environment: match environment {
            Environment::Live => pb::Environment::Live,
            Environment::Sandbox => pb::Environment::Sandbox,
        }
        .into(),
    };
    Ok((verification, verified.record))
}

async fn answer<L: Lookup>(
    gateway: &Arc<Gateway>,
    facts: &CallFacts,
    rpc: &Rpc<L>,
    route: &Route<L::Adapter>,
    lookup: L,
    max_age: Option<Duration>,
) -> Result<(Kept<L::Record>, Source), Failure> {
    let answers = &gateway.answers;
    let request = lookup.request(&route.adapter);
    let names = Names::of(answers, facts.share(), route, &lookup, &request);
    let own = names.of_document(lookup.document());
    let max_age = max_age.filter(|age| !age.is_zero());
    if let Some(max_age) = max_age {
        let looking = WaitSpan::start(Wait::Cache, L::PROVIDER);
        let kept = answers.get(&own, max_age).await;
        drop(looking);
        if let Some(kept) = kept {
            report_hit::<L>(&kept);
            return Ok((kept, Source::Cache));
        }
    }
    let keep = match (max_age, lookup.document()) {
        (None, _) => Keep::Nothing,
        (Some(_), Document::Omit) => Keep::Answer,
        (Some(_), Document::Include) => Keep::WithDocument,
    };
    let mut counted = None;
    let boarded = match rpc.flights.join(names.0, keep, facts) {
        // Whoever began it pays for it: a spent budget is no hindrance.
        Some(flight) => Boarded::Flight(flight, Part::Joins),
        None => {
            // Before anything is sent, and not for an answer that is there already.
            counted = facts.charge().await?;
            rpc.flights.board(
                names.0,
                keep,
                facts,
                || answers.get_here(&own, max_age?),
                |shared| {
                    // Whoever polls the flight, its spans belong to the call that started it.
                    shared.runs_under(current_span());
                    fly(
                        Arc::clone(gateway),
                        shared,
                        rpc.policy.clone(),
                        lookup.clone(),
                        request,
                    )
                    .with_current_context()
                },
                conclude(Arc::clone(gateway), lookup.clone(), names),
            )
        }
    };
    let (flight, part) = match boarded {
        Boarded::Kept(kept) => {
            give_back(counted);
            report_hit::<L>(&kept);
            return Ok((kept, Source::Cache));
        }
        Boarded::Flight(flight, part) => (flight, part),
    };
    if max_age.is_some() {
        metrics::looked_up(L::PROVIDER, CacheResult::Miss, None);
    }
    let (source, waiting) = match part {
        Part::Starts => (Source::Provider, None),
        Part::Joins => {
            give_back(counted.take());
            let waiting = WaitSpan::start(Wait::Coalesced, L::PROVIDER);
            if let Some(starter) = facts.span_of_starter() {
                waiting.link(starter);
            }
            (Source::Coalesced, Some(waiting))
        }
    };
    let landed = flight.await;
    drop(waiting);
    let landed = landed.unwrap_or_else(|| Arc::new(Err(defect(Some(L::PROVIDER), facts))));
    if is_free(&landed) {
        give_back(counted);
    }
    // Who flew alone, as most do, has the answer to itself.
    let kept = match Arc::try_unwrap(landed) {
        Ok(own) => own?.seen_by_one(&lookup, &route.adapter),
        Err(shared) => match shared.as_ref() {
            Ok(fresh) => fresh.seen_by(&lookup, &route.adapter, lookup.document()),
            Err(failure) => Err(failure.clone()),
        },
    };
    Ok((kept?, source))
}

/// Whether the provider surely does not charge for a flight.
fn is_free<L: Lookup>(landed: &Result<Fresh<L>, Failure>) -> bool {
    let billing = match landed {
        Ok(fresh) => Some(fresh.verified.billing),
        Err(failure) => failure.billing,
    };
    billing == Some(Billing::NotBilled)
}

fn give_back(counted: Option<Counted>) {
    if let Some(counted) = counted {
        counted.give_back();
    }
}

/// What is not in the provider's document; once for each answer.
fn report_drift<L: Lookup>(verified: &Verified<L::Record>) {
    if verified.outcome == Outcome::Inconclusive {
        metrics::drifted(L::PROVIDER, Drift::Code);
    }
    let record = verified.record.as_ref();
    if record.is_some_and(|record| !record.is_listed()) {
        metrics::drifted(L::PROVIDER, Drift::Value);
    }
}

fn report_hit<L: Lookup>(kept: &Kept<L::Record>) {
    metrics::looked_up(L::PROVIDER, CacheResult::Hit, Some(kept.age.now()));
}

/// Asks the provider, for all who wait.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn has room twice for what it is given"
)]
fn fly<L: Lookup>(
    gateway: Arc<Gateway>,
    facts: Arc<CallFacts>,
    policy: Policy,
    lookup: L,
    request: Request,
) -> impl Future<Output = Landed<L>> + Send {
    async move {
        let asked = async {
            let Route {
                adapter, upstream, ..
            } = configured(L::PROVIDER, L::route(&gateway))?;
            let read = |answer: &Answer| {
                Ok(Fresh {
                    verified: lookup.read(adapter, answer)?,
                    document: lookup.document(),
                    answer: Answer {
                        was_read: true,
                        ..answer.clone()
                    },
                    checked_at: Timestamp::now(),
                    age: Age::of(Duration::ZERO),
                })
            };
            upstream.call(&facts, &policy, &request, read).await
        };
        Arc::new(asked.await)
    }
}

/// Keeps what those who wait want to be kept.
fn conclude<L: Lookup>(
    gateway: Arc<Gateway>,
    lookup: L,
    names: Names,
) -> impl Fn(&Landed<L>, Keep) + Send + 'static {
    move |landed, keep| {
        let (Ok(fresh), Some(route)) = (landed.as_ref(), L::route(&gateway)) else {
            return;
        };
        let documents: &[Document] = match keep {
            Keep::Nothing => &[],
            Keep::Answer => &[Document::Omit],
            Keep::WithDocument => &[Document::Omit, Document::Include],
        };
        for document in documents {
            if let Ok(kept) = fresh.seen_by(&lookup, &route.adapter, *document) {
                gateway.answers.keep(&names.of_document(*document), &kept);
            }
        }
    }
}

impl<L: Lookup> Priced for Fresh<L> {
    fn billing(&self) -> Billing {
        self.verified.billing
    }
}

impl<L: Lookup> Fresh<L> {
    /// The answer as one sees it who wants the document or does not.
    fn seen_by(
        &self,
        lookup: &L,
        adapter: &L::Adapter,
        document: Document,
    ) -> Result<Kept<L::Record>, Failure> {
        let verified = if self.document == document {
            self.verified.clone()
        } else {
            lookup.with(document).read(adapter, &self.answer)?
        };
        Ok(Kept {
            verified,
            checked_at: self.checked_at,
            age: self.age,
        })
    }

    /// The same for the only one who waited.
    fn seen_by_one(self, lookup: &L, adapter: &L::Adapter) -> Result<Kept<L::Record>, Failure> {
        if self.document != lookup.document() {
            return self.seen_by(lookup, adapter, lookup.document());
        }
        Ok(Kept {
            verified: self.verified,
            checked_at: self.checked_at,
            age: self.age,
        })
    }
}

/// The names of a lookup's kept answers: who shares them, at which account, and what is asked. A flight
/// has the name of the plain one.
#[derive(Clone, Copy)]
struct Names(Name);

impl Names {
    /// The names of the lookup, given what it sends.
    fn of<L: Lookup>(
        answers: &Answers,
        share: &Share,
        route: &Route<L::Adapter>,
        lookup: &L,
        sent: &Request,
    ) -> Self {
        let common = lookup.common();
        let common = common.map(|common| common.request(&route.adapter));
        let request = common.as_ref().unwrap_or(sent);
        let [kind, group] = share.parts();
        let credential = sent.credential.as_ref();
        let credential = credential.map(|known| known.fingerprint.as_bytes());
        let plain = answers.name([
            kind,
            group,
            credential.unwrap_or_default(),
            L::PROVIDER.as_str().as_bytes(),
            route.environment.as_str().as_bytes(),
            route.base_url.as_str().as_bytes(),
            request.method.as_str().as_bytes(),
            request.path.as_bytes(),
            request.query.as_bytes(),
            request.body.as_deref().unwrap_or_default(),
        ]);
        Self(plain)
    }

    fn of_document(&self, document: Document) -> Name {
        match document {
            Document::Omit => self.0,
            Document::Include => self.0.beside(),
        }
    }
}

/// Reads `max_age`.
///
/// # Errors
///
/// The rule that it breaks.
pub fn max_age(max_age: Option<prost_types::Duration>) -> Result<Option<Duration>, &'static str> {
    let age = max_age.map(Duration::try_from).transpose();
    age.map_err(|_| "must be a duration that is not negative")
}

fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}

const fn shown(source: Source) -> pb::Source {
    match source {
        Source::Provider => pb::Source::Provider,
        Source::Coalesced => pb::Source::Coalesced,
        Source::Cache => pb::Source::Cache,
    }
}

const fn outcome(outcome: Outcome) -> pb::Outcome {
    match outcome {
        Outcome::Found => pb::Outcome::Found,
        Outcome::NotFound => pb::Outcome::NotFound,
        Outcome::InvalidIdentifier => pb::Outcome::InvalidIdentifier,
        Outcome::Inconclusive => pb::Outcome::Inconclusive,
    }
}

const fn billing(billing: Billing) -> pb::Billing {
    match billing {
        Billing::Billed => pb::Billing::Billed,
        Billing::NotBilled => pb::Billing::NotBilled,
        Billing::Unknown => pb::Billing::Unknown,
    }
}
