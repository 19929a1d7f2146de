//! Containers and clients that mean harm, or are stuck: nobody else notices, and memory, disk and descriptors stay bounded.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod clients; // those that never read, never speak, come by the thousand
mod full; // disks without room
mod fuse; // a file system that never answers
mod load; // logs without end, execs without end
mod stuck; // containers and monitors that do not move

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, Subject, wait_until};
use serde_json::Value;

/// A daemon with busybox; none where dockerd is the subject, which suffers.
fn daemon() -> Result<Option<Daemon>> {
    if Subject::from_env()? != Subject::Onggi {
        eprintln!("skipped: dockerd does not hold here");
        return Ok(None);
    }
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(Some(daemon))
}

/// One number for every run, another for the long one.
fn tier(short: usize, long: usize) -> usize {
    match std::env::var_os("ONGGI_FULL") {
        Some(_) => long,
        None => short,
    }
}

/// Starts `busybox sh -c SCRIPT` in the background.
fn run(daemon: &Daemon, name: &str, flags: &[&str], script: &str) -> Result<()> {
    let head = ["run", "-d", "--name", name, "--network", "none"];
    let command = ["busybox", "sh", "-c", script];
    daemon.cli(&[&head, flags, &command].concat())?.ok()?;
    Ok(())
}

fn inspect(daemon: &Daemon, name: &str) -> Result<Value> {
    daemon
        .get(&format!("/containers/{name}/json"))?
        .ok()?
        .json()
}

/// Waits until the container has a status.
fn wait_for(daemon: &Daemon, name: &str, status: &str) -> Result<Value> {
    wait_until(&format!("{name} to be {status}"), LIMIT, || {
        let state = inspect(daemon, name).ok()?["State"].take();
        (state["Status"] == status).then_some(state)
    })
}

fn pid(daemon: &Daemon, name: &str) -> Result<u32> {
    let pid = inspect(daemon, name)?["State"]["Pid"].as_u64();
    Ok(u32::try_from(pid.context("Pid")?)?)
}

/// The process beside a container: the parent of its first process.
fn monitor(daemon: &Daemon, name: &str) -> Result<u32> {
    field(pid(daemon, name)?, "PPid:")
        .and_then(|n| u32::try_from(n).ok())
        .context("PPid")
}

/// A number of `/proc/PID/status`; sizes in KiB.
fn field(pid: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Open descriptors of a process.
fn descriptors(pid: u32) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// The daemon's process.
fn engine(daemon: &Daemon) -> Result<u32> {
    daemon.pid().context("the daemon does not run")
}

/// Whether the daemon does for others what it always does.
fn serves_others(daemon: &Daemon) -> Result<()> {
    let output = daemon.cli(&[
        "run",
        "--rm",
        "--network",
        "none",
        "busybox",
        "echo",
        "fine",
    ])?;
    ensure!(output.ok()? == "fine", "{output:?}");
    daemon.cli(&["ps", "-a"])?.ok()?;
    Ok(())
}
