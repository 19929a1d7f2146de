//! Short forms to long ones: after this a key has one shape, whichever way it was written, so that merging, checking and
//! printing need to know only that one. Nothing is filled in that the file does not say; that is `defaults`.

mod lists; // KEY=value, names, one text or several
mod mounts; // volumes, devices, configs and secrets of a service
mod ports; // published ports
mod words; // commands as a shell cuts them

use std::sync::LazyLock;

use crate::error::Problem;
use crate::node::{Map, Mark, Node, Value};
use crate::table::{Branch, Table};

/// Gives a part its long form, or says why that cannot be.
type Rule = fn(&mut Node) -> Result<(), String>;

static RULES: LazyLock<Table<Rule>> = LazyLock::new(|| {
    Table::new(&[
        (
            "services.*.{annotations,labels,sysctls}",
            lists::pairs as Rule,
        ),
        ("services.*.deploy.labels", lists::pairs),
        (
            "services.*.deploy.resources.reservations.devices.*.options",
            lists::pairs,
        ),
        ("services.*.gpus", gpus),
        ("services.*.gpus.*.options", lists::pairs),
        ("services.*.environment", lists::variables),
        (
            "services.*.{post_start,pre_stop}.*.environment",
            lists::variables,
        ),
        ("services.*.{post_start,pre_stop}.*.command", words::command),
        ("services.*.develop.watch.*.{ignore,include}", lists::texts),
        (
            "services.*.develop.watch.*.exec.environment",
            lists::variables,
        ),
        ("services.*.develop.watch.*.exec.command", words::command),
        ("services.*.build", build),
        ("services.*.build.args", lists::variables),
        (
            "services.*.build.{labels,additional_contexts}",
            lists::pairs,
        ),
        ("services.*.build.ssh", lists::variables),
        ("services.*.build.extra_hosts", lists::hosts),
        ("services.*.build.secrets.*", mounts::file),
        ("services.*.{configs,secrets}.*", mounts::file),
        ("services.*.{command,entrypoint}", words::command),
        ("services.*.healthcheck.test", words::test),
        ("services.*.depends_on", depends_on),
        ("services.*.networks", lists::names),
        ("services.*.models", lists::empty_maps),
        ("services.*.{dns,dns_search,tmpfs,label_file}", lists::texts),
        ("services.*.env_file", env_files),
        ("services.*.extra_hosts", lists::hosts),
        ("services.*.extends", extends),
        ("services.*.devices.*", mounts::device),
        ("services.*.ports", ports::ports),
        ("services.*.volumes.*", mounts::volume),
        ("services.*.volumes.*.volume.labels", lists::pairs),
        ("{networks,volumes,configs,secrets}.*", external),
        ("{networks,volumes,configs,secrets}.*.labels", lists::pairs),
    ])
});

/// What becomes of a short form that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is an error.
    Refused,
    /// It stays as it is: its variables have no values yet.
    Kept,
}

/// Gives every part of a document its long form.
///
/// # Errors
/// A short form that means nothing.
pub(crate) fn canonical(document: &mut Node, unreadable: Unreadable) -> Result<(), Problem> {
    walk(document, RULES.root(), unreadable, &mut Vec::new())
}

fn walk(
    node: &mut Node,
    branch: &Branch<Rule>,
    unreadable: Unreadable,
    path: &mut Vec<String>,
) -> Result<(), Problem> {
    if node.mark == Mark::Reset {
        return Ok(());
    }
    if let Some(rule) = branch.rule
        && let Err(message) = rule(node)
    {
        if unreadable == Unreadable::Kept {
            return Ok(());
        }
        return Err(Problem::new(&node.place, path.join("."), message));
    }
    match &mut node.value {
        Value::Map(map) => {
            for (key, value) in map.iter_mut() {
                if let Some(branch) = branch.child(key) {
                    path.push(key.to_owned());
                    walk(value, branch, unreadable, path)?;
                    path.pop();
                }
            }
        }
        Value::List(items) => {
            if let Some(branch) = branch.item() {
                for (index, item) in items.iter_mut().enumerate() {
                    path.push(index.to_string());
                    walk(item, branch, unreadable, path)?;
                    path.pop();
                }
            }
        }
        _ => (),
    }
    Ok(())
}

/// A map of one part, in the place of the short form.
fn only(key: &str, node: &mut Node) {
    let value = Node::new(std::mem::replace(&mut node.value, Value::Null), &node.place);
    let mut map = Map::new();
    map.set(key, value);
    node.value = Value::Map(map);
}

/// `build: .`
fn build(node: &mut Node) -> Result<(), String> {
    if node.as_str().is_some() {
        only("context", node);
    }
    Ok(())
}

/// `extends: base`
fn extends(node: &mut Node) -> Result<(), String> {
    if node.as_str().is_some() {
        only("service", node);
    }
    Ok(())
}

/// `depends_on: [db]`
fn depends_on(node: &mut Node) -> Result<(), String> {
    if !matches!(node.value, Value::List(_)) {
        return Ok(());
    }
    let mut map = Map::new();
    for item in node.items() {
        if let Some(name) = item.as_str() {
            let mut dependency = Map::new();
            dependency.set("condition", Node::new("service_started", &item.place));
            dependency.set("required", Node::new(true, &item.place));
            map.set(name, Node::new(dependency, &item.place));
        }
    }
    node.value = Value::Map(map);
    Ok(())
}

/// `env_file: one`, `env_file: [one, two]`
fn env_files(node: &mut Node) -> Result<(), String> {
    lists::texts(node)?;
    if let Value::List(items) = &mut node.value {
        let short = items.iter_mut().filter(|item| item.as_str().is_some());
        short.for_each(|item| only("path", item));
    }
    Ok(())
}

/// `gpus: all`
fn gpus(node: &mut Node) -> Result<(), String> {
    if node.as_str() == Some("all") {
        only("count", node);
        let one = Node::new(std::mem::replace(&mut node.value, Value::Null), &node.place);
        node.value = Value::List(vec![one]);
    }
    Ok(())
}

/// `external: {name: real}`
fn external(node: &mut Node) -> Result<(), String> {
    let Some(map) = node.as_map_mut() else {
        return Ok(());
    };
    let Some(external) = map.get("external").filter(|node| node.as_map().is_some()) else {
        return Ok(());
    };
    let place = external.place.clone();
    let name = external.get("name").cloned();
    if let Some(name) = name {
        if map.get("name").is_some_and(|own| *own != name) {
            return Err("name and external.name are mutually exclusive; use name alone".to_owned());
        }
        map.set("name", name);
    }
    map.set("external", Node::new(true, &place));
    Ok(())
}
