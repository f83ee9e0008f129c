//! What a value must satisfy. Messages say what is expected, never what was found: it may be a secret.

use tracing_subscriber::EnvFilter;

use super::audit;
use super::auth;
use super::providers::REDACTED;
use super::schema::{Kind, Leaf};
use super::settings::Settings;
use super::span::Span;
use super::tls;
use crate::domain::redaction::Secret;
use crate::sharing;

/// Checks a value against its key's description: type, words, range; a secret, that it can be sent.
pub(super) fn value(leaf: &Leaf, value: &toml::Value) -> Result<(), String> {
    let wrong = || Err(leaf.expected());
    match (leaf.kind, value) {
        (Kind::Text, toml::Value::String(text)) if leaf.secret => secret(text),
        (Kind::Text, toml::Value::String(text)) => {
            let known = |(word, _): &(String, String)| word == text;
            if !leaf.choices.is_empty() && !leaf.choices.iter().any(known) {
                return wrong();
            }
            if !leaf.may_be_empty && text.trim().is_empty() {
                return wrong();
            }
            match (leaf.spans, text.parse::<Span>()) {
                (Some((min, max)), Ok(span)) if min <= span && span <= max => Ok(()),
                (Some(_), _) => wrong(),
                (None, _) => Ok(()),
            }
        }
        (Kind::Integer, toml::Value::Integer(number)) => match leaf.integers {
            Some((min, max)) if *number < min || *number > max => wrong(),
            _ => Ok(()),
        },
        (Kind::Boolean, toml::Value::Boolean(_)) => Ok(()),
        (Kind::List, toml::Value::Array(items)) => {
            let known = |item: &toml::Value| {
                let word = item.as_str();
                word.is_some_and(|word| {
                    leaf.choices.is_empty() || leaf.choices.iter().any(|(known, _)| known == word)
                })
            };
            if items.iter().all(known) {
                Ok(())
            } else {
                wrong()
            }
        }
        _ => Err(format!(
            "{}, found {} {}",
            leaf.expected(),
            article(value.type_str()),
            value.type_str()
        )),
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    }
}

/// Checks that a secret can be sent in a header as it is: a stray line break would fail every call instead.
pub(super) fn secret(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty; leave it out where the provider has no credential".to_owned());
    }
    if text == REDACTED {
        return Err("is what check-config shows in place of a credential".to_owned());
    }
    if text.trim() != text || !text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return Err(
            "holds a character that no HTTP header may hold, or white space at an end".to_owned(),
        );
    }
    Ok(())
}

/// The credential that a file holds: its text without the white space at its end.
///
/// # Errors
///
/// Why it cannot be sent; never what it is.
pub fn credential(content: &[u8]) -> Result<Secret, String> {
    let text = std::str::from_utf8(content).map_err(|_| "is not UTF-8".to_owned())?;
    let text = text.trim_end();
    secret(text)?;
    Ok(Secret::new(text))
}

/// Rules that need more than one value, or more than the schema can say: the keys they name, and the problem.
pub(super) fn relations(settings: &Settings) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    if !is_path(&settings.providers.verifik.persons_path) {
        problems.push((
            "providers.verifik.persons_path",
            "expected a path such as /v2/persons: a slash first, none last, no query, no `..`"
                .to_owned(),
        ));
    }
    if is_newer_dialect(&settings.providers.verifik.persons_path) {
        problems.push((
            "providers.verifik.persons_path",
            "is where Verifik's newer persons are, whose requests and records differ from those of /v2/persons: \
             this version does not speak them"
                .to_owned(),
        ));
    }
    problems.extend(handle_keys(settings));
    let accuauth = &settings.providers.accuauth;
    let pair = (accuauth.api_id.is_some(), accuauth.api_secret.is_some());
    if pair == (true, false) {
        problems.push((
            "providers.accuauth.api_secret",
            "is missing: api_id is set, and one is nothing without the other".to_owned(),
        ));
    }
    if pair == (false, true) {
        problems.push((
            "providers.accuauth.api_id",
            "is missing: api_secret is set, and one is nothing without the other".to_owned(),
        ));
    }
    problems.extend(settings.cache.problems());
    problems.extend(
        settings
            .persons
            .problem(&settings.providers.verifik.upstream()),
    );
    if EnvFilter::builder().parse(&settings.log.filter).is_err() {
        problems.push((
            "log.filter",
            "expected log directives such as info or info,identity_gateway=debug".to_owned(),
        ));
    }
    if settings.server.listen == settings.admin.listen && settings.server.listen.port() != 0 {
        problems.push((
            "admin.listen",
            "is the same address and port as server.listen".to_owned(),
        ));
    }
    problems.extend(audit::relations(settings));
    problems.extend(auth::relations(settings));
    problems.extend(tls::relations(settings));
    problems
}

/// Verifik's newer pages know persons below this path only.
fn is_newer_dialect(path: &str) -> bool {
    let mut segments = path.split('/');
    segments.any(|segment| segment.eq_ignore_ascii_case("face-recognition"))
}

fn handle_keys(settings: &Settings) -> Vec<(&'static str, String)> {
    let persons = &settings.persons;
    let newest = persons
        .handle_key
        .iter()
        .map(|key| ("persons.handle_key", key.expose()));
    let older = persons.old_handle_keys.iter().flat_map(|keys| {
        let keys = keys.expose().split_whitespace();
        keys.map(|key| ("persons.old_handle_keys", key))
    });
    newest
        .chain(older)
        .filter_map(|(name, key)| Some((name, sharing::keys::master(key).err()?.to_string())))
        .collect()
}

/// Whether it begins with a slash, ends with none, and is made of plain segments.
fn is_path(path: &str) -> bool {
    let plain = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment
                .chars()
                .all(|c| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '\\' | '%'))
    };
    path.strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(plain))
}
