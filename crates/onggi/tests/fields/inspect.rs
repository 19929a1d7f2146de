//! `inspect` beside Docker 20.10, field by field: the same requests to both daemons over the API that both speak. Every
//! difference is in a list here, with its reason; one that is not needed any more fails the test.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, Subject};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Docker 20.10's.
const VERSION: &str = "/v1.41";

/// What is asked for; the image is added.
const REQUESTS: &[&str] = &[
    r#"{}"#,
    r#"{"Cmd":["echo","a b"]}"#,
    r#"{"Entrypoint":["/bin/sh","-c"],"Cmd":["true"]}"#,
    r#"{"Entrypoint":[],"Cmd":["true"]}"#,
    r#"{"Env":["A=1","B","PATH=/bin"]}"#,
    r#"{"Labels":{"a":"b","c":""}}"#,
    r#"{"User":"1000:1000","WorkingDir":"/tmp"}"#,
    r#"{"Hostname":"pot","Domainname":"pots.test"}"#,
    r#"{"Tty":true,"OpenStdin":true,"StdinOnce":true,"AttachStdin":true,"AttachStdout":true,"AttachStderr":true}"#,
    r#"{"ExposedPorts":{"80/tcp":{},"53/udp":{}}}"#,
    r#"{"StopSignal":"USR1","StopTimeout":3}"#,
    r#"{"HostConfig":{}}"#,
    r#"{"HostConfig":{"Memory":67108864}}"#,
    r#"{"HostConfig":{"Memory":67108864,"MemorySwap":-1,"MemoryReservation":33554432,"MemorySwappiness":10}}"#,
    r#"{"HostConfig":{"NanoCpus":500000000,"CpuShares":100}}"#,
    r#"{"HostConfig":{"CpuPeriod":50000,"CpuQuota":25000,"CpusetCpus":"0","CpusetMems":"0"}}"#,
    r#"{"HostConfig":{"PidsLimit":50,"OomKillDisable":false,"OomScoreAdj":100}}"#,
    r#"{"HostConfig":{"Ulimits":[{"Name":"nofile","Soft":100,"Hard":200}]}}"#,
    r#"{"HostConfig":{"Devices":[{"PathOnHost":"/dev/zero","PathInContainer":"/dev/pot","CgroupPermissions":"r"}],"DeviceCgroupRules":["c 13:* rwm"]}}"#,
    r#"{"HostConfig":{"CapAdd":["NET_ADMIN"],"CapDrop":["CAP_CHOWN","MKNOD"]}}"#,
    r#"{"HostConfig":{"CapDrop":["all"]}}"#,
    r#"{"HostConfig":{"Privileged":true}}"#,
    r#"{"HostConfig":{"ReadonlyRootfs":true,"Tmpfs":{"/run":"size=1m"},"ShmSize":1048576}}"#,
    r#"{"HostConfig":{"SecurityOpt":["no-new-privileges"]}}"#,
    r#"{"HostConfig":{"SecurityOpt":["seccomp=unconfined","label=disable"]}}"#,
    r#"{"HostConfig":{"MaskedPaths":[],"ReadonlyPaths":["/proc/sys"]}}"#,
    r#"{"HostConfig":{"Sysctls":{"net.ipv4.ip_forward":"1"}}}"#,
    r#"{"HostConfig":{"IpcMode":"host","PidMode":"host","UTSMode":"host"}}"#,
    r#"{"HostConfig":{"IpcMode":"shareable"}}"#,
    r#"{"HostConfig":{"IpcMode":"none"}}"#,
    r#"{"HostConfig":{"CgroupnsMode":"private"}}"#,
    r#"{"HostConfig":{"UsernsMode":"host"}}"#,
    r#"{"HostConfig":{"NetworkMode":"none"}}"#,
    r#"{"HostConfig":{"NetworkMode":"host"}}"#,
    r#"{"HostConfig":{"NetworkMode":"bridge"}}"#,
    r#"{"HostConfig":{"Dns":["10.0.0.1"],"DnsOptions":["ndots:2"],"DnsSearch":["pots.test"],"ExtraHosts":["a:10.0.0.2"]}}"#,
    r#"{"ExposedPorts":{"80/tcp":{}},"HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8088"}]}}}"#,
    r#"{"HostConfig":{"PublishAllPorts":true}}"#,
    r#"{"HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3}}}"#,
    r#"{"HostConfig":{"AutoRemove":true}}"#,
    r#"{"HostConfig":{"Init":true,"GroupAdd":["4"]}}"#,
    r#"{"HostConfig":{"LogConfig":{"Type":"json-file","Config":{"max-size":"1m","max-file":"2"}}}}"#,
    r#"{"HostConfig":{"LogConfig":{"Type":"none"}}}"#,
    r#"{"HostConfig":{"Binds":["/tmp:/mnt:ro"]}}"#,
    r#"{"HostConfig":{"Mounts":[{"Type":"bind","Source":"/tmp","Target":"/mnt","ReadOnly":true}]}}"#,
    r#"{"HostConfig":{"Mounts":[{"Type":"tmpfs","Target":"/mnt","TmpfsOptions":{"SizeBytes":1048576}}]}}"#,
    r#"{"HostConfig":{"CgroupParent":"/pots"}}"#,
];

/// Where the two differ, and why.
pub(super) const DIFFERENCES: &[(&str, &str)] = &[
    ("/Config/Hostname", "the id is random"),
    ("/Config/OnBuild", "the newest Docker leaves it away"),
    ("/Created", "the time"),
    (
        "/GraphDriver/Data",
        "mounts exist only inside the container: there are no folders to name",
    ),
    (
        "/HostConfig/KernelMemory",
        "the newest Docker has it no more",
    ),
    (
        "/HostConfig/MaskedPaths",
        "the newest Docker hides more, in order",
    ),
    (
        "/HostConfig/Mounts",
        "before 1.44 read-only binds were not recursive, and the newest Docker says so",
    ),
    (
        "/HostConfig/NetworkMode",
        "the newest Docker writes the default out",
    ),
    (
        "/HostConfig/PortBindings",
        "the newest Docker writes an empty map",
    ),
    (
        "/HostConfig/RestartPolicy/Name",
        "the newest Docker writes the default out",
    ),
    ("/HostConfig/Runtime", "ours is the default"),
    ("/Id", "random"),
    (
        "/NetworkSettings/Bridge",
        "the newest Docker has it no more",
    ),
    (
        "/NetworkSettings/HairpinMode",
        "the newest Docker has it no more",
    ),
    (
        "/NetworkSettings/LinkLocalIPv6",
        "the newest Docker has it no more",
    ),
    (
        "/NetworkSettings/Networks/bridge/",
        "fields of endpoints that came after 1.41",
    ),
    (
        "/NetworkSettings/Networks/host/",
        "fields of endpoints that came after 1.41",
    ),
    (
        "/NetworkSettings/Networks/none/",
        "fields of endpoints that came after 1.41",
    ),
    (
        "/NetworkSettings/Secondary",
        "the newest Docker has it no more",
    ),
];

/// Every leaf of a document by its path.
pub(super) fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                flatten(&format!("{path}/{name}"), value, into);
            }
        }
        leaf => {
            into.insert(path.to_owned(), leaf.clone());
        }
    }
}

/// What `inspect` tells, and what a list does.
fn inspected(
    daemon: &Daemon,
    request: &str,
) -> Result<(BTreeMap<String, Value>, BTreeMap<String, Value>)> {
    let mut body: Value = serde_json::from_str(request)?;
    body["Image"] = json!("busybox");
    let path = format!("{VERSION}/containers/create?name=pot");
    daemon
        .post(&path, &body)?
        .ok()
        .context(request.to_owned())?;
    let document = daemon
        .get(&format!("{VERSION}/containers/pot/json"))?
        .ok()?
        .json()?;
    let mut list = daemon
        .get(&format!("{VERSION}/containers/json?all=1&size=1"))?
        .ok()?
        .json()?;
    daemon.delete("/containers/pot")?.ok()?;
    let mut flat = BTreeMap::new();
    flatten("", &document, &mut flat);
    Ok((flat, super::lists::leaves(list[0].take())))
}

#[test]
fn the_document_is_dockers() -> Result<()> {
    if !Path::new("/usr/sbin/dockerd").exists() {
        eprintln!("skipped: no dockerd is installed");
        return Ok(());
    }
    let start = |subject| {
        let options = DaemonOptions {
            subject: Some(subject),
            ..DaemonOptions::default()
        };
        let daemon = Daemon::start_with(options)?;
        daemon.load_busybox()?;
        anyhow::Ok(daemon)
    };
    let (ours, theirs) = (start(Subject::Onggi)?, start(Subject::Dockerd)?);
    let (mut compared, mut listed) = (Compared::default(), Compared::default());
    for request in REQUESTS {
        let (mine, other) = (inspected(&ours, request)?, inspected(&theirs, request)?);
        compared.add(request, &mine.0, &other.0, DIFFERENCES);
        listed.add(request, &mine.1, &other.1, super::lists::LIST);
    }
    // Which of the differences of lists are needed is seen where containers run.
    listed.verdict(&[])?;
    compared.verdict(DIFFERENCES)
}

/// What was found.
#[derive(Default)]
pub(super) struct Compared {
    wrong: BTreeMap<String, String>,
    used: BTreeSet<&'static str>,
}

impl Compared {
    pub(super) fn add(
        &mut self,
        what: &str,
        mine: &BTreeMap<String, Value>,
        other: &BTreeMap<String, Value>,
        known: &[(&'static str, &str)],
    ) {
        let paths: BTreeSet<_> = mine.keys().chain(other.keys()).collect();
        for path in paths.into_iter().filter(|p| mine.get(*p) != other.get(*p)) {
            match known.iter().find(|(start, _)| path.starts_with(start)) {
                Some((start, _)) => {
                    self.used.insert(start);
                }
                None => {
                    let text = format!(
                        "{what}: {:?} here, {:?} there",
                        mine.get(path),
                        other.get(path)
                    );
                    self.wrong.entry(path.clone()).or_insert(text);
                }
            }
        }
    }

    pub(super) fn verdict(self, known: &[(&str, &str)]) -> Result<()> {
        self.verdict_of(known, &[])
    }

    /// As [`Compared::verdict`]; some differences need not be there on every machine.
    pub(super) fn verdict_of(self, known: &[(&str, &str)], optional: &[&str]) -> Result<()> {
        ensure!(self.wrong.is_empty(), "{:#?}", self.wrong);
        for (path, reason) in known {
            ensure!(
                self.used.contains(path) || optional.contains(path),
                "{path} does not differ any more ({reason})"
            );
        }
        Ok(())
    }
}

/// Where the newest Docker, as it was recorded, differs.
pub(super) const RECORDED: &[(&str, &str)] = &[
    ("/Config/Env", "the image is another build"),
    ("/Config/Hostname", "the id is random"),
    ("/Created", "the time"),
    (
        "/Driver",
        "overlay2 is what clients of Docker's own store know",
    ),
    ("/HostConfig/Runtime", "ours is the default"),
    ("/Id", "random"),
    ("/Image", "the image is another build"),
    (
        "/Mounts",
        "in any order, with paths below the data root and random names of volumes",
    ),
    (
        "/Storage/RootFS/Snapshot/Name",
        "overlay2 is what clients of Docker's own store know",
    ),
];

/// A recorded request, and the document of the container that it made.
struct Case {
    name: String,
    request: Value,
    document: Option<Value>,
}

fn recorded() -> Result<Vec<Case>> {
    let rows = include_str!("../../../api/tests/data/moby-2026-08.jsonl");
    let mut cases: Vec<Case> = Vec::new();
    for row in rows.lines() {
        let mut row: Value = serde_json::from_str(row)?;
        let path = row["path"].as_str().unwrap_or_default().to_owned();
        if row["api"] != "1.55" {
            continue;
        }
        if row["method"] == "POST" && path.starts_with("/containers/create") && row["status"] == 201
        {
            cases.push(Case {
                name: row["case"].as_str().unwrap_or_default().to_owned(),
                request: row["body"].take(),
                document: None,
            });
        } else if row["method"] == "GET"
            && path.starts_with("/containers/")
            && path.ends_with("/json")
            && row["answer"].is_object()
            && let Some(case) = cases.iter_mut().find(|case| row["case"] == *case.name)
        {
            // The first one: before the start.
            case.document.get_or_insert_with(|| row["answer"].take());
        }
    }
    Ok(cases)
}

#[test]
fn the_document_is_the_newest_dockers() -> Result<()> {
    let daemon = crate::daemon()?;
    if crate::is_dockerd(&daemon) {
        return Ok(());
    }
    let mut compared = Compared::default();
    let mut count = 0;
    for case in recorded()? {
        let Some(document) = case.document else {
            continue;
        };
        let name = document["Name"]
            .as_str()
            .context("Name")?
            .trim_start_matches('/')
            .to_owned();
        let path = format!("/v1.55/containers/create?name={name}");
        let created = daemon.post(&path, &case.request)?;
        if created.status == 501 || case.name == "net-user" {
            continue; // refused by name: what is not there yet
        }
        created.ok().context(case.name.clone())?;
        let ours = daemon
            .get(&format!("/v1.55/containers/{name}/json"))?
            .ok()?
            .json()?;
        let (mut mine, mut other) = (BTreeMap::new(), BTreeMap::new());
        flatten("", &ours, &mut mine);
        flatten("", &document, &mut other);
        if crate::is_v2() {
            // Recorded on cgroup v1, where these are other.
            for field in ["/HostConfig/CgroupnsMode", "/HostConfig/OomKillDisable"] {
                mine.remove(field);
                other.remove(field);
            }
        }
        compared.add(&case.name, &mine, &other, RECORDED);
        count += 1;
    }
    ensure!(count > 30, "only {count} compared");
    daemon.clean()?;
    compared.verdict(RECORDED)
}

#[test]
fn refusals_are_the_newest_dockers() -> Result<()> {
    let daemon = crate::daemon()?;
    if crate::is_dockerd(&daemon) {
        return Ok(());
    }
    let rows = include_str!("../../../api/tests/data/moby-2026-08.jsonl");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row)?;
        let path = row["path"].as_str().unwrap_or_default();
        let refused = row["status"].as_u64().is_some_and(|status| status >= 400);
        // The image that was recorded has no command of its own, ours has.
        let of_image = row["answer"]["message"] == "no command specified";
        if row["api"] != "1.55" || !path.starts_with("/containers/create") || !refused || of_image {
            continue;
        }
        let answer = daemon.post(&format!("/v1.55{path}"), &row["body"])?;
        if answer.status == 501 {
            continue; // refused by name: what is not there yet
        }
        if u64::from(answer.status) != row["status"].as_u64().unwrap_or_default()
            || answer.json()?["message"] != row["answer"]["message"]
        {
            wrong.push(format!(
                "{}: {} {}, not {}",
                row["body"],
                answer.status,
                answer.text(),
                row["answer"]
            ));
        }
        count += 1;
    }
    ensure!(wrong.is_empty() && count > 7, "{count}: {wrong:#?}");
    daemon.clean()
}
