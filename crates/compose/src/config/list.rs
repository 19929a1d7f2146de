//! Names of parts, images and variables, as the flags of `config` list them.

use std::collections::BTreeMap;

use crate::node::{Node, Value};
use crate::project::Project;
use crate::template::{self, Variable};

fn names(project: &Project, section: &str) -> Vec<String> {
    let mut names: Vec<String> = project
        .document
        .entries(section)
        .map(|(name, _)| name.to_owned())
        .collect();
    names.sort();
    names
}

/// `--services`: what each depends on goes before it, else by name.
pub fn services(project: &Project) -> Vec<String> {
    let mut done: Vec<String> = Vec::new();
    for name in names(project, "services") {
        after_dependencies(project, &name, &mut done);
    }
    done
}

fn after_dependencies(project: &Project, name: &str, done: &mut Vec<String>) {
    let Some(service) = project.service(name) else {
        return;
    };
    if done.iter().any(|one| one == name) {
        return;
    }
    let mut others: Vec<&str> = service
        .entries("depends_on")
        .map(|(other, _)| other)
        .collect();
    others.sort_unstable();
    for other in others {
        after_dependencies(project, other, done);
    }
    done.push(name.to_owned());
}

/// `--networks`
pub fn networks(project: &Project) -> Vec<String> {
    names(project, "networks")
}

/// `--volumes`
pub fn volumes(project: &Project) -> Vec<String> {
    names(project, "volumes")
}

/// `--models`
pub fn models(project: &Project) -> Vec<String> {
    let all = project.document.entries("models");
    let mut models: Vec<String> = all
        .filter_map(|(_, model)| model.text("model"))
        .map(str::to_owned)
        .collect();
    models.sort();
    models
}

/// `--images`: the image of each service; one that is built and has no name gets the project's and the service's.
pub fn images(project: &Project) -> Vec<String> {
    let mut services: Vec<(&str, &Node)> = project.services().collect();
    services.sort_by_key(|(name, _)| *name);
    let image = |(name, service): (&str, &Node)| match service.text("image") {
        Some(image) if !image.is_empty() => Some(image.to_owned()),
        _ if service.get("provider").is_some() => None,
        _ => Some(format!("{}-{name}", project.name)),
    };
    services.into_iter().filter_map(image).collect()
}

/// `--environment`: the variables the files were read with, `NAME=value`, sorted.
pub fn environment(project: &Project) -> Vec<String> {
    project
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// A line of `--variables`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableRow {
    /// The variable.
    pub name: String,
    /// Must it have a value?
    pub required: bool,
    /// What stands for it when it has none.
    pub default: String,
    /// What stands for it when it has one.
    pub alternate: String,
}

/// `--variables`: the variables in a project's files, by name. The project is one that was loaded without interpolation.
pub fn variables(project: &Project) -> Vec<VariableRow> {
    let mut found = BTreeMap::new();
    collect(&project.document, &mut found);
    for node in project.disabled.iter().map(|(_, node)| node) {
        collect(node, &mut found);
    }
    found.into_values().collect()
}

fn collect(node: &Node, found: &mut BTreeMap<String, VariableRow>) {
    match &node.value {
        Value::String(text) => {
            for variable in template::variables(text).unwrap_or_default() {
                add(variable, found);
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Map(map) => map.iter().for_each(|(_, node)| collect(node, found)),
        _ => (),
    }
}

/// Of several uses what one says is kept: a default does not go because another use has none.
fn add(variable: Variable, found: &mut BTreeMap<String, VariableRow>) {
    let row = found.entry(variable.name.clone()).or_insert(VariableRow {
        name: variable.name,
        required: false,
        default: String::new(),
        alternate: String::new(),
    });
    row.required |= variable.required;
    if row.default.is_empty() {
        row.default = variable.default.unwrap_or_default();
    }
    if row.alternate.is_empty() {
        row.alternate = variable.alternate.unwrap_or_default();
    }
}
