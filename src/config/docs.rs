//! The configuration shown to people: the effective settings as TOML, the commented default file, and the table of
//! keys as markdown. All take their words from the schema, that is, from the doc comments of the fields.

use super::load::file_of;
use super::schema::{CATALOGUE, Group, Kind, Leaf};
use super::settings::Settings;

/// Longest line of a comment, in characters.
const WIDTH: usize = 100;

/// The table of all keys, in markdown.
#[must_use]
pub fn markdown() -> String {
    let mut table = "| key | environment | default | meaning |\n|---|---|---|---|\n".to_owned();
    for group in &*CATALOGUE {
        if let Some(list) = group.list() {
            table.push_str(&tables(list, group));
            continue;
        }
        for leaf in &group.leaves {
            let default = match &leaf.default {
                Some(serde_json::Value::String(text)) => format!("`{text}`"),
                Some(value) => format!("`{value}`"),
                None => "–".to_owned(),
            };
            table.push_str(&format!(
                "| `{}` | `{}` | {} | {} |\n",
                leaf.key(),
                leaf.variable(),
                default.replace('|', "\\|"),
                leaf.meaning().replace('|', "\\|"),
            ));
        }
    }
    table
}

/// The row of a list of tables.
fn tables(list: &[String], group: &Group) -> String {
    let names: Vec<_> = group
        .leaves
        .iter()
        .map(|leaf| format!("`{}`", leaf.name()))
        .collect();
    let variable = group.leaves.first().map(Leaf::variable).unwrap_or_default();
    format!(
        "| `{}` | `{variable}`, … | – | {} Keys: {}. |\n",
        list.join("."),
        group.description,
        names.join(", "),
    )
}

/// The head of the default file.
const HEAD: &str = "\
# The configuration of identity-gateway: every key with its default, as in docs/configuration.md.
# `#key = value` is a default: remove the `#` to change it. `# key = \"…\"` has no default.
#
# Environment variables override this file (IDGW_SERVER__LISTEN is server.listen), `--set server.listen=…` overrides
# both. `identity-gateway check-config --config FILE` says what is wrong or missing: `serve` requires auth.mode, and
# auth.policy_file unless the mode is none. A provider without a credential answers PROVIDER_NOT_CONFIGURED.
#
# Generated: `just docs` writes it anew.
";

/// The default file: every key under its description, and commented out.
#[must_use]
pub fn default_file() -> String {
    let mut toml = HEAD.to_owned();
    for group in CATALOGUE.iter().filter(|group| !group.leaves.is_empty()) {
        toml.push('\n');
        comment(&mut toml, &group.description);
        if let Some(list) = group.list() {
            // Its header alone would be a table of the list.
            toml.push_str(&format!("# [[{}]]\n", list.join(".")));
            continue;
        }
        toml.push_str(&format!("[{}]\n", group.path.join(".")));
        for leaf in &group.leaves {
            toml.push('\n');
            comment(&mut toml, &leaf.meaning());
            let name = leaf.name();
            match leaf.default.as_ref().map(toml::Value::try_from) {
                Some(Ok(default)) => toml.push_str(&format!("#{name} = {default}\n")),
                _ => toml.push_str(&format!("# {name} = {}\n", placeholder(leaf))),
            }
        }
    }
    toml
}

/// What stands for the value of a key that has no default.
fn placeholder(leaf: &Leaf) -> &'static str {
    match leaf.kind {
        Kind::List => "[\"…\"]",
        Kind::Text => "\"…\"",
        Kind::Integer | Kind::Boolean => "…",
    }
}

impl Settings {
    /// The settings as TOML, each key under its description, secrets as `[redacted]`. Where no secret is set
    /// in place, it can be read again as a configuration file.
    #[must_use]
    pub fn redacted_toml(&self) -> String {
        let values = match toml::Table::try_from(self) {
            Ok(values) => values,
            // A path that is not UTF-8, which no source can give.
            Err(_) => return "# these settings cannot be written as TOML\n".to_owned(),
        };
        let mut toml = String::new();
        for group in CATALOGUE.iter().filter(|group| !group.leaves.is_empty()) {
            if !toml.is_empty() {
                toml.push('\n');
            }
            comment(&mut toml, &group.description);
            let Some(list) = group.list() else {
                toml.push_str(&format!("[{}]\n", group.path.join(".")));
                for leaf in &group.leaves {
                    toml.push('\n');
                    comment(&mut toml, &leaf.meaning());
                    toml.push_str(&line(leaf, &values));
                }
                continue;
            };
            let items = at(list, &values).and_then(toml::Value::as_array);
            for number in 0..items.map_or(0, Vec::len) {
                toml.push_str(&format!("[[{}]]\n", list.join(".")));
                for leaf in &group.leaves {
                    let name = [leaf.name().to_owned()];
                    let path = [list, &[number.to_string()], &name].concat();
                    let own = Leaf {
                        path,
                        ..leaf.clone()
                    };
                    toml.push_str(&line(&own, &values));
                }
                toml.push('\n');
            }
        }
        toml
    }
}

/// `key = value`, or a comment where there is no value to show.
fn line(leaf: &Leaf, values: &toml::Table) -> String {
    let name = leaf.name();
    if let Some(file) = file_of(leaf)
        && value(&file, values).is_some()
    {
        return format!("# {name} is read from {}\n", file.name());
    }
    match value(leaf, values) {
        Some(value) => format!("{name} = {value}\n"),
        None => format!("# {name} is not set\n"),
    }
}

fn value<'a>(leaf: &Leaf, values: &'a toml::Table) -> Option<&'a toml::Value> {
    // An empty list is one that is not set.
    let is_empty = |value: &toml::Value| value.as_array().is_some_and(Vec::is_empty);
    at(&leaf.path, values).filter(|value| !is_empty(value))
}

/// What is at a path, in which the tables of a list have numbers.
fn at<'a>(path: &[String], values: &'a toml::Table) -> Option<&'a toml::Value> {
    let (first, rest) = path.split_first()?;
    let mut value = values.get(first)?;
    for step in rest {
        value = match value {
            toml::Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            value => value.get(step)?,
        };
    }
    Some(value)
}

/// A comment, its lines broken between words.
fn comment(toml: &mut String, text: &str) {
    let mut length = 0;
    for word in text.split(' ') {
        let more = word.chars().count() + 1;
        if length == 0 || length + more > WIDTH {
            if length > 0 {
                toml.push('\n');
            }
            toml.push('#');
            length = 1;
        }
        toml.push(' ');
        toml.push_str(word);
        length += more;
    }
    toml.push('\n');
}
