//! Settings in layers: defaults < file < files beside it < environment < flags.
//!
//! A program describes its settings as one serde type with `#[serde(default, deny_unknown_fields)]` and a
//! `Default`; this module merges the layers as TOML tables and reads the type from the result. Errors name
//! the file, line and nearest known key, or the variable, or the flag.

mod explain;
mod secret;

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

pub use secret::Secret;

/// Why the settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("failed to read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
    /// The file says something that is not understood.
    #[error("{place}: {problem}")]
    File {
        /// `path:line:column`.
        place: String,
        /// What is wrong, with the nearest known key for an unknown one.
        problem: String,
    },
    /// A variable or flag says something that is not understood.
    #[error("{origin}: {problem}")]
    Override {
        /// The variable, or the flag's key.
        origin: String,
        /// What is wrong.
        problem: String,
    },
    /// Settings that are each well-formed but wrong together.
    #[error("{0}")]
    Invalid(String),
}

/// Where settings come from, besides the type's defaults.
#[derive(Debug, Default)]
pub struct Sources<'a> {
    /// The file, which must exist.
    pub file: Option<&'a Path>,
    /// More files, each outweighing those before it ([`drop_ins`]).
    pub drop_ins: Vec<PathBuf>,
    /// The prefix of environment variables: `PREFIX__SECTION__KEY`.
    pub env_prefix: &'a str,
    /// The environment.
    pub env: Vec<(String, String)>,
    /// Flags, as (`section.key`, value).
    pub flags: Vec<(&'a str, String)>,
}

/// Reads settings from all sources.
///
/// # Errors
/// [`ConfigError`], for the first problem found.
pub fn load<T>(sources: &Sources<'_>) -> Result<T, ConfigError>
where
    T: Serialize + DeserializeOwned + Default,
{
    let mut merged =
        Table::try_from(T::default()).map_err(|error| ConfigError::Invalid(error.to_string()))?;
    if let Some(path) = sources.file {
        merge(&mut merged, read_file::<T>(path)?);
    }
    for path in &sources.drop_ins {
        merge(&mut merged, read_file::<T>(path)?);
    }
    let prefix = format!("{}__", sources.env_prefix);
    let variables = sources
        .env
        .iter()
        .filter_map(|(name, value)| Some((name, name.strip_prefix(&prefix)?, value)))
        .map(|(name, key, value)| (name.clone(), key.to_lowercase().replace("__", "."), value.clone()));
    let flags = sources
        .flags
        .iter()
        .map(|(key, value)| (format!("flag for {key}"), (*key).to_owned(), value.clone()));
    for (origin, key, text) in variables.chain(flags) {
        apply::<T>(&mut merged, origin, &key, &text)?;
    }
    read(&merged).map_err(|error| ConfigError::Invalid(explain::problem(error.message())))
}

/// The settings of a table, by way of its text: what reads a type from text is made for each type, and there once already.
fn read<T: DeserializeOwned>(table: &Table) -> Result<T, toml::de::Error> {
    toml::from_str(&table.to_string())
}

/// The files that belong to a settings file: `config.d/*.toml` beside `config.toml`, in the order of their names. None
/// when there is no such directory.
///
/// # Errors
/// [`ConfigError::Unreadable`], when the directory is there and can't be read.
pub fn drop_ins(file: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let directory = file.with_extension("d");
    let unreadable = |source| ConfigError::Unreadable { path: directory.clone(), source };
    let entries = match std::fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The settings as TOML, with secrets masked.
#[must_use]
pub fn show<T: Serialize>(settings: &T) -> String {
    toml::to_string_pretty(settings).unwrap_or_default()
}

/// Checks the file alone, because only its own text has lines to point at.
fn read_file<T: DeserializeOwned>(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let wrong = |error: toml::de::Error| ConfigError::File {
        place: explain::place(path, &text, error.span()),
        problem: explain::problem(error.message()),
    };
    toml::from_str::<T>(&text).map_err(wrong)?;
    toml::from_str(&text).map_err(wrong)
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// Sets one key from text and reads the whole again, so that an error belongs to this key.
fn apply<T: DeserializeOwned>(
    merged: &mut Table,
    origin: String,
    key: &str,
    text: &str,
) -> Result<(), ConfigError> {
    let before = merged.clone();
    let attempt = |value: Value| {
        let mut table = before.clone();
        set(&mut table, key, value).map(|()| table)
    };
    let check = |table: Table| read::<T>(&table).map(|_| table);
    // The type of a key is known to serde alone. A text is tried first, because it is never wrong for a
    // string; what needs a number or a list is then read as TOML.
    let as_text = attempt(Value::String(text.to_owned()))
        .and_then(|table| check(table).map_err(|error| explain::problem(error.message())));
    let outcome = as_text.or_else(|problem| {
        let Ok(parsed) = format!("value = {text}").parse::<Table>() else { return Err(problem) };
        let value = parsed.get("value").cloned().ok_or_else(|| problem.clone())?;
        attempt(value).and_then(|table| check(table).map_err(|_| problem))
    });
    *merged = outcome.map_err(|problem| ConfigError::Override { origin, problem })?;
    Ok(())
}

fn set(table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
            Ok(())
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            let inner = inner.as_table_mut().ok_or_else(|| format!("\"{section}\" is not a section"))?;
            set(inner, rest, value)
        }
    }
}

#[cfg(test)]
mod tests;
