//! What one caller may do, worked out from the rules once and then looked up.
//!
//! What the rules that are about a caller grant is added up; of the budgets that they state the
//! smallest counts. Who is in no rule may do nothing.

use std::{collections::BTreeMap, sync::Arc};

use foldhash::HashMap;
use moka::sync::Cache;

use super::{
    file::{self, Problems, Rule},
    persons::Records,
    share::Share,
};
use crate::{
    auth::{AuthMode, identity::Caller},
    domain::refusal::Quota,
    policy::Policies,
    proto::fields::Fields,
};

/// Most callers whose grants are remembered.
const REMEMBERED: u64 = 50_000;

/// What one caller may do.
#[derive(Debug, PartialEq, Eq)]
pub struct Grants {
    /// The name of the first rule that is about it.
    pub name: Arc<str>,
    /// What it may see of each RPC's answer, by path (`/package.Service/Method`). The others it may not
    /// call.
    pub rpcs: HashMap<Box<str>, Arc<Fields>>,
    /// Whose person records each RPC is about, by path.
    pub records: HashMap<Box<str>, Arc<Records>>,
    /// With whom it shares answers: what the first rule says that is about it.
    pub share: Share,
    /// Calls in a minute.
    pub calls_per_minute: Option<u64>,
    /// Calls in a day that a provider may charge for.
    pub charged_calls_per_day: Option<u64>,
}

impl Grants {
    /// The budgets that the caller has.
    pub fn budgets(&self) -> impl Iterator<Item = (Quota, u64)> {
        budgets(self.calls_per_minute, self.charged_calls_per_day)
    }
}

fn budgets(minute: Option<u64>, day: Option<u64>) -> impl Iterator<Item = (Quota, u64)> {
    let both = [
        (Quota::CallsPerMinute, minute),
        (Quota::ChargedCallsPerDay, day),
    ];
    let both = both.into_iter();
    both.filter_map(|(quota, limit)| Some((quota, limit?)))
}

/// The rules in force.
#[derive(Debug)]
pub struct Access {
    rules: Vec<Rule>,
    remembered: Cache<Arc<Caller>, Option<Arc<Grants>>>,
}

impl Access {
    /// Reads a policy file.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str, policies: &Policies) -> Result<Self, Problems> {
        Ok(Self {
            rules: file::parse(text, policies)?,
            remembered: Cache::new(REMEMBERED),
        })
    }

    /// Whether a rule gives person records owners.
    #[must_use]
    pub fn has_owners(&self) -> bool {
        self.rules.iter().any(Rule::has_owner)
    }

    /// What a caller may do; none if no rule is about it.
    #[must_use]
    pub fn of(&self, caller: &Arc<Caller>) -> Option<Arc<Grants>> {
        if let Some(grants) = self.remembered.get(caller) {
            return grants;
        }
        let grants = self.work_out(caller).map(Arc::new);
        self.remembered.insert(Arc::clone(caller), grants.clone());
        grants
    }

    /// The budgets that the rules state, by the rule's name.
    pub fn limits(&self) -> impl Iterator<Item = (&Arc<str>, Quota, u64)> {
        self.rules.iter().flat_map(|rule| {
            let stated = budgets(rule.calls_per_minute, rule.charged_calls_per_day);
            stated.map(|(quota, limit)| (&rule.name, quota, limit))
        })
    }

    /// The callers that are remembered, with what they may do: those that have called since the rules are in force.
    pub fn known(&self) -> impl Iterator<Item = (Arc<Caller>, Arc<Grants>)> {
        let remembered = self.remembered.iter();
        remembered.filter_map(|(caller, grants)| Some((Arc::clone(&*caller), grants?)))
    }

    fn work_out(&self, caller: &Caller) -> Option<Grants> {
        let mut first = None;
        let mut rpcs: BTreeMap<&str, Fields> = BTreeMap::new();
        let mut records: BTreeMap<&str, Records> = BTreeMap::new();
        let (mut minute, mut day) = (None, None);
        for rule in self.rules.iter().filter(|rule| rule.is_about(caller)) {
            first.get_or_insert(rule);
            for (rpc, fields) in &rule.rpcs {
                rpcs.entry(rpc).or_insert_with(Fields::none).unite(fields);
                let granted = rule.records(caller);
                match records.get_mut(&**rpc) {
                    Some(known) => known.unite(granted),
                    None => drop(records.insert(rpc, granted)),
                }
            }
            minute = smaller(minute, rule.calls_per_minute);
            day = smaller(day, rule.charged_calls_per_day);
        }
        let first = first?;
        Some(Grants {
            name: Arc::clone(&first.name),
            share: match &first.share {
                Some(named) => Share::Named(Arc::clone(named)),
                None if caller.identity.mode() == AuthMode::None => Share::Everybody,
                None => Share::Rule(Arc::clone(&first.name)),
            },
            rpcs: by_path(rpcs),
            records: by_path(records),
            calls_per_minute: minute,
            charged_calls_per_day: day,
        })
    }
}

fn by_path<T>(of: BTreeMap<&str, T>) -> HashMap<Box<str>, Arc<T>> {
    let of = of.into_iter();
    of.map(|(rpc, granted)| (format!("/{rpc}").into(), Arc::new(granted)))
        .collect()
}

fn smaller(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::identity::Identity, proto};

    const CURP: &str = "/idgw.identity.v1.IdentityService/CheckCurp";
    const GET: &str = "/idgw.person.v1.PersonService/GetPerson";

    fn access(text: &str) -> Access {
        let policies = Policies::from_descriptors(proto::descriptors()).unwrap();
        Access::parse(text, &policies).unwrap()
    }

    fn caller(name: &str, scopes: &[&str]) -> Arc<Caller> {
        let mut caller = Caller::new(Identity::new(AuthMode::Jwt, name).unwrap());
        caller.token_scopes = scopes.iter().map(|scope| Box::from(*scope)).collect();
        Arc::new(caller)
    }

    #[test]
    fn grants_add_up_and_the_smallest_budget_counts() {
        let access = access(
            "[[allow]]\nname='one'\nidentities=['a*']\nrpcs=['identity.curp.check']\ncalls_per_minute=10\n\
             [[allow]]\nname='two'\nidentities=['ab']\nrpcs=['person.read']\ncalls_per_minute=20\n\
             charged_calls_per_day=5\n\
             [[allow]]\nname='three'\ntoken_scopes=['kyc']\nrpcs=['identity.curp.check']\nclasses=['images']",
        );
        let both = access.of(&caller("ab", &[])).unwrap();
        assert_eq!(&*both.name, "one");
        assert_eq!(both.rpcs.len(), 2);
        assert!(both.rpcs.contains_key(CURP) && both.rpcs.contains_key(GET));
        assert_eq!(
            (both.calls_per_minute, both.charged_calls_per_day),
            (Some(10), Some(5))
        );
        assert!(!both.rpcs[CURP].has(&[2, 20]));
        let more = access.of(&caller("ab", &["kyc"])).unwrap();
        assert_eq!(*more.rpcs[CURP], Fields::All);
        assert!(!more.rpcs[GET].has(&[1, 4]));
        let one = access.of(&caller("ac", &[])).unwrap();
        assert_eq!((one.rpcs.len(), one.charged_calls_per_day), (1, None));
    }

    #[test]
    fn callers_share_within_their_rule_or_its_group_and_without_identities_in_the_process() {
        let access = access(
            "[[allow]]\nname='one'\nidentities=['a']\nrpcs=['person.read']\n\
             [[allow]]\nname='two'\nidentities=['b']\nrpcs=['person.read']\nshare='three'\n\
             [[allow]]\nname='three'\nidentities=['c','a']\nrpcs=['person.read']\n\
             [[allow]]\nname='four'\nidentities=['d']\nrpcs=['person.read']\nshare='three'\n\
             [[allow]]\nname='all'\nidentities=['anonymous']\nrpcs=['person.read']",
        );
        let share = |name| access.of(&caller(name, &[])).unwrap().share.clone();
        assert_eq!(share("a"), Share::Rule("one".into()));
        assert_eq!(share("b"), Share::Named("three".into()));
        assert_eq!(share("b"), share("d"));
        assert_ne!(share("b"), share("c"), "a rule's name is no group");
        let anonymous = Identity::new(AuthMode::None, "anonymous").unwrap();
        let anonymous = access.of(&Arc::new(Caller::new(anonymous))).unwrap();
        assert_eq!(anonymous.share, Share::Everybody);
    }

    #[test]
    fn who_is_in_no_rule_may_do_nothing() {
        let rules = "[[allow]]\nname='one'\nidentities=['a']\npersons='all'\nrpcs=['*']";
        let grants = access(rules);
        assert_eq!(grants.of(&caller("b", &["identity.curp.check", "*"])), None);
        assert_eq!(grants.of(&caller("a", &[])).unwrap().rpcs.len(), 10);
        assert_eq!(access("").of(&caller("a", &[])), None);
    }

    #[test]
    fn the_same_caller_gets_the_same_grants_and_another_scope_is_another() {
        let access =
            access("[[allow]]\nname='one'\ntoken_scopes=['kyc']\npersons='all'\nrpcs=['*']");
        let first = access.of(&caller("a", &["kyc"])).unwrap();
        let again = access.of(&caller("a", &["kyc"])).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(access.of(&caller("a", &["kyc2"])), None);
    }

    #[test]
    fn records_are_owned_by_the_rule_or_by_whom_it_names_and_all_of_them_only_where_that_is_said() {
        let access = access(
            "[[allow]]\nname='one'\nidentities=['a', 'a*']\nrpcs=['person.read', 'person.create']\n\
             [[allow]]\nname='two'\nidentities=['ab']\nrpcs=['person.read']\nowner='payments'\n\
             [[allow]]\nname='three'\nidentities=['abc', 'c']\nrpcs=['person.read']\npersons='all'",
        );
        let create = "/idgw.person.v1.PersonService/CreatePerson";
        let own =
            |owners: &[&str]| Records::Own(owners.iter().map(|owner| Arc::from(*owner)).collect());
        for (name, read, created) in [
            ("ac", own(&["one"]), Some(own(&["one"]))),
            ("ab", own(&["one", "payments"]), Some(own(&["one"]))),
            ("abc", Records::All, Some(own(&["one"]))),
            ("c", Records::All, None),
        ] {
            let grants = access.of(&caller(name, &[])).unwrap();
            assert_eq!(*grants.records[GET], read, "{name}");
            assert_eq!(
                grants
                    .records
                    .get(create)
                    .map(|records| (**records).clone()),
                created,
                "{name}"
            );
        }
        // Where nobody is identified nobody owns a record.
        let anonymous = Identity::new(AuthMode::None, "ac").unwrap();
        let anonymous = Arc::new(Caller::new(anonymous));
        assert_eq!(*access.of(&anonymous).unwrap().records[GET], Records::All);
        assert!(access.has_owners());
    }
}
