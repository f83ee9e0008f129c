//! What the headers of a good response say of its call: what is left of the caller's budgets, and, of calls whose message
//! has no `verification`, by which id log and audit know them and whether they were charged.
//!
//! Their names are part of the contract: docs/clients.md has them.

use tonic::metadata::{MetadataMap, MetadataValue};

use super::Call;
use crate::domain::{refusal::Budget, verification::Billing};

/// `name=remaining`, once for each budget.
pub const BUDGET: &str = "idgw-budget-remaining";
/// The call's id in log and audit, a UUIDv7.
pub const CALL_ID: &str = "idgw-call-id";
/// Whether the provider charges for it.
pub const BILLING: &str = "idgw-billing";

impl Call {
    /// Adds them.
    pub fn head(&self, metadata: &mut MetadataMap) {
        let budgets = self.rights().zip(self.caller());
        for budget in budgets
            .into_iter()
            .flat_map(|(rights, caller)| rights.left(caller))
        {
            let Budget {
                quota, remaining, ..
            } = budget;
            if let Ok(value) = format!("{}={remaining}", quota.as_str()).parse() {
                metadata.append(BUDGET, value);
            }
        }
        if self.facts.verification_id().is_some() {
            return;
        }
        if let Some(id) = self.record_id()
            && let Ok(value) = id.to_string().parse()
        {
            metadata.insert(CALL_ID, value);
        }
        if let Some(billing) = self.facts.billing().map(Billing::as_str) {
            metadata.insert(BILLING, MetadataValue::from_static(billing));
        }
    }
}
