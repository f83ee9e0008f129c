//! Lays file, environment and flags over each other, checks each value against the schema, and remembers
//! where each came from. What fits no key or no type becomes a problem and goes no further.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::schema::{ITEM, Kind, Leaf, MOST_ITEMS, leaf, leaf_at, leaves};
use super::{FILE_VARIABLE, PREFIX, RUST_LOG, check};
use crate::{files, nearest::nearest};

/// Deeper than any key goes, and shallow enough to walk.
const DEEPEST: usize = 8;

/// Where a value came from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    File(PathBuf),
    Variable(String),
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "in {}", path.display()),
            Self::Variable(name) => write!(f, "from {name}"),
            Self::Flag => f.write_str("from a flag"),
        }
    }
}

/// The layers laid so far.
#[derive(Default)]
pub(super) struct Layers {
    /// Only known keys, each with a value of its type.
    pub table: toml::Table,
    pub origins: BTreeMap<String, Origin>,
    pub problems: Vec<String>,
}

impl Layers {
    /// Lays the file over what there is.
    pub fn file(&mut self, path: &Path) {
        let shown = path.display();
        match files::text(path, files::CONFIGURATION) {
            Err(error) => self
                .problems
                .push(format!("configuration file {shown}: {error}")),
            Ok(text) => match text.parse::<toml::Table>() {
                Ok(table) => self.table_of_file(&table, &mut Vec::new(), path),
                // The error's own Display would show the line, and with it perhaps a secret.
                Err(error) => {
                    let before = error.span().and_then(|span| text.get(..span.start));
                    let line = before.unwrap_or_default().matches('\n').count() + 1;
                    self.problems.push(format!(
                        "configuration file {shown}: line {line} is not TOML: {}",
                        error.message()
                    ));
                }
            },
        }
    }

    fn table_of_file(&mut self, table: &toml::Table, path: &mut Vec<String>, file: &Path) {
        for (name, value) in table {
            path.push(name.clone());
            let known = leaf_at(path);
            let group = leaves().any(|leaf| leaf.begins_with(path));
            let list = leaves().any(|leaf| leaf.is_in_list_at(path));
            match (known, value) {
                (Some(leaf), value) => {
                    self.set(&leaf, value.clone(), Origin::File(file.to_owned()));
                }
                (None, toml::Value::Array(items)) if list => self.items_of_file(items, path, file),
                (None, toml::Value::Table(inner))
                    if path.len() < DEEPEST && (group || !inner.is_empty()) =>
                {
                    self.table_of_file(inner, path, file);
                }
                (None, _) if group => self.problems.push(format!(
                    "{} (in {}): expected a table",
                    shown(path),
                    file.display()
                )),
                (None, _) => {
                    let hint = meant(&path.join("."), leaves().map(Leaf::key));
                    let key = shown(path);
                    self.problems
                        .push(format!("{key} (in {}): unknown key{hint}", file.display()));
                }
            }
            path.pop();
        }
    }

    fn items_of_file(&mut self, items: &[toml::Value], path: &mut Vec<String>, file: &Path) {
        for (number, item) in (0..).zip(items) {
            path.push(number.to_string());
            match item {
                toml::Value::Table(inner) if number < MOST_ITEMS => {
                    // One that says nothing is there all the same.
                    let _there = self.table_at(path);
                    self.table_of_file(inner, path, file);
                }
                toml::Value::Table(_) => self.problems.push(format!(
                    "{} (in {}): there are more than {MOST_ITEMS}",
                    shown(path),
                    file.display()
                )),
                _ => self.problems.push(format!(
                    "{} (in {}): expected a table",
                    shown(path),
                    file.display()
                )),
            }
            path.pop();
        }
    }

    /// Lays the environment over what there is.
    pub fn environment(&mut self, variables: &[(String, String)]) {
        let filter = leaf("log.filter");
        for (name, value) in variables {
            if name == RUST_LOG
                && !value.is_empty()
                && let Some(leaf) = &filter
            {
                self.variable(leaf, name, value);
            }
        }
        for (name, value) in variables {
            if !name.starts_with(PREFIX) || name == FILE_VARIABLE {
                continue;
            }
            match leaves().find_map(|leaf| leaf.of_variable(name)) {
                Some(leaf) => self.variable(&leaf, name, value),
                None => {
                    let hint = meant(&name.to_ascii_uppercase(), leaves().map(Leaf::variable));
                    let name = shown(std::slice::from_ref(name));
                    self.problems
                        .push(format!("{name}: unknown environment variable{hint}"));
                }
            }
        }
    }

    fn variable(&mut self, leaf: &Leaf, name: &str, value: &str) {
        let origin = Origin::Variable(name.to_owned());
        if value.contains(char::REPLACEMENT_CHARACTER) {
            self.problem(&leaf.key(), &origin, "is not UTF-8");
        } else {
            self.text(leaf, value, origin);
        }
    }

    /// Lays the flags over what there is.
    pub fn flags(&mut self, overrides: &[(String, String)]) {
        for (key, value) in overrides {
            match leaf(key) {
                Some(leaf) if leaf.secret => self.problem(
                    &leaf.key(),
                    &Origin::Flag,
                    "is a secret, and everyone on the machine can read a command line; \
                     use the environment or a file",
                ),
                Some(leaf) => self.text(&leaf, value, Origin::Flag),
                None => {
                    let hint = meant(key, leaves().map(Leaf::key));
                    let path: Vec<_> = key.split('.').map(str::to_owned).collect();
                    self.problems
                        .push(format!("{} (from a flag): unknown key{hint}", shown(&path)));
                }
            }
        }
    }

    fn text(&mut self, leaf: &Leaf, text: &str, origin: Origin) {
        match coerce(leaf, text) {
            Some(value) => self.set(leaf, value, origin),
            None => self.problem(&leaf.key(), &origin, &leaf.expected()),
        }
    }

    fn set(&mut self, leaf: &Leaf, value: toml::Value, origin: Origin) {
        let value = match (leaf.kind, value) {
            // A list of one may be written without brackets.
            (Kind::List, toml::Value::String(one)) => toml::Value::Array(vec![one.into()]),
            (_, value) => value,
        };
        match check::value(leaf, &value) {
            Ok(()) => {
                self.origins.insert(leaf.key(), origin);
                self.insert(leaf, value);
            }
            Err(problem) => self.problem(&leaf.key(), &origin, &problem),
        }
    }

    fn problem(&mut self, key: &str, origin: &Origin, problem: &str) {
        self.problems.push(format!("{key} ({origin}): {problem}"));
    }

    /// A problem with a key whose value has been taken already.
    pub fn later_problem(&mut self, key: &str, problem: &str) {
        match self.origins.get(key).cloned() {
            Some(origin) => self.problem(key, &origin, problem),
            None => self.problems.push(format!("{key}: {problem}")),
        }
    }

    /// Puts a value at its place, whatever was there.
    pub fn insert(&mut self, leaf: &Leaf, value: toml::Value) {
        let Some((name, tables)) = leaf.path.split_last() else {
            return;
        };
        if let Some(table) = self.table_at(tables) {
            table.insert(name.clone(), value);
        }
    }

    /// The table at a path, made if it is not there. A list of tables is a table of its numbers here.
    fn table_at(&mut self, path: &[String]) -> Option<&mut toml::Table> {
        let mut table = &mut self.table;
        for step in path {
            let entry = table
                .entry(step.clone())
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            match entry {
                toml::Value::Table(inner) => table = inner,
                // Cannot be: a path is a key's or a table's, never both.
                _ => return None,
            }
        }
        Some(table)
    }

    /// The key itself, or in a list of tables that of each table there is.
    pub fn each(&self, leaf: &Leaf) -> Vec<Leaf> {
        let mut steps = leaf.path.splitn(2, |step| step == ITEM);
        let (Some(list), Some(rest)) = (steps.next(), steps.next()) else {
            return vec![leaf.clone()];
        };
        let mut table = Some(&self.table);
        for step in list {
            table = table
                .and_then(|table| table.get(step))
                .and_then(toml::Value::as_table);
        }
        let numbers = table.into_iter().flat_map(toml::Table::keys);
        let paths = numbers.map(|number| [list, std::slice::from_ref(number), rest].concat());
        paths
            .map(|path| Leaf {
                path,
                ..leaf.clone()
            })
            .collect()
    }

    /// The value of a key, if a layer set it.
    pub fn get(&self, leaf: &Leaf) -> Option<&toml::Value> {
        let (name, tables) = leaf.path.split_last()?;
        let mut table = &self.table;
        for step in tables {
            table = table.get(step)?.as_table()?;
        }
        table.get(name)
    }

    /// Takes the value of a key away, so that its default stands.
    pub fn remove(&mut self, leaf: &Leaf) -> Option<toml::Value> {
        let (name, tables) = leaf.path.split_last()?;
        let mut table = &mut self.table;
        for step in tables {
            table = table.get_mut(step)?.as_table_mut()?;
        }
        table.remove(name)
    }
}

/// Reads a string as the type of its key, so that a token `00123` or `1e5` stays what it is.
fn coerce(leaf: &Leaf, text: &str) -> Option<toml::Value> {
    match leaf.kind {
        Kind::Text => Some(toml::Value::String(text.to_owned())),
        Kind::Integer => text.trim().parse().ok().map(toml::Value::Integer),
        Kind::Boolean => text.trim().parse().ok().map(toml::Value::Boolean),
        Kind::List => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            let items = items.map(|item| toml::Value::String(item.to_owned()));
            Some(toml::Value::Array(items.collect()))
        }
    }
}

/// A key as it can be shown on one line whatever letters it is made of.
fn shown(path: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let names = path.iter().map(|name| {
        if !name.is_empty() && name.chars().all(plain) {
            name.clone()
        } else {
            format!("{name:?}")
        }
    });
    names.collect::<Vec<_>>().join(".")
}

/// A question after the known name that is nearest to an unknown one.
fn meant(unknown: &str, known: impl Iterator<Item = String>) -> String {
    nearest(unknown, known).map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_written_with_commas() {
        let mut list = leaf("log.filter").expect("a key").clone();
        list.kind = Kind::List;
        let value = coerce(&list, " a, 1 ,,b ").expect("a list");
        assert_eq!(value.to_string(), r#"["a", "1", "b"]"#);
        assert_eq!(check::value(&list, &value), Ok(()));
    }

    #[test]
    fn an_odd_key_is_shown_on_one_line() {
        let path = ["a b".to_owned(), "c\nd".to_owned(), "e".to_owned()];
        assert_eq!(shown(&path), r#""a b"."c\nd".e"#);
    }
}
