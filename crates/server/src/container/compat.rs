//! Containers before 1.55: requests of old clients, and answers as they know them. The recordings of moby at
//! 1.44, 1.47 and 1.51 hold us to it.

use onggi_api::ApiVersion;
use onggi_api::container::{CreateRequest, Inspect, PortMap, PortSet, Summary, UpdateRequest};
use onggi_api::network::EndpointSettings;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};

/// What an old client's request means today.
pub(crate) fn create_request(request: &mut CreateRequest, version: ApiVersion) {
    let Some(host) = request.host_config.as_mut() else {
        return;
    };
    if version < ApiVersion::new(1, 44) {
        // Read-only binds were not recursive.
        for mount in host
            .mounts
            .iter_mut()
            .flatten()
            .filter(|mount| mount.kind == "bind")
        {
            mount
                .bind_options
                .get_or_insert_default()
                .read_only_non_recursive = true;
        }
    }
    if version < ApiVersion::new(1, 42) {
        // A limit of kernel memory was dropped from the kernel and then from the API: no client gets one.
        host.kernel_memory = 0;
        host.kernel_memory_tcp = 0;
    }
}

/// What an old client's change means today.
pub(crate) fn update_request(request: &mut UpdateRequest, version: ApiVersion) {
    let resources = &mut request.resources;
    if version < ApiVersion::new(1, 42) {
        (resources.kernel_memory, resources.kernel_memory_tcp) = (0, 0);
    }
    if version < ApiVersion::new(1, 40) {
        resources.pids_limit = None;
    }
}

/// A container as clients of some version know it. Ports stay runs until they are written.
pub(crate) enum Shown {
    Newest(Box<Inspect>),
    Old(Map<String, Value>, Box<Ports>),
}

/// What stands in `HostConfig.PortBindings`, `Config.ExposedPorts` and `NetworkSettings.Ports`.
pub(crate) struct Ports {
    bindings: Option<PortMap>,
    exposed: Option<PortSet>,
    published: Option<PortMap>,
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (fields, ports) = match self {
            Self::Newest(inspect) => return inspect.serialize(to),
            Self::Old(fields, ports) => (fields, ports),
        };
        let mut map = to.serialize_map(Some(fields.len()))?;
        for (key, value) in fields {
            match (key.as_str(), value) {
                ("HostConfig", Value::Object(fields)) => {
                    let fields = Instead(fields, "PortBindings", ports.bindings.as_ref());
                    map.serialize_entry(key, &fields)?;
                }
                ("Config", Value::Object(fields)) => {
                    let fields = Instead(fields, "ExposedPorts", ports.exposed.as_ref());
                    map.serialize_entry(key, &fields)?;
                }
                ("NetworkSettings", Value::Object(fields)) => {
                    let fields = Instead(fields, "Ports", ports.published.as_ref());
                    map.serialize_entry(key, &fields)?;
                }
                (key, value) => map.serialize_entry(key, value)?,
            }
        }
        map.end()
    }
}

/// An object, with another value for one of its keys.
struct Instead<'a, T>(&'a Map<String, Value>, &'static str, Option<&'a T>);

impl<T: Serialize> Serialize for Instead<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(fields, instead, other) = self;
        let mut map = to.serialize_map(Some(fields.len()))?;
        for (key, value) in *fields {
            match other {
                Some(other) if key == instead => map.serialize_entry(key, other)?,
                _ => map.serialize_entry(key, value)?,
            }
        }
        map.end()
    }
}

/// A container as a client of `version` knows it.
pub(crate) fn inspect(mut inspect: Inspect, version: ApiVersion) -> Shown {
    if version >= ApiVersion::new(1, 52) {
        return Shown::Newest(Box::new(inspect));
    }
    let ports = Ports {
        bindings: inspect.host_config.port_bindings.clone(),
        exposed: inspect.config.exposed_ports.clone(),
        published: Some(inspect.network_settings.ports.clone()),
    };
    // Any port, so that there is something in its place.
    if let Some(exposed) = inspect
        .config
        .exposed_ports
        .as_mut()
        .filter(|all| !all.is_empty())
    {
        *exposed = PortSet::default();
        exposed.extend(["1/tcp".to_owned()]);
    }
    if let Some(bindings) = &mut inspect.host_config.port_bindings {
        *bindings = PortMap::default();
    }
    inspect.network_settings.ports = PortMap::default();
    match bent(&inspect, version) {
        Value::Object(fields) => Shown::Old(fields, Box::new(ports)),
        _ => Shown::Newest(Box::new(inspect)),
    }
}

fn bent(inspect: &Inspect, version: ApiVersion) -> Value {
    let mut value = serde_json::to_value(inspect).unwrap_or_default();
    let before = |minor| version < ApiVersion::new(1, minor);
    let Some(fields) = value.as_object_mut() else {
        return value;
    };
    if before(45) {
        short_id_as_alias(fields, inspect);
    }
    if before(48) {
        fields.shift_remove("ImageManifestDescriptor");
    }
    legacy_network(fields, before(44));
    if let Some(storage) = fields.shift_remove("Storage")
        && !fields.contains_key("GraphDriver")
    {
        let name = storage
            .pointer("/RootFS/Snapshot/Name")
            .cloned()
            .unwrap_or_else(|| json!(""));
        fields.insert(
            "GraphDriver".to_owned(),
            json!({"Data": null, "Name": name}),
        );
    }
    value
}

/// Networks of users had the container's short id among the aliases.
fn short_id_as_alias(fields: &mut Map<String, Value>, inspect: &Inspect) {
    let Some(short) = inspect.id.get(..12) else {
        return;
    };
    let networks = fields
        .get_mut("NetworkSettings")
        .and_then(|s| s.get_mut("Networks"));
    let Some(networks) = networks.and_then(Value::as_object_mut) else {
        return;
    };
    for (name, endpoint) in networks {
        if matches!(name.as_str(), "bridge" | "host" | "none") {
            continue;
        }
        let aliases = &mut endpoint["Aliases"];
        if aliases.is_null() {
            *aliases = json!([]);
        }
        if let Some(list) = aliases.as_array_mut()
            && !list.iter().any(|alias| alias == short)
        {
            list.push(json!(short));
        }
    }
}

/// The address on the default bridge was repeated beside the networks; long ago also where there was none.
fn legacy_network(fields: &mut Map<String, Value>, always: bool) {
    const REPEATED: [&str; 8] = [
        "EndpointID",
        "Gateway",
        "GlobalIPv6Address",
        "GlobalIPv6PrefixLen",
        "IPAddress",
        "IPPrefixLen",
        "IPv6Gateway",
        "MacAddress",
    ];
    let Some(settings) = fields
        .get_mut("NetworkSettings")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    let bridge = settings
        .get("Networks")
        .and_then(|networks| networks.get("bridge"))
        .cloned()
        .or_else(|| {
            serde_json::to_value(EndpointSettings::default())
                .ok()
                .filter(|_| always)
        });
    let Some(bridge) = bridge else {
        return;
    };
    for key in REPEATED {
        settings.insert(key.to_owned(), bridge[key].clone());
    }
}

/// A container of a list as a client of `version` knows it.
pub(crate) fn summary(mut summary: Summary, version: ApiVersion) -> Summary {
    if version < ApiVersion::new(1, 52) {
        summary.health = None;
    }
    if version < ApiVersion::new(1, 48) {
        summary.image_manifest_descriptor = None;
    }
    summary
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Recorded answers of an API version whose path has this in it, with their case and path.
    pub(crate) fn recorded(api: &str, path: &str) -> Vec<(String, Value)> {
        let rows = include_str!("../../../api/tests/data/moby-2026-08.jsonl").lines();
        let rows = rows.map(|line| serde_json::from_str::<Value>(line).unwrap());
        let rows = rows.filter(|row| {
            row["api"] == api
                && row["method"] == "GET"
                && row["path"].as_str().unwrap().contains(path)
        });
        rows.map(|row| {
            (
                format!("{} {}", row["case"], row["path"]),
                row["answer"].clone(),
            )
        })
        .collect()
    }

    /// Mounts come in any order from moby.
    fn sort_mounts(value: &mut Value) {
        if let Some(mounts) = value["Mounts"].as_array_mut() {
            mounts.sort_by_key(|mount| mount["Destination"].to_string());
        }
    }

    #[test]
    fn containers_are_as_recorded() {
        let mut compared = 0;
        let newest = recorded("1.52", "/containers/");
        for minor in [44, 47, 51] {
            for (key, mut expected) in recorded(&format!("1.{minor}"), "/containers/") {
                if !expected.is_object() {
                    continue;
                }
                let (_, new) = newest.iter().find(|(k, _)| *k == key).unwrap_or(&newest[0]);
                if new["Id"] != expected["Id"]
                    || new["State"]["Status"] != expected["State"]["Status"]
                {
                    continue;
                }
                let document: Inspect = serde_json::from_value(new.clone()).unwrap();
                let ours = inspect(document, ApiVersion::new(1, minor));
                let mut ours = serde_json::to_value(ours).unwrap();
                sort_mounts(&mut ours);
                sort_mounts(&mut expected);
                assert_eq!(ours, expected, "1.{minor} {key}");
                compared += 1;
            }
        }
        assert!(compared >= 9, "only {compared} compared");
    }

    #[test]
    fn old_clients_see_each_port() {
        let text = r#"{"Config":{"ExposedPorts":{"80/tcp":{},"81/tcp":{}}},"HostConfig":{"PortBindings":
            {"80/tcp":[{"HostIp":"","HostPort":"8080"}],"81/tcp":[{"HostIp":"","HostPort":"8081"}]}}}"#;
        let document: Inspect = serde_json::from_str(text).unwrap();
        let wanted = serde_json::to_value(&document).unwrap();
        let old = serde_json::to_value(inspect(document, ApiVersion::new(1, 44))).unwrap();
        for path in [
            "/Config/ExposedPorts",
            "/HostConfig/PortBindings",
            "/NetworkSettings/Ports",
        ] {
            assert_eq!(old.pointer(path), wanted.pointer(path), "{path}");
        }
    }

    #[test]
    fn lists_are_as_recorded() {
        let mut compared = 0;
        let newest = recorded("1.55", "/containers/json");
        for minor in [44, 47, 51, 52] {
            for (key, mut expected) in recorded(&format!("1.{minor}"), "/containers/json") {
                let Some((_, new)) = newest.iter().find(|(k, _)| *k == key) else {
                    continue;
                };
                let list: Vec<Summary> = serde_json::from_value(new.clone()).unwrap();
                let list: Vec<_> = list
                    .into_iter()
                    .map(|one| summary(one, ApiVersion::new(1, minor)))
                    .collect();
                let mut ours = serde_json::to_value(list).unwrap();
                for (ours, expected) in ours
                    .as_array_mut()
                    .unwrap()
                    .iter_mut()
                    .zip(expected.as_array_mut().unwrap())
                {
                    ours["Status"] = expected["Status"].clone();
                    sort_mounts(ours);
                    sort_mounts(expected);
                }
                assert_eq!(ours, expected, "1.{minor} {key}");
                compared += 1;
            }
        }
        assert!(compared >= 12, "only {compared} compared");
    }

    #[test]
    fn old_requests_mean_what_they_meant() {
        let body = br#"{"Image":"a","HostConfig":{"KernelMemory":5,"Mounts":[{"Type":"bind","Source":"/a","Target":"/b"}]}}"#;
        let bent = |minor| {
            let mut request: CreateRequest = onggi_api::decode(body).unwrap();
            create_request(&mut request, ApiVersion::new(1, minor));
            let host = request.host_config.unwrap();
            let options = host.mounts.as_ref().unwrap()[0].bind_options.clone();
            (
                host.kernel_memory,
                options.is_some_and(|o| o.read_only_non_recursive),
            )
        };
        assert_eq!(bent(41), (0, true));
        assert_eq!(bent(43), (5, true));
        assert_eq!(bent(44), (5, false));
    }
}
