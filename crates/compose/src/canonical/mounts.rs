//! What a service sees of the host and of the project: volumes, devices, configs and secrets.

use onggi_model::volume_spec::clean_path;

use crate::node::{Map, Node, Value};

const PROPAGATIONS: [&str; 6] = [
    "rprivate", "private", "rshared", "shared", "rslave", "slave",
];

/// `my-config`
pub(super) fn file(node: &mut Node) -> Result<(), String> {
    if node.as_str().is_some() {
        super::only("source", node);
    }
    Ok(())
}

/// `/dev/source[:/dev/target[:rwm]]`
pub(super) fn device(node: &mut Node) -> Result<(), String> {
    let Some(text) = node.as_str() else {
        return Ok(());
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, target] => (source, target, "rwm"),
        [source, target, permissions] => (source, target, permissions),
        _ => return Err("confused device mapping, please use long syntax".to_owned()),
    };
    let mut map = Map::new();
    map.set("source", Node::new(source, &node.place));
    map.set("target", Node::new(target, &node.place));
    map.set("permissions", Node::new(permissions, &node.place));
    node.value = Value::Map(map);
    Ok(())
}

/// `[source:]target[:options]`, where a source that looks like a path is one.
pub(super) fn volume(node: &mut Node) -> Result<(), String> {
    if let Some(text) = node.as_str() {
        let map = volume_map(text, node)?;
        node.value = Value::Map(map);
        return Ok(());
    }
    if let Some(target) = node.as_map_mut().and_then(|map| map.get_mut("target"))
        && let Some(text) = target.as_str().filter(|text| !text.is_empty())
    {
        target.value = Value::String(clean_path(text));
    }
    Ok(())
}

fn volume_map(text: &str, at: &Node) -> Result<Map, String> {
    let wrong = |why: &str| Err(format!("invalid spec: {text}: {why}"));
    if text.is_empty() {
        return Err("invalid empty volume spec".to_owned());
    }
    let parts: Vec<&str> = text.split(':').collect();
    if parts.contains(&"") {
        return wrong("empty section between colons");
    }
    let (source, target, options) = match parts[..] {
        [target] => ("", target, ""),
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return wrong("too many colons"),
    };
    let bind = source.starts_with(['.', '/', '~']);
    let node = |value: Value| Node::new(value, &at.place);
    let mut map = Map::new();
    map.set(
        "type",
        node(Value::from(if bind { "bind" } else { "volume" })),
    );
    if !source.is_empty() {
        map.set("source", node(Value::from(source)));
    }
    map.set("target", node(Value::String(clean_path(target))));
    let mut inner = Map::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => map.set("read_only", node(Value::Bool(true))),
            "rw" => map.set("read_only", node(Value::Bool(false))),
            "cached" | "delegated" | "consistent" => {
                map.set("consistency", node(Value::from(option)));
            }
            "nocopy" if !bind => inner.set("nocopy", node(Value::Bool(true))),
            "z" | "Z" if bind => inner.set("selinux", node(Value::from(option))),
            // Labels of SELinux on a named volume: Compose reads them and means nothing by them.
            "z" | "Z" => (),
            option if bind && PROPAGATIONS.contains(&option) => {
                inner.set("propagation", node(Value::from(option)));
            }
            option => return wrong(&format!("unknown option '{option}'")),
        }
    }
    if bind {
        inner.set("create_host_path", node(Value::Bool(true)));
    }
    map.set(
        if bind { "bind" } else { "volume" },
        node(Value::Map(inner)),
    );
    Ok(map)
}
