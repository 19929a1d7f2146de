//! `kill -9` of the daemon and of monitors, at any moment: containers run on, nothing is lost, nothing is left.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod lines; // 1,000 numbered lines a second
mod traffic; // 200 requests a second

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Api, Daemon, LIMIT, Subject, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How often: more in the full tier.
fn rounds() -> u32 {
    if std::env::var_os("ONGGI_FULL").is_some() {
        20
    } else {
        5
    }
}

/// Containers of dockerd die with it in its usual configuration: there is nothing to compare.
fn is_ours() -> Result<bool> {
    let ours = Subject::from_env()? == Subject::Onggi;
    if !ours {
        eprintln!("skipped: dockerd does not promise this");
    }
    Ok(ours)
}

fn inspect(daemon: &Daemon, name: &str) -> Result<Value> {
    daemon
        .get(&format!("/containers/{name}/json"))?
        .ok()?
        .json()
}

fn pid_of(daemon: &Daemon, name: &str) -> Result<i32> {
    let pid = inspect(daemon, name)?["State"]["Pid"]
        .as_i64()
        .context("Pid")?;
    Ok(i32::try_from(pid)?)
}

fn is_alive(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn wait_for_exit(daemon: &Daemon, name: &str, code: i32) -> Result<()> {
    let state = wait_until("the exit to be known", LIMIT, || {
        let state = inspect(daemon, name).ok()?["State"].take();
        (state["Status"] == "exited").then_some(state)
    })?;
    ensure!(state["ExitCode"] == code, "{name}: {state}");
    Ok(())
}

/// A container that ends with 42 as soon as the file is there; returns its pid.
fn leaver(daemon: &Daemon, name: &str, remove: bool, control: &str) -> Result<i32> {
    let script = format!("while [ ! -e /control/{name} ]; do usleep 5000; done; exit 42");
    let body = json!({
        "Image": "busybox", "Cmd": ["sh", "-c", script],
        "HostConfig": {"Binds": [format!("{control}:/control")], "AutoRemove": remove},
    });
    daemon
        .post(&format!("/containers/create?name={name}"), &body)?
        .ok()?;
    daemon
        .post(&format!("/containers/{name}/start"), &Value::Null)?
        .ok()?;
    pid_of(daemon, name)
}

#[test]
fn containers_do_not_notice_that_the_daemon_is_killed() -> Result<()> {
    if !is_ours()? {
        return Ok(());
    }
    let mut daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let control = daemon.path("control");
    fs::create_dir(&control)?;
    let control = control.to_str().context("a path in UTF-8")?.to_owned();
    let lines = lines::Lines::start(&daemon, &control)?;
    let server = traffic::serve(&daemon)?;
    let networks = inspect(&daemon, &server)?["NetworkSettings"]["Networks"].take();
    let bridge = networks["bridge"]["Gateway"]
        .as_str()
        .context("Gateway")?
        .to_owned();
    let namespace = daemon.namespace().try_clone()?;
    traffic::during(&namespace, &bridge, |traffic| {
        for round in 0..rounds() {
            one_kill(&mut daemon, round, &control, traffic)
                .with_context(|| format!("round {round}\n{}", daemon.log()))?;
        }
        Ok(())
    })?;
    fs::write(format!("{control}/stop"), "")?;
    let count = lines.check(&daemon)?;
    ensure!(count > 1000, "{count} lines are too few to show anything");
    ensure!(
        inspect(&daemon, &server)?["State"]["Running"] == true,
        "the server does not run"
    );
    daemon.clean()
}

/// Kills the daemon and starts it again, with a client attached and two containers that end meanwhile.
fn one_kill(
    daemon: &mut Daemon,
    round: u32,
    control: &str,
    traffic: &traffic::Traffic,
) -> Result<()> {
    let (kept, removed) = (format!("kept{round}"), format!("removed{round}"));
    let pids = [
        leaver(daemon, &kept, false, control)?,
        leaver(daemon, &removed, true, control)?,
    ];
    let talker = format!("talker{round}");
    let mut client = daemon.cli_process(&["run", "-i", "--name", &talker, "busybox", "cat"])?;
    client.write("hello\n")?;
    client.expect("hello\n")?;
    // It may speak before its start is on record; what is not on record is not kept.
    wait_until("the talker to be on record", LIMIT, || {
        (inspect(daemon, &talker).ok()?["State"]["Running"] == true).then_some(())
    })?;

    daemon.kill()?;
    // Its stream ends although its standard input is still open.
    let ended = client.wait().context("the attached client")?;
    ensure!(ended.stdout == "hello\n", "{ended:?}");
    for name in [&kept, &removed] {
        fs::write(format!("{control}/{name}"), "")?;
    }
    wait_until("two containers to end", LIMIT, || {
        pids.iter().all(|pid| !is_alive(*pid)).then_some(())
    })?;
    traffic.more(20)?;
    daemon.run()?;

    wait_for_exit(daemon, &kept, 42)?;
    let waited = daemon
        .post(&format!("/containers/{kept}/wait"), &Value::Null)?
        .ok()?
        .json()?;
    ensure!(waited["StatusCode"] == 42, "{waited}");
    wait_until("--rm to be honoured", LIMIT, || {
        let status = daemon
            .get(&format!("/containers/{removed}/json"))
            .ok()?
            .status;
        (status == 404).then_some(())
    })?;
    ensure!(
        inspect(daemon, &talker)?["State"]["Running"] == true,
        "{talker} does not run: {}",
        inspect(daemon, &talker)?["State"]
    );
    let mut client = daemon.cli_process(&["attach", &talker])?;
    client.write("again\n")?;
    client.expect("again\n")?;
    client.close_stdin();
    ensure!(client.wait()?.code == 0, "attach");
    wait_for_exit(daemon, &talker, 0)?;
    ensure!(
        daemon.cli(&["logs", &talker])?.ok()? == "hello\nagain",
        "the log of {talker}"
    );
    for name in [kept, talker] {
        daemon.delete(&format!("/containers/{name}"))?.ok()?;
    }
    Ok(())
}

#[test]
fn a_container_dies_with_its_monitor_and_says_137() -> Result<()> {
    if !is_ours()? {
        return Ok(());
    }
    let mut daemon = Daemon::start()?;
    daemon.load_busybox()?;
    for is_there in [true, false] {
        let id = daemon.run_container(&json!({"Image": "busybox", "Cmd": ["sleep", "1000"]}))?;
        let pid = pid_of(&daemon, &id)?;
        let monitor = parent(pid)?;
        if !is_there {
            daemon.kill()?;
        }
        kill_process(Pid::from_raw(monitor).context("monitor")?, Signal::KILL)?;
        wait_until("the container to die", LIMIT, || {
            (!is_alive(pid)).then_some(())
        })?;
        if !is_there {
            daemon.run()?;
        }
        wait_for_exit(&daemon, &id, 137)?;
        // It can be started again.
        daemon
            .post(&format!("/containers/{id}/start"), &Value::Null)?
            .ok()?;
        ensure!(
            inspect(&daemon, &id)?["State"]["Running"] == true,
            "it does not run again"
        );
    }
    daemon.clean()
}

fn parent(pid: i32) -> Result<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    Ok(line.context("PPid")?.trim().parse()?)
}

#[test]
fn killed_amid_create_start_and_remove_nothing_leaks() -> Result<()> {
    if !is_ours()? {
        return Ok(());
    }
    let mut daemon = Daemon::start()?;
    daemon.load_busybox()?;
    for round in 0..rounds() {
        let moment = Duration::from_micros(random() % 300_000);
        killed_at_work(&mut daemon, moment)
            .with_context(|| format!("round {round}, killed after {moment:?}\n{}", daemon.log()))?;
    }
    ensure!(daemon.stop()? == 0, "the daemon does not end well");
    daemon.nothing_left()
}

/// Three clients make and remove containers when the daemon is killed; afterwards their names are free again.
fn killed_at_work(daemon: &mut Daemon, moment: Duration) -> Result<()> {
    let stop = AtomicBool::new(false);
    let api = daemon.api();
    thread::scope(|scope| {
        for name in ["aa", "bb", "cc"] {
            let (stop, api) = (&stop, &api);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let _ = life(api, name);
                }
            });
        }
        // Not waited for anything: any moment will do.
        thread::sleep(moment);
        let killed = daemon.kill();
        stop.store(true, Ordering::Relaxed);
        killed
    })?;
    daemon.run()?;
    daemon.clean()?;
    for name in ["aa", "bb", "cc"] {
        life(&daemon.api(), name)?;
    }
    for folder in [
        daemon.data_root().join("containers"),
        daemon.path("exec/containers"),
    ] {
        let left: Vec<_> = fs::read_dir(&folder)?
            .filter_map(|e| Some(e.ok()?.file_name()))
            .collect();
        ensure!(left.is_empty(), "{} has {left:?}", folder.display());
    }
    Ok(())
}

/// Create, start, remove.
fn life(api: &Api, name: &str) -> Result<()> {
    let body = json!({
        "Image": "busybox", "Cmd": ["sleep", "1000"],
        "ExposedPorts": {"80/tcp": {}}, "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": ""}]}},
    });
    api.post(&format!("/containers/create?name={name}"), &body)?
        .ok()?;
    api.post(&format!("/containers/{name}/start"), &Value::Null)?
        .ok()?;
    api.delete(&format!("/containers/{name}?force=1"))?.ok()?;
    Ok(())
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
