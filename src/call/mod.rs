//! One call of the contract while it travels: what is told of it, how far it came at the provider, who calls
//! with which rights, and its audit record, side by side.
//!
//! The server makes one for each call and puts it into the request's extensions; the handlers take it from
//! there.

pub mod facts;
pub mod recorder;
mod recording;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::Extensions;
use tonic::{Code, Status};

use self::{facts::Facts, recording::Recording};
use crate::{
    access::{budget::Counted, door::Rights, persons::Records, share::Share},
    auth::identity::Caller,
    domain::{failure::Failure, verification::Billing},
    proto::fields::Fields,
    status,
    telemetry::{call_end::CallEnd, labels::Rpc},
    transport::Progress,
};

/// One call.
#[derive(Debug, Default)]
pub struct Call {
    /// What is told of it.
    pub facts: Facts,
    /// How far it came at the provider.
    pub progress: Arc<Progress>,
    caller: OnceLock<Arc<Caller>>,
    rule: OnceLock<Arc<str>>,
    rights: OnceLock<Rights>,
    recording: Option<Recording>,
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

    /// Notes the name of the policy file's rule that the caller falls under.
    pub fn falls_under(&self, rule: Arc<str>) {
        let _known_already = self.rule.set(rule);
    }

    /// Notes what the caller may do. Without this, everything.
    pub fn may(&self, rights: Rights) {
        let _known_already = self.rights.set(rights);
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
    /// [`Kind::RateLimited`](crate::domain::failure::Kind::RateLimited) if the budget is spent.
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
        status::of(failure)
    }

    /// How it ended, as far as that is known now.
    #[must_use]
    pub fn end_with(&self, rpc: Rpc, code: Code, took: Duration) -> CallEnd<'_> {
        CallEnd {
            rpc,
            code,
            took,
            rule: self.rule(),
            reason: self.facts.reason(),
            verification_id: self.facts.verification_id(),
            provider: self.facts.provider(),
            outcome: self.facts.outcome(),
            billing: self.facts.billing(),
            source: self.facts.source(),
            attempts: self.progress.attempts(),
        }
    }
}
