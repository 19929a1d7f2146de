//! The variables a project is read with, and where each value comes from: the shell goes before `--env-file`, a later
//! file before an earlier one. Values that lose are kept, so that `config --why` can show them.

use std::collections::BTreeMap;
use std::fmt;

use crate::dotenv::{self, DotenvError};
use crate::error::Problem;
use crate::node::{Mark, Value};
use crate::node::{Node, Place};
use crate::template::{Lookup, substitute};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The environment of the command.
    Shell,
    /// A file of variables.
    File(Place),
    /// Compose itself: `COMPOSE_PROJECT_NAME`.
    Project,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Shell => f.write_str("shell"),
            Source::File(place) => write!(f, "{}:{}", place.file, place.line),
            Source::Project => f.write_str("project name"),
        }
    }
}

/// A value a variable could have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The value.
    pub value: String,
    /// Where it comes from.
    pub source: Source,
}

/// Variables with all the values they could have; the first one is the one they have.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, Vec<Candidate>>,
}

impl Environment {
    /// The environment of a command.
    pub fn shell(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            let source = Source::Shell;
            environment.put_under(name, Candidate { value, source });
        }
        environment
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.candidates(name).first().map(|c| c.value.as_str())
    }

    /// All the values a variable could have, the one it has first.
    pub fn candidates(&self, name: &str) -> &[Candidate] {
        self.variables.get(name).map_or(&[], Vec::as_slice)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .filter_map(|(name, all)| Some((name.as_str(), all.first()?.value.as_str())))
    }

    /// Sets a variable unless it has a value.
    pub(crate) fn put_under(&mut self, name: String, candidate: Candidate) {
        self.variables.entry(name).or_default().push(candidate);
    }

    /// Sets a variable, whatever value it has.
    pub(crate) fn put_over(&mut self, name: &str, candidate: Candidate) {
        let candidates = self.variables.entry(name.to_owned()).or_default();
        candidates.insert(0, candidate);
    }

    /// Puts files of variables under what is there; each is a name and a text, a later one goes before an earlier one.
    ///
    /// # Errors
    /// The name of the file that is wrong, and what is wrong in it.
    pub(crate) fn read_under(
        &mut self,
        files: &[(String, String)],
    ) -> Result<(), (Place, DotenvError)> {
        let mut read: Vec<(String, Candidate)> = Vec::new();
        for (file, text) in files {
            let outer = |name: &str| {
                let own = || read.iter().rev().find(|(known, _)| known == name);
                let known = self.get(name).map(str::to_owned);
                known.or_else(|| own().map(|(_, candidate)| candidate.value.clone()))
            };
            let assignments = dotenv::parse(text, &outer).map_err(|error| {
                let place = Place {
                    line: error.line,
                    ..Place::start(file)
                };
                (place, error)
            })?;
            for assignment in assignments {
                let place = Place {
                    line: assignment.line,
                    ..Place::start(file)
                };
                let candidate = Candidate {
                    value: assignment.value,
                    source: Source::File(place),
                };
                read.push((assignment.name, candidate));
            }
        }
        for (name, candidate) in read.into_iter().rev() {
            self.put_under(name, candidate);
        }
        Ok(())
    }
}

/// One look at a variable while a file was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The variable.
    pub name: String,
    /// Where it is used.
    pub place: Place,
    /// The keys that lead there.
    pub path: String,
    /// What stands for it there when it has no value.
    pub default: Option<String>,
}

/// What is noted while variables are replaced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
    /// Which variables were used where.
    pub(crate) uses: Vec<Use>,
}

impl Notes {
    /// Says something once.
    pub(crate) fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// Replaces the variables in every text of a document.
///
/// # Errors
/// A text with variables that means nothing, or a variable that must have a value and has none.
pub(crate) fn interpolate(
    document: &mut Node,
    environment: &Environment,
    notes: &mut Notes,
) -> Result<(), Problem> {
    walk(document, environment, notes, &mut Vec::new())
}

fn walk(
    node: &mut Node,
    environment: &Environment,
    notes: &mut Notes,
    path: &mut Vec<String>,
) -> Result<(), Problem> {
    if node.mark == Mark::Reset {
        return Ok(());
    }
    match &mut node.value {
        Value::String(text) if text.contains('$') => {
            let mut asking = Asking {
                environment,
                notes,
                place: &node.place,
                path,
            };
            *text = substitute(text, &mut asking)
                .map_err(|error| Problem::new(&node.place, path.join("."), error.to_string()))?;
        }
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push(index.to_string());
                walk(item, environment, notes, path)?;
                path.pop();
            }
        }
        Value::Map(map) => {
            for (key, value) in map.iter_mut() {
                path.push(key.to_owned());
                walk(value, environment, notes, path)?;
                path.pop();
            }
        }
        _ => (),
    }
    Ok(())
}

struct Asking<'a> {
    environment: &'a Environment,
    notes: &'a mut Notes,
    place: &'a Place,
    path: &'a [String],
}

impl Lookup for Asking<'_> {
    fn value(&mut self, name: &str, default: Option<&str>) -> Option<String> {
        self.notes.uses.push(Use {
            name: name.to_owned(),
            place: self.place.clone(),
            path: self.path.join("."),
            default: default.map(str::to_owned),
        });
        self.environment.get(name).map(str::to_owned)
    }

    fn blank(&mut self, name: &str) {
        let warning = format!("The \"{name}\" variable is not set. Defaulting to a blank string.");
        self.notes.warn(warning);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_goes_before_files_and_later_files_before_earlier_ones() {
        let mut environment = Environment::shell([("A".to_owned(), "shell".to_owned())]);
        let files = [
            ("one".to_owned(), "A=1\nB=1\nC=1\n".to_owned()),
            ("two".to_owned(), "A=2\nB=2\nD=$A-$C\n".to_owned()),
        ];
        environment.read_under(&files).unwrap();
        assert_eq!(environment.get("A"), Some("shell"));
        assert_eq!(environment.get("B"), Some("2"));
        assert_eq!(environment.get("D"), Some("shell-1"));
        let sources: Vec<String> = environment
            .candidates("A")
            .iter()
            .map(|candidate| format!("{}={}", candidate.source, candidate.value))
            .collect();
        assert_eq!(sources, ["shell=shell", "two:1=2", "one:1=1"]);
    }
}
