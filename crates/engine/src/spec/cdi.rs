//! Devices of the Container Device Interface: `--device vendor/class=name`, described by files in the daemon's
//! `cdi-spec-dirs` (the CDI specification 0.8). Of two devices with one name that of the last folder counts.
//!
//! Read at every start: whoever installs a driver writes the files anew.

use std::path::{Path, PathBuf};

use onggi_api::container::{DeviceRequest, HostConfig};
use onggi_oci::runtime::{Device, DeviceRule, Mount, Spec};
use serde::Deserialize;

use crate::error::{Error, Result};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    kind: String,
    container_edits: Edits,
    devices: Vec<Named>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Named {
    name: String,
    container_edits: Edits,
}

/// What a device changes in a container.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Edits {
    env: Vec<String>,
    device_nodes: Vec<Node>,
    mounts: Vec<Bind>,
    hooks: Vec<serde_json::Value>,
    additional_gids: Vec<u32>,
    intel_rdt: Option<serde_json::Value>,
    net_devices: Vec<serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Node {
    path: String,
    host_path: String,
    permissions: String,
    uid: Option<u32>,
    gid: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Bind {
    host_path: String,
    container_path: String,
    #[serde(rename = "type")]
    kind: String,
    options: Vec<String>,
}

/// Everything that the requests of a container ask for.
///
/// # Errors
/// A driver that is not there, a device that no file describes, an edit that this runtime cannot make.
pub(super) fn edits(host: &HostConfig, folders: &[PathBuf]) -> Result<Vec<Edits>> {
    let folders: Vec<_> = folders.iter().map(PathBuf::as_path).collect();
    edits_from(host, &folders)
}

fn edits_from(host: &HostConfig, folders: &[&Path]) -> Result<Vec<Edits>> {
    let requests = host.device_requests.as_deref().unwrap_or_default();
    let mut all = Vec::new();
    for request in requests {
        all.extend(of_request(request, folders)?);
    }
    Ok(all)
}

fn of_request(request: &DeviceRequest, folders: &[&Path]) -> Result<Vec<Edits>> {
    if request.driver != "cdi" {
        let sets = request.capabilities.as_deref().unwrap_or_default();
        let sets: Vec<_> = sets
            .iter()
            .map(|set| format!("[{}]", set.join(" ")))
            .collect();
        return Err(Error::invalid(format!(
            "could not select device driver {:?} with capabilities: [{}]: \
             name a device that a CDI file describes instead (--device vendor/class=name)",
            request.driver,
            sets.join(" ")
        )));
    }
    let mut edits = Vec::new();
    for name in request.device_ids.iter().flatten() {
        edits.extend(device(name, folders)?);
    }
    Ok(edits)
}

/// The edits of a device's class, and its own.
fn device(qualified: &str, folders: &[&Path]) -> Result<Vec<Edits>> {
    let failed =
        |why: &str| Error::invalid(format!("CDI device injection failed: {why} {qualified}"));
    let (kind, name) = qualified
        .split_once('=')
        .filter(|(kind, name)| kind.contains('/') && !name.is_empty())
        .ok_or_else(|| failed("not a qualified name (vendor/class=name):"))?;
    let mut found = None;
    let mut unread = Vec::new();
    for folder in folders {
        for path in files(folder) {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let Ok(file) = serde_json::from_str::<File>(&text) else {
                unread.push(path.display().to_string());
                continue;
            };
            if file.kind == kind
                && let Some(device) = file.devices.into_iter().find(|d| d.name == name)
            {
                found = Some(vec![file.container_edits, device.container_edits]);
            }
        }
    }
    let edits = found.ok_or_else(|| match unread.as_slice() {
        [] => failed("unresolvable CDI devices"),
        unread => failed(&format!(
            "unresolvable CDI devices ({} is not JSON, which is the only form read):",
            unread.join(", ")
        )),
    })?;
    for edit in &edits {
        if !edit.hooks.is_empty() {
            return Err(failed("hooks cannot be run for"));
        }
        if edit.intel_rdt.is_some() || !edit.net_devices.is_empty() {
            return Err(failed("intelRdt and netDevices cannot be had for"));
        }
    }
    Ok(edits)
}

/// The qualified names of all devices that files describe.
pub(crate) fn names(folders: &[PathBuf]) -> Vec<String> {
    let read =
        |path: PathBuf| -> Option<File> { serde_json::from_slice(&std::fs::read(path).ok()?).ok() };
    let found = folders
        .iter()
        .flat_map(|folder| files(folder))
        .filter_map(read);
    let mut names: Vec<String> = found
        .flat_map(|file| {
            let kind = file.kind;
            let of_file = file.devices.into_iter();
            of_file.map(move |device| format!("{kind}={}", device.name))
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|e| e == "json" || e == "yaml" || e == "yml")
    });
    files.sort();
    files
}

/// Further groups of the process.
pub(super) fn groups(edits: &[Edits]) -> impl Iterator<Item = String> {
    edits
        .iter()
        .flat_map(|edit| &edit.additional_gids)
        .map(u32::to_string)
}

/// Writes the edits into the document.
pub(super) fn apply(edits: Vec<Edits>, spec: &mut Spec) -> Result<()> {
    for edit in edits {
        if let Some(process) = &mut spec.process {
            for variable in edit.env {
                let name = variable.split('=').next().unwrap_or_default().to_owned();
                process
                    .env
                    .retain(|own| own.split('=').next() != Some(name.as_str()));
                process.env.push(variable);
            }
        }
        spec.mounts.extend(edit.mounts.into_iter().map(mount));
        let linux = spec.linux.get_or_insert_default();
        for node in &edit.device_nodes {
            let device = device_of(node)?;
            linux
                .resources
                .get_or_insert_default()
                .devices
                .push(DeviceRule {
                    allow: true,
                    kind: Some(device.kind),
                    major: Some(device.major),
                    minor: Some(device.minor),
                    access: Some(match node.permissions.as_str() {
                        "" => "rwm".to_owned(),
                        access => access.to_owned(),
                    }),
                });
            linux.devices.retain(|other| other.path != device.path);
            linux.devices.push(device);
        }
    }
    Ok(())
}

fn mount(bind: Bind) -> Mount {
    let kind = match bind.kind.as_str() {
        "" => "bind".to_owned(),
        kind => kind.to_owned(),
    };
    let mut options = bind.options;
    if kind == "bind" && !options.iter().any(|o| o == "bind" || o == "rbind") {
        options.push("rbind".to_owned());
    }
    Mount {
        destination: bind.container_path,
        kind: Some(kind),
        source: Some(bind.host_path),
        options,
        ..Mount::default()
    }
}

/// The numbers are the host's: what the file says of them may be old.
fn device_of(node: &Node) -> Result<Device> {
    let source = match node.host_path.as_str() {
        "" => &node.path,
        source => source,
    };
    let mut device = super::limits::host_node(source, &node.path)?;
    device.uid = node.uid.or(device.uid);
    device.gid = node.gid.or(device.gid);
    Ok(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(request: &str) -> HostConfig {
        serde_json::from_str(&format!(r#"{{"DeviceRequests":[{request}]}}"#)).expect("a request")
    }

    #[test]
    fn a_device_brings_its_class_and_itself() {
        let folder = std::env::temp_dir().join(format!("onggi-cdi-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = r#"{"cdiVersion":"0.6.0","kind":"onggi.test/pot",
            "containerEdits":{"env":["CLASS=pot"],"additionalGids":[44]},
            "devices":[{"name":"zero","containerEdits":{"env":["NAME=zero"],
              "deviceNodes":[{"path":"/dev/pot","hostPath":"/dev/zero","permissions":"r"}],
              "mounts":[{"hostPath":"/usr","containerPath":"/pot","options":["ro"]}]}}]}"#;
        std::fs::write(folder.join("pot.json"), file).expect("writes");
        let folders = [folder.as_path()];
        let wanted = host(r#"{"Driver":"cdi","DeviceIDs":["onggi.test/pot=zero"]}"#);
        let edits = edits_from(&wanted, &folders).expect("a device");
        assert_eq!(groups(&edits).collect::<Vec<_>>(), ["44"]);
        let mut spec = Spec {
            process: Some(Default::default()),
            ..Spec::default()
        };
        apply(edits, &mut spec).expect("applies");
        let env = &spec.process.as_ref().expect("a process").env;
        assert_eq!(env, &["CLASS=pot", "NAME=zero"]);
        let linux = spec.linux.expect("linux");
        assert_eq!(
            (linux.devices[0].path.as_str(), linux.devices[0].minor),
            ("/dev/pot", 5)
        );
        let rule = &linux.resources.expect("resources").devices[0];
        assert_eq!(rule.access.as_deref(), Some("r"));
        assert_eq!(spec.mounts[0].options, ["ro", "rbind"]);
        let missing = host(r#"{"Driver":"cdi","DeviceIDs":["onggi.test/pot=none"]}"#);
        assert_eq!(
            edits_from(&missing, &folders)
                .expect_err("missing")
                .to_string(),
            "CDI device injection failed: unresolvable CDI devices onggi.test/pot=none"
        );
        std::fs::remove_dir_all(&folder).expect("removes");
    }

    #[test]
    fn a_driver_that_is_not_there_is_named() {
        let error =
            edits(&host(r#"{"Count":-1,"Capabilities":[["gpu"]]}"#), &[]).expect_err("no driver");
        assert!(
            error
                .to_string()
                .starts_with("could not select device driver \"\" with capabilities: [[gpu]]"),
            "{error}"
        );
    }
}
