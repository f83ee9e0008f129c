//! The audit's part of a call, and the few words that the handlers say to it.
//!
//! `purpose` among the checks; `begin` once they have passed, with what the call is about; `intend`
//! before the provider is asked. The layer ([`recorder`](super::recorder)) says `end`. Of a call that never began
//! only is recorded that its caller was not let in: its checks refused it otherwise, and nobody's data was touched.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tonic::Code;
use uuid::Uuid;

use super::{Call, Came};
use crate::{
    audit::{
        Audit, OpenCall,
        hash::IdentifierHash,
        record::{CallRecord, CallerRecord, End, Hashed, Record},
        words::{Event, Purpose},
    },
    auth::AuthMode,
    domain::{
        cause::Cause,
        consent::SubjectConsent,
        failure::{Failure, Kind},
        identifier::Identifier,
        person::PersonId,
        price::Cost,
        verification::{Billing, Environments, Source},
    },
    proto::{gateway::v1::Charge, person::v1::Person},
    status,
};

/// How long a caller is asked to wait before it tries again to be recorded.
const WAIT: Duration = Duration::from_secs(1);

/// What the audit knows of one call of a recorded RPC.
#[derive(Debug)]
pub(super) struct Recording {
    audit: Arc<Audit>,
    id: Uuid,
    rpc: Arc<str>,
    charge: Charge,
    peer: Option<Arc<str>>,
    purpose: Result<Option<Purpose>, &'static str>,
    environments: Environments,
    began: OnceLock<Began>,
    created: OnceLock<IdentifierHash>,
    ended: AtomicBool,
    /// What is to be recorded once the call has ended.
    late: Mutex<Option<End>>,
}

/// What is known once the checks have passed.
#[derive(Debug)]
struct Began {
    consent: Option<SubjectConsent>,
    identifier: Option<Hashed>,
}

impl Recording {
    pub fn new(
        audit: Arc<Audit>,
        (rpc, charge): (Arc<str>, Charge),
        peer: Option<Arc<str>>,
        purpose: Result<Option<Purpose>, &'static str>,
        environments: Environments,
    ) -> Self {
        Self {
            audit,
            id: Uuid::now_v7(),
            rpc,
            charge,
            peer,
            purpose,
            environments,
            began: OnceLock::new(),
            created: OnceLock::new(),
            ended: AtomicBool::new(false),
            late: Mutex::default(),
        }
    }

    pub const fn id(&self) -> Uuid {
        self.id
    }

    fn record(&self, event: Event, of: &Call, end: Option<End>) -> Option<Record> {
        let began = self.began.get()?;
        let call = CallRecord {
            purpose: self.purpose.clone().ok().flatten(),
            consent: began.consent,
            provider: of.facts.provider(),
            environment: of
                .facts
                .provider()
                .map(|provider| self.environments.of(provider)),
            verification_id: of.facts.verification_id(),
            identifier: began.identifier,
            created_hash: self.created.get().copied(),
            end,
            ..self.called(of)
        };
        Some(Record::of_call(event, call))
    }

    /// Who called what.
    fn called(&self, of: &Call) -> CallRecord {
        CallRecord {
            call: self.id,
            peer: self.peer.clone(),
            caller: caller(of),
            rpc: Arc::clone(&self.rpc),
            purpose: None,
            consent: None,
            provider: None,
            environment: None,
            verification_id: None,
            identifier: None,
            created_hash: None,
            end: None,
        }
    }

    /// The caller was not let in. What it says of its purpose is nobody's word.
    fn refuse(&self, of: &Call, cause: Cause, code: Code) {
        if !self.audit.is_on() {
            return;
        }
        let end = End {
            code,
            reason: of.facts.reason(),
            cause: Some(cause),
            outcome: None,
            billing: Billing::NotBilled,
            cost: Some(Cost::Nothing),
            source: None,
            paid_by: None,
            attempts: 0,
        };
        let call = CallRecord {
            end: Some(end),
            ..self.called(of)
        };
        self.audit.refused(Record::of_call(Event::Refused, call));
    }

    fn append(&self, event: Event, of: &Call, code: Code) {
        let end = self.ended(of, code);
        self.append_end(event, of, end);
    }

    fn append_end(&self, event: Event, of: &Call, end: End) {
        if let Some(record) = self.record(event, of, Some(end)) {
            self.audit.append(record);
        }
    }

    fn ended(&self, of: &Call, code: Code) -> End {
        let Call {
            facts, progress, ..
        } = of;
        let attempts = progress.attempts();
        let answered = if attempts > 0 {
            Some(Source::Provider)
        } else if progress.joined() {
            Some(Source::Coalesced)
        } else {
            // Nothing was sent and yet there is an answer: a repeat of a create's `request_id`.
            (code == Code::Ok).then_some(Source::Recovered)
        };
        let billing = match (self.charge, facts.billing()) {
            (Charge::Never, _) => Billing::NotBilled,
            (_, Some(known)) => known,
            // The provider's document does not say, or the caller did not wait. As everywhere,
            // it is said of the result, also of one that was fetched for another call.
            (_, None) if code == Code::Ok || progress.may_be_charged() => Billing::Unknown,
            (_, None) => Billing::NotBilled,
        };
        let is_free = attempts == 0 || billing == Billing::NotBilled;
        End {
            code,
            reason: facts.reason(),
            cause: None,
            outcome: facts.outcome(),
            billing,
            cost: is_free.then_some(Cost::Nothing),
            source: facts.source().or(answered),
            paid_by: facts.payer(),
            attempts,
        }
    }

    /// What became of a request, perhaps after its caller had gone: its record follows that of the call.
    fn append_late(&self, of: &Call, late: End) {
        let mut waiting = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.ended.load(Ordering::Acquire) {
            *waiting = Some(late);
        } else if late.attempts > 0
            && let Some(record) = self.record(Event::LateResult, of, Some(late))
        {
            self.audit.append(record);
        }
    }
}

/// Who calls, unless nobody is identified.
fn caller(call: &Call) -> Option<CallerRecord> {
    let identity = call.identity()?;
    (identity.mode() != AuthMode::None).then(|| CallerRecord {
        identity: Arc::clone(identity),
        caller_mode: identity.mode().as_str(),
        rule: call.rule().map(Box::from),
    })
}

impl Call {
    /// Tests the purpose.
    ///
    /// # Errors
    ///
    /// The rule that it breaks.
    pub fn purpose(&self) -> Result<(), &'static str> {
        let Some(recording) = &self.recording else {
            return Ok(());
        };
        match &recording.purpose {
            Ok(None) if recording.audit.is_purpose_required() => Err("is required"),
            Ok(_) => Ok(()),
            Err(rule) => Err(rule),
        }
    }

    /// The checks have passed: from here on the call is recorded. What it is about is none if it is about many,
    /// or about nobody who has a number yet.
    pub fn begin(&self, identifier: Option<Identifier<'_>>, consent: Option<SubjectConsent>) {
        let Some(recording) = &self.recording else {
            return;
        };
        // With nowhere to write there is nothing to hash for.
        if !recording.audit.is_on() {
            return;
        }
        let identifier = identifier.map(|of| Hashed {
            kind: of.kind,
            hash: recording.audit.hash(of),
        });
        let _began_already = recording.began.set(Began {
            consent,
            identifier,
        });
    }

    /// Records, under `audit.required`, that a provider is about to be asked.
    ///
    /// # Errors
    ///
    /// [`Kind::AuditUnavailable`] if that cannot be recorded: then nobody may be asked.
    pub async fn intend(&self) -> Result<(), Failure> {
        let recording = self.recording.as_ref();
        let Some(recording) = recording.filter(|recording| recording.audit.is_required()) else {
            return Ok(());
        };
        let Some(record) = recording.record(Event::Intent, self, None) else {
            return Ok(());
        };
        // Boxed, so that calls which assure nothing have no room for it.
        let assured = Box::pin(recording.audit.assure(record)).await;
        assured.map_err(|_| Failure {
            provider: self.facts.provider(),
            billing: Some(Billing::NotBilled),
            retry_after: Some(WAIT),
            ..Failure::new(Kind::AuditUnavailable)
        })
    }

    /// A create came to its end, perhaps after its caller had left: then that is a record of its own.
    pub fn created(&self, created: &Result<Person, Failure>) {
        let Some(recording) = &self.recording else {
            return;
        };
        let code = match created {
            Ok(person) => {
                if let Ok(id) = PersonId::parse(&person.id) {
                    let hash = recording.audit.hash(id.identifier());
                    let _known_already = recording.created.set(hash);
                }
                Code::Ok
            }
            Err(failure) => {
                let (code, reason, _) = status::row(failure.kind);
                self.facts.failed(reason, failure.billing);
                code
            }
        };
        if recording.ended.load(Ordering::Acquire) {
            recording.append(Event::LateResult, self, code);
        }
    }

    /// The call ended with this code. What comes after the first time is not heard.
    pub(super) fn end(&self, code: Code) {
        let Some(recording) = &self.recording else {
            return;
        };
        let mut late = recording
            .late
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if recording.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(cause) = self.facts.cause() {
            return recording.refuse(self, cause, code);
        }
        let came = late.take().filter(|late| late.attempts > 0);
        let mut end = recording.ended(self, code);
        let was_told = |late: &End| (late.outcome, late.reason) == (end.outcome, end.reason);
        match came {
            // The cost stands in one of the two.
            Some(late) if was_told(&late) => {
                end.cost = late.cost;
                recording.append_end(Event::Result, self, end);
            }
            Some(late) => {
                recording.append_end(Event::Result, self, end);
                recording.append_end(Event::LateResult, self, late);
            }
            None => recording.append_end(Event::Result, self, end),
        }
    }

    /// What this call asked for has come. If it is not what the call ends with, because its caller has gone, that is a
    /// record of its own.
    pub(super) fn record_late(&self, came: &Came) {
        let Some(recording) = &self.recording else {
            return;
        };
        let late = End {
            code: came.code,
            reason: came.reason,
            cause: None,
            outcome: came.outcome,
            billing: came.billing,
            source: Some(Source::Provider),
            paid_by: None,
            cost: came.cost,
            attempts: self.progress.attempts(),
        };
        recording.append_late(self, late);
    }

    /// The id of the call in the audit.
    pub fn record_id(&self) -> Option<Uuid> {
        self.recording.as_ref().map(Recording::id)
    }

    /// The process need not end it any more.
    pub(super) fn closed(&self) {
        if let Some(recording) = &self.recording {
            recording.audit.closed(recording.id);
        }
    }
}

impl OpenCall for Call {
    fn cut_off(&self) {
        self.end(Code::Cancelled);
    }
}
