//! Flags and file become one document: each key from the one place that names it, its shape held to the table, and what
//! cannot be had refused by name.

use std::path::Path;

use serde_json::{Map, Value};

use crate::config::Error;
use crate::options::{Entry, Kind, OPTIONS, Standing};

/// The keys that hold other keys, as Docker's file has them.
const NESTING: &str = "proxies";

/// One document, and what to warn of.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// By key; by flag where the file has none.
    pub values: Map<String, Value>,
    pub warnings: Vec<String>,
}

/// Reads a file; one that is not `required` may be absent.
///
/// # Errors
/// It cannot be read, is no JSON object, or names unknown keys.
pub(crate) fn read(path: &Path, required: bool) -> Result<Map<String, Value>, Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {
            return Ok(Map::new());
        }
        Err(source) => {
            return Err(Error::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    // A byte order mark is what editors of Windows leave; dockerd takes it too.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    let file: Map<String, Value> = serde_json::from_str(text).map_err(|source| Error::Parse {
        path: path.to_owned(),
        source,
    })?;
    let mut values = Map::new();
    for (key, value) in file {
        match value {
            Value::Object(inner) if key == NESTING => values.extend(inner),
            value => drop(values.insert(key, value)),
        }
    }
    let mut unknown: Vec<_> = values.keys().filter(|key| !is_key(key)).cloned().collect();
    if unknown.is_empty() {
        return Ok(values);
    }
    unknown.sort();
    Err(Error::Unknown {
        path: path.to_owned(),
        keys: unknown.join(", "),
    })
}

fn is_key(name: &str) -> bool {
    OPTIONS.iter().any(|entry| entry.key == name)
}

/// Joins them.
///
/// # Errors
/// Keys that stand in both, values of another shape, and values that are refused.
pub(crate) fn merge(
    flags: &Map<String, Value>,
    file: Map<String, Value>,
    path: &Path,
) -> Result<Merged, Error> {
    let mut both: Vec<_> = file
        .iter()
        .filter_map(|(key, value)| Some((key, flags.get(key)?, value)))
        .map(|(key, flag, file)| {
            format!(
                "{key}: (from flag: {}, from file: {})",
                shown(flag),
                shown(file)
            )
        })
        .collect();
    if !both.is_empty() {
        both.sort();
        return Err(Error::Both {
            path: path.to_owned(),
            keys: both.join(", "),
        });
    }
    let mut merged = Merged {
        values: file,
        warnings: Vec::new(),
    };
    merged.values.extend(
        flags
            .iter()
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    // A key that is null is a key that is not there.
    merged.values.retain(|_, value| !value.is_null());
    for entry in OPTIONS {
        let Some(value) = merged.values.get(entry.name()) else {
            continue;
        };
        if !fits(entry.kind, value) {
            return Err(Error::Invalid(format!(
                "{}: invalid type: {}, expected {}",
                entry.name(),
                shown(value),
                expected(entry.kind)
            )));
        }
        match entry.standing {
            Standing::Works | Standing::Reloads => {}
            Standing::Idle(unless, why) if !is(value, unless) => {
                merged
                    .warnings
                    .push(format!("{} has no effect: {why}", entry.name()));
            }
            Standing::Refused(unless, why) if !is(value, unless) => {
                return Err(refusal(entry, why));
            }
            Standing::Idle(..) | Standing::Refused(..) => {}
        }
    }
    Ok(merged)
}

fn refusal(entry: &Entry, why: &str) -> Error {
    let flag = match entry.flag {
        "" => String::new(),
        flag => format!(" (--{flag})"),
    };
    Error::Invalid(format!("{}{flag} is not supported: {why}", entry.name()))
}

/// Whether a value is the one that asks for what is so anyway. Nothing always does.
fn is(value: &Value, unless: &str) -> bool {
    match value {
        Value::Array(list) if list.is_empty() => true,
        Value::Object(object) if object.is_empty() => true,
        Value::String(text) if text.is_empty() => true,
        Value::Array(list) => matches!(&list[..], [one] if shown(one) == unless),
        value => shown(value) == unless,
    }
}

/// As Go prints it with `%v`.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let words: Vec<_> = list.iter().map(shown).collect();
            format!("[{}]", words.join(" "))
        }
        Value::Object(object) => {
            let words: Vec<_> = object
                .iter()
                .map(|(key, value)| format!("{key}:{}", shown(value)))
                .collect();
            format!("map[{}]", words.join(" "))
        }
        other => other.to_string(),
    }
}

fn fits(kind: Kind, value: &Value) -> bool {
    let texts = |value: &Value| value.is_string();
    match kind {
        Kind::Bool => value.is_boolean(),
        Kind::Int => value.is_i64(),
        Kind::Text => value.is_string(),
        Kind::Bytes => value.is_string() || value.is_u64(),
        Kind::List => value.as_array().is_some_and(|list| list.iter().all(texts)),
        Kind::Map => value
            .as_object()
            .is_some_and(|object| object.values().all(texts)),
        Kind::Features => value
            .as_object()
            .is_some_and(|object| object.values().all(Value::is_boolean)),
        Kind::Pools => value
            .as_array()
            .is_some_and(|list| list.iter().all(Value::is_object)),
        Kind::Ulimits | Kind::Runtimes => value
            .as_object()
            .is_some_and(|object| object.values().all(Value::is_object)),
        Kind::Object => value.is_object(),
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "true or false",
        Kind::Int => "a whole number",
        Kind::Text => "a text",
        Kind::Bytes => "a size as text or number of bytes",
        Kind::List => "a list of texts",
        Kind::Map => "an object of texts",
        Kind::Features => "an object of truths",
        Kind::Pools => "a list of {\"base\", \"size\"}",
        Kind::Ulimits => "an object of {\"Name\", \"Soft\", \"Hard\"}",
        Kind::Runtimes => "an object of {\"path\"}",
        Kind::Object => "an object",
    }
}
