//! What is told of a call when it ends: by its log line, its span, its figures and its audit record.
//!
//! The handlers add what they learn. Only bounded words and ids minted here fit in: there is no field that
//! could hold personal data of those asked about.

use std::sync::OnceLock;

use uuid::Uuid;

use crate::domain::{
    cause::Cause,
    verification::{Billing, Outcome, Provider, Source, VerificationId},
};

/// The facts of one call.
#[derive(Debug, Default)]
pub struct Facts {
    verification_id: OnceLock<VerificationId>,
    provider: OnceLock<Provider>,
    outcome: OnceLock<Outcome>,
    billing: OnceLock<Billing>,
    source: OnceLock<Source>,
    paid_by: OnceLock<Uuid>,
    reason: OnceLock<&'static str>,
    cause: OnceLock<Cause>,
}

impl Facts {
    /// Notes that the call is about a provider.
    pub fn asks(&self, provider: Provider) {
        let _known_already = self.provider.set(provider);
    }

    /// Notes that the call is a verification.
    pub fn verifies(&self, id: VerificationId) {
        let _known_already = self.verification_id.set(id);
    }

    /// Notes what the provider found and what it costs.
    pub fn found(&self, outcome: Outcome, billing: Billing) {
        let _known_already = self.outcome.set(outcome);
        let _known_already = self.billing.set(billing);
    }

    /// Notes what a write costs, and whether the provider was asked for this call.
    pub fn wrote(&self, billing: Billing, source: Source) {
        let _known_already = self.billing.set(billing);
        self.comes_from(source);
    }

    /// Notes where the answer comes from.
    pub fn comes_from(&self, source: Source) {
        let _known_already = self.source.set(source);
    }

    /// Notes which other call asked for the answer, by its id in the audit.
    pub fn paid_by(&self, call: Uuid) {
        let _known_already = self.paid_by.set(call);
    }

    /// Notes why the call failed.
    pub fn failed(&self, reason: &'static str, billing: Option<Billing>) {
        let _known_already = self.reason.set(reason);
        if let Some(billing) = billing {
            let _known_already = self.billing.set(billing);
        }
    }

    /// Notes why the caller was not let in.
    pub fn refused(&self, cause: Cause) {
        let _known_already = self.cause.set(cause);
    }

    /// The id of the verification, once it is one.
    pub fn verification_id(&self) -> Option<VerificationId> {
        self.verification_id.get().copied()
    }

    /// The provider, once it is known.
    pub fn provider(&self) -> Option<Provider> {
        self.provider.get().copied()
    }

    /// What the provider found.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.get().copied()
    }

    /// What is known of the cost.
    pub fn billing(&self) -> Option<Billing> {
        self.billing.get().copied()
    }

    /// Where the answer came from.
    pub fn source(&self) -> Option<Source> {
        self.source.get().copied()
    }

    /// Which other call asked for the answer.
    pub fn payer(&self) -> Option<Uuid> {
        self.paid_by.get().copied()
    }

    /// Why the call failed.
    pub fn reason(&self) -> Option<&'static str> {
        self.reason.get().copied()
    }

    /// Why the caller was not let in.
    pub fn cause(&self) -> Option<Cause> {
        self.cause.get().copied()
    }
}
