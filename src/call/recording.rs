//! The audit's part of a call, and the few words that the handlers say to it.
//!
//! `purpose` among the checks; `begin` once they have passed, with what the call is about; `intend`
//! before the provider is asked. The layer ([`recorder`](super::recorder)) says `end`. A call that never began
//! is not recorded: its checks refused it, and nobody's data was touched.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tonic::Code;
use uuid::Uuid;

use super::Call;
use crate::{
    audit::{
        Audit, OpenCall,
        hash::IdentifierHash,
        record::{CallRecord, CallerRecord, End, Hashed, Record},
        words::{Event, Purpose},
    },
    auth::AuthMode,
    domain::{
        consent::SubjectConsent,
        failure::{Failure, Kind},
        identifier::Identifier,
        person::PersonId,
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
        }
    }

    pub const fn id(&self) -> Uuid {
        self.id
    }

    fn record(&self, event: Event, of: &Call, end: Option<End>) -> Option<Record> {
        let began = self.began.get()?;
        let call = CallRecord {
            call: self.id,
            peer: self.peer.clone(),
            caller: caller(of),
            rpc: Arc::clone(&self.rpc),
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
        };
        Some(Record::of_call(event, call))
    }

    fn append(&self, event: Event, of: &Call, code: Code) {
        let end = self.ended(of, code);
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
            // Nothing was sent and yet there is an answer: a repeat of a `request_id`.
            (code == Code::Ok).then_some(Source::Cache)
        };
        End {
            code,
            reason: facts.reason(),
            outcome: facts.outcome(),
            billing: match (self.charge, facts.billing()) {
                (Charge::Never, _) => Billing::NotBilled,
                (_, Some(known)) => known,
                // The provider's document does not say, or the caller did not wait. As everywhere,
                // it is said of the result, also of one that was fetched for another call.
                (_, None) if code == Code::Ok || progress.may_be_charged() => Billing::Unknown,
                (_, None) => Billing::NotBilled,
            },
            source: facts.source().or(answered),
            attempts,
        }
    }
}

/// Who calls, unless nobody is identified.
fn caller(call: &Call) -> Option<CallerRecord> {
    let identity = &call.caller()?.identity;
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
        if let Some(recording) = &self.recording
            && !recording.ended.swap(true, Ordering::AcqRel)
        {
            recording.append(Event::Result, self, code);
        }
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
