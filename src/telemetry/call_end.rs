//! How a call ended and what is known of it: the one log line of the call, and the attributes of its span.
//!
//! Bounded words and ids minted here only. Who calls stands here by the name of the policy file's rule, never by
//! its identity.

use std::time::Duration;

use tonic::Code;

use super::labels::Rpc;
use crate::{
    domain::verification::{Billing, Outcome, Provider, Source, VerificationId},
    status,
};

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
    /// How many attempts were made for the call.
    pub attempts: u32,
}

impl CallEnd<'_> {
    /// Writes the log line; `suppressed` lines like it were left out before.
    pub fn log(&self, suppressed: Option<u64>) {
        let (rpc, caller, reason) = (self.rpc.as_str(), self.rule, self.reason);
        let code = status::code_name(self.code);
        let duration_ms = self.took.as_secs_f64() * 1e3;
        let verification_id = self.verification_id.map(tracing::field::display);
        let provider = self.provider.map(Provider::as_str);
        let outcome = self.outcome.map(Outcome::as_str);
        let billing = self.billing.map(Billing::as_str);
        let source = self.source.map(Source::as_str);
        let attempts = self.attempts;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    rpc,
                    caller,
                    code,
                    reason,
                    duration_ms,
                    verification_id,
                    provider,
                    outcome,
                    billing,
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
