//! `info` and events before 1.55. What changed when is in the version history of the Engine API; the
//! recordings of moby at 1.44, 1.47 and 1.51 hold us to it.

use onggi_api::ApiVersion;
use onggi_api::event::Message;
use onggi_api::system::{DiskUsage, Info};
use serde_json::{Map, Value, json};

/// `info` as a client of `version` knows it.
pub(crate) fn info(info: &Info, version: ApiVersion) -> Value {
    let mut value = serde_json::to_value(info).unwrap_or_default();
    let before = |minor| version < ApiVersion::new(1, minor);
    let Some(fields) = value.as_object_mut() else {
        return value;
    };
    if before(25) {
        fields.insert("ExecutionDriver".to_owned(), json!("<not supported>"));
        names_of_security(fields);
    }
    if before(46) {
        fields.shift_remove("Containerd");
    }
    if before(47)
        && let Some(registries) = fields
            .get_mut("RegistryConfig")
            .and_then(Value::as_object_mut)
    {
        registries.insert(
            "AllowNondistributableArtifactsCIDRs".to_owned(),
            Value::Null,
        );
        registries.insert(
            "AllowNondistributableArtifactsHostnames".to_owned(),
            Value::Null,
        );
    }
    if before(49) {
        fields.shift_remove("FirewallBackend");
        for commit in ["ContainerdCommit", "InitCommit", "RuncCommit"] {
            if let Some(commit) = fields.get_mut(commit).and_then(Value::as_object_mut) {
                commit.insert("Expected".to_owned(), json!(""));
            }
        }
    }
    if before(50) {
        fields.insert("BridgeNfIptables".to_owned(), json!(false));
        fields.insert("BridgeNfIp6tables".to_owned(), json!(false));
        fields.shift_remove("DiscoveredDevices");
    }
    value
}

/// `name=seccomp,profile=builtin` was `seccomp`.
fn names_of_security(fields: &mut Map<String, Value>) {
    let options = fields
        .get_mut("SecurityOptions")
        .and_then(Value::as_array_mut);
    for option in options.into_iter().flatten() {
        let name = option.as_str().and_then(|text| text.strip_prefix("name="));
        if let Some(name) = name.and_then(|name| name.split(',').next()) {
            *option = json!(name);
        }
    }
}

/// An event as a client of `version` knows it: before 1.52 with `status`, `id` and `from` for containers and
/// images.
pub(crate) fn event(message: &Message, version: ApiVersion) -> Message {
    let mut message = message.clone();
    if version >= ApiVersion::new(1, 52) {
        (message.status, message.id, message.from) = (None, None, None);
        return message;
    }
    if message.kind == "container" || message.kind == "image" {
        message.status = Some(message.action.clone());
        message.id = Some(message.actor.id.clone()).filter(|id| !id.is_empty());
        if message.kind == "container" {
            message.from = message.actor.attributes.get("image").cloned();
        }
    }
    message
}

/// The use of the disk as a client of `version` knows it. Items are for those who ask for them; who does not know
/// that one can ask (`verbose` is `None`) gets them, and the lists of before 1.52 too.
pub(crate) fn disk_usage(
    mut usage: DiskUsage,
    verbose: Option<bool>,
    version: ApiVersion,
) -> Value {
    let old = version < ApiVersion::new(1, 52);
    if let Some(containers) = &mut usage.container_usage {
        let items = std::mem::take(&mut containers.items).into_iter();
        containers.items = items
            .map(|one| crate::container::compat::summary(one, version))
            .collect();
    }
    let verbose = if old { None } else { verbose };
    let mut value = json!({});
    let Some(fields) = value.as_object_mut() else {
        return value;
    };
    if verbose.is_none() {
        let images = usage.image_usage.as_ref();
        let size = images.map_or(0, |images| images.total_size);
        fields.insert("LayersSize".to_owned(), json!(size));
        let lists = [
            ("Images", images.map(|usage| json!(usage.items))),
            (
                "Containers",
                usage
                    .container_usage
                    .as_ref()
                    .map(|usage| json!(usage.items)),
            ),
            (
                "Volumes",
                usage.volume_usage.as_ref().map(|usage| json!(usage.items)),
            ),
            (
                "BuildCache",
                usage
                    .build_cache_usage
                    .as_ref()
                    .map(|usage| json!(usage.items)),
            ),
        ];
        for (name, list) in lists {
            fields.insert(name.to_owned(), list.unwrap_or(Value::Null));
        }
    }
    if old {
        return value;
    }
    if verbose == Some(false) {
        usage
            .image_usage
            .iter_mut()
            .for_each(|usage| usage.items.clear());
        usage
            .container_usage
            .iter_mut()
            .for_each(|usage| usage.items.clear());
        usage
            .volume_usage
            .iter_mut()
            .for_each(|usage| usage.items.clear());
        usage
            .build_cache_usage
            .iter_mut()
            .for_each(|usage| usage.items.clear());
    }
    if let Ok(Value::Object(new)) = serde_json::to_value(&usage) {
        fields.extend(new);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::compat::tests::recorded;

    #[test]
    fn info_is_as_recorded() {
        let newest: Info = serde_json::from_value(recorded("1.55", "/info")[0].1.clone()).unwrap();
        for minor in [44, 47, 51, 52] {
            let (_, expected) = &recorded(&format!("1.{minor}"), "/info")[0];
            let mut ours = info(&newest, ApiVersion::new(1, minor));
            for moving in [
                "SystemTime",
                "NFd",
                "NGoroutines",
                "Images",
                "Containers",
                "ContainersStopped",
            ] {
                ours[moving] = expected[moving].clone();
            }
            assert_eq!(ours, *expected, "1.{minor}");
        }
    }

    #[test]
    fn security_was_a_list_of_names() {
        let document = Info {
            security_options: Some(vec!["name=seccomp,profile=builtin".to_owned()]),
            ..Info::default()
        };
        let told = |minor| info(&document, ApiVersion::new(1, minor));
        assert_eq!(told(24)["SecurityOptions"], json!(["seccomp"]));
        assert_eq!(told(24)["ExecutionDriver"], "<not supported>");
        let new = json!(["name=seccomp,profile=builtin"]);
        assert_eq!(told(25)["SecurityOptions"], new);
    }

    #[test]
    fn the_use_of_the_disk_is_told_as_it_was() {
        let usage: DiskUsage = serde_json::from_value(json!({
            "ImageUsage": {"Items": [{"Id": "sha256:a"}], "TotalCount": 1, "TotalSize": 7},
            "ContainerUsage": {"Items": [{"Id": "b", "Health": {"Status": "none"}}], "TotalCount": 1},
            "VolumeUsage": {}, "BuildCacheUsage": {},
        }))
        .unwrap();
        let told = |verbose, minor| disk_usage(usage.clone(), verbose, ApiVersion::new(1, minor));
        let old = told(None, 51);
        assert_eq!(
            (&old["LayersSize"], &old["Volumes"]),
            (&json!(7), &json!([]))
        );
        assert_eq!(old["Images"][0]["Id"], "sha256:a");
        assert!(old["Containers"][0].get("Health").is_none() && old.get("ImageUsage").is_none());
        // Who speaks 1.52 and does not know `verbose` gets both.
        let both = told(None, 52);
        assert_eq!(both["Images"], both["ImageUsage"]["Items"]);
        assert_eq!(both["VolumeUsage"], json!({}));
        let terse = told(Some(false), 55);
        assert_eq!(
            terse["ImageUsage"],
            json!({"TotalCount": 1, "TotalSize": 7})
        );
        assert!(terse.get("Images").is_none());
        assert_eq!(
            told(Some(true), 55)["ContainerUsage"]["Items"][0]["Id"],
            "b"
        );
    }

    #[test]
    fn events_are_as_recorded() {
        let newest: Vec<Message> =
            serde_json::from_value(recorded("1.55", "/events")[0].1.clone()).unwrap();
        for minor in [44, 51, 52] {
            let (_, expected) = &recorded(&format!("1.{minor}"), "/events")[0];
            let ours: Vec<Message> = newest
                .iter()
                .map(|m| event(m, ApiVersion::new(1, minor)))
                .collect();
            let mut ours = serde_json::to_value(ours).unwrap();
            for (ours, expected) in ours
                .as_array_mut()
                .unwrap()
                .iter_mut()
                .zip(expected.as_array().unwrap())
            {
                // moby's old versions pass the nanoseconds through a float and round them; ours do not.
                ours["timeNano"] = expected["timeNano"].clone();
            }
            assert_eq!(ours, *expected, "1.{minor}");
        }
    }
}
