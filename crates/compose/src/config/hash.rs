//! The hash of a service: of what its containers are made of, and of nothing else. How a service is built, how many
//! containers it has, what it waits for and when its image is pulled do not make its containers others; the content of
//! configs and secrets does.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::json::value;
use super::shape::{Format, shape};
use crate::node::Node;
use crate::normalize::uses;
use crate::project::Project;

/// Keys that say nothing of the containers themselves.
const OUTSIDE: [&str; 9] = [
    "build",
    "depends_on",
    "develop",
    "env_file",
    "label_file",
    "profiles",
    "pull_policy",
    "pull_refresh_after",
    "scale",
];

/// The same, of its deployment.
const OUTSIDE_OF_DEPLOY: [&str; 3] = ["replicas", "update_config", "rollback_config"];

/// The hash of a service, 64 hexadecimal digits; `None` where there is no such service.
pub fn hash(project: &Project, service: &str) -> Option<String> {
    of(project, &shape(&project.document, Format::Json), service)
}

/// The hashes of all services, by their names.
pub fn hashes(project: &Project) -> BTreeMap<String, String> {
    let shaped = shape(&project.document, Format::Json);
    let one = |(name, _): (&str, _)| Some((name.to_owned(), of(project, &shaped, name)?));
    project.services().filter_map(one).collect()
}

fn of(project: &Project, shaped: &Node, service: &str) -> Option<String> {
    let node = project.service(service)?;
    let mut own = value(shaped.at(&["services", service])?);
    if let Some(own) = own.as_object_mut() {
        own.retain(|key, _| !OUTSIDE.contains(&key.as_str()) && !key.starts_with("x-"));
        if let Some(deploy) = own.get_mut("deploy").and_then(Json::as_object_mut) {
            deploy.retain(|key, _| !OUTSIDE_OF_DEPLOY.contains(&key.as_str()));
        }
        own.retain(|key, value| key != "deploy" || *value != json!({}));
    }
    let mut parts = serde_json::Map::new();
    for section in ["networks", "volumes"] {
        for name in uses(node, section) {
            let real = project
                .document
                .at(&[section, &name])
                .and_then(|part| part.text("name"));
            parts.insert(format!("{section}.{name}"), json!(real));
        }
    }
    for section in ["configs", "secrets"] {
        for mount in node.get(section).map_or(&[][..], Node::items) {
            let Some(name) = mount.text("source") else {
                continue;
            };
            if let Some(part) = project.document.at(&[section, name]) {
                parts.insert(format!("{section}.{name}"), json!(content(project, part)));
            }
        }
    }
    parts.sort_keys();
    let whole = json!({"service": own, "uses": parts});
    Some(hex(whole.to_string().as_bytes()))
}

/// What a config or a secret holds, hashed; its name where it is held elsewhere.
fn content(project: &Project, part: &Node) -> String {
    let bytes = match (
        part.text("content"),
        part.text("environment"),
        part.text("file"),
    ) {
        (Some(content), ..) => Some(content.as_bytes().to_vec()),
        (_, Some(variable), _) => project
            .environment
            .get(variable)
            .map(|value| value.as_bytes().to_vec()),
        (.., Some(file)) => std::fs::read(project.directory.join(Path::new(file))).ok(),
        _ => None,
    };
    match bytes {
        Some(bytes) => hex(&bytes),
        None => part.text("name").unwrap_or_default().to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
