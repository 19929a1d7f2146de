//! `info`, `version` and `stats` beside Docker's: the same things done to Docker 20.10 and to us, and what
//! the newest moby answered when it was recorded. Every difference is in a table here and in docs/DIFFERENCES.md, with its
//! reason; one that is not needed any more fails the test.

use super::inspect::{Compared, flatten};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, LIMIT, Subject, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Docker 20.10's.
pub(super) const VERSION: &str = "/v1.41";

pub(super) type Differences = &'static [(&'static str, &'static str)];

/// `GET /info`, Docker 20.10.
pub(super) const INFO: Differences = &[
    (
        "/BridgeNf",
        "always false since moby 28, which loads the module when it is needed",
    ),
    ("/CDISpecDirs", "came after 1.41"),
    ("/ContainerdCommit", "there is no containerd"),
    ("/DefaultRuntime", "ours is the default"),
    ("/DiscoveredDevices", "came after 1.41"),
    ("/DockerRootDir", "each daemon has its own"),
    (
        "/DriverStatus",
        "told is what was looked at: the file system, its listings, metacopy",
    ),
    ("/ID", "random; the newest Docker has a UUID too"),
    ("/InitBinary", "ours"),
    ("/InitCommit", "ours"),
    ("/KernelMemory", "the newest Docker limits no kernel memory"),
    (
        "/LiveRestoreEnabled",
        "containers outlive the daemon unless told otherwise",
    ),
    ("/NFd", "counted"),
    ("/NGoroutines", "threads are counted"),
    (
        "/Plugins/Log",
        "awslogs, gcplogs, logentries and splunk are not there",
    ),
    ("/Plugins/Network", "ipvlan and overlay are not there yet"),
    (
        "/RegistryConfig/AllowNondistributable",
        "the newest Docker has it no more",
    ),
    (
        "/RegistryConfig/InsecureRegistryCIDRs",
        "the newest Docker counts ::1 too",
    ),
    ("/RuncCommit", "the runtime is built in"),
    (
        "/Runtimes",
        "the built-in runtime answers to these names and has no path",
    ),
    (
        "/SecurityOptions",
        "the newest Docker calls the built-in profile builtin",
    ),
    ("/ServerVersion", "ours"),
    ("/SystemTime", "the time"),
];

/// `GET /version`, Docker 20.10.
pub(super) const VERSIONS: Differences = &[
    ("/ApiVersion", "ours is newer"),
    (
        "/BuildTime",
        "not kept: builds are the same whenever they are made",
    ),
    (
        "/Components",
        "the engine is one program; its parts have its version",
    ),
    ("/GitCommit", "not kept"),
    ("/GoVersion", "there is no Go"),
    ("/MinAPIVersion", "1.24 is the oldest"),
    ("/Platform/Name", "ours"),
    ("/Version", "ours"),
];

/// `GET /containers/{id}/stats`, Docker 20.10.
pub(super) const STATS: Differences = &[("/os_type", "came after 1.41")];

/// `GET /info`, the newest moby.
pub(super) const NEWEST_INFO: Differences = &[
    ("/Containerd", "there is no containerd"),
    (
        "/FirewallBackend/Info",
        "one way to program it, with nothing to tell",
    ),
    (
        "/Runtimes",
        "the built-in runtime answers to these names and has no path",
    ),
    ("/Warnings", "only what this machine lacks; cgroup v1 stays"),
];

pub(super) fn pair() -> Result<Option<(Daemon, Daemon)>> {
    if !Path::new("/usr/sbin/dockerd").exists() {
        eprintln!("skipped: no dockerd is installed");
        return Ok(None);
    }
    let start = |subject| {
        let daemon = Daemon::start_with(DaemonOptions {
            subject: Some(subject),
            arguments: ["--registry-mirror=http://127.0.0.1:5000", "--label=a=b"]
                .map(str::to_owned)
                .into(),
            ..DaemonOptions::default()
        })?;
        daemon.load_busybox()?;
        anyhow::Ok(daemon)
    };
    Ok(Some((start(Subject::Onggi)?, start(Subject::Dockerd)?)))
}

pub(super) fn get(daemon: &Daemon, path: &str) -> Result<Value> {
    daemon.get(path)?.ok().context(path.to_owned())?.json()
}

pub(super) fn flat(document: &Value) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    flatten("", document, &mut flat);
    flat
}

/// What fields there are, and of which type.
fn types(document: &Value) -> BTreeMap<String, Value> {
    kinds(flat(document))
}

/// The type of each value.
pub(super) fn kinds(leaves: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    let leaves = leaves.into_iter();
    leaves
        .map(|(path, value)| (path, json!(kind(&value))))
        .collect()
}

#[test]
fn info_and_version_are_dockers() -> Result<()> {
    let Some((ours, theirs)) = pair()? else {
        return Ok(());
    };
    for (path, known) in [("/info", INFO), ("/version", VERSIONS)] {
        let path = format!("{VERSION}{path}");
        let mut compared = Compared::default();
        compared.add(
            &path,
            &flat(&get(&ours, &path)?),
            &flat(&get(&theirs, &path)?),
            known,
        );
        compared.verdict_of(known, OF_MACHINE)?;
    }
    Ok(())
}

/// Differences that a machine may lack, and numbers that may be the same by chance.
const OF_MACHINE: &[&str] = &[
    "/BridgeNf",
    "/DiscoveredDevices",
    "/DriverStatus",
    "/NFd",
    "/NGoroutines",
];

#[test]
fn statistics_are_dockers() -> Result<()> {
    let Some((ours, theirs)) = pair()? else {
        return Ok(());
    };
    let used = |daemon: &Daemon, query: &str| -> Result<BTreeMap<String, Value>> {
        Ok(types(&get(
            daemon,
            &format!("{VERSION}/containers/pot/stats?{query}"),
        )?))
    };
    let mut compared = Compared::default();
    let body = json!({
        "Image": "busybox", "Cmd": ["sh", "-c", "while :; do :; done"],
        "HostConfig": {"Memory": 64 << 20, "PidsLimit": 20, "CpuQuota": 20000},
    });
    for daemon in [&ours, &theirs] {
        let path = format!("{VERSION}/containers/create?name=pot");
        daemon.post(&path, &body)?.ok()?;
        daemon.post("/containers/pot/start", &Value::Null)?.ok()?;
        // What was never throttled, or sent nothing, is told in other words.
        wait_until("use of the network and the processor", LIMIT, || {
            let told = get(daemon, "/containers/pot/stats?stream=0&one-shot=1").ok()?;
            let throttled = told["cpu_stats"]["throttling_data"]["throttled_periods"].as_u64();
            (throttled > Some(0)).then_some(())
        })?;
    }
    for query in ["stream=0", "stream=0&one-shot=1"] {
        compared.add(query, &used(&ours, query)?, &used(&theirs, query)?, STATS);
    }
    for daemon in [&ours, &theirs] {
        daemon.post("/containers/pot/kill", &Value::Null)?.ok()?;
        daemon.post("/containers/pot/wait", &Value::Null)?.ok()?;
    }
    compared.add(
        "ended",
        &used(&ours, "stream=0")?,
        &used(&theirs, "stream=0")?,
        STATS,
    );
    compared.verdict(STATS)?;
    ours.clean()?;
    theirs.clean()
}

/// Rows of the recordings with this method and beginning of the path, of one version of the API.
pub(super) fn recorded(api: &str, start: &str) -> Result<Vec<Value>> {
    let rows = include_str!("../../../api/tests/data/moby-2026-08.jsonl").lines();
    let mut found = Vec::new();
    for row in rows {
        let row: Value = serde_json::from_str(row)?;
        let path = row["path"].as_str().unwrap_or_default();
        if row["api"] == api && row["method"] == "GET" && path.starts_with(start) {
            found.push(row);
        }
    }
    Ok(found)
}

#[test]
fn info_is_the_newest_dockers_at_every_version() -> Result<()> {
    let daemon = crate::daemon()?;
    if crate::is_dockerd(&daemon) {
        return Ok(());
    }
    let mut compared = Compared::default();
    for minor in [44, 47, 51, 52, 55] {
        let api = format!("1.{minor}");
        let row = recorded(&api, "/info")?
            .into_iter()
            .next()
            .context(api.clone())?;
        let ours = get(&daemon, &format!("/v{api}/info"))?;
        let (mine, other) = (types(&ours), types(&row["answer"]));
        compared.add(&api, &mine, &other, NEWEST_INFO);
    }
    compared.verdict_of(NEWEST_INFO, &["/Warnings"])
}

/// docs/DIFFERENCES.md has each row of these tables.
#[test]
fn every_difference_is_documented() -> Result<()> {
    let Some(document) = crate::document("DIFFERENCES.md")? else {
        return Ok(());
    };
    let mut expected = String::new();
    for (title, rows) in [
        ("`inspect`, Docker 20.10", super::inspect::DIFFERENCES),
        ("`inspect`, the newest moby", super::inspect::RECORDED),
        ("`info`, Docker 20.10", INFO),
        ("`info`, the newest moby", NEWEST_INFO),
        ("`version`, Docker 20.10", VERSIONS),
        ("lists of containers, Docker 20.10", super::lists::LIST),
        (
            "lists of containers, the newest moby",
            super::lists::NEWEST_LIST,
        ),
        ("`events`, Docker 20.10", super::events::EVENTS),
        ("`stats`, Docker 20.10", STATS),
    ] {
        expected.push_str(&format!("## {title}\n\n| field | why |\n|---|---|\n"));
        for (field, reason) in rows {
            expected.push_str(&format!("| `{field}` | {reason} |\n"));
        }
        expected.push('\n');
    }
    ensure!(
        document.trim_end().ends_with(expected.trim_end()),
        "docs/DIFFERENCES.md has to end with:\n{expected}"
    );
    Ok(())
}
