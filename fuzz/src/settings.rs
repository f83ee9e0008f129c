//! The configuration: a problem names its key and never a value, and what is shown can be read again.

use std::{cell::RefCell, fmt::Display, io::Write as _, str::FromStr};

use identity_gateway::config::{self, BaseUrl, ConfigError, Price, Settings, Sources, Span};
use tempfile::NamedTempFile;

use super::words::{self, MADE_UP};

/// What stands between the file and the environment.
const ENVIRONMENT: &str = "\n%%\n";
/// The keys that hold secrets.
const SECRETS: [[&str; 3]; 4] = [
    ["providers", "verifik", "token"],
    ["providers", "youverify", "token"],
    ["providers", "accuauth", "api_id"],
    ["providers", "accuauth", "api_secret"],
];

/// A TOML file; after a line `%%` variables as `NAME=value` and flags as `--key=value`, one a line.
pub fn config_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (file, rest) = text.split_once(ENVIRONMENT).unwrap_or((text, ""));
    if let Ok(settings) = load(file, pairs(rest, None)) {
        is_read_again(&settings);
    }
    let Ok(mut table) = file.parse::<toml::Table>() else {
        return words::are_not_repeated(file, |file| not_toml(file).unwrap_or_default());
    };
    tells_no_value(&mut table, rest);
    hides_its_secrets(table, rest);
}

/// Every text is replaced by one that is easy to find again: no problem shows it.
fn tells_no_value(table: &mut toml::Table, rest: &str) {
    table.iter_mut().for_each(|(_, value)| replace(value));
    let Ok(file) = toml::to_string(table) else {
        return;
    };
    if let Err(error) = load(&file, pairs(rest, Some(MADE_UP))) {
        assert!(
            !error.to_string().contains(MADE_UP),
            "a problem shows a value"
        );
    }
}

fn replace(value: &mut toml::Value) {
    match value {
        toml::Value::String(text) => *text = MADE_UP.to_owned(),
        toml::Value::Array(items) => items.iter_mut().for_each(replace),
        toml::Value::Table(table) => table.iter_mut().for_each(|(_, value)| replace(value)),
        _ => {}
    }
}

/// With a secret in each of its places: neither `Debug` nor `check-config` shows it.
fn hides_its_secrets(mut table: toml::Table, rest: &str) {
    table.clear();
    for path in SECRETS {
        let mut inner = &mut table;
        let [tables @ .., name] = path;
        for step in tables {
            let entry = inner
                .entry(step)
                .or_insert_with(|| toml::Table::new().into());
            inner = entry.as_table_mut().expect("a table");
        }
        inner.insert(name.to_owned(), MADE_UP.into());
    }
    let file = toml::to_string(&table).expect("a table");
    if let Ok(settings) = load(&file, pairs(rest, None)) {
        let shown = format!("{settings:?}{}", settings.redacted_toml());
        assert!(!shown.contains(MADE_UP), "a secret is shown");
    }
}

/// What `check-config` prints is a configuration, and the same one.
fn is_read_again(settings: &Settings) {
    let shown = settings.redacted_toml();
    if shown.contains("[redacted]") {
        return;
    }
    let again = load(&shown, Pairs::default());
    let again = again.expect("what check-config prints is a configuration");
    assert_eq!(again.redacted_toml(), shown);
}

#[derive(Default)]
struct Pairs {
    env: Vec<(String, String)>,
    flags: Vec<(String, String)>,
}

fn pairs(text: &str, value: Option<&str>) -> Pairs {
    let mut pairs = Pairs::default();
    for line in text.lines().take(20) {
        let Some((name, written)) = line.split_once('=') else {
            continue;
        };
        let pair = |name: &str| (name.to_owned(), value.unwrap_or(written).to_owned());
        match name.strip_prefix("--") {
            Some(flag) => pairs.flags.push(pair(flag)),
            None => pairs.env.push(pair(name)),
        }
    }
    pairs
}

fn load(file: &str, pairs: Pairs) -> Result<Settings, ConfigError> {
    thread_local! {
        static FILE: RefCell<NamedTempFile> = RefCell::new(NamedTempFile::new().expect("a file"));
    }
    FILE.with_borrow_mut(|path| {
        path.as_file().set_len(0).expect("an empty file");
        let mut opened = std::fs::File::create(path.path()).expect("the file");
        opened.write_all(file.as_bytes()).expect("a write");
        config::load(Sources {
            file: Some(path.path().to_owned()),
            env: pairs.env,
            overrides: pairs.flags,
        })
    })
}

/// What is said of a file that is no TOML.
fn not_toml(file: &str) -> Option<String> {
    let problems = load(file, Pairs::default()).err()?.problems;
    problems
        .into_iter()
        .find(|problem| problem.contains("is not TOML"))
}

/// The values that have a form of their own: what is shown is read as the same, and a provider is reached by
/// https or on this machine, without a credential in its address.
pub fn config_values(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    comes_back::<Span>(text);
    comes_back::<Price>(text);
    let Some(url) = comes_back::<BaseUrl>(text) else {
        return;
    };
    let url = url.get();
    let loopback = match url.host().expect("a host") {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    };
    assert!(url.scheme() == "https" || (url.scheme() == "http" && loopback));
    assert!(url.username().is_empty() && url.password().is_none());
    assert!(url.query().is_none() && url.fragment().is_none());
}

fn comes_back<T: FromStr<Err: Display> + Display + PartialEq>(text: &str) -> Option<T> {
    words::are_not_repeated(text, |text| {
        text.parse::<T>()
            .err()
            .map_or_else(String::new, |error| error.to_string())
    });
    let value: T = text.parse().ok()?;
    let again = value.to_string().parse::<T>();
    assert!(
        again.is_ok_and(|again| again == value),
        "what is shown is read as something else"
    );
    Some(value)
}
