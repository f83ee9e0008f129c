//! One audit record. Its fields are bounded words, numbers, ids minted here, hashes, the address and
//! identity of the caller and the purpose: no field could hold a name, a number, a date or an image of
//! the person asked about.

use std::{net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use tonic::Code;
use uuid::Uuid;

use super::{
    hash::IdentifierHash,
    words::{Event, IdentifierKind, Purpose, Rpc},
};
use crate::{
    auth::identity::Identity,
    config::Environment,
    domain::{
        consent::SubjectConsent,
        verification::{Billing, Outcome, Provider, Source, VerificationId},
    },
    status,
};

/// One audit record, apart from its place in the chain. docs/audit.md explains the fields.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    pub(super) event: Event,
    #[serde(serialize_with = "milliseconds")]
    pub(super) time: Timestamp,
    #[serde(flatten)]
    pub(super) about: About,
}

/// What a record is about.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum About {
    /// The process that writes.
    Process(Process),
    /// A call.
    Call(Box<CallRecord>),
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Process {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<IdentifierHash>,
}

/// What is known of a call.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CallRecord {
    pub call: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    pub caller: Option<CallerRecord>,
    #[serde(serialize_with = "rpc")]
    pub rpc: Rpc,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "consent")]
    pub consent: Option<SubjectConsent>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "provider")]
    pub provider: Option<Provider>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    pub verification_id: Option<VerificationId>,
    #[serde(flatten)]
    pub identifier: Option<Hashed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_hash: Option<IdentifierHash>,
    #[serde(flatten)]
    pub end: Option<End>,
}

/// Who called, where callers are identified.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CallerRecord {
    /// The name that the mode vouches for.
    #[serde(rename = "caller", serialize_with = "name")]
    pub identity: Arc<Identity>,
    /// The policy file's rule that the caller falls under.
    #[serde(rename = "caller_rule", skip_serializing_if = "Option::is_none")]
    pub rule: Option<Box<str>>,
    /// How it is known.
    pub caller_mode: &'static str,
}

/// What was hashed, and its hash.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Hashed {
    #[serde(rename = "identifier_kind", serialize_with = "kind")]
    pub kind: IdentifierKind,
    #[serde(rename = "identifier_hash")]
    pub hash: IdentifierHash,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct End {
    #[serde(serialize_with = "code")]
    pub code: Code,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "outcome")]
    pub outcome: Option<Outcome>,
    #[serde(serialize_with = "billing")]
    pub billing: Billing,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "source")]
    pub source: Option<Source>,
    pub attempts: u32,
}

impl Record {
    /// A process begins to write, with hashes under the key of this id.
    #[must_use]
    pub fn start(key_id: IdentifierHash) -> Self {
        Self::of_process(Event::Start, Some(env!("CARGO_PKG_VERSION")), Some(key_id))
    }

    /// The process ends in order.
    #[must_use]
    pub fn stop() -> Self {
        Self::of_process(Event::Stop, None, None)
    }

    fn of_process(
        event: Event,
        version: Option<&'static str>,
        key_id: Option<IdentifierHash>,
    ) -> Self {
        Self {
            event,
            time: Timestamp::now(),
            about: About::Process(Process { version, key_id }),
        }
    }

    pub(super) fn of_call(event: Event, call: CallRecord) -> Self {
        Self {
            event,
            time: Timestamp::now(),
            about: About::Call(Box::new(call)),
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

// The words stand here rather than in the domain, where nothing is written anywhere.

fn milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

fn name<S: Serializer>(identity: &Identity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(identity.name())
}

fn rpc<S: Serializer>(rpc: &Rpc, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rpc.as_str())
}

fn kind<S: Serializer>(kind: &IdentifierKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

fn code<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status::code_name(*code))
}

fn billing<S: Serializer>(billing: &Billing, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(billing.as_str())
}

/// It exists only if it was given.
fn consent<S: Serializer>(
    consent: &Option<SubjectConsent>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(consent.is_some())
}

fn provider<S: Serializer>(word: &Option<Provider>, serializer: S) -> Result<S::Ok, S::Error> {
    word.map(Provider::as_str).serialize(serializer)
}

fn outcome<S: Serializer>(word: &Option<Outcome>, serializer: S) -> Result<S::Ok, S::Error> {
    word.map(Outcome::as_str).serialize(serializer)
}

fn source<S: Serializer>(word: &Option<Source>, serializer: S) -> Result<S::Ok, S::Error> {
    word.map(Source::as_str).serialize(serializer)
}

fn shown<S: Serializer>(id: &Option<VerificationId>, serializer: S) -> Result<S::Ok, S::Error> {
    id.map(|id| id.to_string()).serialize(serializer)
}
