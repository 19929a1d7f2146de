//! Volumes, as those who run containers see them: named and anonymous ones, what they are filled with, who keeps them,
//! what is left of them. Most of it passes on dockerd too (`ONGGI_SUBJECT=dockerd`).

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod bad_days; // full disks, and a daemon that is killed
mod commands; // volume create, ls, inspect, rm, prune
mod crash; // the daemon dies
mod events; // what listeners are told
mod filled; // what the image gives a new volume
mod flags; // flags that no other test shows
mod many; // one volume of many containers
mod mounts; // -v, --mount, --volumes-from, --tmpfs
mod options; // volumes that are file systems of others
mod postgres; // a live database saved and restored
mod pruning; // who is pruned, as a table
mod removal; // who keeps a volume, and who does not
mod spellings; // ways to write -v, --mount, --tmpfs, --volumes-from, beside Docker
mod subpath;
mod swaps; // links in the place of directories
mod transfer; // out, in and under another name // a directory in a volume, and what its users make of it

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Output, Subject};
use serde_json::Value;

/// A daemon that has busybox.
fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(daemon)
}

/// `run --rm FLAGS busybox sh -c SCRIPT`.
fn run(daemon: &Daemon, flags: &[&str], script: &str) -> Result<Output> {
    daemon.cli(&[&["run", "--rm"], flags, &["busybox", "sh", "-c", script]].concat())
}

/// What such a run prints; it has to succeed.
fn says(daemon: &Daemon, flags: &[&str], script: &str) -> Result<String> {
    let output = run(daemon, flags, script)?;
    output
        .ok()
        .map(str::to_owned)
        .with_context(|| format!("{flags:?} {script}"))
}

/// What a command prints; it has to succeed.
fn cli(daemon: &Daemon, arguments: &[&str]) -> Result<String> {
    let output = daemon.cli(arguments)?;
    output
        .ok()
        .map(str::to_owned)
        .with_context(|| format!("{arguments:?}"))
}

/// A command that fails and says this.
fn refuses(daemon: &Daemon, arguments: &[&str], text: &str) -> Result<()> {
    let output = daemon.cli(arguments)?;
    ensure!(
        output.code != 0 && output.stderr.contains(text),
        "{arguments:?} does not say {text:?}: {output:?}"
    );
    Ok(())
}

/// The names of all volumes.
fn names(daemon: &Daemon) -> Result<Vec<String>> {
    Ok(cli(daemon, &["volume", "ls", "-q"])?
        .lines()
        .map(str::to_owned)
        .collect())
}

/// `Mounts` of a container, by destination.
fn points(daemon: &Daemon, container: &str) -> Result<Vec<Value>> {
    let inspect = daemon
        .get(&format!("/containers/{container}/json"))?
        .ok()?
        .json()?;
    let mut points = inspect["Mounts"].as_array().context("Mounts")?.clone();
    points.sort_by_key(|point| point["Destination"].to_string());
    Ok(points)
}

/// Whether the test is about what only onggi does, or does as newer engines than the oracle.
fn is_dockerd(daemon: &Daemon, why: &str) -> bool {
    let is = daemon.subject() == Subject::Dockerd;
    if is {
        eprintln!("skipped on dockerd: {why}");
    }
    is
}
