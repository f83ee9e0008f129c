//! The answer to a lookup: from the cache, from an identical lookup in flight, or from the provider.
//!
//! In this order: a cached answer if the caller set `max_age` and one is young enough; an answer that an earlier
//! call of this caller paid for and did not get; else the flight of an identical lookup, or a new one. A call
//! with a `request_id` comes to this once, whoever asks how often ([`by_id`]). Each caller has an id, a deadline and a
//! mask of its own, and each reads the record for itself if it wants another part of the provider's answer than
//! the starter did. `billing` is what the provider's document says of the result, wherever it comes from;
//! `source` says whether the provider was asked for this call.
//!
//! A caller that goes once its request has left leaves it behind ([`behind`]).

mod behind;
mod by_id;
mod flight;
mod names;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use opentelemetry::context::FutureExt as _;
use prost::bytes::Bytes;
use uuid::Uuid;

use self::{
    behind::{Delivered, Leaves, Waiting},
    flight::{Brought, Flies, Landed, fly, is_free},
    names::Names,
};
use super::{defect, give_back, request_ids::RequestIds, routes::AnyRoute, verify::Verify};
use crate::{
    auth::{AuthMode, identity::Caller},
    call::Call,
    domain::{
        failure::Failure,
        lookup::{Document, Lookup as _},
        price::Price,
        verification::{Billing, Environment, Provider, Source, Verified},
    },
    policy::Policy,
    sharing::{
        Answers, Flights, Kept, Left, Name,
        flights::{Boarded, Flight, Keep, Seat},
        left::{Bill, Entered},
        paid::{self, Paid, Told},
    },
    telemetry::{
        labels::{CacheResult, Fate},
        metrics::{self, current_span},
        spans::{Wait, WaitSpan},
    },
    transport::{Part, Progress, Request},
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
    /// What a billed result costs there.
    pub price: Option<Price>,
}

/// What is asked, and of whom.
pub struct Asked<V: Verify> {
    /// The way to the provider.
    pub route: Arc<AnyRoute<V>>,
    /// What is looked up.
    pub lookup: V::Lookup,
    /// How old a cached answer may be; none where no cached answer will do.
    pub max_age: Option<Duration>,
}

/// The lookups of one RPC: those in flight, the cached ones, and those that wait for their callers.
#[derive(Debug)]
pub struct Lookups<V: Verify> {
    answers: Answers,
    left: Left,
    ids: RequestIds<Told>,
    policy: Policy,
    flights: Flights<Landed<V>>,
}

/// An answer, and where it comes from.
type Found<V> = Result<(Kept<<V as Verify>::Record>, Source), Failure>;

/// A lookup on its way through here. It is handed on by reference: each async function that is given it whole has
/// room for it once more.
pub struct Question<V: Verify> {
    asked: Arc<Asked<V>>,
    /// Until it is sent.
    request: Option<Box<Request>>,
    names: Names,
}

impl<V: Verify> Asked<V> {
    fn bill(&self, billing: Billing) -> Bill {
        let upstream = &self.route.upstream;
        let price = upstream.price().filter(|_| billing != Billing::NotBilled);
        Bill {
            provider: upstream.provider(),
            price: price.copied(),
        }
    }

    /// What this caller wants of all that the answer holds.
    fn part_of(&self, mut whole: Kept<V::Record>) -> Kept<V::Record> {
        if self.lookup.document() == Document::Omit
            && let Some(record) = &mut whole.verified.record
        {
            V::leave_out_document(record);
        }
        whole
    }

    /// The same with all that the provider's answer holds: who finds it later may want more of it.
    fn whole(&self) -> Self {
        Self {
            route: Arc::clone(&self.route),
            lookup: self.lookup.with(Document::Include),
            max_age: self.max_age,
        }
    }
}

impl<V: Verify> Lookups<V> {
    /// None is in flight yet.
    #[must_use]
    pub fn new(answers: Answers, left: Left, ids: RequestIds<Told>, policy: Policy) -> Self {
        Self {
            answers,
            left,
            ids,
            policy,
            flights: Flights::default(),
        }
    }

    /// Answers a lookup.
    ///
    /// # Errors
    ///
    /// What went wrong.
    pub async fn answer(
        self: &Arc<Self>,
        call: &Arc<Call>,
        question: &mut Question<V>,
        request_id: Option<Uuid>,
    ) -> Result<Known<V::Record>, Failure> {
        let (kept, source) = match request_id {
            None => {
                self.once(call, &call.progress, question, Role::Caller)
                    .await?
            }
            // Boxed: most calls have none, and need no room for it.
            Some(id) => Box::pin(self.by_id(call, question, id)).await?,
        };
        if let Some(payer) = kept.paid_by.filter(|_| source != Source::Provider) {
            call.facts.paid_by(payer);
        }
        Ok(Known {
            verified: kept.verified,
            checked_at: kept.checked_at,
            source,
            provider: question.asked.route.provider(),
            environment: question.asked.route.environment,
            price: question.asked.route.upstream.price().copied(),
        })
    }

    /// A cached answer that is young enough.
    async fn cached(
        &self,
        asked: &Asked<V>,
        names: Names,
        max_age: Duration,
    ) -> Option<Kept<V::Record>> {
        let provider = asked.route.provider();
        let looking = WaitSpan::start(Wait::Cache, provider);
        let own = names.of_document(asked.lookup.document());
        let kept = self.answers.get(&own, max_age).await;
        drop(looking);
        kept.inspect(|kept| report_hit(provider, kept))
    }

    /// The question that a call asks.
    pub fn question(&self, call: &Call, asked: Asked<V>) -> Question<V> {
        let mut request = asked.route.adapter.request(&asked.lookup);
        // The one that the names are made of.
        request.credential = Some(asked.route.upstream.credential());
        let names = Names::of::<V>(&self.answers, call, &asked.route, &asked.lookup, &request);
        Question {
            asked: Arc::new(asked),
            request: Some(Box::new(request)),
            names,
        }
    }

    /// The name under which the answer waits for this caller. Where callers are not identified, it waits
    /// for whoever asks.
    fn owed(&self, caller: Option<&Arc<Caller>>, names: Names) -> Name {
        let identity = caller.map(|caller| &caller.identity);
        let caller = match identity.filter(|identity| identity.mode() != AuthMode::None) {
            Some(identity) => [
                identity.mode().as_str().as_bytes(),
                identity.name().as_bytes(),
            ],
            None => [AuthMode::None.as_str().as_bytes(), b"".as_slice()],
        };
        self.left.name(&names.0, caller)
    }

    /// What an earlier call of this caller paid for, in its stored form; none if it cannot be read.
    fn recovers(
        self: &Arc<Self>,
        call: &Call,
        asked: &Arc<Asked<V>>,
        names: Names,
        role: Role,
        (bytes, source): (Bytes, Source),
    ) -> Option<Found<V>> {
        let paid = paid::decode(bytes.clone())?;
        if role == Role::Caller {
            self.hands(call, asked, names, Delivered::Recovered(bytes));
        }
        Some(recovered(call, asked, paid, source))
    }

    /// Answers a lookup for a caller, or for all who have its `request_id`: then the progress is theirs.
    async fn once(
        self: &Arc<Self>,
        call: &Arc<Call>,
        progress: &Progress,
        question: &mut Question<V>,
        role: Role,
    ) -> Found<V> {
        let Question {
            asked,
            request,
            names,
        } = question;
        let (asked, names) = (&*asked, *names);
        let provider = asked.route.provider();
        let document = asked.lookup.document();
        let own = names.of_document(document);
        if let Some(max_age) = asked.max_age
            && let Some(kept) = self.cached(asked, names, max_age).await
        {
            return Ok((kept, Source::Cache));
        }
        let owed = || self.owed(call.caller(), names);
        if let Some(bytes) = self.left.take_here(owed)
            && let Some(paid) = self.recovers(call, asked, names, role, (bytes, Source::Recovered))
        {
            return paid;
        }
        let seat = Seat {
            name: names.0,
            keep: wish(asked.max_age, document),
            progress,
            owed: &owed,
        };
        let mut joined = self.flights.join(seat);
        let mut mark = None;
        if joined.is_none() && self.left.is_shared() {
            let bill = asked.bill(Billing::Unknown);
            let near = || self.flights.join(seat);
            let leaves = Leaves::new(self.left.ttl(), call, progress);
            // Boxed, as all is that waits for Redis.
            let entered = Box::pin(self.left.enter(owed(), bill, progress, near)).await;
            leaves.stays();
            match entered {
                Entered::Answer(bytes, waited) => {
                    let source = match waited {
                        true => Source::Coalesced,
                        false => Source::Recovered,
                    };
                    if let Some(paid) = self.recovers(call, asked, names, role, (bytes, source)) {
                        return paid;
                    }
                }
                Entered::Marked(marked) => mark = Some(marked),
                Entered::Near(flight) => joined = Some(flight),
                // It was about to be moved there, perhaps.
                Entered::Unknown => {
                    if let Some(bytes) = self.left.take_here(owed)
                        && let Some(paid) =
                            self.recovers(call, asked, names, role, (bytes, Source::Recovered))
                    {
                        return paid;
                    }
                }
            }
        }
        let boarded = match joined {
            // Whoever began it pays for it: a spent budget is no hindrance.
            Some(flight) => Boarded::Flight(flight, Part::Joins),
            None => {
                // Before anything is sent, and not for an answer that is there already.
                let mut counted = call.charge().await?;
                let boarded = self.flights.board(
                    seat,
                    || self.answers.get_here(&own, asked.max_age?),
                    |shared| {
                        // Whoever polls the flight, its spans belong to the call that started it.
                        shared.runs_under(current_span());
                        let flies = Flies {
                            asked: Arc::clone(asked),
                            call: Arc::clone(call),
                            held: call.held(),
                            counted: counted.take(),
                        };
                        // It is there, unless the same question is asked twice.
                        let again = || Box::new(asked.route.adapter.request(&asked.lookup));
                        let request = request.take().unwrap_or_else(again);
                        fly::<V>(flies, shared, self.policy.clone(), *request)
                            .with_current_context()
                    },
                    self.conclude(Arc::clone(asked), names, &mut mark),
                );
                // Somebody else's flight, or an answer, was there after all.
                give_back(counted);
                boarded
            }
        };
        let (flight, part) = match boarded {
            Boarded::Kept(kept) => {
                report_hit(provider, &kept);
                return Ok((kept, Source::Cache));
            }
            Boarded::Flight(flight, part) => (flight, part),
        };
        if asked.max_age.is_some() {
            metrics::looked_up(provider, CacheResult::Miss, None);
        }
        let mut waiting = Waiting::new(self, call, seat, asked, role, flight);
        let (landed, source) = landed::<V>(progress, provider, &mut waiting, part).await;
        if role == Role::Caller && !is_free(&landed) {
            let brought = Brought::by(&landed);
            self.hands(call, asked, names, Delivered::Brought(brought));
        }
        // Who flew alone, as most do, has the answer to itself.
        let kept = match Arc::try_unwrap(landed) {
            Ok(own) => own?.seen_by_one(asked),
            Err(shared) => match shared.as_ref() {
                Ok(fresh) => fresh.seen_by(asked, document),
                Err(failure) => Err(failure.clone()),
            },
        };
        Ok((kept?, source))
    }
}

/// For whom a lookup is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A caller, which may go and come back.
    Caller,
    /// The work of a `request_id`, whose callers come and go without its knowing.
    Work,
}

/// What an earlier call of this caller paid for.
fn recovered<V: Verify>(
    call: &Call,
    asked: &Asked<V>,
    paid: Paid<V::Record>,
    source: Source,
) -> Found<V> {
    call.facts.comes_from(source);
    // It was charged, though by no request of this call: its reply is not to be refused as one that was free.
    call.progress.waits();
    let billing = match &paid {
        Ok(kept) => kept.verified.billing,
        Err(failure) => failure.billing.unwrap_or(Billing::Unknown),
    };
    let bill = asked.bill(billing);
    metrics::left(bill.provider, Fate::Recovered, bill.price.as_ref());
    Ok((asked.part_of(paid?), source))
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
    progress: &Progress,
    provider: Provider,
    waiting: &mut Waiting<'_, V>,
    part: Part,
) -> (Landed<V>, Source) {
    let (source, span) = match part {
        Part::Starts => (Source::Provider, None),
        Part::Joins => {
            let span = WaitSpan::start(Wait::Coalesced, provider);
            if let Some(starter) = progress.span_of_starter() {
                span.link(starter);
            }
            (Source::Coalesced, Some(span))
        }
    };
    let landed = waiting.landed().await;
    drop(span);
    let defect = || Arc::new(Err(defect(Some(provider), progress)));
    (landed.unwrap_or_else(defect), source)
}

fn report_hit<R>(provider: Provider, kept: &Kept<R>) {
    metrics::looked_up(provider, CacheResult::Hit, Some(kept.age.now()));
}
