//! Images before 1.55. The recordings of moby at 1.44, 1.47 and 1.51 hold us to it.

use onggi_api::ApiVersion;
use onggi_api::image::{Inspect, Summary};
use serde_json::{Value, json};

/// An image as a client of `version` knows it: before 1.52 nothing empty was left out, and the storage driver was
/// told with every image.
pub(crate) fn inspect(inspect: &Inspect, version: ApiVersion, driver: &str) -> Value {
    let mut value = serde_json::to_value(inspect).unwrap_or_default();
    let before = |minor| version < ApiVersion::new(1, minor);
    let Some(fields) = value.as_object_mut() else {
        return value;
    };
    if before(52) {
        for empty in ["Parent", "Comment", "DockerVersion", "Author"] {
            fields.entry(empty).or_insert_with(|| json!(""));
        }
        fields
            .entry("GraphDriver")
            .or_insert_with(|| json!({"Data": null, "Name": driver}));
        if let Some(config) = fields.get_mut("Config").and_then(Value::as_object_mut) {
            for text in ["User", "WorkingDir"] {
                config.entry(text).or_insert_with(|| json!(""));
            }
            for list in ["Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "Volumes"] {
                config.entry(list).or_insert(Value::Null);
            }
            if before(50) {
                for flag in [
                    "AttachStderr",
                    "AttachStdin",
                    "AttachStdout",
                    "OpenStdin",
                    "StdinOnce",
                    "Tty",
                ] {
                    config.insert(flag.to_owned(), json!(false));
                }
                for text in ["Domainname", "Hostname", "Image"] {
                    config.insert(text.to_owned(), json!(""));
                }
            }
        }
    }
    if before(48) {
        fields.shift_remove("Descriptor");
        fields.shift_remove("Manifests");
    }
    if before(45) {
        fields.insert("Container".to_owned(), json!(""));
        fields.insert("ContainerConfig".to_owned(), Value::Null);
    }
    if before(44) {
        // Since 1.44 it is left to the client to add up the layers.
        fields.insert("VirtualSize".to_owned(), json!(inspect.size));
    }
    value
}

/// An image of a list as a client of `version` knows it.
pub(crate) fn summary(mut summary: Summary, version: ApiVersion) -> Value {
    if version < ApiVersion::new(1, 51) {
        summary.containers = -1;
    }
    if version < ApiVersion::new(1, 48) {
        summary.descriptor = None;
    }
    if version < ApiVersion::new(1, 47) {
        summary.manifests = None;
    }
    let mut value = serde_json::to_value(&summary).unwrap_or_default();
    if version < ApiVersion::new(1, 44)
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("VirtualSize".to_owned(), json!(summary.size));
        if version < ApiVersion::new(1, 43) {
            // Untagged images had a name that is none.
            for (key, none) in [
                ("RepoTags", "<none>:<none>"),
                ("RepoDigests", "<none>@<none>"),
            ] {
                if fields
                    .get(key)
                    .and_then(Value::as_array)
                    .is_some_and(Vec::is_empty)
                {
                    fields.insert(key.to_owned(), json!([none]));
                }
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::compat::tests::recorded;

    #[test]
    fn images_are_as_recorded() {
        let newest: Inspect =
            serde_json::from_value(recorded("1.55", "/images/busybox/json")[0].1.clone()).unwrap();
        let list: Vec<Summary> =
            serde_json::from_value(recorded("1.55", "/images/json")[0].1.clone()).unwrap();
        for minor in [44, 47, 51, 52] {
            let version = ApiVersion::new(1, minor);
            let (_, expected) = &recorded(&version.to_string(), "/images/busybox/json")[0];
            assert_eq!(
                inspect(&newest, version, "overlayfs"),
                *expected,
                "1.{minor}"
            );
            let (_, expected) = &recorded(&version.to_string(), "/images/json")[0];
            let ours: Vec<_> = list
                .iter()
                .map(|one| summary(one.clone(), version))
                .collect();
            assert_eq!(json!(ours), *expected, "1.{minor}");
        }
    }
}
