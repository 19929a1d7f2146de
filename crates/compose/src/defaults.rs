//! What holds when no file says anything: filled in after all files are merged.

use crate::node::{Map, Node, Value};

/// Fills in the defaults of services.
pub(crate) fn defaults(document: &mut Node) {
    let services = document
        .as_map_mut()
        .and_then(|map| map.get_mut("services"));
    for service in services
        .and_then(Node::as_map_mut)
        .into_iter()
        .flat_map(Map::values_mut)
    {
        let Some(service) = service.as_map_mut() else {
            continue;
        };
        each(service, "ports", |port| {
            port.set_missing("mode", "ingress");
            port.set_missing("protocol", "tcp");
        });
        each(service, "volumes", |volume| {
            if volume.get("type").and_then(Node::as_str) == Some("bind") {
                volume.set_missing("bind", Map::new());
                if let Some(bind) = volume.get_mut("bind").and_then(Node::as_map_mut) {
                    bind.set_missing("create_host_path", true);
                }
            }
        });
        each(service, "devices", |device| {
            if let Some(source) = device.get("source").cloned() {
                device.set_missing("target", source.value);
            }
            device.set_missing("permissions", "rwm");
        });
        each(service, "env_file", |file| {
            file.set_missing("required", true)
        });
        each(service, "secrets", secret);
        each(service, "gpus", count);
        build(service);
        if let Some(build) = service.get_mut("build").and_then(Node::as_map_mut) {
            each(build, "secrets", secret);
        }
        if let Some(depends) = service.get_mut("depends_on").and_then(Node::as_map_mut) {
            for dependency in depends.values_mut().filter_map(Node::as_map_mut) {
                dependency.set_missing("required", true);
            }
        }
        let reservations = ["deploy", "resources", "reservations"];
        let reservations = reservations
            .iter()
            .try_fold(&mut *service, |map, key| map.get_mut(key)?.as_map_mut());
        if let Some(reservations) = reservations {
            each(reservations, "devices", count);
        }
    }
}

/// The context of a service's build is the folder of its file.
pub(crate) fn context(service: &mut Node) {
    if let Some(service) = service.as_map_mut() {
        build(service);
    }
}

fn build(service: &mut Map) {
    if let Some(build) = service.get_mut("build").and_then(Node::as_map_mut) {
        build.set_missing("context", ".");
    }
}

fn each(map: &mut Map, key: &str, mut act: impl FnMut(&mut Map)) {
    if let Some(Value::List(items)) = map.get_mut(key).map(|node| &mut node.value) {
        items
            .iter_mut()
            .filter_map(Node::as_map_mut)
            .for_each(&mut act);
    }
}

fn secret(mount: &mut Map) {
    if let Some(source) = mount.get("source").and_then(Node::as_str) {
        let target = format!("/run/secrets/{source}");
        mount.set_missing("target", target);
    }
}

/// Devices are all there are, unless they are named or counted.
fn count(device: &mut Map) {
    if !device.has("device_ids") {
        device.set_missing("count", -1_i64);
    }
}
