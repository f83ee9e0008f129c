//! What the audit knows of one call, and the few words that the handlers say to it.
//!
//! `purpose` among the checks; `begin` once they have passed, with what the call is about; `intend`
//! before the provider is asked. The layer says `end`. A call that never began is not recorded: its
//! checks refused it, and nobody's data was touched.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tonic::Code;
use uuid::Uuid;

use super::{
    Audit,
    hash::{Identifier, IdentifierHash},
    record::{CallRecord, CallerRecord, End, Hashed, Record},
    words::{Event, Purpose, Rpc},
};
use crate::{
    auth::AuthMode,
    domain::{
        consent::SubjectConsent,
        failure::{Failure, Kind},
        person::PersonId,
        verification::{Billing, Environments, Source},
    },
    proto::{gateway::v1::Charge, person::v1::Person},
    status,
    telemetry::call_facts::CallFacts,
};

/// How long a caller is asked to wait before it tries again to be recorded.
const WAIT: Duration = Duration::from_secs(1);

/// One call of a recorded RPC.
#[derive(Debug)]
pub struct Call {
    audit: Arc<Audit>,
    id: Uuid,
    rpc: Rpc,
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

impl Call {
    pub(super) fn new(
        audit: Arc<Audit>,
        (rpc, charge): (Rpc, Charge),
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

    pub(super) const fn id(&self) -> Uuid {
        self.id
    }

    /// The process need not end it any more.
    pub(super) fn forget(&self) {
        self.audit.closed(self.id);
    }

    fn record(&self, event: Event, facts: &CallFacts, end: Option<End>) -> Option<Record> {
        let began = self.began.get()?;
        let call = CallRecord {
            call: self.id,
            peer: self.peer.clone(),
            caller: caller(facts),
            rpc: self.rpc,
            purpose: self.purpose.clone().ok().flatten(),
            consent: began.consent,
            provider: facts.provider(),
            environment: facts
                .provider()
                .map(|provider| self.environments.of(provider)),
            verification_id: facts.verification_id(),
            identifier: began.identifier,
            created_hash: self.created.get().copied(),
            end,
        };
        Some(Record::of_call(event, call))
    }

    fn ended(&self, facts: &CallFacts, code: Code) -> End {
        let attempts = facts.attempts();
        let answered = if attempts > 0 {
            Some(Source::Provider)
        } else if facts.joined() {
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
                (_, None) if code == Code::Ok || facts.may_be_charged() => Billing::Unknown,
                (_, None) => Billing::NotBilled,
            },
            source: facts.source().or(answered),
            attempts,
        }
    }
}

/// Who calls, unless nobody is identified.
fn caller(facts: &CallFacts) -> Option<CallerRecord> {
    let identity = &facts.caller()?.identity;
    (identity.mode() != AuthMode::None).then(|| CallerRecord {
        identity: Arc::clone(identity),
        caller_mode: identity.mode().as_str(),
        rule: facts.rule().map(Box::from),
    })
}

/// Tests the purpose.
///
/// # Errors
///
/// The rule that it breaks.
pub fn purpose(facts: &CallFacts) -> Result<(), &'static str> {
    let Some(call) = facts.audit() else {
        return Ok(());
    };
    match &call.purpose {
        Ok(None) if call.audit.is_purpose_required => Err("is required"),
        Ok(_) => Ok(()),
        Err(rule) => Err(rule),
    }
}

/// The checks have passed: from here on the call is recorded.
pub fn begin(facts: &CallFacts, identifier: Identifier<'_>, consent: Option<SubjectConsent>) {
    let Some(call) = facts.audit() else {
        return;
    };
    // With nowhere to write there is nothing to hash for.
    if call.audit.queue.is_none() {
        return;
    }
    let hashed = call.audit.hasher.identifier(identifier);
    let _began_already = call.began.set(Began {
        consent,
        identifier: hashed.map(|(kind, hash)| Hashed { kind, hash }),
    });
}

/// Records, under `audit.required`, that a provider is about to be asked.
///
/// # Errors
///
/// [`Kind::AuditUnavailable`] if that cannot be recorded: then nobody may be asked.
pub async fn intend(facts: &CallFacts) -> Result<(), Failure> {
    let Some(call) = facts.audit().filter(|call| call.audit.is_required) else {
        return Ok(());
    };
    let Some(record) = call.record(Event::Intent, facts, None) else {
        return Ok(());
    };
    // Boxed, so that calls which assure nothing have no room for it.
    let assured = Box::pin(call.audit.assure(record)).await;
    assured.map_err(|_| Failure {
        provider: facts.provider(),
        billing: Some(Billing::NotBilled),
        retry_after: Some(WAIT),
        ..Failure::new(Kind::AuditUnavailable)
    })
}

/// A create came to its end, perhaps after its caller had left: then that is a record of its own.
pub fn created(facts: &CallFacts, created: &Result<Person, Failure>) {
    let Some(call) = facts.audit() else {
        return;
    };
    let code = match created {
        Ok(person) => {
            let id = PersonId::parse(&person.id).ok();
            let hashed = id.and_then(|id| call.audit.hasher.identifier(Identifier::Person(&id)));
            if let Some((_, hash)) = hashed {
                let _known_already = call.created.set(hash);
            }
            Code::Ok
        }
        Err(failure) => {
            let (code, reason, _) = status::row(failure.kind);
            facts.failed(reason, failure.billing);
            code
        }
    };
    if call.ended.load(Ordering::Acquire) {
        let end = call.ended(facts, code);
        if let Some(record) = call.record(Event::LateResult, facts, Some(end)) {
            call.audit.append(record);
        }
    }
}

/// The call ended with this code. What comes after the first time is not heard.
pub(super) fn end(facts: &CallFacts, code: Code) {
    let Some(call) = facts.audit() else {
        return;
    };
    if call.ended.swap(true, Ordering::AcqRel) {
        return;
    }
    let end = call.ended(facts, code);
    if let Some(record) = call.record(Event::Result, facts, Some(end)) {
        call.audit.append(record);
    }
}
