//! `update`, `prune` and `rename`.

use anyhow::{Result, ensure};
use onggi_testkit::Daemon;
use serde_json::{Value, json};

use crate::{act, control_file, daemon, inspect, refused, run, sleeper};

/// What a control file of the container says.
fn limit(daemon: &Daemon, name: &str, v1: (&str, &str), v2: &str) -> Result<String> {
    let file = control_file(daemon, name, v1, v2)?;
    Ok(std::fs::read_to_string(file)?.trim().to_owned())
}

fn update(daemon: &Daemon, name: &str, body: &Value) -> Result<onggi_testkit::Response> {
    daemon.post(&format!("/containers/{name}/update"), body)
}

#[test]
fn limits_change_while_it_runs() -> Result<()> {
    let daemon = daemon()?;
    let body = json!({
        "Image": "busybox", "Cmd": ["sleep", "1000"],
        "HostConfig": {"Memory": 64 << 20, "PidsLimit": 50},
    });
    run(&daemon, "one", &body)?;
    update(
        &daemon,
        "one",
        &json!({"Memory": 32 << 20, "CpuShares": 512, "PidsLimit": 20}),
    )?
    .ok()?;
    let memory = || {
        limit(
            &daemon,
            "one",
            ("memory", "memory.limit_in_bytes"),
            "memory.max",
        )
    };
    ensure!(memory()? == (32 << 20).to_string(), "{}", memory()?);
    ensure!(limit(&daemon, "one", ("pids", "pids.max"), "pids.max")? == "20");
    let host = inspect(&daemon, "one")?["HostConfig"].take();
    ensure!(
        host["Memory"] == 32 << 20 && host["CpuShares"] == 512 && host["PidsLimit"] == 20,
        "{host}"
    );
    // Larger than memory and swap together were: both at once.
    let large = update(&daemon, "one", &json!({"Memory": 256 << 20}))?;
    refused(
        &large,
        409,
        "Memory limit should be smaller than already set memoryswap limit",
    )?;
    ensure!(memory()? == (32 << 20).to_string());
    update(
        &daemon,
        "one",
        &json!({"Memory": 256 << 20, "MemorySwap": 512 << 20}),
    )?
    .ok()?;
    ensure!(memory()? == (256 << 20).to_string());
    let small = update(&daemon, "one", &json!({"Memory": 1 << 20}))?;
    refused(&small, 400, "Minimum memory limit allowed is 6MB")?;
    // What is on record is what the next run gets.
    act(&daemon, "one", "restart?t=0")?.ok()?;
    ensure!(memory()? == (256 << 20).to_string());
    daemon.clean()
}

#[test]
fn policies_change_with_the_rules_of_create() -> Result<()> {
    let daemon = daemon()?;
    sleeper(&daemon, "one")?;
    let policy = |name: &str, count: i64| json!({"RestartPolicy": {"Name": name, "MaximumRetryCount": count}});
    update(&daemon, "one", &policy("on-failure", 3))?.ok()?;
    let now = inspect(&daemon, "one")?["HostConfig"]["RestartPolicy"].take();
    ensure!(now == policy("on-failure", 3)["RestartPolicy"], "{now}");
    let wrong = update(&daemon, "one", &policy("always", 3))?;
    refused(&wrong, 400, "maximum retry count can")?;
    let body =
        json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"AutoRemove": true}});
    run(&daemon, "two", &body)?;
    let fleeting = update(&daemon, "two", &policy("always", 0))?;
    refused(
        &fleeting,
        409,
        "Restart policy cannot be updated because AutoRemove is enabled",
    )?;
    daemon.clean()
}

#[test]
fn the_command_line_updates() -> Result<()> {
    let daemon = daemon()?;
    sleeper(&daemon, "one")?;
    let nothing = daemon.cli(&["update", "one"])?;
    ensure!(
        nothing.code != 0
            && nothing
                .stderr
                .contains("you must provide one or more flags")
    );
    let done = daemon.cli(&["update", "--restart", "always", "--cpus", "0.5", "one"])?;
    ensure!(done.ok()? == "one", "{done:?}");
    let host = inspect(&daemon, "one")?["HostConfig"].take();
    ensure!(
        host["NanoCpus"] == 500_000_000 && host["RestartPolicy"]["Name"] == "always",
        "{host}"
    );
    daemon.clean()
}

#[test]
fn prune_takes_what_fits() -> Result<()> {
    let daemon = daemon()?;
    sleeper(&daemon, "runs")?;
    for (name, label) in [("old", "a"), ("kept", "b")] {
        let body = json!({"Image": "busybox", "Cmd": ["true"], "Labels": {"tier": label}});
        daemon
            .post(&format!("/containers/create?name={name}"), &body)?
            .ok()?;
    }
    let prune = |filters: &str| {
        daemon.post(
            &format!("/containers/prune?filters={filters}"),
            &Value::Null,
        )
    };
    refused(
        &prune("%7B%22name%22%3A%5B%22old%22%5D%7D")?,
        400,
        "nvalid filter",
    )?;
    let none = prune("%7B%22until%22%3A%5B%2224h%22%5D%7D")?.ok()?.json()?;
    ensure!(
        none["ContainersDeleted"].is_null() && none["SpaceReclaimed"] == 0,
        "{none}"
    );
    let gone = prune("%7B%22label%22%3A%5B%22tier%3Da%22%5D%7D")?
        .ok()?
        .json()?;
    ensure!(
        gone["ContainersDeleted"]
            .as_array()
            .is_some_and(|l| l.len() == 1),
        "{gone}"
    );
    ensure!(daemon.get("/containers/old/json")?.status == 404);
    ensure!(daemon.get("/containers/kept/json")?.status == 200);
    let asked = daemon.cli_with_input(&["container", "prune"], b"n\n")?;
    ensure!(
        daemon.get("/containers/kept/json")?.status == 200,
        "{asked:?}"
    );
    let forced = daemon.cli(&["container", "prune", "-f"])?;
    let text = forced.ok()?;
    ensure!(
        text.starts_with("Deleted Containers:\n") && text.contains("\n\nTotal reclaimed space: "),
        "{text}"
    );
    ensure!(daemon.get("/containers/kept/json")?.status == 404);
    ensure!(inspect(&daemon, "runs")?["State"]["Running"] == true);
    daemon.clean()
}

#[test]
fn names_are_changed_with_care() -> Result<()> {
    let daemon = daemon()?;
    sleeper(&daemon, "one")?;
    sleeper(&daemon, "two")?;
    let rename = |to: &str| daemon.post(&format!("/containers/one/rename?name={to}"), &Value::Null);
    refused(&rename("two")?, 409, "is already in use")?;
    ensure!(
        rename("")?.status >= 400 && rename("-x")?.status >= 400 && rename("one")?.status >= 400
    );
    rename("three")?.ok()?;
    ensure!(inspect(&daemon, "three")?["Name"] == "/three");
    ensure!(daemon.get("/containers/one/json")?.status == 404);
    sleeper(&daemon, "one")?;
    daemon.clean()
}
