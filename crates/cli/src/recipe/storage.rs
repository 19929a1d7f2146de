//! Volumes, binds, tmpfs and mounts of a container.

use serde_json::{Map, Value};

use super::settings::bytes;
use super::{Said, Setting, words};

pub(super) fn all(container: &Value, image: &Value) -> Vec<Setting> {
    let host = &container["HostConfig"];
    let mut found = Vec::new();
    let mut add = |flag, key, list: Vec<String>| {
        if !list.is_empty() {
            let value = Said::List(list);
            found.push(Setting { flag, key, value });
        }
    };
    let mut volumes = words(&host["Binds"]);
    // Anonymous ones, but not those that the image declares.
    let declared = &image["Config"]["Volumes"];
    let own = container["Config"]["Volumes"].as_object();
    let own = own.into_iter().flatten().map(|(path, _)| path);
    volumes.extend(
        own.filter(|path| declared.get(path.as_str()).is_none())
            .cloned(),
    );
    add("volume", "volumes", volumes);
    let tmpfs = host["Tmpfs"].as_object().into_iter().flatten();
    add(
        "tmpfs",
        "tmpfs",
        tmpfs
            .map(
                |(path, options)| match options.as_str().unwrap_or_default() {
                    "" => path.clone(),
                    options => format!("{path}:{options}"),
                },
            )
            .collect(),
    );
    let mounts = host["Mounts"].as_array().into_iter().flatten();
    add("mount", "volumes", mounts.map(mount).collect());
    found
}

/// A mount in the grammar of `--mount`.
fn mount(mount: &Value) -> String {
    let mut fields = Vec::new();
    let mut field = |name: &str, value: &str| {
        let field = format!("{name}={value}");
        if field.contains([',', '"']) {
            fields.push(format!("\"{}\"", field.replace('"', "\"\"")));
        } else {
            fields.push(field);
        }
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let some = |value: &Value| Some(text(value)).filter(|text| !text.is_empty());
    field("type", &text(&mount["Type"]));
    for (key, name) in [
        ("Source", "source"),
        ("Target", "target"),
        ("Consistency", "consistency"),
    ] {
        if let Some(value) = some(&mount[key]) {
            field(name, &value);
        }
    }
    if mount["ReadOnly"] == true {
        field("readonly", "true");
    }
    let bind = &mount["BindOptions"];
    if let Some(propagation) = some(&bind["Propagation"]) {
        field("bind-propagation", &propagation);
    }
    let recursive = if bind["NonRecursive"] == true {
        "disabled"
    } else if bind["ReadOnlyNonRecursive"] == true {
        "writable"
    } else if bind["ReadOnlyForceRecursive"] == true {
        "readonly"
    } else {
        ""
    };
    if !recursive.is_empty() {
        field("bind-recursive", recursive);
    }
    if bind["CreateMountpoint"] == true {
        field("bind-create-src", "true");
    }
    let volume = &mount["VolumeOptions"];
    if volume["NoCopy"] == true {
        field("volume-nocopy", "true");
    }
    if let Some(path) = some(&volume["Subpath"]) {
        field("volume-subpath", &path);
    }
    if let Some(path) = some(&mount["ImageOptions"]["Subpath"]) {
        field("image-subpath", &path);
    }
    let none = Map::new();
    let map = |value: &Value| value.as_object().unwrap_or(&none).clone();
    for (key, value) in map(&volume["Labels"]) {
        field("volume-label", &format!("{key}={}", text(&value)));
    }
    let driver = &volume["DriverConfig"];
    if let Some(name) = some(&driver["Name"]) {
        field("volume-driver", &name);
    }
    for (key, value) in map(&driver["Options"]) {
        field("volume-opt", &format!("{key}={}", text(&value)));
    }
    let tmpfs = &mount["TmpfsOptions"];
    if let Some(size @ 1..) = tmpfs["SizeBytes"].as_i64() {
        field("tmpfs-size", &bytes(size));
    }
    if let Some(mode @ 1..) = tmpfs["Mode"].as_u64() {
        field("tmpfs-mode", &format!("{mode:o}"));
    }
    fields.join(",")
}
