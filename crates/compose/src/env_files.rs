//! What `env_file` and `label_file` bring: under what the service says itself.

use std::io::ErrorKind;
use std::path::Path;

use crate::dotenv::{self, Assignment};
use crate::environment::Environment;
use crate::error::{Error, Problem};
use crate::load::take;
use crate::node::{Map, Node, Place};
use crate::project::Said;

/// Reads the files of a service, and takes their names out of it. `said` learns of each variable, under those it knows.
///
/// # Errors
/// A file that must be there and is not, or a wrong one.
pub(crate) fn resolve(
    service: &mut Node,
    name: &str,
    environment: &Environment,
    folder: &Path,
    said: &mut Vec<Said>,
) -> Result<(), Error> {
    let outer = |name: &str| environment.get(name).map(str::to_owned);
    if let Some(files) = take(service, "env_file") {
        let mut under = Map::new();
        let mut notes = Vec::new();
        for (index, file) in files.items().iter().enumerate() {
            let path = format!("services.{name}.env_file.{index}");
            let required = file.get("required").and_then(Node::as_bool) != Some(false);
            let Some((path_name, text)) = read(file, folder, required, &path, "env")? else {
                continue;
            };
            let assignments = match file.text("format") {
                None | Some("") => parse(&text, &path_name, &outer)?,
                Some("raw") => dotenv::raw(&text, &outer),
                Some(other) => {
                    let message = format!("unsupported env_file format \"{other}\"");
                    let problem =
                        Problem::new(&file.place, path, message).hint("'raw' is the one there is");
                    return Err(problem.into());
                }
            };
            for assignment in assignments {
                let place = place(&path_name, assignment.line);
                notes.push(Said {
                    service: name.to_owned(),
                    name: assignment.name.clone(),
                    value: Some(assignment.value.clone()),
                    place: place.clone(),
                });
                under.set(&assignment.name, Node::new(assignment.value, &place));
            }
        }
        notes.append(said);
        *said = notes;
        lay_under(service, "environment", under);
    }
    if let Some(files) = take(service, "label_file") {
        let mut under = Map::new();
        for (index, file) in files.items().iter().enumerate() {
            let path = format!("services.{name}.label_file.{index}");
            let Some((path_name, text)) = read(file, folder, true, &path, "label")? else {
                continue;
            };
            for label in parse(&text, &path_name, &outer)? {
                let place = place(&path_name, label.line);
                under.set(&label.name, Node::new(label.value, &place));
            }
        }
        lay_under(service, "labels", under);
    }
    Ok(())
}

fn place(file: &str, line: u32) -> Place {
    Place {
        line,
        ..Place::start(file)
    }
}

fn parse(
    text: &str,
    file: &str,
    outer: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Assignment>, Error> {
    dotenv::parse(text, outer)
        .map_err(|error| Problem::new(&place(file, error.line), "", error.message).into())
}

/// The name and the text of a file; nothing when it is not there and need not be.
fn read(
    file: &Node,
    folder: &Path,
    required: bool,
    path: &str,
    kind: &str,
) -> Result<Option<(String, String)>, Error> {
    let name = file.text("path").or(file.as_str()).unwrap_or_default();
    let full = folder.join(name);
    let shown = full.to_string_lossy().into_owned();
    match std::fs::read_to_string(&full) {
        Ok(text) => Ok(Some((shown, text))),
        Err(error) if error.kind() == ErrorKind::NotFound && !required => Ok(None),
        Err(error) => {
            let why = match error.kind() {
                ErrorKind::NotFound => format!("{kind} file {shown} not found"),
                _ => format!("{kind} file {shown}: {}", onggi_model::chain(&error)),
            };
            let mut problem = Problem::new(&file.place, path, why);
            if kind == "env" && error.kind() == ErrorKind::NotFound {
                problem = problem.hint("'required: false' lets it be absent");
            }
            Err(Error::not_found(problem))
        }
    }
}

fn lay_under(service: &mut Node, key: &str, mut under: Map) {
    let Some(map) = service.as_map_mut() else {
        return;
    };
    if let Some(own) = map.get(key).and_then(Node::as_map) {
        for entry in own.entries() {
            under.set(&entry.key, entry.value.clone());
        }
    }
    if !under.is_empty() {
        let place = map
            .get(key)
            .map_or_else(Place::nowhere, |node| node.place.clone());
        map.set(key, Node::new(under, &place));
    }
}
