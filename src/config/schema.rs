//! The JSON schema of the settings, and the catalogue of keys read from it.
//!
//! The schema is the one description of the configuration: unknown keys, the coercion of strings, ranges and
//! the documents all come from it. Its own keywords: `x-secret` marks a credential, `x-min` and `x-max`
//! bound a span. How a string is written stands in `pattern`, and for people in `title`.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::PREFIX;
use super::settings::Settings;
use crate::setting::Span;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Boolean,
    /// A list of strings.
    List,
}

/// What stands for the number of a table in a list of tables, in the path of a key.
pub(super) const ITEM: &str = "*";
/// Most tables in a list.
pub(super) const MOST_ITEMS: usize = 16;

/// A key of the configuration, as the schema describes it.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub path: Vec<String>,
    pub kind: Kind,
    pub description: String,
    pub default: Option<Value>,
    pub secret: bool,
    /// How its text is written.
    pub form: Option<String>,
    /// The words it may be, each with its meaning; empty if any text will do.
    pub choices: Vec<(String, String)>,
    pub integers: Option<(i64, i64)>,
    pub spans: Option<(Span, Span)>,
    pub may_be_empty: bool,
}

/// A table of the configuration, with the keys directly in it.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub path: Vec<String>,
    pub description: String,
    pub leaves: Vec<Leaf>,
}

impl Group {
    /// The path of the list, if the table is one of a list of tables.
    pub fn list(&self) -> Option<&[String]> {
        let (last, list) = self.path.split_last()?;
        (last == ITEM).then_some(list)
    }
}

/// Every table with its keys, in the order of their definition, a table before the tables within it.
pub(super) static CATALOGUE: LazyLock<Vec<Group>> = LazyLock::new(|| {
    let settings = SchemaSettings::draft07().for_serialize();
    let mut groups = Vec::new();
    collect(&generate(settings), &[], &mut groups);
    groups
});

/// Every key.
pub(super) fn leaves() -> impl Iterator<Item = &'static Leaf> {
    CATALOGUE.iter().flat_map(|group| &group.leaves)
}

/// The key with this dotted name.
pub(super) fn leaf(key: &str) -> Option<Leaf> {
    let path: Vec<_> = key.split('.').map(str::to_owned).collect();
    leaf_at(&path)
}

/// The key at this path; in a list of tables, that of the table with this number.
pub(super) fn leaf_at(path: &[String]) -> Option<Leaf> {
    let known = leaves().find(|leaf| leaf.path.len() == path.len() && leaf.begins_with(path))?;
    Some(Leaf {
        path: path.to_vec(),
        ..known.clone()
    })
}

/// Whether a step of a path is the number of a table in a list.
fn is_number(step: &str) -> bool {
    let number = step.parse::<usize>();
    number.is_ok_and(|number| number < MOST_ITEMS && number.to_string() == step)
}

/// Whether a step of a path is what the schema has there.
fn is_step(known: &str, step: &str) -> bool {
    known == step || known == ITEM && is_number(step)
}

impl Settings {
    /// The JSON schema (draft 7) of the configuration file.
    #[must_use]
    pub fn schema() -> Value {
        generate(SchemaSettings::draft07())
    }
}

fn generate(settings: SchemaSettings) -> Value {
    let mut schema: Value = settings
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<Settings>()
        .into();
    tidy(&mut schema);
    schema
}

/// Drops what only repeats: the default of a whole table, `null` or an empty list for what has no default,
/// Rust's number formats.
fn tidy(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    object.retain(|keyword, value| match keyword.as_str() {
        "default" => {
            let is_empty = value.as_array().is_some_and(Vec::is_empty);
            !value.is_null() && !value.is_object() && !is_empty
        }
        "format" => value
            .as_str()
            .is_some_and(|format| !format.starts_with("uint")),
        _ => true,
    });
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(tidy);
    }
    if let Some(items) = object.get_mut("items") {
        tidy(items);
    }
}

/// A serializing schema lists every property as `required`, in the order of definition; `properties` is sorted.
fn collect(schema: &Value, path: &[String], groups: &mut Vec<Group>) {
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    let properties = properties.unwrap_or(&empty);
    let required = schema.get("required").and_then(Value::as_array);
    let ordered = required.into_iter().flatten().filter_map(Value::as_str);

    let mut leaves = Vec::new();
    let mut tables = Vec::new();
    for (name, property) in ordered.filter_map(|name| properties.get_key_value(name)) {
        let mut inner = path.to_vec();
        inner.push(name.clone());
        let items = property.get("items");
        let tables_of = items.filter(|items| items.get("properties").is_some());
        match (property.get("properties"), tables_of) {
            (Some(_), _) => tables.push((inner, property)),
            (None, Some(items)) => {
                inner.push(ITEM.to_owned());
                tables.push((inner, items));
            }
            (None, None) => leaves.push(Leaf::read(inner, property)),
        }
    }
    groups.push(Group {
        path: path.to_vec(),
        description: text(schema, "description").unwrap_or_default(),
        leaves,
    });
    for (inner, table) in tables {
        collect(table, &inner, groups);
    }
}

/// The type, or the first of several.
fn first_type(types: &Value) -> &str {
    let first = types.as_array().and_then(|types| types.first());
    first.unwrap_or(types).as_str().unwrap_or_default()
}

/// A text of the schema, its line breaks turned to spaces.
fn text(schema: &Value, keyword: &str) -> Option<String> {
    let text = schema.get(keyword)?.as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

impl Leaf {
    fn read(path: Vec<String>, schema: &Value) -> Self {
        let integer = |keyword| schema.get(keyword).and_then(Value::as_i64);
        let span = |keyword| text(schema, keyword).and_then(|text| text.parse().ok());
        // The words of a list are its items'.
        let worded = schema.get("items").unwrap_or(schema);
        let variants = worded.get("oneOf").and_then(Value::as_array);
        let choices = variants.into_iter().flatten().filter_map(|variant| {
            let meaning = text(variant, "description").unwrap_or_default();
            Some((text(variant, "const")?, meaning))
        });
        Self {
            path,
            kind: match schema.get("type").map(first_type) {
                Some("integer") => Kind::Integer,
                Some("boolean") => Kind::Boolean,
                Some("array") => Kind::List,
                _ => Kind::Text,
            },
            description: text(schema, "description").unwrap_or_default(),
            default: schema.get("default").cloned(),
            secret: schema.get("x-secret") == Some(&Value::Bool(true)),
            form: text(schema, "title"),
            choices: choices.collect(),
            integers: integer("minimum").zip(integer("maximum")),
            spans: span("x-min").zip(span("x-max")),
            may_be_empty: integer("minLength").is_none_or(|length| length == 0),
        }
    }

    /// Its dotted name: `providers.verifik.token`.
    pub fn key(&self) -> String {
        self.path.join(".")
    }

    /// Its name within its table.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// Its environment variable: `IDGW_PROVIDERS__VERIFIK__TOKEN`.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.join("__").to_ascii_uppercase())
    }

    /// Whether the path is its own, or that of a table that it is in.
    pub fn begins_with(&self, path: &[String]) -> bool {
        let mut steps = self.path.iter().zip(path);
        path.len() <= self.path.len() && steps.all(|(known, step)| is_step(known, step))
    }

    /// Whether a list of tables is at the path that it is in.
    pub fn is_in_list_at(&self, path: &[String]) -> bool {
        self.begins_with(path) && self.path.get(path.len()).is_some_and(|step| step == ITEM)
    }

    /// Itself, if this is its environment variable.
    pub fn of_variable(&self, name: &str) -> Option<Self> {
        let path: Vec<_> = name
            .strip_prefix(PREFIX)?
            .split("__")
            .map(str::to_ascii_lowercase)
            .collect();
        let is_it = path.len() == self.path.len() && self.begins_with(&path);
        let own = Self {
            path,
            ..self.clone()
        };
        (is_it && own.variable() == name).then_some(own)
    }

    /// What it must be.
    pub fn expected(&self) -> String {
        let form = match (&self.form, self.kind) {
            (Some(form), _) => form.clone(),
            (None, Kind::Text) if !self.choices.is_empty() => {
                let words: Vec<_> = self.choices.iter().map(|(word, _)| word.as_str()).collect();
                format!("one of {}", words.join(", "))
            }
            (None, Kind::Text) if self.may_be_empty => "a string".to_owned(),
            (None, Kind::Text) => "a string that is not empty".to_owned(),
            (None, Kind::Integer) => "a whole number".to_owned(),
            (None, Kind::Boolean) => "true or false".to_owned(),
            (None, Kind::List) if !self.choices.is_empty() => {
                let words: Vec<_> = self.choices.iter().map(|(word, _)| word.as_str()).collect();
                format!("one or several of {}", words.join(", "))
            }
            (None, Kind::List) => "a list of strings".to_owned(),
        };
        match self.range() {
            Some(range) => format!("expected {form}, {range}"),
            None => format!("expected {form}"),
        }
    }

    /// The range of its values.
    pub fn range(&self) -> Option<String> {
        if let Some((min, max)) = self.integers {
            return Some(if min == max {
                format!("{min} only")
            } else {
                format!("{min} to {max}")
            });
        }
        self.spans.map(|(min, max)| format!("{min} to {max}"))
    }

    /// All that is to be said of it: its description, the words it may be, its range.
    pub fn meaning(&self) -> String {
        let mut meaning = self.description.clone();
        for (word, about) in &self.choices {
            meaning.push_str(&format!(" `{word}`: {about}"));
        }
        if let Some(range) = self.range() {
            meaning.push_str(&format!(" Range: {range}."));
        }
        meaning
    }
}
