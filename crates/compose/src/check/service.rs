//! One service: keys that exclude each other, and names that must exist.

use crate::error::Problem;
use crate::node::Node;
use crate::normalize::uses;

/// Keys of old and the places where they are written now; both may be there if they say the same.
const TWICE: [(&str, [&str; 4]); 5] = [
    ("scale", ["deploy", "replicas", "", ""]),
    ("cpus", ["deploy", "resources", "limits", "cpus"]),
    ("mem_limit", ["deploy", "resources", "limits", "memory"]),
    (
        "mem_reservation",
        ["deploy", "resources", "reservations", "memory"],
    ),
    ("pids_limit", ["deploy", "resources", "limits", "pids"]),
];

/// What is wrong with a service by itself.
pub(super) fn declarations(name: &str, service: &Node) -> Result<(), Problem> {
    let at = |key: &str| format!("services.{name}.{key}");
    for (index, volume) in service
        .get("volumes")
        .map_or(&[][..], Node::items)
        .iter()
        .enumerate()
    {
        let path = at(&format!("volumes.{index}"));
        let missing = |what: &str| {
            let kind = volume.text("type").unwrap_or_default();
            let message =
                format!("invalid mount config for type \"{kind}\": field {what} must not be empty");
            Err(Problem::new(&volume.place, path.clone(), message))
        };
        let empty = |key: &str| volume.text(key).is_none_or(str::is_empty);
        if volume.as_map().is_none() {
            continue;
        }
        if empty("target") {
            return missing("target");
        }
        match volume.text("type") {
            Some("bind" | "image" | "cluster") if empty("source") => return missing("source"),
            Some("tmpfs") if !empty("source") => {
                let message = "invalid mount config for type \"tmpfs\": field source must be empty";
                return Err(Problem::new(&volume.place, path, message));
            }
            Some("npipe") => {
                let message =
                    "invalid mount config for type \"npipe\": named pipes are Windows' own";
                return Err(Problem::new(&volume.place, path, message));
            }
            _ => (),
        }
    }
    for (index, port) in service
        .get("ports")
        .map_or(&[][..], Node::items)
        .iter()
        .enumerate()
    {
        if port.as_map().is_some() && port.get("target").is_none() {
            let message = "is missing a target port";
            return Err(Problem::new(
                &port.place,
                at(&format!("ports.{index}")),
                message,
            ));
        }
    }
    let watch = service
        .at(&["develop", "watch"])
        .map_or(&[][..], Node::items);
    for (index, rule) in watch.iter().enumerate() {
        let path = at(&format!("develop.watch.{index}"));
        if rule.text("path") == Some("") {
            return Err(Problem::new(
                &rule.place,
                path,
                "path: value can't be blank",
            ));
        }
        let action = rule.text("action").unwrap_or_default();
        if action.contains("sync") && rule.text("target").is_none_or(str::is_empty) {
            let message = "target is required for non-rebuild actions";
            return Err(Problem::new(&rule.place, path, message));
        }
        if action == "sync+exec" && rule.get("exec").is_none() {
            return Err(Problem::new(
                &rule.place,
                path,
                "exec is required for sync+exec",
            ));
        }
    }
    let reserved = service.at(&["deploy", "resources", "reservations", "devices"]);
    for (key, devices) in [
        ("gpus", service.get("gpus")),
        ("deploy.resources.reservations.devices", reserved),
    ] {
        for device in devices.map_or(&[][..], Node::items) {
            if device.get("count").is_some() && device.get("device_ids").is_some() {
                let message = "\"count\" and \"device_ids\" attributes are exclusive";
                return Err(Problem::new(&device.place, at(key), message));
            }
        }
    }
    Ok(())
}

/// What is wrong with a service within its project.
pub(super) fn consistency(document: &Node, name: &str, service: &Node) -> Result<(), Problem> {
    let at = |key: &str| match key {
        "" => format!("services.{name}"),
        key => format!("services.{name}.{key}"),
    };
    let whole = |message: String| Err(Problem::new(&service.place, at(""), message));
    let build = service.get("build");
    let said = |key: &str| service.text(key).is_some_and(|text| !text.is_empty());
    if build.is_none() && !said("image") && service.get("provider").is_none() {
        return whole(format!(
            "service \"{name}\" has neither an image nor a build context specified"
        ));
    }
    if let Some(build) = build {
        self::build(document, name, service, build)?;
    }
    if said("network_mode") && service.get("networks").is_some_and(|node| !node.is_null()) {
        return whole(format!(
            "service {name} declares mutually exclusive `network_mode` and `networks`"
        ));
    }
    for (section, word) in [
        ("networks", "network"),
        ("volumes", "volume"),
        ("configs", "config"),
        ("secrets", "secret"),
        ("models", "model"),
    ] {
        for used in uses(service, section) {
            let implicit = section == "networks" && used == "default";
            if !implicit && document.at(&[section, &used]).is_none() {
                let node = service.get(section).unwrap_or(service);
                let message = format!("service \"{name}\" refers to undefined {word} {used}");
                return Err(Problem::new(&node.place, at(section), message));
            }
        }
    }
    services(document, name, service)?;
    for (old, new) in TWICE {
        let keys: Vec<&str> = new.into_iter().filter(|key| !key.is_empty()).collect();
        let both = service.get(old).zip(service.at(&keys));
        let number = |node: &Node| node.scalar_text().and_then(|text| text.parse::<f64>().ok());
        if let Some((left, right)) = both.filter(|(left, right)| number(left) != number(right)) {
            let message = format!(
                "can't set distinct values on '{old}' and '{}'",
                keys.join(".")
            );
            let later = if right.place.line > left.place.line {
                right
            } else {
                left
            };
            return Err(Problem::new(&later.place, at(""), message));
        }
    }
    let replicas = service
        .get("scale")
        .or_else(|| service.at(&["deploy", "replicas"]));
    if let Some(own) = service.get("container_name")
        && replicas
            .and_then(Node::as_int)
            .is_some_and(|count| count > 1)
    {
        let message =
            "can't set container_name and deploy.replicas above 1: container names must be unique";
        return Err(Problem::new(&own.place, at("container_name"), message));
    }
    if let Some(health) = service.get("healthcheck") {
        let test = health.get("test").map_or(&[][..], Node::items);
        if let Some(first) = test
            .first()
            .filter(|first| !matches!(first.as_str(), Some("NONE" | "CMD" | "CMD-SHELL")))
        {
            let message = "when it is a list the first item must be either NONE, CMD or CMD-SHELL";
            return Err(Problem::new(&first.place, at("healthcheck.test"), message));
        }
        if let Some(interval) = health.get("start_interval")
            && health.get("start_period").is_none()
        {
            let message = format!("service \"{name}\" requires start_period with start_interval");
            return Err(Problem::new(&interval.place, at("healthcheck"), message));
        }
    }
    Ok(())
}

fn build(document: &Node, name: &str, service: &Node, build: &Node) -> Result<(), Problem> {
    let at = |key: &str| format!("services.{name}.build{key}");
    if build.get("dockerfile").is_some() && build.get("dockerfile_inline").is_some() {
        let message = format!(
            "service \"{name}\" declares mutually exclusive dockerfile and dockerfile_inline"
        );
        return Err(Problem::new(&build.place, at(""), message));
    }
    for (context, value) in build.entries("additional_contexts") {
        if let Some(other) = value
            .as_str()
            .and_then(|text| text.strip_prefix("service:"))
            && document.at(&["services", other]).is_none()
        {
            let message =
                format!("build context \"{context}\" refers to undefined service {other}");
            return Err(Problem::new(
                &value.place,
                at(".additional_contexts"),
                message,
            ));
        }
    }
    let platforms = build.get("platforms").map_or(&[][..], Node::items);
    if let Some(platform) = service
        .get("platform")
        .filter(|node| node.as_str().is_some_and(|p| !p.is_empty()))
        && !platforms.is_empty()
        && !platforms.contains(platform)
    {
        let message = format!(
            "service.build.platforms MUST include service.platform \"{}\"",
            platform.as_str().unwrap_or_default()
        );
        return Err(Problem::new(
            &platform.place,
            format!("services.{name}.platform"),
            message,
        ));
    }
    Ok(())
}

/// The services it names.
fn services(document: &Node, name: &str, service: &Node) -> Result<(), Problem> {
    let there = |other: &str| document.at(&["services", other]).is_some();
    let at = |key: &str| format!("services.{name}.{key}");
    for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        let Some(node) = service.get(key) else {
            continue;
        };
        if let Some(other) = node.as_str().and_then(|text| text.strip_prefix("service:"))
            && !there(other)
        {
            let message = format!("service \"{other}\" not found for {key} 'service:{other}'");
            return Err(Problem::new(&node.place, at(key), message));
        }
    }
    for key in ["links", "volumes_from"] {
        for item in service.get(key).map_or(&[][..], Node::items) {
            let text = item.as_str().unwrap_or_default();
            let other = text.split(':').next().unwrap_or_default();
            if !text.starts_with("container:") && !there(other) {
                let message = format!("service \"{name}\" refers to undefined service {other}");
                return Err(Problem::new(&item.place, at(key), message));
            }
        }
    }
    for (other, dependency) in service.entries("depends_on") {
        let required = dependency.get("required").and_then(Node::as_bool) != Some(false);
        if required && !there(other) {
            let message = format!("service \"{name}\" depends on undefined service \"{other}\"");
            return Err(Problem::new(&dependency.place, at("depends_on"), message));
        }
    }
    Ok(())
}
