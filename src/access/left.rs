//! What is left of the budgets, by rule of the policy file: for the status page. It names rules and counts callers; it
//! names no caller.
//!
//! It reads what calls leave behind anyway: who was let in since the policy file was read, and their counts. With Redis
//! it knows what this process has heard from there.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use arc_swap::ArcSwap;

use super::{budget::Budgets, grants::Access};
use crate::domain::refusal::Quota;

/// Where it is read from.
#[derive(Debug, Clone)]
pub struct Left {
    pub(super) access: Option<Arc<ArcSwap<Access>>>,
    pub(super) budgets: Arc<Budgets>,
}

/// What is left to the callers of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfRule {
    /// The first rule that is about them.
    pub rule: Arc<str>,
    /// Which budget: each caller has its own.
    pub quota: Quota,
    /// How much each of them has in a window.
    pub limit: u64,
    /// How many have used it in this window.
    pub callers: usize,
    /// How many of those have nothing left.
    pub spent: usize,
    /// What is left to the one that has least.
    pub least: u64,
}

impl Left {
    /// Of a gateway without a policy file.
    #[cfg(test)]
    pub fn none() -> Self {
        Self {
            access: None,
            budgets: Arc::new(Budgets::new(None)),
        }
    }

    /// Every budget that a rule states or a caller has.
    #[must_use]
    pub fn by_rule(&self) -> Vec<OfRule> {
        let Some(access) = &self.access else {
            return Vec::new();
        };
        let access = access.load();
        let mut found = BTreeMap::new();
        for (rule, quota, limit) in access.limits() {
            of(&mut found, rule, quota, limit);
        }
        // One caller may come with several tokens, and has one budget.
        let mut counted = HashSet::new();
        for (caller, grants) in access.known() {
            for (quota, limit) in grants.budgets() {
                let left = self.budgets.left(&caller.identity, quota, limit);
                let used = left.filter(|left| left.remaining < limit || limit == 0);
                let Some(left) = used else { continue };
                if counted.insert((Arc::clone(&caller.identity), quota)) {
                    let row = of(&mut found, &grants.name, quota, limit);
                    row.callers += 1;
                    row.spent += usize::from(left.remaining == 0);
                    row.least = row.least.min(left.remaining);
                }
            }
        }
        found.into_values().collect()
    }
}

type Found = BTreeMap<(Arc<str>, &'static str, u64), OfRule>;

fn of<'a>(found: &'a mut Found, rule: &Arc<str>, quota: Quota, limit: u64) -> &'a mut OfRule {
    let key = (Arc::clone(rule), quota.as_str(), limit);
    found.entry(key).or_insert_with(|| OfRule {
        rule: Arc::clone(rule),
        quota,
        limit,
        callers: 0,
        spent: 0,
        least: limit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::{
            AuthMode,
            identity::{Caller, Identity},
        },
        policy::Policies,
        proto,
    };

    const RULES: &str = "[[allow]]\nname='busy'\nidentities=['a*']\nrpcs=['identity.curp.check']\n\
        calls_per_minute=3\ncharged_calls_per_day=5\n\
        [[allow]]\nname='idle'\nidentities=['b']\nrpcs=['identity.curp.check']\ncharged_calls_per_day=7\n\
        [[allow]]\nname='free'\nidentities=['c']\nrpcs=['identity.curp.check']";

    fn left() -> Left {
        let policies = Policies::from_descriptors(proto::descriptors()).unwrap();
        let access = Access::parse(RULES, &policies).unwrap();
        Left {
            access: Some(Arc::new(ArcSwap::from_pointee(access))),
            budgets: Arc::new(Budgets::new(None)),
        }
    }

    #[tokio::test]
    async fn the_least_that_a_caller_of_each_rule_has_left_is_said_and_who_it_is_is_not() {
        let left = left();
        let access = left.access.as_ref().unwrap().load_full();
        for (name, scopes, calls) in [("a1", "x", 2), ("a1", "y", 3), ("a2", "x", 1), ("c", "", 9)]
        {
            let mut caller = Caller::new(Identity::new(AuthMode::Jwt, name).unwrap());
            caller.token_scopes = [Box::from(scopes)].into();
            let caller = Arc::new(caller);
            let grants = access.of(&caller).unwrap();
            for (quota, limit) in grants.budgets() {
                for _ in 0..calls {
                    let taken = left.budgets.take(&caller.identity, quota, limit).await;
                    // What is not given back stays counted.
                    drop(taken);
                }
            }
        }
        let day = |rule: &str, limit, callers, spent, least| OfRule {
            rule: rule.into(),
            quota: Quota::ChargedCallsPerDay,
            limit,
            callers,
            spent,
            least,
        };
        let found = left.by_rule();
        assert!(!format!("{found:?}").contains("a1"));
        let (days, minutes): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|row| row.quota == Quota::ChargedCallsPerDay);
        assert_eq!(days, [day("busy", 5, 2, 1, 0), day("idle", 7, 0, 0, 7)]);
        // How many are in this minute depends on when it began.
        let minutes: Vec<_> = minutes.iter().map(|row| (&*row.rule, row.limit)).collect();
        assert_eq!(minutes, [("busy", 3)]);
    }

    #[test]
    fn without_a_policy_file_there_are_no_budgets() {
        assert_eq!(Left::none().by_rule(), []);
    }
}
