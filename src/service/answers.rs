//! The answer to a lookup: from the cache, from an identical lookup in flight, or from the provider.
//!
//! In this order: a cached answer if the caller set `max_age` and one is young enough; else the flight
//! of an identical lookup, or a new one. Each caller has an id, a deadline and a mask of its own, and
//! each reads the record for itself if it wants another part of the provider's answer than the
//! starter did. `billing` is what the provider's document says of the result, wherever it comes from;
//! `source` says whether the provider was asked for this call.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use opentelemetry::context::FutureExt as _;

use super::{defect, routes::AnyRoute, verify::Verify};
use crate::{
    access::budget::Counted,
    call::Call,
    domain::{
        failure::Failure,
        lookup::{Document, Lookup as _},
        verification::{Billing, Drift, Environment, Provider, Source, Verified},
    },
    policy::Policy,
    sharing::{
        Age, Answers, Flights, Kept, Name,
        flights::{Boarded, Flight, Keep},
    },
    telemetry::{
        labels::{self, CacheResult},
        metrics::{self, current_span},
        spans::{Wait, WaitSpan},
    },
    transport::{Answer, Part, Priced, Progress, Request},
};

/// What is known of a lookup, and whence.
pub struct Known<R> {
    /// What was found.
    pub verified: Verified<R>,
    /// When the provider answered.
    pub checked_at: Timestamp,
    /// Where the answer comes from.
    pub source: Source,
    /// Who was asked.
    pub provider: Provider,
    /// Whether the registry behind it is about real people.
    pub environment: Environment,
}

/// The lookups of one RPC: those in flight, and the cached ones.
#[derive(Debug)]
pub struct Lookups<V: Verify> {
    answers: Answers,
    policy: Policy,
    flights: Flights<Landed<V>>,
}

/// How a flight ended, for all who waited.
type Landed<V> = Arc<Result<Fresh<V>, Failure>>;

/// The answer of a flight.
struct Fresh<V: Verify> {
    verified: Verified<V::Record>,
    /// What of the answer was read.
    document: Document,
    answer: Answer,
    checked_at: Timestamp,
    age: Age,
}

impl<V: Verify> Lookups<V> {
    /// None is in flight yet.
    #[must_use]
    pub fn new(answers: Answers, policy: Policy) -> Self {
        Self {
            answers,
            policy,
            flights: Flights::default(),
        }
    }

    /// Answers a lookup; `max_age` is none where no cached answer will do.
    ///
    /// # Errors
    ///
    /// What went wrong.
    pub async fn answer(
        &self,
        call: &Call,
        route: Arc<AnyRoute<V>>,
        lookup: V::Lookup,
        max_age: Option<Duration>,
    ) -> Result<Known<V::Record>, Failure> {
        let (provider, environment) = (route.provider(), route.environment);
        let known = |(kept, source): (Kept<V::Record>, Source)| Known {
            verified: kept.verified,
            checked_at: kept.checked_at,
            source,
            provider,
            environment,
        };
        let mut request = route.adapter.request(&lookup);
        // The one that the names are made of.
        request.credential = Some(route.upstream.credential());
        let names = Names::of::<V>(&self.answers, call, &route, &lookup, &request);
        let own = names.of_document(lookup.document());
        if let Some(max_age) = max_age {
            let looking = WaitSpan::start(Wait::Cache, provider);
            let kept = self.answers.get(&own, max_age).await;
            drop(looking);
            if let Some(kept) = kept {
                report_hit(provider, &kept);
                return Ok(known((kept, Source::Cache)));
            }
        }
        let mut counted = None;
        let keep = wish(max_age, lookup.document());
        let boarded = match self.flights.join(names.0, keep, &call.progress) {
            // Whoever began it pays for it: a spent budget is no hindrance.
            Some(flight) => Boarded::Flight(flight, Part::Joins),
            None => {
                // Before anything is sent, and not for an answer that is there already.
                counted = call.charge().await?;
                self.flights.board(
                    names.0,
                    keep,
                    &call.progress,
                    || self.answers.get_here(&own, max_age?),
                    |shared| {
                        // Whoever polls the flight, its spans belong to the call that started it.
                        shared.runs_under(current_span());
                        let (route, lookup) = (Arc::clone(&route), lookup.clone());
                        fly::<V>(route, shared, self.policy.clone(), lookup, request)
                            .with_current_context()
                    },
                    self.conclude(Arc::clone(&route), lookup.clone(), names),
                )
            }
        };
        let (flight, part) = match boarded {
            Boarded::Kept(kept) => {
                give_back(counted);
                report_hit(provider, &kept);
                return Ok(known((kept, Source::Cache)));
            }
            Boarded::Flight(flight, part) => (flight, part),
        };
        if max_age.is_some() {
            metrics::looked_up(provider, CacheResult::Miss, None);
        }
        if part == Part::Joins {
            give_back(counted.take());
        }
        let (landed, source) = landed::<V>(call, provider, flight, part).await;
        if is_free(&landed) {
            give_back(counted);
        }
        // Who flew alone, as most do, has the answer to itself.
        let kept = match Arc::try_unwrap(landed) {
            Ok(own) => own?.seen_by_one(&lookup, &route),
            Err(shared) => match shared.as_ref() {
                Ok(fresh) => fresh.seen_by(&lookup, &route, lookup.document()),
                Err(failure) => Err(failure.clone()),
            },
        };
        Ok(known((kept?, source)))
    }

    /// Keeps what those who wait want to be kept.
    fn conclude(
        &self,
        route: Arc<AnyRoute<V>>,
        lookup: V::Lookup,
        names: Names,
    ) -> impl Fn(&Landed<V>, Keep) + Send + use<V> {
        let answers = self.answers.clone();
        move |landed, keep| {
            let Ok(fresh) = landed.as_ref() else {
                return;
            };
            let documents: &[Document] = match keep {
                Keep::Nothing => &[],
                Keep::Answer => &[Document::Omit],
                Keep::WithDocument => &[Document::Omit, Document::Include],
            };
            for document in documents {
                if let Ok(kept) = fresh.seen_by(&lookup, &route, *document) {
                    answers.keep(&names.of_document(*document), &kept);
                }
            }
        }
    }
}

/// What a caller wants to be kept of the answer.
const fn wish(max_age: Option<Duration>, document: Document) -> Keep {
    match (max_age, document) {
        (None, _) => Keep::Nothing,
        (Some(_), Document::Omit) => Keep::Answer,
        (Some(_), Document::Include) => Keep::WithDocument,
    }
}

/// Waits for a flight.
async fn landed<V: Verify>(
    call: &Call,
    provider: Provider,
    flight: Flight<Landed<V>>,
    part: Part,
) -> (Landed<V>, Source) {
    let (source, waiting) = match part {
        Part::Starts => (Source::Provider, None),
        Part::Joins => {
            let waiting = WaitSpan::start(Wait::Coalesced, provider);
            if let Some(starter) = call.progress.span_of_starter() {
                waiting.link(starter);
            }
            (Source::Coalesced, Some(waiting))
        }
    };
    let landed = flight.await;
    drop(waiting);
    let defect = || Arc::new(Err(defect(Some(provider), &call.progress)));
    (landed.unwrap_or_else(defect), source)
}

/// Whether the provider surely does not charge for a flight.
fn is_free<V: Verify>(landed: &Result<Fresh<V>, Failure>) -> bool {
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

fn report_hit<R>(provider: Provider, kept: &Kept<R>) {
    metrics::looked_up(provider, CacheResult::Hit, Some(kept.age.now()));
}

/// What is not in the provider's document; once for each answer.
fn report_drift(provider: Provider, drift: Drift) {
    let seen = [
        (drift.code, labels::Drift::Code),
        (drift.value, labels::Drift::Value),
        (drift.field, labels::Drift::Field),
    ];
    for (_, what) in seen.into_iter().filter(|(is_seen, _)| *is_seen) {
        metrics::drifted(provider, what);
    }
}

/// Asks the provider, for all who wait.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn has room twice for what it is given"
)]
fn fly<V: Verify>(
    route: Arc<AnyRoute<V>>,
    progress: Arc<Progress>,
    policy: Policy,
    lookup: V::Lookup,
    request: Request,
) -> impl Future<Output = Landed<V>> + Send {
    async move {
        let read = |answer: &Answer| {
            let verified = route.adapter.read(&lookup, answer);
            let drift = verified
                .as_ref()
                .map_or_else(|failure| failure.drift, |verified| verified.drift);
            report_drift(route.provider(), drift);
            let verified = verified?;
            Ok(Fresh {
                verified,
                document: lookup.document(),
                answer: answer.clone(),
                checked_at: Timestamp::now(),
                age: Age::of(Duration::ZERO),
            })
        };
        Arc::new(
            route
                .upstream
                .call(&progress, &policy, &request, read)
                .await,
        )
    }
}

impl<V: Verify> Priced for Fresh<V> {
    fn billing(&self) -> Billing {
        self.verified.billing
    }
}

impl<V: Verify> Fresh<V> {
    /// The answer as one sees it who wants the document or does not.
    fn seen_by(
        &self,
        lookup: &V::Lookup,
        route: &AnyRoute<V>,
        document: Document,
    ) -> Result<Kept<V::Record>, Failure> {
        let verified = if self.document == document {
            self.verified.clone()
        } else {
            route.adapter.read(&lookup.with(document), &self.answer)?
        };
        Ok(Kept {
            verified,
            checked_at: self.checked_at,
            age: self.age,
        })
    }

    /// The same for the only one who waited.
    fn seen_by_one(
        self,
        lookup: &V::Lookup,
        route: &AnyRoute<V>,
    ) -> Result<Kept<V::Record>, Failure> {
        if self.document != lookup.document() {
            return self.seen_by(lookup, route, lookup.document());
        }
        Ok(Kept {
            verified: self.verified,
            checked_at: self.checked_at,
            age: self.age,
        })
    }
}

/// The names of a lookup's cached answers: who shares them, at which account, and what is asked. A flight
/// has the name of the plain one.
#[derive(Clone, Copy)]
struct Names(Name);

impl Names {
    /// The names of the lookup, given what it sends.
    fn of<V: Verify>(
        answers: &Answers,
        call: &Call,
        route: &AnyRoute<V>,
        lookup: &V::Lookup,
        sent: &Request,
    ) -> Self {
        let common = lookup.common().map(|common| route.adapter.request(&common));
        let request = common.as_ref().unwrap_or(sent);
        let [kind, group] = call.share().parts();
        let credential = sent.credential.as_ref();
        let credential = credential.map(|known| known.fingerprint.as_bytes());
        let plain = answers.name([
            kind,
            group,
            credential.unwrap_or_default(),
            route.provider().as_str().as_bytes(),
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
