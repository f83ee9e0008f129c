//! People and troubles of a team's own: the TOML file that `sandbox.fixtures` names. docs/sandbox.md explains it.
//!
//! Records are written in the provider's own field names and laid over the document's sample; what goes wrong is named
//! by an id of the published table. Whatever is not as it should be is an error that names the entry and the key. A new
//! version of the file takes effect as a whole, and every sequence begins anew.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::case::Case;
use super::company::company;
use super::reply::Reply;
use crate::domain::verification::Provider;
use crate::setting::Span;

/// The two answers that are no id of the table.
const FOUND: &str = "found";
const NOT_FOUND: &str = "not_found";
/// Most entries of the file.
const MOST: usize = 10_000;
/// Longest delay.
const LONGEST: Duration = Duration::from_mins(10);

/// A lookup that fixtures can be about.
pub(super) struct Lookup {
    /// The RPC, such as `idgw.identity.v1.IdentityService/CheckCurp`.
    pub method: &'static str,
    /// The provider's path.
    pub path: &'static str,
    /// What the table says of an id.
    pub case: fn(&str) -> Option<&'static Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    lookup: Vec<WrittenLookup>,
    #[serde(default)]
    traffic: Vec<WrittenTraffic>,
    #[serde(default)]
    person: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLookup {
    rpc: String,
    id: String,
    #[serde(default)]
    record: Map<String, Value>,
    #[serde(default)]
    answers: Vec<String>,
    delay: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTraffic {
    rpc: String,
    answer: Option<String>,
    rate: Option<f64>,
    delay: Option<Span>,
    delay_at_most: Option<Span>,
}

/// What a fixture answers.
#[derive(Clone, Copy)]
enum Says {
    Found,
    NotFound,
    Case(&'static Case),
}

struct Entry {
    record: Value,
    /// One after the other; the last one stays. Never empty.
    answers: Vec<Says>,
    asked: AtomicUsize,
    delay: Duration,
}

struct Traffic {
    /// What some calls get in place of their answer, and how many of them.
    trouble: Option<(&'static Case, f64)>,
    delay: (Duration, Duration),
}

/// A file that was read.
#[derive(Default)]
pub(super) struct Book {
    lookups: HashMap<(&'static str, String), Entry>,
    traffic: HashMap<&'static str, Vec<Traffic>>,
    chance: Mutex<fastrand::Rng>,
    /// Person records, by their providers' ids.
    pub persons: Vec<Value>,
}

/// The fixtures in force.
#[derive(Default)]
pub(super) struct Fixtures(ArcSwap<Book>);

impl Fixtures {
    pub fn replace(&self, book: Book) {
        self.0.store(Arc::new(book));
    }

    /// The persons of the file in force.
    pub fn persons(&self) -> Vec<Value> {
        self.0.load().persons.clone()
    }

    /// The answer to a lookup. `usual` is the one that no fixture changes, `found` that about a person whose fields are
    /// those of the fixture's record.
    pub fn answer(
        &self,
        method: &'static str,
        id: &str,
        usual: impl FnOnce() -> Reply,
        found: impl FnOnce(Value) -> Reply,
        not_found: impl FnOnce() -> Reply,
    ) -> Reply {
        let book = self.0.load();
        let entry = book.lookups.get(&(method, id.to_owned()));
        let (trouble, mut delay) = book.draw(method);
        let due = || match entry.map(|entry| (entry.next(), entry.record.clone())) {
            None => usual(),
            Some((Says::Found, record)) => found(record),
            Some((Says::NotFound, _)) => not_found(),
            Some((Says::Case(case), record)) => case.effect.apply(|| found(record)),
        };
        delay += entry.map_or(Duration::ZERO, |entry| entry.delay);
        match trouble {
            Some(case) => case.effect.apply(due),
            None => due(),
        }
        .after(delay)
    }
}

impl Entry {
    fn next(&self) -> Says {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let last = self.answers.last().copied().unwrap_or(Says::Found);
        self.answers.get(asked).copied().unwrap_or(last)
    }
}

impl Book {
    /// What chance does to a call.
    fn draw(&self, method: &str) -> (Option<&'static Case>, Duration) {
        let (mut trouble, mut delay) = (None, Duration::ZERO);
        let Some(traffic) = self.traffic.get(method) else {
            return (trouble, delay);
        };
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        for one in traffic {
            let (least, most) = one.delay;
            delay += least + most.saturating_sub(least).mul_f64(chance.f64());
            // Drawn for each entry, whatever came of the ones before: one more changes nothing of theirs.
            let drawn = chance.f64();
            trouble = trouble.or(one
                .trouble
                .filter(|(_, rate)| drawn < *rate)
                .map(|(case, _)| case));
        }
        (trouble, delay)
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, without a value of it.
    pub fn read(text: &str) -> Result<Self, String> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            format!("line {line}: is not as docs/sandbox.md describes it")
        })?;
        if document.lookup.len() + document.traffic.len() + document.person.len() > MOST {
            return Err(format!("has more than {MOST} entries"));
        }
        let mut book = Self {
            chance: Mutex::new(fastrand::Rng::with_seed(document.seed)),
            ..Self::default()
        };
        let mut problems = Vec::new();
        for (number, written) in (1..).zip(document.lookup) {
            match book.lookup(written) {
                Ok(()) => {}
                Err(problem) => problems.push(format!("lookup {number}: {problem}")),
            }
        }
        for (number, written) in (1..).zip(document.traffic) {
            match book.traffic(&written) {
                Ok(()) => {}
                Err(problem) => problems.push(format!("traffic {number}: {problem}")),
            }
        }
        for (number, person) in (1..).zip(document.person) {
            let has_id = matches!(person.get("id"), Some(Value::String(id)) if !id.is_empty());
            let problem = match (has_id, has_date(&person)) {
                (false, _) => "id: is required",
                (_, true) => DATE,
                (true, false) => {
                    book.persons.push(Value::Object(person));
                    continue;
                }
            };
            problems.push(format!("person {number}: {problem}"));
        }
        match problems.as_slice() {
            [] => Ok(book),
            problems => Err(problems.join("; ")),
        }
    }

    fn lookup(&mut self, written: WrittenLookup) -> Result<(), String> {
        let lookup = named(&written.rpc)?;
        if written.id.is_empty() {
            return Err("id: is required".to_owned());
        }
        if has_date(&written.record) {
            return Err(format!("record: {DATE}"));
        }
        let answers: Result<Vec<Says>, String> = match written.answers.as_slice() {
            [] => Ok(vec![Says::Found]),
            answers => answers
                .iter()
                .map(|answer| match answer.as_str() {
                    FOUND => Ok(Says::Found),
                    NOT_FOUND => Ok(Says::NotFound),
                    id => case(lookup, id, "answers").map(Says::Case),
                })
                .collect(),
        };
        let entry = Entry {
            record: Value::Object(written.record),
            answers: answers?,
            asked: AtomicUsize::new(0),
            delay: delay(written.delay, "delay")?,
        };
        match self.lookups.insert((lookup.method, written.id), entry) {
            None => Ok(()),
            Some(_) => Err("id: is that of an earlier entry".to_owned()),
        }
    }

    fn traffic(&mut self, written: &WrittenTraffic) -> Result<(), String> {
        let lookup = named(&written.rpc)?;
        let trouble = match (&written.answer, written.rate) {
            (None, None) => None,
            (Some(answer), Some(rate)) if (0.0..=1.0).contains(&rate) => {
                Some((case(lookup, answer, "answer")?, rate))
            }
            (Some(_), Some(_)) => return Err("rate: expected a number from 0 to 1".to_owned()),
            (Some(_), None) => return Err("rate: is required with answer".to_owned()),
            (None, Some(_)) => return Err("answer: is required with rate".to_owned()),
        };
        let least = delay(written.delay, "delay")?;
        let most = match written.delay_at_most {
            None => least,
            most => delay(most, "delay_at_most")?,
        };
        if most < least {
            return Err("delay_at_most: is shorter than delay".to_owned());
        }
        let traffic = Traffic {
            trouble,
            delay: (least, most),
        };
        self.traffic.entry(lookup.method).or_default().push(traffic);
        Ok(())
    }
}

const DATE: &str = "a date must be text in quotes, as the provider writes it";

/// TOML has dates of its own; the providers' JSON has none.
fn has_date(fields: &Map<String, Value>) -> bool {
    fn is_date(value: &Value) -> bool {
        match value {
            Value::Object(fields) => has_date(fields),
            Value::Array(items) => items.iter().any(is_date),
            _ => false,
        }
    }
    fields
        .iter()
        .any(|(name, value)| name.starts_with("$__toml_private") || is_date(value))
}

fn delay(written: Option<Span>, key: &str) -> Result<Duration, String> {
    match written.map_or(Duration::ZERO, Span::get) {
        delay if delay <= LONGEST => Ok(delay),
        _ => Err(format!("{key}: is longer than 10m")),
    }
}

/// The lookup of that name, with its service or without.
fn named(rpc: &str) -> Result<&'static Lookup, String> {
    let mut known = Vec::new();
    for lookup in Provider::ALL
        .into_iter()
        .flat_map(|one| company(one).lookups)
    {
        let short = lookup.method.rsplit('/').next().unwrap_or_default();
        if rpc == short || rpc == lookup.method {
            return Ok(lookup);
        }
        known.push(short);
    }
    Err(format!("rpc: expected one of {}", known.join(", ")))
}

fn case(lookup: &Lookup, id: &str, key: &str) -> Result<&'static Case, String> {
    (lookup.case)(id).ok_or_else(|| {
        let table = "`identity-gateway sandbox --list`";
        format!("{key}: expected \"{FOUND}\", \"{NOT_FOUND}\" or an id of this RPC that is answered otherwise in {table}")
    })
}
