//! SIGHUP: the file is read again.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;

fn hang_up(daemon: &Daemon, file: &str) -> Result<()> {
    fs::write(daemon.path("daemon.json"), file)?;
    let pid = daemon.pid().and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.and_then(Pid::from_raw).context("pid")?;
    Ok(kill_process(pid, Signal::HUP)?)
}

#[test]
fn what_may_change_changes_and_listeners_are_told() -> Result<()> {
    let Some(daemon) = super::daemon(&json!({"labels": ["a=1"]}))? else {
        return Ok(());
    };
    daemon.load_busybox()?;
    let new = json!({
        "labels": ["b=2"], "debug": true, "live-restore": false, "shutdown-timeout": 3,
        "registry-mirrors": ["http://127.0.0.1:5000"], "insecure-registries": ["reg.example"],
        "runtimes": {"other": {"path": "/bin/true"}}, "default-runtime": "other",
        "max-concurrent-downloads": 7, "default-shm-size": "2M",
    });
    hang_up(&daemon, &new.to_string())?;
    let info = wait_until("the labels to change", LIMIT, || {
        let info = super::info(&daemon).ok()?;
        (info["Labels"] == json!(["b=2"])).then_some(info)
    })?;
    ensure!(
        info["Debug"] == true && info["LiveRestoreEnabled"] == false,
        "{info}"
    );
    ensure!(
        info["DefaultRuntime"] == "other" && info["Runtimes"]["other"]["path"] == "/bin/true",
        "{info}"
    );
    ensure!(
        info["RegistryConfig"]["Mirrors"] == json!(["http://127.0.0.1:5000/"]),
        "{info}"
    );
    ensure!(
        info["RegistryConfig"]["IndexConfigs"]["reg.example"]["Secure"] == false,
        "{info}"
    );
    let event = wait_until("the event", LIMIT, || {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .ok()?;
        let path = format!(
            "/events?since=0&until={}&filters={{\"type\":[\"daemon\"]}}",
            now.as_secs() + 1
        );
        let text = daemon.get(&path.replace('"', "%22")).ok()?.text();
        let event: Value = serde_json::from_str(text.lines().next()?).ok()?;
        Some(event)
    })?;
    ensure!(
        event["Action"] == "reload" && event["Type"] == "daemon",
        "{event}"
    );
    let attributes = &event["Actor"]["Attributes"];
    ensure!(
        attributes["labels"] == "[\"b=2\"]" && attributes["max-concurrent-downloads"] == "7",
        "{event}"
    );
    // New containers get the new default.
    let created = daemon.post(
        "/containers/create?name=new",
        &json!({"Image": "busybox", "HostConfig": {"Runtime": "runc"}}),
    )?;
    created.ok()?;
    let new = daemon.get("/containers/new/json")?.ok()?.json()?;
    ensure!(new["HostConfig"]["ShmSize"] == 2 << 20, "{new}");
    daemon.clean()
}

#[test]
fn a_file_that_does_not_hold_changes_nothing() -> Result<()> {
    let Some(daemon) = super::daemon(&json!({"labels": ["a=1"]}))? else {
        return Ok(());
    };
    for (file, word) in [
        ("{", "daemon.json"),
        (r#"{"labels": ["b=2"], "no-such": 1}"#, "no-such"),
        (r#"{"labels": ["b=2"], "default-runtime": "gone"}"#, "gone"),
        (
            r#"{"labels": ["b=2"], "registry-mirrors": ["x"]}"#,
            "mirror",
        ),
    ] {
        let before = daemon.log().matches("stays as it was").count();
        hang_up(&daemon, file)?;
        wait_until("the daemon to say so", LIMIT, || {
            (daemon.log().matches("stays as it was").count() > before).then_some(())
        })?;
        ensure!(daemon.log().contains(word), "{file}: {}", daemon.log());
        ensure!(super::info(&daemon)?["Labels"] == json!(["a=1"]), "{file}");
    }
    daemon.clean()
}
