//! `pause` and `unpause`; a container that somebody froze holds nobody up.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, wait_until};
use serde_json::{Value, json};

use crate::{act, control_file, daemon, inspect, ours, refused, run, sleeper, wait_for};

/// A container that counts in a file of the host.
fn counter(daemon: &Daemon, name: &str) -> Result<std::path::PathBuf> {
    let folder = daemon.path(name);
    std::fs::create_dir(&folder)?;
    let script = "i=0; while true; do i=$((i+1)); echo $i > /out/count; usleep 2000; done";
    let bind = format!("{}:/out", folder.display());
    let body = json!({
        "Image": "busybox", "Cmd": ["sh", "-c", script], "HostConfig": {"Binds": [bind]},
    });
    run(daemon, name, &body)?;
    Ok(folder.join("count"))
}

#[test]
fn a_paused_container_stands_still() -> Result<()> {
    let daemon = daemon()?;
    let file = counter(&daemon, "counter")?;
    let count = || std::fs::read_to_string(&file).unwrap_or_default();
    wait_until("the first count", LIMIT, || {
        (!count().is_empty()).then_some(())
    })?;
    act(&daemon, "counter", "pause")?.ok()?;
    let state = inspect(&daemon, "counter")?["State"].take();
    ensure!(
        state["Status"] == "paused" && state["Paused"] == true && state["Running"] == true,
        "{state}"
    );
    // All is frozen when the answer comes: nothing is written between two looks around a slow request.
    let before = count();
    for _ in 0..20 {
        inspect(&daemon, "counter")?;
    }
    ensure!(count() == before, "it went on counting");
    refused(&act(&daemon, "counter", "pause")?, 409, "is already paused")?;
    refused(
        &act(&daemon, "counter", "start")?,
        409,
        "cannot start a paused container, try unpause instead",
    )?;
    let exec = daemon.post("/containers/counter/exec", &json!({"Cmd": ["true"]}))?;
    refused(&exec, 409, "is paused")?;
    act(&daemon, "counter", "unpause")?.ok()?;
    wait_until("it to go on", LIMIT, || (count() != before).then_some(()))?;
    ensure!(inspect(&daemon, "counter")?["State"]["Status"] == "running");
    let again = act(&daemon, "counter", "unpause")?;
    ensure!(
        again.status >= 400 && again.text().contains("is not paused"),
        "{}",
        again.text()
    );
    daemon.clean()
}

#[test]
fn what_is_not_running_is_not_paused() -> Result<()> {
    let daemon = daemon()?;
    daemon
        .post(
            "/containers/create?name=made",
            &json!({"Image": "busybox", "Cmd": ["true"]}),
        )?
        .ok()?;
    refused(&act(&daemon, "made", "pause")?, 409, "is not running")?;
    refused(
        &act(&daemon, "nobody", "pause")?,
        404,
        "No such container: nobody",
    )?;
    daemon.clean()
}

#[test]
fn paused_containers_end_as_others() -> Result<()> {
    let daemon = daemon()?;
    for (name, verb, code) in [("stopped", "stop?t=20", 143), ("killed", "kill", 137)] {
        let script = "trap 'exit 143' TERM; echo ready; while true; do usleep 5000; done";
        let body = json!({"Image": "busybox", "Cmd": ["sh", "-c", script]});
        run(&daemon, name, &body)?;
        wait_until("its first word", LIMIT, || {
            let log = daemon
                .get(&format!("/containers/{name}/logs?stdout=1"))
                .ok()?;
            log.text().contains("ready").then_some(())
        })?;
        act(&daemon, name, "pause")?.ok()?;
        act(&daemon, name, verb)?.ok()?;
        let ended = wait_for(&daemon, name, "its end", |c| {
            c["State"]["Status"] == "exited"
        })?;
        ensure!(
            ended["State"]["ExitCode"] == code,
            "{name}: {}",
            ended["State"]
        );
    }
    sleeper(&daemon, "removed")?;
    act(&daemon, "removed", "pause")?.ok()?;
    ensure!(daemon.delete("/containers/removed")?.status == 409);
    daemon.delete("/containers/removed?force=1")?.ok()?;
    daemon.clean()
}

#[test]
fn reads_do_not_wait_for_a_frozen_container() -> Result<()> {
    if !ours("keeps its containers in other groups")? {
        return Ok(());
    }
    let daemon = daemon()?;
    sleeper(&daemon, "frozen")?;
    sleeper(&daemon, "other")?;
    let state = ("freezer", "freezer.state");
    let file = control_file(&daemon, "frozen", state, "cgroup.freeze")?;
    let v1 = file.ends_with("freezer.state");
    std::fs::write(&file, if v1 { "FROZEN" } else { "1" })?;
    // A stop waits for its process: meanwhile everybody else is answered.
    let api = daemon.api();
    let stop = std::thread::spawn(move || api.post("/containers/frozen/stop?t=2", &Value::Null));
    for _ in 0..50 {
        ensure!(inspect(&daemon, "frozen")?["State"]["Running"].is_boolean());
        daemon.get("/containers/json?all=1")?.ok()?;
    }
    daemon.get("/containers/frozen/stats?stream=0")?.ok()?;
    act(&daemon, "other", "kill")?.ok()?;
    daemon.delete("/containers/other?force=1")?.ok()?;
    // What is frozen is thawed to be killed.
    let stopped = stop.join().ok().context("the stop panicked")??;
    ensure!(stopped.status == 204, "{}", stopped.text());
    ensure!(inspect(&daemon, "frozen")?["State"]["ExitCode"] == 137);
    daemon.clean()
}
