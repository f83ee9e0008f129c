//! The provider call for all who wait for it, what it brings, and what is kept of that.

use std::{any::Any, sync::Arc, time::Duration};

use jiff::Timestamp;
use prost::bytes::Bytes;
use uuid::Uuid;

use super::{Asked, Lookups, names::Names};
use crate::{
    access::budget::Counted,
    call::Call,
    domain::{
        failure::Failure,
        lookup::{Document, Lookup as _},
        verification::{Billing, Drift, Provider, Verified},
    },
    policy::Policy,
    service::{Reserved, verify::Verify},
    sharing::{
        Age, Kept, Left,
        flights::{Keep, Owed},
        left::{Bill, Mark},
        paid::{self, Paid},
    },
    telemetry::{labels, metrics},
    transport::{Answer, Priced, Progress, Request},
};

/// How a flight ended, for all who waited.
pub type Landed<V> = Arc<Result<Fresh<V>, Failure>>;

/// The answer of a flight.
pub struct Fresh<V: Verify> {
    pub verified: Verified<V::Record>,
    /// What of the answer was read.
    document: Document,
    answer: Answer,
    checked_at: Timestamp,
    age: Age,
    paid_by: Option<Uuid>,
}

/// Whether the provider surely does not charge for a flight.
pub fn is_free<V: Verify>(landed: &Result<Fresh<V>, Failure>) -> bool {
    let billing = match landed {
        Ok(fresh) => Some(fresh.verified.billing),
        Err(failure) => failure.billing,
    };
    billing == Some(Billing::NotBilled)
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

/// What a flight takes along.
pub struct Flies<V: Verify> {
    /// What is asked.
    pub asked: Arc<Asked<V>>,
    /// The call that began it.
    pub call: Arc<Call>,
    /// What that holds at the server: it is held until the flight has landed, whether the call waits or not.
    pub held: Option<Arc<dyn Any + Send + Sync>>,
    /// What it took of its budget.
    pub counted: Option<Counted>,
}

/// Asks the provider, for all who wait.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn has room twice for what it is given"
)]
pub fn fly<V: Verify>(
    flies: Flies<V>,
    progress: Arc<Progress>,
    policy: Policy,
    request: Request,
) -> impl Future<Output = Landed<V>> + Send {
    async move {
        let Flies {
            asked,
            call,
            held: _held,
            counted,
        } = flies;
        let counted = Reserved {
            counted,
            progress: Arc::clone(&progress),
        };
        let Asked { route, lookup, .. } = &*asked;
        let read = |answer: &Answer| {
            let verified = route.adapter.read(lookup, answer);
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
                paid_by: call.record_id(),
            })
        };
        let landed = route
            .upstream
            .call(&progress, &policy, &request, read)
            .await;
        if is_free(&landed) {
            counted.give_back();
        }
        let came = landed.as_ref();
        call.came(
            came.map(|fresh| (fresh.verified.outcome, fresh.verified.billing)),
            asked.route.upstream.price().copied(),
        );
        Arc::new(landed)
    }
}

impl<V: Verify> Priced for Fresh<V> {
    fn billing(&self) -> Billing {
        self.verified.billing
    }
}

impl<V: Verify> Fresh<V> {
    /// The answer as one sees it who wants the document or does not.
    pub fn seen_by(
        &self,
        asked: &Asked<V>,
        document: Document,
    ) -> Result<Kept<V::Record>, Failure> {
        let verified = if self.document == document {
            self.verified.clone()
        } else {
            let lookup = asked.lookup.with(document);
            asked.route.adapter.read(&lookup, &self.answer)?
        };
        Ok(Kept {
            verified,
            checked_at: self.checked_at,
            age: self.age,
            paid_by: self.paid_by,
        })
    }

    /// The same for the only one who waited.
    pub fn seen_by_one(self, asked: &Asked<V>) -> Result<Kept<V::Record>, Failure> {
        let document = asked.lookup.document();
        if self.document != document {
            return self.seen_by(asked, document);
        }
        Ok(Kept {
            verified: self.verified,
            checked_at: self.checked_at,
            age: self.age,
            paid_by: self.paid_by,
        })
    }
}

/// Keeps an answer for a caller that went, or the failure of what was charged or may have been.
pub fn keep_for<V: Verify>(left: &Left, asked: &Asked<V>, landed: &Landed<V>, owed: Owed) {
    if let Some((bytes, bill)) = Brought::by(landed).paid(asked) {
        left.put(owed, bytes, bill);
    }
}

/// What a flight brought, as it came: read again where it is to wait for callers.
pub enum Brought {
    Answer(Answer, Timestamp, Option<Uuid>),
    Failure(Failure),
}

impl Brought {
    pub fn by<V: Verify>(landed: &Landed<V>) -> Self {
        match landed.as_ref() {
            Ok(fresh) => Self::Answer(fresh.answer.clone(), fresh.checked_at, fresh.paid_by),
            Err(failure) => Self::Failure(failure.clone()),
        }
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Answer(answer, ..) => answer.body.len(),
            Self::Failure(_) => 0,
        }
    }

    /// What is kept for callers, and what it cost.
    pub fn paid<V: Verify>(self, asked: &Asked<V>) -> Option<(Bytes, Bill)> {
        let paid: Paid<V::Record> = match self {
            Self::Answer(answer, checked_at, paid_by) => {
                let whole = asked.lookup.with(Document::Include);
                let read = asked.route.adapter.read(&whole, &answer);
                read.map(|verified| Kept {
                    verified,
                    checked_at,
                    age: Age::of(Duration::ZERO),
                    paid_by,
                })
            }
            Self::Failure(failure) => Err(failure),
        };
        let billing = match &paid {
            Ok(kept) => kept.verified.billing,
            Err(failure) => failure.billing.unwrap_or(Billing::Unknown),
        };
        Some((paid::encode(&paid)?, asked.bill(billing)))
    }
}

impl<V: Verify> Lookups<V> {
    /// Keeps what those who wait want to be kept, and the answer for those who have gone.
    pub(super) fn conclude(
        &self,
        asked: Arc<Asked<V>>,
        names: Names,
        mark: &mut Option<Mark>,
    ) -> impl FnMut(&Landed<V>, Keep, Vec<Owed>) + Send + use<V> {
        let (answers, left) = (self.answers.clone(), self.left.clone());
        let mut mark = mark.take();
        move |landed, keep, owed| {
            for owed in owed {
                keep_for(&left, &asked, landed, owed);
            }
            if let Some(mut mark) = mark.take() {
                let (asked, brought) = (Arc::clone(&asked), Brought::by(landed));
                mark.arrives(move || brought.paid(&asked));
            }
            let Ok(fresh) = landed.as_ref() else {
                return;
            };
            let documents: &[Document] = match keep {
                Keep::Nothing => &[],
                Keep::Answer => &[Document::Omit],
                Keep::WithDocument => &[Document::Omit, Document::Include],
            };
            for document in documents {
                if let Ok(kept) = fresh.seen_by(&asked, *document) {
                    answers.keep(&names.of_document(*document), &kept);
                }
            }
        }
    }
}
