//! Profiles: services that run only when they are asked for.

use std::collections::BTreeSet;

use crate::environment::Environment;
use crate::load::services;
use crate::node::{Map, Node};

/// The profiles that are active: those that were asked for, else those of `COMPOSE_PROFILES`.
pub(crate) fn active(asked: &[String], environment: &Environment) -> Vec<String> {
    if !asked.is_empty() {
        return asked.to_vec();
    }
    let list = environment.get("COMPOSE_PROFILES").unwrap_or_default();
    let names = list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// Every profile of a document, sorted.
pub(crate) fn all(document: &Node) -> Vec<String> {
    let services = document.entries("services").map(|(_, service)| of(service));
    let names: BTreeSet<&str> = services.flatten().collect();
    names.into_iter().map(str::to_owned).collect()
}

/// Takes the services out that no active profile wants.
pub(crate) fn disable(document: &mut Node, active: &[String]) -> Map {
    let Some(services) = services(document) else {
        return Map::new();
    };
    if active.iter().any(|name| name == "*") {
        return Map::new();
    }
    let wanted = |service: &Node| {
        let mut names = of(service).peekable();
        names.peek().is_none() || names.any(|name| active.iter().any(|one| one == name))
    };
    let mut disabled = services.clone();
    disabled.retain(|_, service| !wanted(service));
    services.retain(|_, service| wanted(service));
    disabled
}

pub(crate) fn of(service: &Node) -> impl Iterator<Item = &str> {
    let names = service.get("profiles").map_or(&[][..], Node::items);
    names.iter().filter_map(Node::as_str)
}
