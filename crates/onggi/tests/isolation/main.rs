//! What a container sees of the machine, and what it may do: from inside, beside Docker's numbers. The same suite
//! passes on dockerd (`ONGGI_SUBJECT=dockerd`), which shows that the numbers are Docker's.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod files; // mounts, users, environment
mod limits; // memory and processes
mod rights; // capabilities, seccomp, paths

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Output};
use std::fs;

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

#[test]
fn it_has_its_own_of_everything() -> Result<()> {
    let daemon = daemon()?;
    ensure!(says(&daemon, &[], "echo $$")? == "1");
    ensure!(says(&daemon, &[], "ls /proc | grep -c '^[0-9]'; true")?.parse::<u32>()? < 5);
    ensure!(
        says(
            &daemon,
            &["--hostname", "pot.example"],
            "hostname; cat /etc/hostname"
        )? == "pot.example\npot.example"
    );
    let hosts = says(&daemon, &["--hostname", "pot"], "cat /etc/hosts")?;
    ensure!(hosts.contains("\tpot"), "{hosts}");
    let links = says(&daemon, &[], "ls /sys/class/net | tr '\\n' ' '")?;
    ensure!(
        links
            .split_whitespace()
            .filter(|link| ["lo", "eth0"].contains(link))
            .count()
            == 2,
        "{links}"
    );
    let links = says(
        &daemon,
        &["--network", "none"],
        "ip -o link | grep -c 'state UP'; true",
    )?;
    ensure!(links == "0", "{links}");
    for name in ["ipc", "mnt", "net", "pid", "uts"] {
        let own = fs::read_link(format!("/proc/self/ns/{name}"))?;
        let inside = says(&daemon, &[], &format!("readlink /proc/self/ns/{name}"))?;
        ensure!(
            inside.starts_with(name) && own.as_os_str() != inside.as_str(),
            "{name}: {inside}"
        );
    }
    let groups = says(
        &daemon,
        &["--cgroupns=private"],
        "cut -d: -f3 /proc/self/cgroup | sort -u",
    )?;
    ensure!(groups == "/", "{groups}");
    daemon.clean()
}

#[test]
fn the_parts_that_are_shared_on_demand() -> Result<()> {
    let daemon = daemon()?;
    let own = |name: &str| fs::read_link(format!("/proc/self/ns/{name}"));
    for (flag, name) in [
        ("--pid=host", "pid"),
        ("--ipc=host", "ipc"),
        ("--uts=host", "uts"),
    ] {
        let inside = says(&daemon, &[flag], &format!("readlink /proc/self/ns/{name}"))?;
        ensure!(
            own(name)?.as_os_str() == inside.as_str(),
            "{flag}: {inside}"
        );
    }
    let links = says(&daemon, &["--network=host"], "ls /sys/class/net")?;
    ensure!(!links.contains("eth0"), "{links}");
    daemon
        .cli(&["run", "-d", "--name", "first", "busybox", "sleep", "1000"])?
        .ok()?;
    let first = daemon.cli(&["exec", "first", "readlink", "/proc/1/ns/net"])?;
    let second = says(
        &daemon,
        &["--network=container:first"],
        "readlink /proc/self/ns/net",
    )?;
    ensure!(first.ok()? == second, "{first:?} {second}");
    daemon.clean()
}
