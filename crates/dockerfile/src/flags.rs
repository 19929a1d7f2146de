//! The flags of one instruction: which it has, and their values.

use crate::suggest;
use crate::{Error, Statement};

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// `--link`, `--link=false`
    Truth,
    /// One value.
    Value,
    /// A value, each time it is given.
    Values,
}

/// The flags that were given, checked against those that exist.
#[derive(Debug)]
pub(crate) struct Flags(Vec<(&'static str, String)>);

impl Flags {
    /// Of a statement whose instruction has the flags `known`.
    pub(crate) fn of(
        statement: &Statement,
        known: &'static [(&'static str, Takes)],
    ) -> Result<Self, Error> {
        let mut given: Vec<(&'static str, String)> = Vec::new();
        for flag in &statement.flags {
            let flag = flag.strip_prefix("--").unwrap_or(flag);
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            let Some(&(known_name, takes)) = known.iter().find(|(known, _)| *known == name) else {
                let message = format!("unknown flag: --{name}");
                let names = known.iter().map(|(known, _)| *known);
                return Err(Error::new(suggest::with(message, name, names)));
            };
            if takes != Takes::Values && given.iter().any(|(seen, _)| *seen == name) {
                return Err(Error::new(format!("duplicate flag specified: --{name}")));
            }
            let value = match (takes, value) {
                (Takes::Truth, None) => "true".to_owned(),
                (Takes::Truth, Some("")) | (Takes::Value | Takes::Values, None) => {
                    return Err(Error::new(format!("missing a value on flag: --{name}")));
                }
                (Takes::Truth, Some(value)) => match value.to_ascii_lowercase() {
                    truth if truth == "true" || truth == "false" => truth,
                    _ => {
                        return Err(Error::new(format!(
                            "expecting boolean value for flag --{name}, not: {value}"
                        )));
                    }
                },
                (Takes::Value | Takes::Values, Some(value)) => value.to_owned(),
            };
            given.push((known_name, value));
        }
        Ok(Self(given))
    }

    /// The value, if it was given and is not empty.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.values(name)
            .into_iter()
            .find(|value| !value.is_empty())
    }

    /// All values.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        let mine = self.0.iter().filter(|(given, _)| *given == name);
        mine.map(|(_, value)| value.clone()).collect()
    }

    /// Whether it is on; `None` if it was not given.
    pub(crate) fn truth(&self, name: &str) -> Option<bool> {
        self.values(name).first().map(|value| value == "true")
    }
}
