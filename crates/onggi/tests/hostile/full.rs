//! Disks without room, for bytes or for names: clear errors, nothing lost, and all goes on when there is room again.

use crate::{inspect, run, wait_for};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, Subject, wait_until};
use std::fs::File;
use std::io::Write;
use std::process::Command;

/// A daemon with busybox whose data root is a small file system of its own.
fn daemon(options: &str) -> Result<Option<Daemon>> {
    if Subject::from_env()? != Subject::Onggi {
        return Ok(None);
    }
    let mut daemon = Daemon::start()?;
    daemon.stop()?;
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(daemon.data_root())
        .status()?;
    ensure!(status.success(), "mount {options}: {status}");
    daemon.run()?;
    daemon.load_busybox()?;
    Ok(Some(daemon))
}

/// Takes all bytes there are.
fn fill(daemon: &Daemon) -> Result<()> {
    let mut file = File::create(daemon.data_root().join("ballast"))?;
    let mut size = 1 << 20;
    while size > 0 {
        if file.write_all(&vec![0; size]).is_err() {
            size /= 2;
        }
    }
    Ok(())
}

fn relieve(daemon: &Daemon) -> Result<()> {
    Ok(std::fs::remove_file(daemon.data_root().join("ballast"))?)
}

const NO_SPACE: &str = "no space left on device";

#[test]
fn a_full_disk_is_told_and_loses_nothing() -> Result<()> {
    let Some(mut daemon) = daemon("size=48m")? else {
        return Ok(());
    };
    let script = "i=0; while :; do i=$((i+1)); echo line $i of the log; usleep 2000; done";
    run(&daemon, "writer", &[], script)?;
    daemon
        .cli(&[
            "create",
            "--name",
            "waits",
            "--network",
            "none",
            "busybox",
            "echo",
            "ran",
        ])?
        .ok()?;
    let lines = || -> Result<usize> {
        let said = daemon.cli(&["logs", "writer"])?;
        Ok(said.ok()?.lines().count())
    };
    wait_until("some lines", LIMIT, || (lines().ok()? > 50).then_some(()))?;
    fill(&daemon)?;
    let kept = lines()?;
    // What needs room says that there is none; what does not, works.
    daemon.cli(&["exec", "writer", "sh", "-c", "echo more > /more"])?;
    let commit = daemon.cli(&["commit", "writer", "copy"])?;
    ensure!(
        commit.code != 0 && commit.stderr.to_lowercase().contains(NO_SPACE),
        "commit: {commit:?}"
    );
    let made = daemon.cli(&["create", "--network", "none", "busybox", "true"])?;
    ensure!(
        made.code == 0 || made.stderr.to_lowercase().contains(NO_SPACE),
        "create: {made:?}"
    );
    let started = daemon.cli(&["start", "waits"])?;
    ensure!(
        started.code == 0 || started.stderr.to_lowercase().contains(NO_SPACE),
        "start: {started:?}"
    );
    daemon.cli(&["ps", "-a"])?.ok()?;
    ensure!(inspect(&daemon, "writer")?["State"]["Running"] == true);
    ensure!(lines()? >= kept, "lines are gone");
    relieve(&daemon)?;
    // The log goes on, with whole lines, and so does everything else.
    let before = lines()?;
    wait_until("the log to go on", LIMIT, || {
        (lines().ok()? > before).then_some(())
    })?;
    let said = daemon.cli(&["logs", "writer"])?;
    for line in said.ok()?.lines() {
        ensure!(
            line.starts_with("line ") && line.ends_with(" of the log"),
            "{line:?}"
        );
    }
    if inspect(&daemon, "waits")?["State"]["Status"] != "exited" {
        daemon.cli(&["start", "waits"])?.ok()?;
    }
    wait_for(&daemon, "waits", "exited")?;
    daemon.cli(&["commit", "writer", "copy"])?.ok()?;
    let output = daemon.cli(&["run", "--rm", "--network", "none", "copy", "echo", "whole"])?;
    ensure!(output.ok()? == "whole", "{output:?}");
    daemon.stop()?;
    daemon.run()?;
    ensure!(inspect(&daemon, "writer")?["State"]["Running"] == true);
    daemon.clean()
}

#[test]
fn a_full_disk_is_survived_by_a_restart_of_the_daemon() -> Result<()> {
    let Some(mut daemon) = daemon("size=32m")? else {
        return Ok(());
    };
    run(&daemon, "one", &[], "exec sleep 10000")?;
    fill(&daemon)?;
    // A container that ends now: its end may find no room, and is told all the same.
    daemon.cli(&["kill", "one"])?;
    daemon.kill()?;
    relieve(&daemon)?;
    daemon.run()?;
    let state = wait_for(&daemon, "one", "exited")?;
    ensure!(state["ExitCode"] == 137, "{state}");
    daemon.cli(&["start", "one"])?.ok()?;
    daemon.clean()
}

#[test]
fn a_disk_without_names_is_told_and_loses_nothing() -> Result<()> {
    let Some(daemon) = daemon("size=64m,nr_inodes=2000")? else {
        return Ok(());
    };
    run(&daemon, "one", &[], "echo before; exec sleep 10000")?;
    let ballast = daemon.data_root().join("ballast");
    std::fs::create_dir(&ballast)?;
    let mut count = 0;
    while File::create(ballast.join(count.to_string())).is_ok() {
        count += 1;
        ensure!(count < 3000, "there is no limit of names here");
    }
    for words in [
        &["commit", "one", "copy"][..],
        &["run", "--rm", "--network", "none", "busybox", "true"],
    ] {
        let said = daemon.cli(words)?;
        ensure!(
            said.code != 0 && said.stderr.to_lowercase().contains(NO_SPACE),
            "{words:?}: {said:?}"
        );
    }
    ensure!(daemon.cli(&["logs", "one"])?.ok()? == "before");
    daemon.cli(&["exec", "one", "true"])?.ok()?;
    std::fs::remove_dir_all(&ballast)?;
    daemon.cli(&["commit", "one", "copy"])?.ok()?;
    let output = daemon.cli(&["run", "--rm", "--network", "none", "copy", "echo", "whole"])?;
    ensure!(output.ok()? == "whole", "{output:?}");
    let images = daemon.get("/images/json")?.ok()?.json()?;
    ensure!(images.as_array().context("a list")?.len() == 2, "{images}");
    daemon.clean()
}
