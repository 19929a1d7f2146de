//! Fields that contradict each other, over the API: clients other than a command line send anything. The texts are Docker's.

use crate::{daemon, is_dockerd};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// A request for busybox with `more` in it, refused with this.
const REFUSED: &[(&str, &str)] = &[
    (
        r#"{"Hostname":"x","HostConfig":{"NetworkMode":"container:a"}}"#,
        "conflicting options: hostname and the network mode",
    ),
    (
        r#"{"HostConfig":{"NetworkMode":"container:a","Dns":["1.1.1.1"]}}"#,
        "conflicting options: dns and the network mode",
    ),
    (
        r#"{"HostConfig":{"NetworkMode":"container:a","ExtraHosts":["a:1.1.1.1"]}}"#,
        "conflicting options: custom host-to-IP mapping and the network mode",
    ),
    (
        r#"{"HostConfig":{"NetworkMode":"container:a","PortBindings":{"80/tcp":[{}]}}}"#,
        "conflicting options: port publishing and the container type network mode",
    ),
    (
        r#"{"HostConfig":{"NetworkMode":"container:a","PublishAllPorts":true}}"#,
        "conflicting options: port publishing and the container type network mode",
    ),
    (
        r#"{"ExposedPorts":{"80/tcp":{}},"HostConfig":{"NetworkMode":"container:a"}}"#,
        "conflicting options: port exposing and the container type network mode",
    ),
    (
        r#"{"HostConfig":{"NetworkMode":"container:a","Links":["b"]}}"#,
        "links. This would result in undefined behavior",
    ),
    (
        r#"{"HostConfig":{"NetworkMode":"host","Links":["b"]}}"#,
        "conflicting options: host type networking can't be used with links",
    ),
    (
        r#"{"Hostname":"x","HostConfig":{"UTSMode":"host"}}"#,
        "conflicting options: hostname and the UTS mode",
    ),
    (
        r#"{"HostConfig":{"AutoRemove":true,"RestartPolicy":{"Name":"always"}}}"#,
        "'AutoRemove' container with restart policy",
    ),
    (
        r#"{"HostConfig":{"RestartPolicy":{"Name":"always","MaximumRetryCount":2}}}"#,
        "aximum retry count",
    ),
    (
        r#"{"HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":-2}}}"#,
        "aximum retry count cannot be negative",
    ),
    (
        r#"{"HostConfig":{"RestartPolicy":{"Name":"sometimes"}}}"#,
        "nvalid restart policy",
    ),
    (
        r#"{"HostConfig":{"Memory":1024}}"#,
        "Minimum memory limit allowed is 6MB",
    ),
    (
        r#"{"HostConfig":{"OomScoreAdj":2000}}"#,
        "Invalid value 2000, range for oom score adj is [-1000, 1000]",
    ),
    (
        r#"{"HostConfig":{"ShmSize":-1}}"#,
        "SHM size can not be less than 0",
    ),
    (
        r#"{"HostConfig":{"CgroupnsMode":"nonsense"}}"#,
        "invalid cgroup namespace mode: nonsense",
    ),
    (
        r#"{"HostConfig":{"Isolation":"process"}}"#,
        "nvalid isolation: \"process\" - linux only supports 'default'",
    ),
    (
        r#"{"HostConfig":{"IOMaximumIOps":5}}"#,
        "Invalid QoS settings: linux does not support configuration of maximum IOPs",
    ),
    (r#"{"HostConfig":{"CapAdd":["NOPE"]}}"#, "nknown capability"),
    (
        r#"{"HostConfig":{"SecurityOpt":["nonsense"]}}"#,
        "invalid --security-opt 1: \"nonsense\"",
    ),
    (
        r#"{"HostConfig":{"SecurityOpt":["systempaths=unconfined"]}}"#,
        "invalid --security-opt 2: \"systempaths=unconfined\"",
    ),
    (
        r#"{"HostConfig":{"ExtraHosts":["nonsense"]}}"#,
        "bad format for add-host: \"nonsense\"",
    ),
    (r#"{"Env":["=x"]}"#, "invalid environment variable: =x"),
    (
        r#"{"WorkingDir":"x"}"#,
        "the working directory 'x' is invalid, it needs to be an absolute path",
    ),
    (r#"{"StopSignal":"NOPE"}"#, "nvalid signal: NOPE"),
];

/// What Docker 20.10 takes, or refuses in other words.
const NEWER: &[(&str, &str)] = &[
    (
        r#"{"HostConfig":{"IpcMode":"nonsense"}}"#,
        "invalid IPC mode: nonsense",
    ),
    (
        r#"{"HostConfig":{"PidMode":"nonsense"}}"#,
        "invalid PID mode: nonsense",
    ),
    (
        r#"{"HostConfig":{"UTSMode":"nonsense"}}"#,
        "invalid UTS mode: nonsense",
    ),
    (
        r#"{"HostConfig":{"LogConfig":{"Type":"nope"}}}"#,
        "no log driver named 'nope' is registered",
    ),
];

#[test]
fn contradictions_are_refused() -> Result<()> {
    let daemon = daemon()?;
    let mut wrong = Vec::new();
    let newer = if is_dockerd(&daemon) { &[] } else { NEWER };
    for (text, reason) in REFUSED.iter().chain(newer) {
        let mut body: Value = serde_json::from_str(text)?;
        body["Image"] = json!("busybox");
        let answer = daemon.post("/containers/create", &body)?;
        // dockerd 20.10 had no status for some of them.
        let status = answer.status == 400 || (is_dockerd(&daemon) && answer.status >= 400);
        let message = answer.json()?["message"].to_string();
        let message: String = serde_json::from_str(&message).unwrap_or_default();
        if !status || !message.contains(reason) {
            wrong.push(format!("{text}: {} {}", answer.status, answer.text()));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    daemon.clean()
}

#[test]
fn what_is_given_up_is_said() -> Result<()> {
    let daemon = daemon()?;
    let body = json!({"Image": "busybox", "HostConfig": {
        "NetworkMode": "host", "PortBindings": {"80/tcp": [{"HostPort": "80"}]}}});
    let answer = daemon.post("/containers/create", &body)?.ok()?.json()?;
    ensure!(
        answer["Warnings"] == json!(["Published ports are discarded when using host network mode"]),
        "{answer}"
    );
    let body = json!({"Image": "busybox", "HostConfig": {"CpuPercent": 5}});
    let answer = daemon.post("/containers/create", &body)?.ok()?.json()?;
    ensure!(
        answer["Warnings"] == json!(["linux does not support CPU percent. Percent discarded."]),
        "{answer}"
    );
    daemon.clean()
}

/// No network at all, and limits in the container's own hand only where they are its own.
#[test]
fn network_disabled_and_writable_groups() -> Result<()> {
    let daemon = daemon()?;
    let script = "ls /sys/class/net | grep -c eth";
    let body = json!({"Image": "busybox", "NetworkDisabled": true, "Cmd": ["sh", "-c", script]});
    let id = daemon.run_container(&body)?;
    daemon.cli(&["wait", &id])?.ok()?;
    ensure!(daemon.cli(&["logs", &id])?.ok()? == "0");
    if is_dockerd(&daemon) {
        return Ok(());
    }
    let flags = ["--security-opt", "writable-cgroups=true"];
    let output = crate::run(&daemon, &flags, "mkdir /sys/fs/cgroup/x && echo made")?;
    if crate::is_v2() {
        ensure!(output.ok()? == "made", "{output:?}");
    } else {
        ensure!(output.stderr.contains("needs cgroup v2"), "{output:?}");
    }
    let mac = json!({"Image": "busybox", "MacAddress": "02:42:ac:11:00:09"});
    ensure!(daemon.post("/v1.43/containers/create", &mac)?.status == 201);
    daemon.clean()
}

/// Rights that the daemon lacks cost a warning, not the container.
#[test]
fn what_may_not_be_raised_is_lowered_with_a_warning() -> Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let bounding = status.lines().find_map(|l| l.strip_prefix("CapBnd:"));
    let bounding = u64::from_str_radix(bounding.unwrap_or("0").trim(), 16)?;
    let daemon = daemon()?;
    if is_dockerd(&daemon) || bounding & (1 << 24) != 0 {
        eprintln!("skipped: CAP_SYS_RESOURCE is there, and all may be raised");
        return Ok(());
    }
    let output = crate::run(
        &daemon,
        &["--oom-score-adj", "-500", "--ulimit", "nofile=9999999999"],
        "cat /proc/self/oom_score_adj; [ $(ulimit -n) -gt 100 ] && echo ran",
    )?;
    ensure!(output.ok()?.ends_with("ran"), "{output:?}");
    for part in ["OOM score -500", "nofile=9999999999"] {
        ensure!(output.stderr.contains(part), "{output:?}");
    }
    daemon.clean()
}
