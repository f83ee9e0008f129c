//! How a call ended and what is known of it: the one log line of the call, and the attributes of its span.
//!
//! Bounded words and ids minted here only. Who calls stands here by the name of the policy file's rule; by its
//! identity only if it was known and not let in, for whoever has to find out why: in the log and not in the span.

use std::time::Duration;

use tonic::Code;
use uuid::Uuid;

use super::{
    labels::{Rpc, Rule},
    metrics,
};
use crate::{
    domain::{
        cause::Cause,
        failure::Kind,
        price::Cost,
        verification::{Billing, Outcome, Provider, Source, VerificationId},
    },
    status,
};

/// The reasons of refusals that follow from the policy file.
const BY_POLICY: [&str; 3] = [
    status::row(Kind::MethodNotAllowed).1,
    status::row(Kind::FieldNotAllowed).1,
    status::row(Kind::BudgetExhausted).1,
];
/// A caller that was not let in.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    /// Why.
    pub cause: Cause,
    /// Who it is, if that is known.
    pub identity: Option<&'a str>,
}

/// The end of a call.
#[derive(Debug, Clone, Copy)]
pub struct CallEnd<'a> {
    /// The RPC.
    pub rpc: Rpc,
    /// What the caller got.
    pub code: Code,
    /// From the call's arrival to its end.
    pub took: Duration,
    /// The policy file's rule that the caller falls under.
    pub rule: Option<&'a str>,
    /// Why it failed.
    pub reason: Option<&'static str>,
    /// The call's id in the audit, where it is no verification.
    pub call: Option<Uuid>,
    /// That the caller was not let in.
    pub refused: Option<Refused<'a>>,
    /// The id of the verification.
    pub verification_id: Option<VerificationId>,
    /// The provider.
    pub provider: Option<Provider>,
    /// What the provider found.
    pub outcome: Option<Outcome>,
    /// What is known of the cost.
    pub billing: Option<Billing>,
    /// Where the answer came from.
    pub source: Option<Source>,
    /// What it added to the bill; none if that is not known yet.
    pub cost: Option<Cost>,
    /// How many attempts were made for the call.
    pub attempts: u32,
}

impl CallEnd<'_> {
    /// Counts what the call means for the rule of its caller.
    pub fn count_for_rule(&self) {
        let Some(rule) = self.rule.map(Rule::named) else {
            return;
        };
        // What the policy file is the reason of; not what is wrong with the call or a provider.
        if let Some(reason) = self.reason.filter(|reason| BY_POLICY.contains(reason)) {
            metrics::rule_refused(rule, reason);
        }
        let Some(provider) = self.provider else {
            return;
        };
        if let Some(source) = self.source.filter(|_| self.outcome.is_some()) {
            metrics::rule_verified(rule, provider, source);
        }
        if let Some(cost) = self.cost {
            metrics::rule_paid(rule, provider, cost);
        }
    }

    /// Counts what came after the call had ended.
    pub fn count_late(&self) {
        if let Some(((rule, provider), cost)) = self.rule.zip(self.provider).zip(self.cost) {
            metrics::rule_paid(Rule::named(rule), provider, cost);
        }
    }

    /// Writes the line of what came after the call had ended.
    pub fn log_late(&self) {
        let (rpc, caller, reason) = (self.rpc.as_str(), self.rule, self.reason);
        tracing::info!(
            rpc,
            caller,
            code = status::code_name(self.code),
            reason,
            verification_id = self.verification_id.map(tracing::field::display),
            provider = self.provider.map(Provider::as_str),
            outcome = self.outcome.map(Outcome::as_str),
            billing = self.billing.map(Billing::as_str),
            cost = self.cost.map(|cost| cost.amount().to_metric()),
            currency = self.cost.as_ref().and_then(Cost::currency),
            source = self.source.map(Source::as_str),
            attempts = self.attempts,
            "late result"
        );
    }

    /// Writes the log line; `suppressed` lines like it were left out before.
    pub fn log(&self, suppressed: Option<u64>) {
        let (rpc, caller, reason) = (self.rpc.as_str(), self.rule, self.reason);
        let cause = self.refused.map(|refused| refused.cause.as_str());
        let identity = self.refused.and_then(|refused| refused.identity);
        let code = status::code_name(self.code);
        let duration_ms = self.took.as_secs_f64() * 1e3;
        let verification_id = self.verification_id.map(tracing::field::display);
        let provider = self.provider.map(Provider::as_str);
        let outcome = self.outcome.map(Outcome::as_str);
        let billing = self.billing.map(Billing::as_str);
        let call = self.call.map(tracing::field::display);
        let cost = self.cost.map(|cost| cost.amount().to_metric());
        let currency = self.cost.as_ref().and_then(Cost::currency);
        let source = self.source.map(Source::as_str);
        let attempts = self.attempts;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    rpc,
                    caller,
                    code,
                    reason,
                    cause,
                    identity,
                    duration_ms,
                    call,
                    verification_id,
                    provider,
                    outcome,
                    billing,
                    cost,
                    currency,
                    source,
                    attempts,
                    suppressed,
                    "call"
                )
            };
        }
        match self.code {
            // Defects, and what may have cost money for nothing.
            Code::Internal | Code::Unknown | Code::DataLoss => line!(error),
            // Somebody has to look after a provider or the load.
            Code::Unavailable
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::DeadlineExceeded => line!(warn),
            _ => line!(info),
        }
    }
}
