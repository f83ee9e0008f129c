//! The policy file: TOML, a list of `[[allow]]` rules. docs/access.md explains it.
//!
//! Whatever is not as it should be is an error that names the rule and the key: an unknown key, RPC or
//! field is somebody's mistake, and a rule that means nothing would be found out too late.

mod problems;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use prost_reflect::MessageDescriptor;
use serde::Deserialize;

pub use self::problems::Problems;
use self::problems::Read;
use super::{
    classes,
    persons::{Records, Written as WrittenPersons},
};
use crate::{
    auth::{AuthMode, identity::Caller},
    nearest::nearest,
    policy::{Policies, Policy},
    proto::fields::{Fields, Lists},
    proto::{self, gateway::v1::DataClass},
};

/// Most rules.
const MOST: usize = 10_000;
/// The scope of the RPC whose answer is about everybody's records.
const LIST: &str = "person.list";

/// Why a policy file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is not TOML, or has an unknown key or a value of a wrong type.
    #[error("line {0}: {1}")]
    Toml(usize, String),
    /// A rule means nothing.
    #[error("rule {rule}: {key}: {problem}")]
    Rule {
        /// Its name, or its number from 1.
        rule: String,
        /// The key.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// There are too many.
    #[error("has more than {MOST} rules")]
    TooLong,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    allow: Vec<Written>,
}

/// A rule as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    identities: Vec<String>,
    #[serde(default)]
    modes: Vec<AuthMode>,
    #[serde(default)]
    token_scopes: Vec<String>,
    rpcs: Vec<String>,
    classes: Option<Vec<String>>,
    fields: Option<Vec<String>>,
    persons: Option<WrittenPersons>,
    owner: Option<String>,
    share: Option<String>,
    calls_per_minute: Option<u64>,
    charged_calls_per_day: Option<u64>,
}

/// A rule: who, and what they may do.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name: what logs and spans say of a caller.
    pub name: Arc<str>,
    identities: Vec<Pattern>,
    modes: Vec<AuthMode>,
    token_scopes: Vec<Box<str>>,
    /// The fields of each RPC's answer, by `package.Service/Method`.
    pub rpcs: BTreeMap<Box<str>, Fields>,
    persons: Option<WrittenPersons>,
    owner: Arc<str>,
    /// With whom its callers share answers: all rules that state the same name. None: with nobody else.
    pub share: Option<Arc<str>>,
    /// Calls of one caller in a minute.
    pub calls_per_minute: Option<u64>,
    /// Calls of one caller in a day that a provider may charge for.
    pub charged_calls_per_day: Option<u64>,
}

impl Rule {
    /// Whether the rule is about this caller: one of the identities, by one of the modes, with all of
    /// the token's scopes. What the rule does not say is not asked.
    #[must_use]
    pub fn is_about(&self, caller: &Caller) -> bool {
        let name = caller.identity.name();
        let (identities, modes) = (&self.identities, &self.modes);
        (identities.is_empty() || identities.iter().any(|pattern| pattern.matches(name)))
            && (modes.is_empty() || modes.contains(&caller.identity.mode()))
            && self
                .token_scopes
                .iter()
                .all(|scope| caller.token_scopes.contains(scope))
    }

    /// Whether its callers own person records.
    #[must_use]
    pub fn has_owner(&self) -> bool {
        let mut rpcs = self.rpcs.keys();
        self.persons != Some(WrittenPersons::All) && rpcs.any(|rpc| rpc.contains("PersonService/"))
    }

    /// Whose person records the rule is about. Where nobody is identified nobody owns any.
    #[must_use]
    pub fn records(&self, caller: &Caller) -> Records {
        let own = || Records::Own(vec![Arc::clone(&self.owner)]);
        match (self.persons, caller.identity.mode()) {
            (Some(WrittenPersons::All), _) | (None, AuthMode::None) => Records::All,
            _ => own(),
        }
    }
}

/// A name, or one with a `*` that stands for one or more characters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    before: Box<str>,
    after: Option<Box<str>>,
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is empty");
        }
        let (before, after) = match text.split_once('*') {
            None => (text, None),
            Some((_, after)) if after.contains('*') => return Err("has more than one *"),
            Some((before, after)) => (before, Some(after.into())),
        };
        Ok(Self {
            before: before.into(),
            after,
        })
    }

    fn matches(&self, name: &str) -> bool {
        match &self.after {
            None => *self.before == *name,
            Some(after) => name
                .strip_prefix(&*self.before)
                .and_then(|rest| rest.strip_suffix(&**after))
                .is_some_and(|between| !between.is_empty()),
        }
    }
}

/// Reads the file.
///
/// # Errors
///
/// All that is wrong.
pub fn parse(text: &str, policies: &Policies) -> Result<Vec<Rule>, Problems> {
    let Read {
        document,
        mut problems,
        incomplete,
    } = problems::read(text);
    let written = document.map(|document| document.allow).unwrap_or_default();
    if written.len() > MOST {
        return Err(FileError::TooLong.into());
    }
    let (mut rules, mut names) = (Vec::new(), BTreeSet::new());
    for (place, written) in written.into_iter().enumerate() {
        if incomplete.contains(&place) {
            continue;
        }
        let named = match is_name(&written.name) {
            true => written.name.clone(),
            false => (place + 1).to_string(),
        };
        let of_rule = |(key, problem): Problem| FileError::Rule {
            rule: named.clone(),
            key,
            problem,
        };
        if !names.insert(written.name.clone()) {
            problems.push(of_rule((
                "name",
                "is already used by another rule".to_owned(),
            )));
        }
        match rule(written, policies) {
            Ok(rule) => rules.push(rule),
            Err(wrong) => problems.extend(wrong.into_iter().map(of_rule)),
        }
    }
    match problems.is_empty() {
        true => Ok(rules),
        false => Err(Problems(problems)),
    }
}

const NAME: &str = "expected 1 to 64 letters, digits, `-`, `_` and `.`";

/// Names go into logs and spans.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

type Problem = (&'static str, String);

/// A rule, or all that is wrong with it.
fn rule(written: Written, policies: &Policies) -> Result<Rule, Vec<Problem>> {
    let mut wrong: Vec<Problem> = Vec::new();
    if !is_name(&written.name) {
        wrong.push(("name", NAME.to_owned()));
    }
    if written.identities.is_empty() && written.token_scopes.is_empty() {
        wrong.push((
            "identities",
            "is required unless token_scopes is set; `*` matches every identified caller"
                .to_owned(),
        ));
    }
    let mut identities = Vec::new();
    for text in &written.identities {
        match Pattern::parse(text) {
            Ok(pattern) => identities.push(pattern),
            Err(problem) => wrong.push(("identities", format!("{text:?} {problem}"))),
        }
    }
    for (key, limit) in [
        ("calls_per_minute", written.calls_per_minute),
        ("charged_calls_per_day", written.charged_calls_per_day),
    ] {
        // TOML's numbers end there, and so do Redis's.
        if limit.is_some_and(|limit| i64::try_from(limit).is_err()) {
            wrong.push((key, "is too large".to_owned()));
        }
    }
    let rpcs = rpcs(&written, policies, &mut wrong);
    let lists = rpcs
        .keys()
        .any(|rpc| policies.get(rpc).is_ok_and(|policy| policy.scope == LIST));
    let owner = owner(&written, lists).map_err(|problem| wrong.push(problem));
    if written
        .share
        .as_deref()
        .is_some_and(|share| !is_name(share))
    {
        wrong.push(("share", NAME.to_owned()));
    }
    let (Ok(owner), true) = (owner, wrong.is_empty()) else {
        return Err(wrong);
    };
    Ok(Rule {
        share: written.share.map(Into::into),
        identities,
        modes: written.modes,
        token_scopes: written
            .token_scopes
            .iter()
            .map(|scope| scope.as_str().into())
            .collect(),
        rpcs,
        persons: written.persons,
        owner,
        calls_per_minute: written.calls_per_minute,
        charged_calls_per_day: written.charged_calls_per_day,
        name: written.name.into(),
    })
}

/// Who owns the person records that a rule's callers create: a name, or the rule itself.
fn owner(written: &Written, lists: bool) -> Result<Arc<str>, Problem> {
    let is_all = written.persons == Some(WrittenPersons::All);
    if lists && !is_all {
        let problem = "must be \"all\": rpcs grants person.list, and the provider's list cannot be \
                       filtered by owner";
        return Err(("persons", problem.to_owned()));
    }
    match &written.owner {
        None => Ok(written.name.as_str().into()),
        Some(_) if is_all => Err(("owner", "has no effect where persons is \"all\"".to_owned())),
        Some(owner) if is_name(owner) => Ok(owner.as_str().into()),
        Some(_) => Err(("owner", NAME.to_owned())),
    }
}

/// The RPCs that a rule grants, each with the fields of its answer; what is wrong with them is added to `wrong`.
fn rpcs(
    written: &Written,
    policies: &Policies,
    wrong: &mut Vec<Problem>,
) -> BTreeMap<Box<str>, Fields> {
    let mut granted = Vec::new();
    for text in written.classes.as_deref().unwrap_or_default() {
        match classes::named(text) {
            Some(class) => granted.push(class),
            None => {
                let known = classes::ALL.map(classes::word);
                wrong.push(("classes", unknown(text, known.into_iter())));
            }
        }
    }
    let mut rpcs = BTreeMap::new();
    if written.rpcs.is_empty() {
        wrong.push(("rpcs", "is empty".to_owned()));
    }
    for word in &written.rpcs {
        let meant =
            |(rpc, policy): &(&str, &Policy)| word == "*" || word == rpc || *word == policy.scope;
        let found: Vec<_> = policies.iter().filter(meant).collect();
        if found.is_empty() {
            let known = policies.iter();
            let known = known.flat_map(|(rpc, policy)| [rpc, policy.scope.as_str()]);
            wrong.push(("rpcs", unknown(word, known)));
        }
        for (rpc, _) in found {
            match fields(rpc, written.fields.as_deref(), &granted) {
                Ok(fields) => drop(rpcs.insert(rpc.into(), fields)),
                Err(problem) => wrong.push(problem),
            }
        }
    }
    rpcs
}

fn fields(rpc: &str, paths: Option<&[String]>, granted: &[DataClass]) -> Result<Fields, Problem> {
    let answer = answer(rpc).ok_or_else(|| ("rpcs", format!("{rpc} has no response message")))?;
    let asked = match paths {
        None => Fields::All,
        Some(paths) => {
            let mut asked = Fields::none();
            for path in paths {
                let unknown = || {
                    let problem = format!("the response of {rpc} has no field {path:?}");
                    ("fields", problem)
                };
                asked.add(&answer, path, Lists::Open).ok_or_else(unknown)?;
            }
            asked
        }
    };
    Ok(classes::visible(&answer, &asked, granted))
}

/// The message that an RPC answers with.
fn answer(rpc: &str) -> Option<MessageDescriptor> {
    let (service, method) = rpc.split_once('/')?;
    let service = proto::descriptors().get_service_by_name(service)?;
    let method = service.methods().find(|known| known.name() == method)?;
    Some(method.output())
}

fn unknown<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(word, known) {
        Some(known) => format!("{word:?} is unknown; did you mean {known:?}?"),
        None => format!("{word:?} is unknown"),
    }
}

#[cfg(test)]
mod tests;
