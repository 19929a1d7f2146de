//! Events beside Docker's: the same life, and what both daemons tell of it.

use super::inspect::Compared;
use super::system::{Differences, VERSION, get, pair};
use anyhow::{Context, Result, ensure};
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

/// Now, as a query has it.
fn until() -> Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(format!("{}.{:09}", now.as_secs(), now.subsec_nanos()))
}

/// Events as lines `type/action/attribute=value`, one an attribute, with how often each came. Their order is the
/// daemon's own: what happens at the same time has none.
fn told(daemon: &Daemon) -> Result<BTreeMap<String, Value>> {
    act(daemon)?;
    let path = format!("{VERSION}/events?since=1&until={}", until()?);
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

/// What may be asked of events.
const FILTERS: &[&str] = &[
    r#"{"type":["container"]}"#,
    r#"{"type":["image","network"]}"#,
    r#"{"event":["start"]}"#,
    r#"{"event":["exec_create"]}"#,
    r#"{"event":["start","stop"],"type":["container"]}"#,
    r#"{"container":["pot"]}"#,
    r#"{"container":["jar"]}"#,
    r#"{"container":["nobody"]}"#,
    r#"{"image":["busybox"]}"#,
    r#"{"image":["kept"]}"#,
    r#"{"image":["busybox:latest"]}"#,
    r#"{"label":["l"]}"#,
    r#"{"label":["l=v"]}"#,
    r#"{"label":["l=other"]}"#,
    r#"{"label":["l=v","l=other"]}"#,
    r#"{"network":["bridge"]}"#,
    // `kept` would let images of that name through too, on Docker's side.
    r#"{"volume":["nobody"]}"#,
    r#"{"scope":["local"]}"#,
    r#"{"scope":["swarm"]}"#,
    r#"{"daemon":["nobody"]}"#,
];

/// Which events a filter lets through, but for those that only one of the two has.
fn filtered(daemon: &Daemon, filter: &str) -> Result<BTreeMap<String, u32>> {
    let mut query = String::new();
    for character in filter.chars() {
        match character {
            '{' | '}' | '[' | ']' | '"' => {
                query.push_str(&format!("%{:02X}", u32::from(character)))
            }
            other => query.push(other),
        }
    }
    let path = format!(
        "{VERSION}/events?since=1&until={}&filters={query}",
        until()?
    );
    let text = daemon.get(&path)?.ok()?.text();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let event: Value = serde_json::from_str(line)?;
        let (kind, action) = (&event["Type"], event["Action"].as_str().unwrap_or_default());
        let commits = ["pause", "unpause", "mount", "unmount", "load", "import"];
        if !commits.contains(&action) {
            *found.entry(format!("{kind} {action}")).or_default() += 1;
        }
    }
    Ok(found)
}

#[test]
fn events_are_dockers() -> Result<()> {
    let Some((ours, theirs)) = pair()? else {
        return Ok(());
    };
    let mut compared = Compared::default();
    compared.add("events", &told(&ours)?, &told(&theirs)?, EVENTS);
    compared.verdict(EVENTS)?;
    for filter in FILTERS {
        let (mine, other) = (filtered(&ours, filter)?, filtered(&theirs, filter)?);
        ensure!(mine == other, "{filter}: {mine:?} here, {other:?} there");
    }
    ours.clean()?;
    theirs.clean()
}
