//! One audit record. Its fields are bounded words, numbers, ids minted here, hashes, the address and
//! identity of the caller and the purpose: no field could hold a name, a number, a date or an image of
//! the person asked about.

use std::sync::Arc;

use jiff::Timestamp;
use tonic::Code;
use uuid::Uuid;

use super::{
    chain::Digest,
    hash::IdentifierHash,
    words::{Event, Purpose},
};
use crate::{
    auth::identity::Identity,
    domain::{
        cause::Cause,
        consent::SubjectConsent,
        price::Cost,
        verification::{Billing, Environment, Outcome, Provider, Source, VerificationId},
    },
    json_line::JsonLine,
    status,
};

/// One audit record, apart from its place in the chain. docs/audit.md explains the fields.
#[derive(Debug, Clone)]
pub struct Record {
    pub(super) event: Event,
    pub(super) time: Timestamp,
    pub(super) about: About,
}

/// What a record is about.
#[derive(Debug, Clone)]
pub(super) enum About {
    /// The process that writes.
    Process(Process),
    /// A call.
    Call(Box<CallRecord>),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Process {
    version: Option<&'static str>,
    key_id: Option<IdentifierHash>,
    chain_key_id: Option<Digest>,
}

/// What is known of a call.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// The id of the call.
    pub call: Uuid,
    /// The address that it came from.
    pub peer: Option<Arc<str>>,
    /// Who called.
    pub caller: Option<CallerRecord>,
    /// `package.Service/Method`.
    pub rpc: Arc<str>,
    /// Why.
    pub purpose: Option<Purpose>,
    /// The consent of the person concerned.
    pub consent: Option<SubjectConsent>,
    /// The provider.
    pub provider: Option<Provider>,
    /// Whether its answers are about real people.
    pub environment: Option<Environment>,
    /// The id of the verification.
    pub verification_id: Option<VerificationId>,
    /// Whom it is about.
    pub identifier: Option<Hashed>,
    /// The hash of the id of the person record that was created.
    pub created_hash: Option<IdentifierHash>,
    /// How it ended; none before that.
    pub end: Option<End>,
}

/// Who called, where callers are identified.
#[derive(Debug, Clone)]
pub struct CallerRecord {
    /// The name that the mode vouches for.
    pub identity: Arc<Identity>,
    /// The policy file's rule that the caller falls under.
    pub rule: Option<Box<str>>,
    /// How it is known.
    pub caller_mode: &'static str,
}

/// What was hashed, and its hash.
#[derive(Debug, Clone, Copy)]
pub struct Hashed {
    /// The kind of number.
    pub kind: &'static str,
    /// The hash.
    pub hash: IdentifierHash,
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// What the caller got.
    pub code: Code,
    /// Why it failed.
    pub reason: Option<&'static str>,
    /// Why the caller was not let in.
    pub cause: Option<Cause>,
    /// What the provider found.
    pub outcome: Option<Outcome>,
    /// What is known of the cost.
    pub billing: Billing,
    /// Where the answer came from.
    pub source: Option<Source>,
    /// What the call added to the bill; none if that is not known, or another record of the call has it.
    pub cost: Option<Cost>,
    /// The call that asked for the answer, if it was another.
    pub paid_by: Option<Uuid>,
    /// How many attempts were made.
    pub attempts: u32,
}

impl Record {
    /// A process begins to write, with hashes under the key of this id, in a chain under that one.
    #[must_use]
    pub fn start(key_id: IdentifierHash, chain_key_id: Option<Digest>) -> Self {
        Self::of_process(
            Event::Start,
            Process {
                version: Some(env!("CARGO_PKG_VERSION")),
                key_id: Some(key_id),
                chain_key_id,
            },
        )
    }

    /// The process ends in order.
    #[must_use]
    pub fn stop() -> Self {
        Self::of_process(Event::Stop, Process::default())
    }

    fn of_process(event: Event, process: Process) -> Self {
        Self {
            event,
            time: Timestamp::now(),
            about: About::Process(process),
        }
    }

    /// What became of a call, or is about to.
    #[must_use]
    pub fn of_call(event: Event, call: CallRecord) -> Self {
        Self {
            event,
            time: Timestamp::now(),
            about: About::Call(Box::new(call)),
        }
    }

    /// Writes the fields, in the order in which docs/audit.md has them.
    pub(super) fn write(&self, line: &mut JsonLine) {
        line.word("event", self.event.as_str());
        line.time("time", self.time, 3);
        match &self.about {
            About::Process(process) => process.write(line),
            About::Call(call) => call.write(line),
        }
    }

    /// The call, if it is about one.
    pub(super) fn call(&self) -> Option<&CallRecord> {
        match &self.about {
            About::Process(_) => None,
            About::Call(call) => Some(call),
        }
    }
}

impl Process {
    fn write(&self, line: &mut JsonLine) {
        line.some_word("version", self.version);
        hash(line, "key_id", self.key_id);
        if let Some(id) = self.chain_key_id {
            line.text("chain_key_id", &id.hex());
        }
    }
}

impl CallRecord {
    fn write(&self, line: &mut JsonLine) {
        id(line, "call", self.call);
        line.some_text("peer", self.peer.as_deref());
        if let Some(caller) = &self.caller {
            line.text("caller", caller.identity.name());
            line.some_text("caller_rule", caller.rule.as_deref());
            line.word("caller_mode", caller.caller_mode);
        }
        line.text("rpc", &self.rpc);
        line.some_text("purpose", self.purpose.as_ref().map(Purpose::as_str));
        // It exists only if it was given.
        if self.consent.is_some() {
            line.value("consent", true);
        }
        line.some_word("provider", self.provider.map(Provider::as_str));
        line.some_word("environment", self.environment.map(Environment::as_str));
        if let Some(verification) = self.verification_id {
            id(line, "verification_id", verification.into());
        }
        if let Some(identifier) = self.identifier {
            line.word("identifier_kind", identifier.kind);
            hash(line, "identifier_hash", Some(identifier.hash));
        }
        hash(line, "created_hash", self.created_hash);
        if let Some(end) = &self.end {
            end.write(line);
        }
    }
}

impl End {
    fn write(&self, line: &mut JsonLine) {
        line.word("code", status::code_name(self.code));
        line.some_word("reason", self.reason);
        line.some_word("cause", self.cause.map(Cause::as_str));
        line.some_word("outcome", self.outcome.map(Outcome::as_str));
        line.word("billing", self.billing.as_str());
        if let Some(cost) = &self.cost {
            line.digits("cost", cost.amount());
            line.some_text("currency", cost.currency());
        }
        line.some_word("source", self.source.map(Source::as_str));
        if let Some(call) = self.paid_by {
            id(line, "paid_by", call);
        }
        line.value("attempts", self.attempts);
    }
}

/// Adds a UUID in its usual form.
pub(super) fn id(line: &mut JsonLine, name: &'static str, id: Uuid) {
    let mut text = Uuid::encode_buffer();
    line.text(name, id.hyphenated().encode_lower(&mut text));
}

fn hash(line: &mut JsonLine, name: &'static str, hash: Option<IdentifierHash>) {
    if let Some(hash) = hash {
        line.text(name, &hash.hex());
    }
}
