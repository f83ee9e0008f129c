//! One call of the contract while it travels: what is told of it, how far it came at the provider, who calls
//! with which rights, and its audit record, side by side.
//!
//! The server makes one for each call and puts it into the request's extensions; the handlers take it from
//! there.

mod bill;
pub mod facts;
pub mod handed;
pub mod head;
pub mod recorder;
mod recording;

use std::{
    any::Any,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};

use http::Extensions;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tonic::{Code, Status};

use self::{bill::Bill, facts::Facts, handed::Handed, recording::Recording};
use crate::{
    access::{budget::Counted, door::Rights, persons::Records, share::Share},
    auth::{
        Unidentified,
        identity::{Caller, Identity},
    },
    domain::{
        failure::Failure,
        price::{Cost, Price},
        verification::{Billing, Outcome, Source},
    },
    proto::fields::Fields,
    status,
    telemetry::{
        call_end::{CallEnd, Refused},
        labels::Rpc,
    },
    transport::Progress,
};

/// How long the word that a call's time is over waits for the other replicas to know.
const MOMENT: Duration = Duration::from_millis(20);

/// One call.
#[derive(Debug, Default)]
pub struct Call {
    /// What is told of it.
    pub facts: Facts,
    /// How far it came at the provider.
    pub progress: Arc<Progress>,
    caller: OnceLock<Arc<Caller>>,
    /// As whom it came whose credential is not good (any more).
    came_as: OnceLock<Arc<Identity>>,
    rule: OnceLock<Arc<str>>,
    rights: OnceLock<Rights>,
    /// What the call holds at the server.
    holds: OnceLock<Weak<dyn Any + Send + Sync>>,
    behind: OnceLock<Behind>,
    compressed: OnceLock<()>,
    /// Until the server has it.
    handed: Mutex<Option<Handed>>,
    bill: Bill,
    recording: Option<Recording>,
}

/// What came of what a call asked for, whether it still waits or not.
struct Came {
    code: Code,
    reason: Option<&'static str>,
    outcome: Option<Outcome>,
    billing: Billing,
    cost: Option<Cost>,
}

impl Came {
    fn of(came: Result<(Outcome, Billing), &Failure>, price: Option<Price>) -> Self {
        let (code, reason, outcome, billing) = match came {
            Ok((outcome, billing)) => (Code::Ok, None, Some(outcome), billing),
            Err(failure) => {
                let (code, reason, _) = status::row(failure.kind);
                let billing = failure.billing.unwrap_or(Billing::Unknown);
                (code, Some(reason), None, billing)
            }
        };
        Self {
            code,
            reason,
            outcome,
            billing,
            cost: bill::cost(billing, price),
        }
    }
}

/// What a call left behind at the provider.
#[derive(Debug)]
struct Behind {
    until: Timestamp,
    /// Until the other replicas know of it.
    marked: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Call {
    /// The call that a request belongs to; one of which nothing is known if the server has begun none.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Arc<Self> {
        let begun = extensions.get::<Arc<Self>>();
        begun.map(Arc::clone).unwrap_or_default()
    }

    /// A call that the audit records.
    fn recorded(recording: Recording) -> Self {
        Self {
            recording: Some(recording),
            ..Self::default()
        }
    }

    /// Notes who calls.
    pub fn called_by(&self, caller: Arc<Caller>) {
        let _known_already = self.caller.set(caller);
    }

    /// Notes as whom the caller came that is not identified, and says what it gets.
    pub fn is_not_identified(&self, unidentified: &Unidentified) -> Failure {
        if let Some(identity) = &unidentified.identity {
            let _known_already = self.came_as.set(Arc::clone(identity));
        }
        Failure::from(unidentified)
    }

    /// Who calls, or came with a credential that is not good (any more).
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        let known = self.caller.get().map(|caller| &caller.identity);
        known.or_else(|| self.came_as.get())
    }

    /// Notes what the call holds at the server.
    pub fn holds(&self, what: Weak<dyn Any + Send + Sync>) {
        let _held_already = self.holds.set(what);
    }

    /// What the call holds at the server, to be held for longer: while what it asked for is on its way, and perhaps
    /// nobody waits.
    pub fn held(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.holds.get()?.upgrade()
    }

    /// Notes that the request was compressed.
    pub fn is_compressed(&self) {
        let _known_already = self.compressed.set(());
    }

    /// Whether the request was compressed, and the reply is if that makes sense.
    pub fn may_compress(&self) -> bool {
        self.compressed.get().is_some()
    }

    /// Notes that the answer to what was sent is kept for this caller, until when it can be fetched, and
    /// what tells that the other replicas know.
    pub fn leaves_behind(&self, until: Timestamp, marked: oneshot::Receiver<()>) {
        let marked = Mutex::new(Some(marked));
        let _left_already = self.behind.set(Behind { until, marked });
    }

    /// Until when the answer to what was sent can be fetched, if it is kept. It is said when it is so: at other
    /// replicas, too, if they can be told in a moment.
    pub async fn recoverable_until(&self) -> Option<Timestamp> {
        let behind = self.behind.get()?;
        let marked = behind.marked.lock();
        let marked = marked.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(marked) = marked {
            let _marked = tokio::time::timeout(MOMENT, marked).await;
        }
        Some(behind.until)
    }

    /// Notes what is to be done should the answer not arrive.
    pub fn hands(&self, answer: Handed) {
        *self.locked_handed() = Some(answer);
    }

    /// What is to be done should the answer not arrive, for the server to see to.
    pub fn handed(&self) -> Option<Handed> {
        self.locked_handed().take()
    }

    fn locked_handed(&self) -> MutexGuard<'_, Option<Handed>> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the name of the policy file's rule that the caller falls under.
    pub fn falls_under(&self, rule: Arc<str>) {
        let _known_already = self.rule.set(rule);
    }

    /// Notes what the caller may do. Without this, everything.
    pub fn may(&self, rights: Rights) {
        let _known_already = self.rights.set(rights);
    }

    /// What this call asked for has come, at this price if it is billed. If the call has ended without it, that is a line
    /// of its own, in log and audit.
    pub fn came(&self, came: Result<(Outcome, Billing), &Failure>, price: Option<Price>) {
        let came = Came::of(came, price);
        if let Some(rpc) = self
            .bill
            .comes(came.cost)
            .filter(|_| self.progress.attempts() > 0)
        {
            let late = CallEnd {
                code: came.code,
                reason: came.reason,
                outcome: came.outcome,
                billing: Some(came.billing),
                source: Some(Source::Provider),
                cost: came.cost,
                ..self.end_with(rpc, came.code, Duration::ZERO)
            };
            late.log_late();
            late.count_late();
        }
        self.record_late(&came);
    }

    /// Who calls, once that is known.
    pub fn caller(&self) -> Option<&Arc<Caller>> {
        self.caller.get()
    }

    /// The name of the policy file's rule that the caller falls under.
    pub fn rule(&self) -> Option<&str> {
        self.rule.get().map(|rule| &**rule)
    }

    /// What the caller may do, where that is limited.
    pub fn rights(&self) -> Option<&Rights> {
        self.rights.get()
    }

    /// The fields that the caller may see of the answer.
    pub fn visible(&self) -> &Fields {
        self.rights.get().map_or(&Fields::All, Rights::fields)
    }

    /// Whose person records the caller may use.
    pub fn records(&self) -> &Records {
        self.rights.get().map_or(&Records::All, Rights::records)
    }

    /// With whom the caller shares answers.
    pub fn share(&self) -> &Share {
        self.rights.get().map_or(&Share::Everybody, Rights::share)
    }

    /// Counts a provider call that may be charged, before it is sent; none if the caller has no budget
    /// for these.
    ///
    /// # Errors
    ///
    /// [`Kind::BudgetExhausted`](crate::domain::failure::Kind::BudgetExhausted) if the budget is spent.
    pub async fn charge(&self) -> Result<Option<Counted>, Failure> {
        let (Some(rights), Some(caller)) = (self.rights.get(), self.caller.get()) else {
            return Ok(None);
        };
        rights.charge(caller).await.map_err(|failure| Failure {
            provider: self.facts.provider(),
            billing: Some(Billing::NotBilled),
            ..failure
        })
    }

    /// The status of the failure that ends the call, noted in its facts.
    #[must_use]
    pub fn fails(&self, failure: &Failure) -> Status {
        let (_, reason, _) = status::row(failure.kind);
        self.facts.failed(reason, failure.billing);
        if let Some(cause) = failure.cause {
            self.facts.refused(cause);
        }
        status::of(failure)
    }

    /// How it ended, as far as that is known now; said once, as what it cost is.
    #[must_use]
    pub fn end_with(&self, rpc: Rpc, code: Code, took: Duration) -> CallEnd<'_> {
        let attempts = self.progress.attempts();
        let is_free = attempts == 0 || self.facts.billing() == Some(Billing::NotBilled);
        let cost = self.bill.ends(rpc, is_free);
        CallEnd {
            rpc,
            code,
            took,
            rule: self.rule(),
            // Where there is a verification, that has an id of its own.
            call: self
                .record_id()
                .filter(|_| self.facts.verification_id().is_none()),
            reason: self.facts.reason(),
            refused: self.facts.cause().map(|cause| Refused {
                cause,
                identity: self.identity().map(|identity| identity.name()),
            }),
            verification_id: self.facts.verification_id(),
            provider: self.facts.provider(),
            outcome: self.facts.outcome(),
            billing: self.facts.billing(),
            source: self.facts.source(),
            cost: cost.filter(|_| self.facts.provider().is_some()),
            attempts,
        }
    }
}
