//! What a project means without saying it: the default network, names, dependencies that follow from other keys, values of
//! variables that are only named.

use std::collections::BTreeSet;

use crate::environment::Environment;
use crate::load::services;
use crate::node::{Map, Node, Place};

/// Sections whose parts have names of their own outside of the project.
const NAMED: [&str; 4] = ["networks", "volumes", "configs", "secrets"];

/// Keys that may name another service whose namespace is shared.
const SHARED: [&str; 5] = ["network_mode", "ipc", "pid", "uts", "cgroup"];

/// Fills in what follows from a document.
pub(crate) fn normalize(document: &mut Node, project: &str, environment: &Environment) {
    default_network(document);
    resolve_variables(document, environment);
    for service in services(document).into_iter().flat_map(Map::values_mut) {
        let Some(service) = service.as_map_mut() else {
            continue;
        };
        if let Some(policy) = service.get_mut("pull_policy")
            && policy.as_str() == Some("if_not_present")
        {
            policy.value = "missing".into();
        }
        if let Some(build) = service.get_mut("build").and_then(Node::as_map_mut)
            && !build.has("dockerfile_inline")
        {
            build.set_missing("dockerfile", "Dockerfile");
        }
        dependencies(service);
    }
    names(document, project);
}

/// Gives the variables of services and builds that are only named the values of the environment.
pub(crate) fn resolve_variables(document: &mut Node, environment: &Environment) {
    let fill = |map: Option<&mut Node>| {
        for (name, value) in map
            .and_then(Node::as_map_mut)
            .into_iter()
            .flat_map(Map::iter_mut)
        {
            if let Some(known) = environment.get(name).filter(|_| value.is_null()) {
                value.value = known.into();
            }
        }
    };
    for service in services(document).into_iter().flat_map(Map::values_mut) {
        let Some(service) = service.as_map_mut() else {
            continue;
        };
        fill(service.get_mut("environment"));
        let build = service.get_mut("build").and_then(Node::as_map_mut);
        fill(build.and_then(|build| build.get_mut("args")));
    }
}

/// A service that names no network is in the default one; it exists when a service is in it.
fn default_network(document: &mut Node) {
    let mut used = false;
    for service in services(document).into_iter().flat_map(Map::values_mut) {
        let Some(service) = service.as_map_mut() else {
            continue;
        };
        if service.has("network_mode") || service.has("provider") {
            continue;
        }
        let named = service.get("networks").and_then(Node::as_map);
        match named {
            Some(networks) if !networks.is_empty() => used |= networks.has("default"),
            _ => {
                let mut networks = Map::new();
                networks.set_missing("default", crate::node::Value::Null);
                service.set("networks", Node::new(networks, &Place::nowhere()));
                used = true;
            }
        }
    }
    let Some(document) = document.as_map_mut().filter(|_| used) else {
        return;
    };
    if document.get("networks").is_none_or(Node::is_null) {
        document.set("networks", Node::new(Map::new(), &Place::nowhere()));
    }
    if let Some(networks) = document.get_mut("networks").and_then(Node::as_map_mut) {
        networks.set_missing("default", Map::new());
    }
}

/// Who shares a namespace of another, links to it or takes its volumes, depends on it.
fn dependencies(service: &mut Map) {
    let mut found: Vec<(String, bool)> = Vec::new();
    let texts = |key: &str| {
        let items = service.get(key).map_or(&[][..], Node::items);
        items
            .iter()
            .filter_map(Node::as_str)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for link in texts("links") {
        let name = link.split(':').next().unwrap_or_default();
        found.push((name.to_owned(), true));
    }
    for key in SHARED {
        let shared = service.get(key).and_then(Node::as_str);
        if let Some(name) = shared.and_then(|shared| shared.strip_prefix("service:")) {
            found.push((name.to_owned(), true));
        }
    }
    for from in texts("volumes_from") {
        if !from.starts_with("container:") {
            let name = from.split(':').next().unwrap_or_default();
            found.push((name.to_owned(), false));
        }
    }
    if found.is_empty() {
        return;
    }
    service.set_missing("depends_on", Map::new());
    let Some(depends) = service.get_mut("depends_on").and_then(Node::as_map_mut) else {
        return;
    };
    for (name, restart) in found {
        let mut dependency = Map::new();
        dependency.set_missing("condition", "service_started");
        if restart {
            dependency.set_missing("restart", true);
        }
        dependency.set_missing("required", true);
        depends.set_missing(&name, dependency);
    }
}

/// What has no name of its own is named after the project and its key; what is external, after its key.
fn names(document: &mut Node, project: &str) {
    for section in NAMED {
        let Some(parts) = document.as_map_mut().and_then(|map| map.get_mut(section)) else {
            continue;
        };
        for (key, part) in parts.as_map_mut().into_iter().flat_map(Map::iter_mut) {
            if part.is_null() {
                part.value = Map::new().into();
            }
            let external = part.get("external").and_then(Node::as_bool) == Some(true);
            if let Some(part) = part.as_map_mut() {
                let name = match external {
                    true => key.to_owned(),
                    false => format!("{project}_{key}"),
                };
                part.set_missing("name", name);
            }
        }
    }
    if let Some(models) = document.as_map_mut().and_then(|map| map.get_mut("models")) {
        for (key, model) in models.as_map_mut().into_iter().flat_map(Map::iter_mut) {
            if let Some(model) = model.as_map_mut() {
                model.set_missing("name", key);
            }
        }
    }
}

/// Leaves out networks, volumes, configs, secrets and models that no service uses.
pub(crate) fn prune(document: &mut Node) {
    let mut used: [BTreeSet<String>; 5] = Default::default();
    for (_, service) in document.entries("services") {
        for (index, section) in ["networks", "volumes", "configs", "secrets", "models"]
            .iter()
            .enumerate()
        {
            used[index].extend(uses(service, section));
        }
    }
    let Some(document) = document.as_map_mut() else {
        return;
    };
    for (section, used) in ["networks", "volumes", "configs", "secrets", "models"]
        .iter()
        .zip(used)
    {
        if let Some(parts) = document.get_mut(section).and_then(Node::as_map_mut) {
            parts.retain(|name, _| used.contains(name));
            if parts.is_empty() {
                document.remove(section);
            }
        }
    }
}

/// What a service uses of a section.
pub(crate) fn uses(service: &Node, section: &str) -> Vec<String> {
    let names = |key: &str| {
        service
            .entries(key)
            .map(|(name, _)| name.to_owned())
            .collect()
    };
    let sources = |node: Option<&Node>| {
        let items = node.map_or(&[][..], Node::items).iter();
        items
            .filter_map(|item| item.text("source"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    match section {
        "networks" | "models" => names(section),
        "volumes" => {
            let items = service.get("volumes").map_or(&[][..], Node::items).iter();
            let volumes =
                items.filter(|item| matches!(item.text("type"), Some("volume" | "cluster")));
            volumes
                .filter_map(|item| item.text("source"))
                .map(str::to_owned)
                .collect()
        }
        "secrets" => {
            let mut all = sources(service.get("secrets"));
            all.extend(sources(service.at(&["build", "secrets"])));
            all
        }
        section => sources(service.get(section)),
    }
}
