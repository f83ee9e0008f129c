//! From the sources to the settings: lay the layers, read the secrets' files, deserialize, check what is left.

use super::layers::Layers;
use super::schema::{CATALOGUE, Leaf, leaf, leaves};
use super::settings::Settings;
use super::{ConfigError, Sources, relations};
use crate::{files, setting::secret};

/// Reads the configuration.
///
/// # Errors
/// Everything that is wrong, one line each, naming the key and never a value.
pub fn load(sources: Sources) -> Result<Settings, ConfigError> {
    let mut layers = Layers::default();
    if let Some(path) = &sources.file {
        layers.file(path);
    }
    layers.environment(&sources.env);
    layers.flags(&sources.overrides);
    secrets_from_files(&mut layers);
    let settings = deserialize(&mut layers);
    for (key, problem) in relations::problems(&settings) {
        // A key that was refused above is not missing besides; nor is one whose file was.
        if !layers.problems.iter().any(|known| known.starts_with(&key)) {
            layers.later_problem(&key, &problem);
        }
    }
    match layers.problems {
        problems if problems.is_empty() => Ok(settings),
        problems => Err(ConfigError { problems }),
    }
}

/// The key that names the file of a secret.
pub(super) fn file_of(secret: &Leaf) -> Option<Leaf> {
    leaf(&format!("{}_file", secret.key())).filter(|_| secret.secret)
}

fn secrets_from_files(layers: &mut Layers) {
    let secrets = leaves().flat_map(|leaf| layers.each(leaf));
    let secrets: Vec<_> = secrets
        .filter_map(|leaf| Some((file_of(&leaf)?, leaf)))
        .collect();
    for (file, secret) in secrets {
        let Some(path) = layers.get(&file).and_then(toml::Value::as_str) else {
            continue;
        };
        let read = match layers.get(&secret) {
            Some(_) => Err(format!(
                "is set, and so is {}; set only one of them",
                secret.key()
            )),
            None => files::text(path.as_ref(), files::SECRET).and_then(|text| {
                let text = text.trim_end();
                secret::check(text)?;
                Ok(toml::Value::String(text.to_owned()))
            }),
        };
        match read {
            Ok(value) => layers.insert(&secret, value),
            Err(problem) => layers.later_problem(&file.key(), &problem),
        }
    }
}

/// A value that its type refuses is reported and left out, so that the next one can be found too.
fn deserialize(layers: &mut Layers) -> Settings {
    loop {
        let mut table = layers.table.clone();
        for list in CATALOGUE.iter().filter_map(|group| group.list()) {
            if let Some(missing) = into_list(&mut table, list) {
                let problem = format!(
                    "{}: number {missing} is missing: tables are numbered from 0",
                    list.join(".")
                );
                if !layers.problems.contains(&problem) {
                    layers.problems.push(problem);
                }
            }
        }
        let table = toml::Value::Table(table);
        let error = match serde_path_to_error::deserialize(table) {
            Ok(settings) => return settings,
            Err(error) => error,
        };
        // `issuers[0].leeway` is the key `issuers.0.leeway`.
        let key = error.path().to_string().replace('[', ".").replace(']', "");
        let refused = leaf(&key).and_then(|leaf| layers.remove(&leaf).map(|_| leaf));
        let Some(leaf) = refused else {
            // Cannot be: the table holds only known keys. Ends the loop all the same.
            layers.problems.push(format!("{key}: cannot be read"));
            return Settings::default();
        };
        // Values of types whose errors would repeat them have been checked before.
        let problem = format!("{}: {}", leaf.expected(), error.inner().message());
        layers.later_problem(&key, &problem);
    }
}

/// Makes the list of a list of tables, which is a table of numbers until then; the first number that is missing, if one
/// is.
fn into_list(table: &mut toml::Table, path: &[String]) -> Option<usize> {
    let (name, tables) = path.split_last()?;
    let mut table = table;
    for step in tables {
        table = table.get_mut(step)?.as_table_mut()?;
    }
    let numbered = table.get(name)?.as_table()?;
    let mut items: Vec<(usize, toml::Value)> = numbered
        .iter()
        .filter_map(|(number, item)| Some((number.parse().ok()?, item.clone())))
        .collect();
    items.sort_by_key(|(number, _)| *number);
    let missing = (0..)
        .zip(&items)
        .find(|(expected, (number, _))| expected != number)
        .map(|(expected, _)| expected);
    let items = items.into_iter().map(|(_, item)| item).collect();
    table.insert(name.clone(), toml::Value::Array(items));
    missing
}
