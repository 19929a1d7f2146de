//! Restart policies: what brings a container back, by how it ended, who ended it, and whether the daemon was restarted
//! meanwhile. One table for onggi and dockerd, with live-restore and without.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, LIMIT, Subject, wait_until};
use serde_json::json;
use std::fs;

use crate::{act, daemon, inspect, refused, run, wait_for};

/// How a container ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By itself, with this code, in so many of its first runs.
    Code(i32, u32),
    /// A user stops it.
    Stop,
    /// A user kills it.
    Kill,
    /// It does not.
    Runs,
}

/// How it stands: how often it was started, and whether it runs.
type Stand = (usize, bool);

/// Policy, most retries, end; how it stands then, after a restart of the daemon with live-restore, and without.
type Row = (&'static str, i64, End, Stand, Stand, Stand);

const UP: bool = true;
const DOWN: bool = false;

#[rustfmt::skip]
const TABLE: [Row; 24] = [
    ("no", 0, End::Code(0, 1), (1, DOWN), (1, DOWN), (1, DOWN)),
    ("no", 0, End::Code(1, 1), (1, DOWN), (1, DOWN), (1, DOWN)),
    ("no", 0, End::Stop, (1, DOWN), (1, DOWN), (1, DOWN)),
    ("no", 0, End::Runs, (1, UP), (1, UP), (1, DOWN)),
    ("always", 0, End::Code(0, 1), (2, UP), (2, UP), (3, UP)),
    ("always", 0, End::Code(1, 1), (2, UP), (2, UP), (3, UP)),
    ("always", 0, End::Stop, (1, DOWN), (2, UP), (2, UP)),
    ("always", 0, End::Kill, (1, DOWN), (2, UP), (2, UP)),
    ("always", 0, End::Runs, (1, UP), (1, UP), (2, UP)),
    ("unless-stopped", 0, End::Code(0, 1), (2, UP), (2, UP), (3, UP)),
    ("unless-stopped", 0, End::Code(1, 1), (2, UP), (2, UP), (3, UP)),
    ("unless-stopped", 0, End::Stop, (1, DOWN), (1, DOWN), (1, DOWN)),
    ("unless-stopped", 0, End::Kill, (1, DOWN), (1, DOWN), (1, DOWN)),
    ("unless-stopped", 0, End::Runs, (1, UP), (1, UP), (2, UP)),
    ("on-failure", 0, End::Code(0, 1), (1, DOWN), (1, DOWN), (1, DOWN)),
    ("on-failure", 0, End::Code(1, 1), (2, UP), (2, UP), (3, UP)),
    ("on-failure", 0, End::Stop, (1, DOWN), (2, UP), (2, UP)),
    ("on-failure", 0, End::Kill, (1, DOWN), (2, UP), (2, UP)),
    ("on-failure", 0, End::Runs, (1, UP), (1, UP), (2, UP)),
    ("on-failure", 2, End::Code(0, 1), (1, DOWN), (1, DOWN), (1, DOWN)),
    ("on-failure", 2, End::Code(1, 1), (2, UP), (2, UP), (3, UP)),
    ("on-failure", 2, End::Code(1, 9), (3, DOWN), (3, DOWN), (3, DOWN)),
    ("on-failure", 2, End::Stop, (1, DOWN), (2, UP), (2, UP)),
    ("on-failure", 2, End::Runs, (1, UP), (1, UP), (2, UP)),
];

/// Starts the container of a row and lets it end.
fn begin(daemon: &Daemon, name: &str, row: &Row) -> Result<()> {
    let (policy, most, end, ..) = *row;
    let (code, fails) = match end {
        End::Code(code, fails) => (code, fails),
        _ => (0, 0),
    };
    let runs = format!("/control/{name}");
    let script = format!(
        "echo run >> {runs}; [ $(wc -l < {runs}) -le {fails} ] && exit {code}; exec sleep 1000"
    );
    let control = daemon.path("control");
    let body = json!({
        "Image": "busybox", "Cmd": ["sh", "-c", script], "StopSignal": "SIGKILL",
        "HostConfig": {
            "RestartPolicy": {"Name": policy, "MaximumRetryCount": most},
            "Binds": [format!("{}:/control", control.display())],
        },
    });
    run(daemon, name, &body)?;
    wait_until("its first run to be counted", LIMIT, || {
        let runs = fs::read_to_string(control.join(name)).ok()?;
        (!runs.is_empty()).then_some(())
    })?;
    match end {
        End::Stop => act(daemon, name, "stop")?.ok().map(drop),
        End::Kill => act(daemon, name, "kill")?.ok().map(drop),
        End::Code(..) | End::Runs => Ok(()),
    }
}

/// How it stands now; `None` between two runs.
fn stand(daemon: &Daemon, name: &str) -> Option<Stand> {
    let runs = fs::read_to_string(daemon.path("control").join(name)).unwrap_or_default();
    let state = inspect(daemon, name).ok()?["State"].take();
    let up = state["Running"] == true;
    (state["Restarting"] != true).then_some((runs.lines().count(), up))
}

/// Waits until every container stands as its row says; those that are down are looked at when those that are to
/// come up are up.
fn check(daemon: &Daemon, when: &str, expected: impl Fn(&Row) -> Stand) -> Result<()> {
    let mut rows: Vec<_> = TABLE.iter().enumerate().collect();
    rows.sort_by_key(|(_, row)| expected(row).1 == DOWN);
    for (number, row) in rows {
        let name = format!("c{number}");
        let mut last = None;
        wait_until(when, LIMIT, || {
            last = stand(daemon, &name);
            (last == Some(expected(row))).then_some(())
        })
        .with_context(|| format!("{when}: {row:?} stands at {last:?}"))?;
    }
    Ok(())
}

fn table(live: bool) -> Result<()> {
    let flag = match (Subject::from_env()?, live) {
        (Subject::Onggi, _) => Some(format!("--live-restore={live}")),
        (Subject::Dockerd, true) => Some("--live-restore".to_owned()),
        (Subject::Dockerd, false) => None,
    };
    let mut daemon = Daemon::start_with(DaemonOptions {
        arguments: flag.into_iter().collect(),
        ..DaemonOptions::default()
    })?;
    daemon.load_busybox()?;
    fs::create_dir(daemon.path("control"))?;
    for (number, row) in TABLE.iter().enumerate() {
        begin(&daemon, &format!("c{number}"), row)?;
    }
    check(&daemon, "the policies to be obeyed", |row| row.3)?;
    let retried = inspect(&daemon, "c21")?["RestartCount"].take();
    ensure!(retried == 2, "RestartCount {retried}");
    ensure!(daemon.stop()? == 0, "{}", daemon.log());
    daemon.run()?;
    check(&daemon, "the daemon to start what it should", |row| {
        if live { row.4 } else { row.5 }
    })?;
    daemon.clean()
}

#[test]
fn table_with_live_restore() -> Result<()> {
    table(true)
}

#[test]
fn table_without_live_restore() -> Result<()> {
    table(false)
}

#[test]
fn a_stop_between_two_runs_is_the_end() -> Result<()> {
    let daemon = daemon()?;
    let body = json!({
        "Image": "busybox", "Cmd": ["false"], "HostConfig": {"RestartPolicy": {"Name": "always"}},
    });
    run(&daemon, "one", &body)?;
    wait_for(&daemon, "one", "a restart", |c| {
        c["RestartCount"].as_i64() >= Some(3)
    })?;
    act(&daemon, "one", "stop")?.ok()?;
    let now = inspect(&daemon, "one")?;
    ensure!(now["State"]["Status"] == "exited", "{}", now["State"]);
    // A start begins a new count.
    act(&daemon, "one", "start")?.ok()?;
    ensure!(inspect(&daemon, "one")?["RestartCount"].as_i64() < now["RestartCount"].as_i64());
    daemon.clean()
}

/// Kills the process of a container from outside: nobody asked the daemon for it.
fn end_from_outside(daemon: &Daemon, name: &str) -> Result<()> {
    let pid = inspect(daemon, name)?["State"]["Pid"].as_i64();
    let pid = pid.and_then(|pid| i32::try_from(pid).ok());
    let pid = pid
        .and_then(rustix::process::Pid::from_raw)
        .context("pid")?;
    Ok(rustix::process::kill_process(
        pid,
        rustix::process::Signal::KILL,
    )?)
}

/// Stop signal, policy, signal of a client, whether the end that comes later is followed by another run.
const SIGNALLED: [(&str, &str, &str, bool); 8] = [
    // Any signal may be meant as the last one where the container does not say which is.
    ("", "always", "USR1", DOWN),
    ("", "on-failure", "WINCH", DOWN),
    ("", "unless-stopped", "USR1", DOWN),
    // Where it does, others leave the policy alone; `unless-stopped` takes them for a stop.
    ("SIGTERM", "always", "USR1", UP),
    ("SIGTERM", "on-failure", "USR1", UP),
    ("SIGTERM", "unless-stopped", "USR1", DOWN),
    ("SIGTERM", "always", "TERM", DOWN),
    ("SIGUSR2", "always", "USR2", DOWN),
];

#[test]
fn a_signal_of_a_client_ends_restarts_unless_another_is_the_stop_signal() -> Result<()> {
    let daemon = daemon()?;
    let script = "trap : USR1 USR2 WINCH TERM; echo up; while :; do sleep 0.1; done";
    for (number, (stop_signal, policy, signal, _)) in SIGNALLED.iter().enumerate() {
        let name = format!("c{number}");
        let body = json!({
            "Image": "busybox", "Cmd": ["sh", "-c", script], "StopSignal": stop_signal,
            "HostConfig": {"RestartPolicy": {"Name": policy}},
        });
        run(&daemon, &name, &body)?;
        wait_until("the traps", LIMIT, || {
            let logs = daemon
                .get(&format!("/containers/{name}/logs?stdout=1"))
                .ok()?;
            logs.text().contains("up").then_some(())
        })?;
        act(&daemon, &name, &format!("kill?signal={signal}"))?.ok()?;
        end_from_outside(&daemon, &name)?;
    }
    for (number, row) in SIGNALLED.iter().enumerate() {
        let name = format!("c{number}");
        wait_for(&daemon, &name, &format!("{row:?}"), |c| {
            let ended = c["State"]["Status"] == "exited";
            let again = c["RestartCount"].as_i64() >= Some(1) && c["State"]["Running"] == true;
            if row.3 { again } else { ended }
        })?;
    }
    daemon.clean()
}

#[test]
fn a_killed_container_has_ended_when_the_answer_comes() -> Result<()> {
    let daemon = daemon()?;
    for round in 0..10 {
        let name = format!("c{round}");
        let body = json!({"Image": "busybox", "Cmd": ["sleep", "1000"]});
        run(&daemon, &name, &body)?;
        act(&daemon, &name, "kill")?.ok()?;
        let state = inspect(&daemon, &name)?["State"].take();
        ensure!(
            state["Status"] == "exited" && state["ExitCode"] == 137,
            "{state}"
        );
        refused(&act(&daemon, &name, "kill")?, 409, "is not running")?;
    }
    daemon.clean()
}

#[test]
fn a_restart_keeps_what_goes_at_its_end() -> Result<()> {
    let daemon = daemon()?;
    let body =
        json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"AutoRemove": true}});
    let id = run(&daemon, "one", &body)?;
    act(&daemon, "one", "restart?t=0")?.ok()?;
    let now = inspect(&daemon, "one")?;
    ensure!(
        now["Id"] == id && now["State"]["Running"] == true,
        "{}",
        now["State"]
    );
    act(&daemon, "one", "stop?t=0")?.ok()?;
    wait_until("it to be gone", LIMIT, || {
        (daemon.get("/containers/one/json").ok()?.status == 404).then_some(())
    })?;
    daemon.clean()
}
