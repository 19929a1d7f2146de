//! Events beside Docker's: the same life, and what both daemons tell of it.

use super::inspect::Compared;
use super::system::{Differences, VERSION, get, pair};
use anyhow::{Context, Result};
use onggi_testkit::{Daemon, LIMIT, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// `GET /events`, Docker 20.10: what only one of the two tells.
pub(super) const EVENTS: Differences = &[
    ("container/die/execDuration", "came after 1.41"),
    ("container/pause/", "a commit stands still without a word"),
    ("container/unpause/", "a commit stands still without a word"),
    (
        "volume/mount/",
        "files are reached past the volumes, which nobody mounts for that",
    ),
    (
        "volume/unmount/",
        "files are reached past the volumes, which nobody mounts for that",
    ),
];

/// What is done to see events.
fn act(daemon: &Daemon) -> Result<()> {
    let script = r#"trap "exit 3" TERM; echo ready; while :; do usleep 100000; done"#;
    let body = json!({
        "Image": "busybox", "Cmd": ["sh", "-c", script], "Labels": {"l": "v"}, "Volumes": {"/v": {}},
    });
    daemon
        .post(&format!("{VERSION}/containers/create?name=pot"), &body)?
        .ok()?;
    let post = |path: &str, body: Value| daemon.post(&format!("{VERSION}{path}"), &body)?.ok();
    // One that has no trap yet would not hear the signal.
    let ready = |times: usize| {
        wait_until("the trap", LIMIT, || {
            let log = daemon.get("/containers/pot/logs?stdout=1").ok()?.text();
            (log.matches("ready").count() >= times).then_some(())
        })
    };
    post("/containers/pot/start", Value::Null)?;
    post("/containers/pot/rename?name=jar", Value::Null)?;
    post("/containers/jar/rename?name=pot", Value::Null)?;
    post("/containers/pot/resize?h=10&w=10", Value::Null)?;
    get(daemon, &format!("{VERSION}/containers/pot/top"))?;
    post("/containers/pot/update", json!({"CpuShares": 100}))?;
    let exec = json!({"Cmd": ["sh", "-c", "exit 4"], "AttachStdout": true});
    let exec = post("/containers/pot/exec", exec)?.json()?;
    let start = format!("/exec/{}/start", exec["Id"].as_str().context("Id")?);
    post(&start, json!({"Detach": false}))?;
    daemon
        .get(&format!(
            "{VERSION}/containers/pot/archive?path=/etc/passwd"
        ))?
        .ok()?;
    daemon
        .get(&format!("{VERSION}/containers/pot/export"))?
        .ok()?;
    post("/commit?container=pot&repo=kept&tag=x", json!({}))?;
    post("/images/kept:x/tag?repo=kept&tag=y", Value::Null)?;
    daemon.delete("/images/kept:y")?.ok()?;
    daemon.delete("/images/kept:x")?.ok()?;
    post("/containers/pot/pause", Value::Null)?;
    post("/containers/pot/unpause", Value::Null)?;
    ready(1)?;
    post("/containers/pot/restart?t=30", Value::Null)?;
    ready(2)?;
    post("/containers/pot/kill?signal=USR2", Value::Null)?;
    post("/containers/pot/start", Value::Null)?;
    post("/containers/pot/stop?t=30", Value::Null)?;
    post("/containers/pot/start", Value::Null)?;
    post("/containers/pot/kill", Value::Null)?;
    post("/containers/pot/wait", Value::Null)?;
    post("/containers/prune", Value::Null)?;
    post("/volumes/create", json!({"Name": "kept"}))?;
    daemon.delete("/volumes/kept")?.ok()?;
    Ok(())
}

/// Events as lines `type/action/attribute=value`, one an attribute, with how often each came. Their order is the
/// daemon's own: what happens at the same time has none.
fn told(daemon: &Daemon) -> Result<BTreeMap<String, Value>> {
    act(daemon)?;
    let until = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let path = format!(
        "{VERSION}/events?since=1&until={}.{:09}",
        until.as_secs(),
        until.subsec_nanos()
    );
    let text = daemon.get(&path)?.ok()?.text();
    let mut lines: BTreeMap<String, u32> = BTreeMap::new();
    for line in text.lines() {
        let event: Value = serde_json::from_str(line)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (kind, action) = (text(&event["Type"]), text(&event["Action"]));
        if kind == "image" && action != "tag" && action != "untag" && action != "delete" {
            continue; // how the test's image came
        }
        let head = format!("{kind}/{}", action.replace('/', "|"));
        let mut count = |line: String| *lines.entry(line).or_default() += 1;
        let legacy = ["status", "id", "from"].map(|name| !event[name].is_null());
        count(format!("{head}/legacy={legacy:?}"));
        for (name, value) in event["Actor"]["Attributes"]
            .as_object()
            .context("Attributes")?
        {
            let value = text(value);
            // Ids and sizes are each daemon's own.
            let known = value.len() < 64 && name != "reclaimed" && name != "execDuration";
            let value = if known { value } else { "*".to_owned() };
            count(format!("{head}/{name}={value}"));
        }
    }
    Ok(lines
        .into_iter()
        .map(|(line, n)| (line, json!(n)))
        .collect())
}

#[test]
fn events_are_dockers() -> Result<()> {
    let Some((ours, theirs)) = pair()? else {
        return Ok(());
    };
    let mut compared = Compared::default();
    compared.add("events", &told(&ours)?, &told(&theirs)?, EVENTS);
    compared.verdict(EVENTS)?;
    ours.clean()?;
    theirs.clean()
}
