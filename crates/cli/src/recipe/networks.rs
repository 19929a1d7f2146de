//! Networks of a container, and what was said of each.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Said, Setting, words};

pub(super) fn all(container: &Value) -> Vec<Setting> {
    let host = &container["HostConfig"];
    let mode = host["NetworkMode"].as_str().unwrap_or_default();
    let endpoints = container["NetworkSettings"]["Networks"].as_object();
    let endpoint = |name: &str| {
        endpoints
            .and_then(|all| all.get(name))
            .unwrap_or(&Value::Null)
    };
    let id = container["Id"].as_str().unwrap_or_default();
    let mut found = Vec::new();
    let mut add = |flag, key, list: Vec<String>| {
        if !list.is_empty() {
            let value = Said::List(list);
            found.push(Setting { flag, key, value });
        }
    };
    let mut links: BTreeSet<String> = words(&host["Links"])
        .iter()
        .map(|link| plain(link))
        .collect();
    let usual = matches!(mode, "" | "default" | "bridge");
    let first = if usual { "bridge" } else { mode };
    links.extend(words(&endpoint(mode)["Links"]));
    links.extend(words(&endpoint(first)["Links"]));
    add("link", "links", links.into_iter().collect());
    let special = usual || matches!(mode, "host" | "none") || mode.starts_with("container:");
    let mut specs = Vec::new();
    let own = [mode, first].map(|name| spec(name, endpoint(name), id));
    let own = if own[0].contains(',') {
        &own[0]
    } else {
        &own[1]
    };
    if !usual || own.contains(',') {
        specs.push(own.clone());
    }
    for (name, endpoint) in endpoints.into_iter().flatten() {
        if name != mode && name != first {
            specs.push(spec(name, endpoint, id));
        }
    }
    let key = if special { "network_mode" } else { "networks" };
    add("network", key, specs);
    let mac = container["Config"]["MacAddress"]
        .as_str()
        .unwrap_or_default();
    if !mac.is_empty() {
        add("mac-address", "mac_address", vec![mac.to_owned()]);
    }
    found
}

/// `/db:/web/alias` as it was said: `db:alias`.
fn plain(link: &str) -> String {
    let (target, alias) = link.split_once(':').unwrap_or((link, link));
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    match (last(target), last(alias)) {
        (target, alias) if target == alias => target,
        (target, alias) => format!("{target}:{alias}"),
    }
}

/// `NAME`, or `name=NAME,alias=A,...` when something was said of it.
fn spec(name: &str, endpoint: &Value, id: &str) -> String {
    let mut fields = Vec::new();
    for alias in words(&endpoint["Aliases"]) {
        // The daemon gives each the short id of its container.
        if alias.len() != 12 || !id.starts_with(&alias) {
            fields.push(format!("alias={alias}"));
        }
    }
    let ipam = &endpoint["IPAMConfig"];
    for (value, field) in [(&ipam["IPv4Address"], "ip"), (&ipam["IPv6Address"], "ip6")] {
        if let Some(ip) = value.as_str().filter(|ip| !ip.is_empty()) {
            fields.push(format!("{field}={ip}"));
        }
    }
    for ip in words(&ipam["LinkLocalIPs"]) {
        fields.push(format!("link-local-ip={ip}"));
    }
    for (key, value) in endpoint["DriverOpts"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        fields.push(format!("driver-opt={key}={value}"));
    }
    if let Some(priority) = endpoint["GwPriority"].as_i64().filter(|n| *n != 0) {
        fields.push(format!("gw-priority={priority}"));
    }
    if fields.is_empty() {
        return name.to_owned();
    }
    format!("name={name},{}", fields.join(","))
}
