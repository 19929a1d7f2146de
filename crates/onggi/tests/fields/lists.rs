//! Lists of containers beside Docker's: every filter, and every field.

use super::inspect::Compared;
use super::system::{Differences, VERSION, flat, get, kinds, pair, recorded};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, wait_until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// `GET /containers/json`, Docker 20.10.
pub(super) const LIST: Differences = &[
    ("/Created", "the time"),
    (
        "/HostConfig/NetworkMode",
        "the newest Docker writes the default out",
    ),
    ("/Id", "random"),
    (
        "/ImageID",
        "the same image has the digest of its configuration, here as there, but for its times",
    ),
    (
        "/Mounts/0/",
        "names of anonymous volumes are random, and where they lie is told in lists too",
    ),
    ("/Mounts/1/Source", "volumes lie below the data root"),
    (
        "/NetworkSettings/Networks/bridge/",
        "endpoints are random, and have fields that came after 1.41",
    ),
    (
        "/NetworkSettings/Networks/host/",
        "networks are random; nothing ends in the host's",
    ),
    (
        "/NetworkSettings/Networks/none/",
        "networks are random; nothing ends in none",
    ),
    ("/Status", "the time"),
];

/// Lists, the newest moby.
pub(super) const NEWEST_LIST: Differences = &[
    ("/Ports/", "published on IPv4 only: IPv6 is not there yet"),
    ("/SizeRw", "Docker counts whole blocks"),
];

/// Name and what is asked for; the image is added. All are started but the last.
const CONTAINERS: &[(&str, &str)] = &[
    (
        "plain",
        r#"{"Cmd":["sleep","1000"],"Labels":{"tier":"front","x":""},"ExposedPorts":{"80/tcp":{},"53/udp":{}}}"#,
    ),
    (
        "ended",
        r#"{"Cmd":["sh","-c","exit 3"],"HostConfig":{"NetworkMode":"none"}}"#,
    ),
    (
        "ports",
        r#"{"Cmd":["sleep","1000"],"ExposedPorts":{"80/tcp":{}},"HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"18088"}]}}}"#,
    ),
    (
        "mounts",
        r#"{"Cmd":["sleep","1000"],"HostConfig":{"Binds":["/tmp:/mnt:ro","named:/data"],"Mounts":[{"Type":"tmpfs","Target":"/t"}]},"Volumes":{"/anon":{}}}"#,
    ),
    (
        "healthy",
        r#"{"Cmd":["sleep","1000"],"Healthcheck":{"Test":["CMD","true"],"Interval":1000000000}}"#,
    ),
    (
        "paused",
        r#"{"Cmd":["sleep","1000"],"HostConfig":{"NetworkMode":"host"}}"#,
    ),
    (
        "made",
        r#"{"Entrypoint":["/bin/sh","-c"],"Cmd":["sleep 10; echo \"a b\""]}"#,
    ),
];

/// What a list may be asked.
const QUERIES: &[&str] = &[
    "",
    "all=1",
    "all=true&size=1",
    "limit=2",
    "limit=0",
    "limit=-1",
    "all=1&limit=3",
];

/// Filters, each with and without `all`.
const FILTERS: &[&str] = &[
    r#"{"status":["exited"]}"#,
    r#"{"status":["paused"]}"#,
    r#"{"status":{"running":true}}"#,
    r#"{"status":["created","exited"]}"#,
    r#"{"status":["nonsense"]}"#,
    r#"{"exited":["3"]}"#,
    r#"{"label":["tier"]}"#,
    r#"{"label":["tier=front","x"]}"#,
    r#"{"label":["tier=back"]}"#,
    r#"{"name":["^plain$"]}"#,
    r#"{"name":["/plain"]}"#,
    r#"{"name":["plain|made"]}"#,
    r#"{"name":["["]}"#,
    r#"{"id":["zz"]}"#,
    r#"{"health":["healthy"]}"#,
    r#"{"health":["none"]}"#,
    r#"{"health":["x"]}"#,
    r#"{"network":["bridge"]}"#,
    r#"{"network":["host"]}"#,
    r#"{"network":["nowhere"]}"#,
    r#"{"volume":["named"]}"#,
    r#"{"volume":["/data"]}"#,
    r#"{"volume":["/tmp"]}"#,
    r#"{"volume":["/mnt"]}"#,
    r#"{"publish":["80"]}"#,
    r#"{"publish":["18088"]}"#,
    r#"{"publish":["18000-19000"]}"#,
    r#"{"publish":["18088/udp"]}"#,
    r#"{"expose":["80"]}"#,
    r#"{"expose":["53/udp"]}"#,
    r#"{"expose":["53"]}"#,
    r#"{"expose":["53/udp"],"publish":["18088"]}"#,
    r#"{"ancestor":["busybox"]}"#,
    r#"{"ancestor":["busybox:latest"]}"#,
    r#"{"ancestor":["nothing"]}"#,
    r#"{"before":["mounts"]}"#,
    r#"{"since":["mounts"]}"#,
    r#"{"is-task":["true"]}"#,
    r#"{"is-task":["false"]}"#,
    r#"{"is-task":["x"]}"#,
    r#"{"isolation":["default"]}"#,
    r#"{"nonsense":["x"]}"#,
];

fn populate(daemon: &Daemon) -> Result<()> {
    for (name, request) in CONTAINERS {
        let mut body: Value = serde_json::from_str(request)?;
        body["Image"] = json!("busybox");
        daemon
            .post(&format!("{VERSION}/containers/create?name={name}"), &body)?
            .ok()?;
        if *name != "made" {
            daemon
                .post(&format!("/containers/{name}/start"), &Value::Null)?
                .ok()?;
        }
    }
    daemon.post("/containers/ended/wait", &Value::Null)?.ok()?;
    daemon
        .post("/containers/paused/pause", &Value::Null)?
        .ok()?;
    wait_until("health", LIMIT, || {
        let told = get(daemon, "/containers/healthy/json").ok()?;
        (told["State"]["Health"]["Status"] == "healthy").then_some(())
    })
}

/// The names of a list, or the status of a refusal.
fn names(daemon: &Daemon, query: &str) -> Result<Value> {
    let answer = daemon.get(&format!("{VERSION}/containers/json?{query}"))?;
    if answer.status != 200 {
        return Ok(json!(answer.status));
    }
    let list = answer.json()?;
    let names = list.as_array().context("a list")?.iter();
    Ok(names.map(|one| one["Names"].clone()).collect())
}

#[test]
fn lists_are_dockers() -> Result<()> {
    let Some((ours, theirs)) = pair()? else {
        return Ok(());
    };
    populate(&ours)?;
    populate(&theirs)?;
    let mut wrong = Vec::new();
    let filtered = FILTERS.iter().flat_map(|filter| {
        let filter = filter.replace('{', "%7B").replace('}', "%7D");
        let filter = filter
            .replace('"', "%22")
            .replace('[', "%5B")
            .replace(']', "%5D");
        let filter = filter.replace('^', "%5E").replace('|', "%7C");
        [
            format!("filters={filter}"),
            format!("all=1&filters={filter}"),
        ]
    });
    for query in QUERIES.iter().map(|q| (*q).to_owned()).chain(filtered) {
        let (mine, other) = (names(&ours, &query)?, names(&theirs, &query)?);
        if mine != other {
            wrong.push(format!("{query}: {mine} here, {other} there"));
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    let path = format!("{VERSION}/containers/json?all=1&size=1");
    let (mine, other) = (get(&ours, &path)?, get(&theirs, &path)?);
    let mut compared = Compared::default();
    let pairs = mine.as_array().into_iter().flatten();
    for (mine, other) in pairs.zip(other.as_array().into_iter().flatten()) {
        let what = mine["Names"].to_string();
        compared.add(&what, &leaves(mine.clone()), &leaves(other.clone()), LIST);
    }
    compared.verdict_of(LIST, &["/Status", "/ImageID", "/Created"])?;
    ours.clean()?;
    theirs.clean()
}

/// A container of a list, with what comes in any order put in one.
pub(super) fn leaves(mut one: Value) -> BTreeMap<String, Value> {
    for (name, key) in [("Mounts", "Destination"), ("Ports", "PrivatePort")] {
        if let Some(list) = one[name].as_array_mut() {
            list.sort_by_key(|item| item[key].to_string());
            let items = list.iter().enumerate();
            let items = items
                .map(|(n, item)| (n.to_string(), item.clone()))
                .collect();
            one[name] = Value::Object(items);
        }
    }
    flat(&one)
}

#[test]
fn lists_are_the_newest_dockers_at_every_version() -> Result<()> {
    let daemon = crate::daemon()?;
    if crate::is_dockerd(&daemon) {
        return Ok(());
    }
    let requests = include_str!("../../../api/tests/data/moby-2026-08.jsonl").lines();
    let mut bodies = BTreeMap::new();
    for row in requests {
        let row: Value = serde_json::from_str(row)?;
        let path = row["path"].as_str().unwrap_or_default();
        if row["method"] == "POST" && path.starts_with("/containers/create") && row["status"] == 201
        {
            bodies.insert(row["case"].to_string(), row["body"].clone());
        }
    }
    let mut compared = Compared::default();
    let mut seen = BTreeSet::new();
    for minor in [44, 47, 51, 52, 55] {
        let api = format!("1.{minor}");
        for row in recorded(&api, "/containers/json?all=1&size=1")? {
            let (case, other) = (row["case"].to_string(), &row["answer"][0]);
            let state = other["State"].as_str().unwrap_or_default();
            // What ran to its end, or never, is made here the same way; user networks are not there yet.
            if !["running", "exited"].contains(&state)
                || case.contains("net-user")
                || case.contains("autoremove")
            {
                continue;
            }
            let name = other["Names"][0]
                .as_str()
                .context("a name")?
                .trim_start_matches('/');
            if seen.insert(case.clone()) {
                let body = bodies.get(&case).context(case.clone())?;
                let path = format!("/v1.55/containers/create?name={name}");
                daemon.post(&path, body)?.ok().context(case.clone())?;
                daemon
                    .post(&format!("/containers/{name}/start"), &Value::Null)?
                    .ok()
                    .context(case.clone())?;
            }
            let path = format!("/v{api}{}", row["path"].as_str().unwrap_or_default());
            let mine = wait_until("the state that was recorded", LIMIT, || {
                let list = get(&daemon, &path).ok()?;
                let here = &list[0]["State"];
                if state == "exited" && here == "running" {
                    // It was stopped before it was recorded.
                    let kill = format!("/containers/{name}/kill");
                    let _ = daemon.post(&kill, &Value::Null);
                }
                (here == state).then(|| list[0].clone())
            })
            .with_context(|| format!("{case}: {state}"))?;
            let keys = |one: &Value| kinds(leaves(one.clone()));
            compared.add(
                &format!("{api} {case}"),
                &keys(&mine),
                &keys(other),
                NEWEST_LIST,
            );
        }
    }
    ensure!(seen.len() > 20, "only {} compared", seen.len());
    daemon.clean()?;
    compared.verdict_of(NEWEST_LIST, &[])
}
