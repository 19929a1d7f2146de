//! Who is pruned: a table, beside Docker where it knows the filter.

use crate::{daemon, is_dockerd};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Client, Daemon, DaemonOptions, Subject};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Filters, and who goes where volumes with names go, too (before 1.42, or with `all`). Of those only `anonymous` goes
/// where they are spared. `used` and `optioned` never go.
const TABLE: &[(&str, &[&str])] = &[
    ("{}", &["anonymous", "keep", "named", "prod", "test"]),
    (r#"{"label":["keep"]}"#, &["keep", "test"]),
    (r#"{"label":["keep="]}"#, &["keep"]),
    (r#"{"label":["env=prod"]}"#, &["prod"]),
    (r#"{"label":["env"]}"#, &["prod", "test"]),
    (r#"{"label":["env=test","keep"]}"#, &["test"]),
    (r#"{"label":["env=prod","keep"]}"#, &[]),
    (r#"{"label":["nosuch"]}"#, &[]),
    (r#"{"label!":["keep"]}"#, &["anonymous", "named", "prod"]),
    (
        r#"{"label!":["env=prod"]}"#,
        &["anonymous", "keep", "named", "test"],
    ),
    (
        r#"{"label!":["env","keep"]}"#,
        &["anonymous", "keep", "named", "prod"],
    ),
    (r#"{"label":["env"],"label!":["keep"]}"#, &["prod"]),
];

/// Volumes of every kind; the name of the anonymous one.
fn furnish(daemon: &Daemon) -> Result<String> {
    for (name, labels, options) in [
        ("named", json!({}), json!({})),
        ("keep", json!({"keep": ""}), json!({})),
        ("prod", json!({"env": "prod"}), json!({})),
        ("test", json!({"env": "test", "keep": "no"}), json!({})),
        (
            "optioned",
            json!({}),
            json!({"type": "tmpfs", "device": "tmpfs"}),
        ),
    ] {
        let body = json!({"Name": name, "Labels": labels, "DriverOpts": options});
        daemon.post("/volumes/create", &body)?.ok()?;
    }
    let create = |name: &str, host: Value| -> Result<String> {
        let body = json!({"Image": "busybox", "Volumes": {"/anon": {}}, "HostConfig": host});
        daemon
            .post(&format!("/containers/create?name={name}"), &body)?
            .ok()?;
        let inspect = daemon
            .get(&format!("/containers/{name}/json"))?
            .ok()?
            .json()?;
        let points = inspect["Mounts"].as_array().context("Mounts")?;
        let point = points.iter().find(|point| point["Destination"] == "/anon");
        Ok(point
            .and_then(|p| p["Name"].as_str())
            .context("Name")?
            .to_owned())
    };
    if daemon.get("/containers/holder/json")?.status == 404 {
        create("holder", json!({"Binds": ["used:/used"]}))?;
    }
    let anonymous = create("gone", json!({}))?;
    daemon.delete("/containers/gone")?.ok()?;
    Ok(anonymous)
}

/// Who went, and how many bytes that freed.
fn prune(
    daemon: &Daemon,
    version: &str,
    filters: &str,
    anonymous: &str,
) -> Result<(Vec<String>, u64)> {
    let query: String = filters.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("{version}/volumes/prune?filters={query}");
    let report = daemon.post(&path, &Value::Null)?.ok()?.json()?;
    let deleted = report["VolumesDeleted"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let names = deleted.iter().filter_map(Value::as_str);
    let mut names: Vec<String> = names
        .map(|name| if name == anonymous { "anonymous" } else { name }.to_owned())
        .collect();
    names.sort_unstable();
    Ok((
        names,
        report["SpaceReclaimed"]
            .as_u64()
            .context("SpaceReclaimed")?,
    ))
}

#[test]
fn the_table_of_prune() -> Result<()> {
    let onggi = daemon()?;
    if is_dockerd(&onggi, "this is a comparison") {
        return Ok(());
    }
    let docker = match Path::new("/usr/sbin/dockerd").exists() {
        true => {
            let docker = Daemon::start_with(DaemonOptions {
                subject: Some(Subject::Dockerd),
                client: Some(Client::Onggi),
                ..DaemonOptions::default()
            })?;
            docker.load_busybox()?;
            Some(docker)
        }
        false => {
            eprintln!("dockerd: skipped, it is not installed");
            None
        }
    };
    for (filters, all) in TABLE {
        let spared: Vec<&str> = all
            .iter()
            .copied()
            .filter(|name| *name == "anonymous")
            .collect();
        let with_all = match *filters {
            "{}" => r#"{"all":["true"]}"#.to_owned(),
            filters => filters.replacen('{', r#"{"all":["1"],"#, 1),
        };
        for (version, filters, expected) in [
            ("/v1.41", *filters, *all),
            ("", *filters, &spared[..]),
            ("", &with_all, *all),
        ] {
            let anonymous = furnish(&onggi)?;
            let file = onggi
                .data_root()
                .join(format!("volumes/{anonymous}/_data/file"));
            std::fs::write(file, vec![7; 1000])?;
            let (went, bytes) = prune(&onggi, version, filters, &anonymous)?;
            ensure!(
                went == expected,
                "{version} {filters}: {went:?} went instead of {expected:?}"
            );
            let freed = if expected.contains(&"anonymous") {
                1000
            } else {
                0
            };
            ensure!(bytes == freed, "{version} {filters}: {bytes} bytes");
            onggi.post("/v1.41/volumes/prune", &Value::Null)?.ok()?;
        }
        if let Some(docker) = &docker {
            let anonymous = furnish(docker)?;
            let (went, _) = prune(docker, "", filters, &anonymous)?;
            ensure!(
                went == *all,
                "Docker {filters}: {went:?} went instead of {all:?}"
            );
            docker.post("/volumes/prune", &Value::Null)?.ok()?;
        }
    }
    for (filters, text) in [
        (r#"{"all":["odd"]}"#, "invalid filter 'all=[odd]'"),
        (r#"{"dangling":["true"]}"#, "invalid filter 'dangling'"),
    ] {
        let query: String = filters.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = onggi.post(&format!("/volumes/prune?filters={query}"), &Value::Null)?;
        let message = answer.json()?["message"].take();
        ensure!(
            answer.status == 400 && message.as_str().is_some_and(|m| m.contains(text)),
            "{filters}: {} {message}",
            answer.status
        );
    }
    onggi.clean()
}

/// `rm -v` beside `--rm`: who takes anonymous volumes along, and whose.
#[test]
fn the_table_of_rm() -> Result<()> {
    let daemon = daemon()?;
    // How the container has it, and whether `rm -v` takes it.
    let table: BTreeMap<&str, (Value, bool)> = [
        ("-v /x", (json!({"Volumes": {"/x": {}}}), true)),
        ("-v name:/x", (json!({"HostConfig": {"Binds": ["named:/x"]}}), false)),
        ("--mount target=/x", (json!({"HostConfig": {"Mounts": [{"Type": "volume", "Target": "/x"}]}}), true)),
        (
            "--mount source=named,target=/x",
            (json!({"HostConfig": {"Mounts": [{"Type": "volume", "Source": "named", "Target": "/x"}]}}), false),
        ),
    ]
    .into();
    for (spelling, (mut body, goes)) in table {
        body["Image"] = "busybox".into();
        for (query, taken) in [
            ("", false),
            ("?v=0", false),
            ("?v=1", goes),
            ("?v=true&force=1", goes),
        ] {
            daemon.post("/containers/create?name=one", &body)?.ok()?;
            let inspect = daemon.get("/containers/one/json")?.ok()?.json()?;
            let name = inspect["Mounts"][0]["Name"]
                .as_str()
                .context("Name")?
                .to_owned();
            daemon.delete(&format!("/containers/one{query}"))?.ok()?;
            let status = daemon.get(&format!("/volumes/{name}"))?.status;
            let expected = if taken { 404 } else { 200 };
            ensure!(status == expected, "{spelling} {query}: {status}");
            if !taken {
                daemon.delete(&format!("/volumes/{name}"))?.ok()?;
            }
        }
    }
    daemon.clean()
}
