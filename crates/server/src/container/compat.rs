//! Containers before 1.55: requests of old clients, and answers as they know them. The recordings of moby at
//! 1.44, 1.47 and 1.51 hold us to it.

use onggi_api::ApiVersion;
use onggi_api::container::{CreateRequest, Inspect, Summary, UpdateRequest};
use onggi_api::network::EndpointSettings;
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

/// A container as a client of `version` knows it.
pub(crate) fn inspect(inspect: &Inspect, version: ApiVersion) -> Value {
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
    if before(52) {
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
                let mut ours = inspect(&document, ApiVersion::new(1, minor));
                sort_mounts(&mut ours);
                sort_mounts(&mut expected);
                assert_eq!(ours, expected, "1.{minor} {key}");
                compared += 1;
            }
        }
        assert!(compared >= 9, "only {compared} compared");
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
