//! What the schema cannot say: names that must exist, keys that exclude each other, circles.

mod cycle; // services that wait for each other
mod service; // one service

use crate::error::{Error, Problem};
use crate::load::services;
use crate::node::{Map, Node};

/// Checks what a document declares, before names are filled in.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn declarations(document: &Node) -> Result<(), Problem> {
    for (section, keys) in [
        ("configs", &["file", "environment", "content"][..]),
        ("secrets", &["file", "environment"]),
    ] {
        for (name, part) in document.entries(section) {
            source(part, &format!("{section}.{name}"), keys)?;
        }
    }
    for section in ["networks", "volumes", "configs", "secrets"] {
        for (name, part) in document.entries(section) {
            external(part, &format!("{section}.{name}"), section)?;
        }
    }
    for (name, service) in document.entries("services") {
        service::declarations(name, service)?;
    }
    Ok(())
}

/// A config or secret comes from one place.
fn source(part: &Node, path: &str, keys: &[&str]) -> Result<(), Problem> {
    let count = keys.iter().filter(|key| part.get(key).is_some()).count();
    let all = keys.join("|");
    match count {
        0 if part.get("external").is_none() && part.get("driver").is_none() => Err(Problem::new(
            &part.place,
            path,
            format!("one of {all} must be set"),
        )),
        0 | 1 => Ok(()),
        _ => Err(Problem::new(
            &part.place,
            path,
            format!("{all} attributes are mutually exclusive"),
        )),
    }
}

/// What exists already is only named.
fn external(part: &Node, path: &str, section: &str) -> Result<(), Problem> {
    if part.get("external").and_then(Node::as_bool) != Some(true) {
        return Ok(());
    }
    let Some(map) = part.as_map() else {
        return Ok(());
    };
    let odd = map.entries().iter().find(|entry| {
        let nothing = entry.value.as_map().is_some_and(Map::is_empty);
        !nothing
            && !matches!(entry.key.as_str(), "external" | "name")
            && !entry.key.starts_with("x-")
    });
    match odd {
        None => Ok(()),
        Some(entry) => {
            let message = format!(
                "conflicting parameters \"external\" and \"{}\" specified for {} \"{}\"",
                entry.key,
                section.trim_end_matches('s'),
                path.split_once('.').map_or(path, |(_, name)| name),
            );
            Err(Problem::new(&entry.place, path, message))
        }
    }
}

/// Checks that what services name is there, and that each means something.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn consistency(document: &Node) -> Result<(), Error> {
    let mut names: Vec<(&str, &str)> = Vec::new();
    for (name, service) in document.entries("services") {
        service::consistency(document, name, service)?;
        if let Some(node) = service.get("container_name")
            && let Some(own) = node.as_str()
        {
            if let Some((other, _)) = names.iter().find(|(_, taken)| *taken == own) {
                let path = format!("services.{name}.container_name");
                let message =
                    format!("container name \"{own}\" is already in use by service \"{other}\"");
                return Err(Problem::new(&node.place, path, message).into());
            }
            names.push((name, own));
        }
    }
    cycle::check(document)?;
    Ok(())
}

/// Checks that what services need is not disabled, and forgets what they can do without.
///
/// # Errors
/// A service that is needed and in no active profile.
pub(crate) fn dependencies(document: &mut Node, disabled: &Map) -> Result<(), Error> {
    let Some(services) = services(document) else {
        return Ok(());
    };
    let there: Vec<String> = services.iter().map(|(name, _)| name.to_owned()).collect();
    for (name, service) in services.iter_mut() {
        let Some(service) = service.as_map_mut() else {
            continue;
        };
        let Some(depends) = service.get_mut("depends_on").and_then(Node::as_map_mut) else {
            continue;
        };
        for entry in depends.entries() {
            let required = entry.value.get("required").and_then(Node::as_bool) != Some(false);
            if required && disabled.has(&entry.key) {
                let path = format!("services.{name}.depends_on");
                let message = format!(
                    "service \"{name}\" depends on undefined service \"{}\"",
                    entry.key
                );
                let problem = Problem::new(&entry.value.place, path, message);
                return Err(problem.hint("it is in no active profile").into());
            }
        }
        depends.retain(|other, _| there.iter().any(|name| name == other));
        if depends.is_empty() {
            service.remove("depends_on");
        }
    }
    Ok(())
}
