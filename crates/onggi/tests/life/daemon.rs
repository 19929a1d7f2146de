//! The daemon dies: what ends meanwhile obeys its policy, what was being started is taken up.

use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, LIMIT, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::thread;

use crate::{act, daemon, inspect, ours, run, wait_for};

#[test]
fn what_ends_without_a_daemon_obeys_its_policy() -> Result<()> {
    if !ours("takes its containers along")? {
        return Ok(());
    }
    let mut daemon = daemon()?;
    let control = daemon.path("control");
    fs::create_dir(&control)?;
    let script = "while [ ! -e /control/go ]; do usleep 5000; done; exit 3";
    for policy in ["no", "always", "unless-stopped", "on-failure"] {
        let body = json!({
            "Image": "busybox", "Cmd": ["sh", "-c", script],
            "HostConfig": {
                "Binds": [format!("{}:/control", control.display())],
                "RestartPolicy": {"Name": policy},
            },
        });
        run(&daemon, policy, &body)?;
    }
    daemon.kill()?;
    fs::write(control.join("go"), "")?;
    wait_until("four exit files", LIMIT, || {
        let folders = fs::read_dir(daemon.data_root().join("containers")).ok()?;
        let ended = folders
            .flatten()
            .filter(|f| f.path().join("exit.json").exists());
        (ended.count() == 4).then_some(())
    })?;
    fs::remove_file(control.join("go"))?;
    daemon.run()?;
    for policy in ["always", "unless-stopped", "on-failure"] {
        let now = wait_for(&daemon, policy, "its next run", |c| {
            c["State"]["Status"] == "running"
        })?;
        ensure!(
            now["RestartCount"] == 1,
            "{policy}: {}",
            now["RestartCount"]
        );
    }
    let state = inspect(&daemon, "no")?["State"].take();
    ensure!(
        state["Status"] == "exited" && state["ExitCode"] == 3,
        "{state}"
    );
    daemon.clean()
}

#[test]
fn pauses_outlive_the_daemon() -> Result<()> {
    if !ours("takes its containers along")? {
        return Ok(());
    }
    let mut daemon = daemon()?;
    crate::sleeper(&daemon, "one")?;
    act(&daemon, "one", "pause")?.ok()?;
    daemon.kill()?;
    daemon.run()?;
    ensure!(inspect(&daemon, "one")?["State"]["Status"] == "paused");
    act(&daemon, "one", "unpause")?.ok()?;
    ensure!(inspect(&daemon, "one")?["State"]["Status"] == "running");
    daemon.clean()
}

#[test]
fn a_start_that_the_daemon_did_not_survive_is_a_start() -> Result<()> {
    if !ours("takes its containers along")? {
        return Ok(());
    }
    let mut daemon = daemon()?;
    let control = daemon.path("control");
    fs::create_dir(&control)?;
    for round in 0..5 {
        let name = format!("c{round}");
        let script = format!("echo up > /control/{name}; exec sleep 1000");
        let body = json!({
            "Image": "busybox", "Cmd": ["sh", "-c", script],
            "HostConfig": {"Binds": [format!("{}:/control", control.display())]},
        });
        let path = format!("/containers/create?name={name}");
        daemon.post(&path, &body)?.ok()?;
        let api = daemon.api();
        let start = format!("/containers/{name}/start");
        // Its answer may never come.
        let client = thread::spawn(move || drop(api.post(&start, &Value::Null)));
        wait_until("the first word of the process", LIMIT, || {
            control.join(&name).exists().then_some(())
        })?;
        daemon.kill()?;
        ensure!(client.join().is_ok());
        daemon.run()?;
        let state = inspect(&daemon, &name)?["State"].take();
        ensure!(
            state["Running"] == true && state["Pid"].as_i64() > Some(0),
            "{round}: {state}"
        );
        let listed = daemon.cli(&["exec", &name, "cat", &format!("/control/{name}")])?;
        ensure!(listed.ok()? == "up", "{listed:?}");
    }
    daemon.clean()
}

#[test]
fn none_is_started_by_a_daemon_that_takes_them_along() -> Result<()> {
    if !ours("may leave those behind that it is just starting")? {
        return Ok(());
    }
    let options = DaemonOptions {
        arguments: vec!["--live-restore=false".to_owned()],
        ..DaemonOptions::default()
    };
    let mut daemon = Daemon::start_with(options)?;
    daemon.load_busybox()?;
    for round in 0..3 {
        // In the way of the stop at different moments.
        for count in 0..6 {
            let body = json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "StopSignal": "KILL"});
            let path = format!("/containers/create?name=c{round}-{count}");
            daemon.post(&path, &body)?.ok()?;
        }
        let clients: Vec<_> = (0..6)
            .map(|count| {
                let (api, start) = (daemon.api(), format!("/containers/c{round}-{count}/start"));
                thread::spawn(move || drop(api.post(&start, &Value::Null)))
            })
            .collect();
        ensure!(daemon.stop()? == 0);
        for client in clients {
            ensure!(client.join().is_ok());
        }
        daemon.run()?;
        let running = daemon.cli(&["ps", "-q"])?;
        ensure!(running.ok()?.is_empty(), "{round}: {running:?}");
    }
    daemon.clean()
}
