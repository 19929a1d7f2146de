//! `why`, on containers that died in front of it.

use crate::{ours, says};
use anyhow::Result;
use onggi_testkit::Daemon;

#[test]
fn why_names_the_cause() -> Result<()> {
    if !ours() {
        return Ok(());
    }
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let why = |name: &str, parts: &[&str]| -> Result<()> {
        says(daemon.cli(&["why", name])?.ok()?, parts)
    };
    let run = |name: &str, words: &[&str]| {
        let words = [&["run", "--name", name][..], words].concat();
        daemon.cli(&words)
    };
    run("done", &["busybox", "echo", "that was it"])?.ok()?;
    why("done", &["done came to its end by itself", "| that was it"])?;
    run(
        "failed",
        &["busybox", "sh", "-c", "echo no database >&2; exit 3"],
    )?;
    why(
        "failed",
        &["failed by itself (exit code 3)", "| no database"],
    )?;
    run("absent", &["busybox", "nope"])?;
    why(
        "absent",
        &["could not start: its command is not in the image", "nope"],
    )?;
    run("hidden", &["busybox", "sh", "-c", "nope"])?;
    why(
        "hidden",
        &[
            "its shell did not find a command (exit code 127)",
            "nope: not found",
        ],
    )?;
    run(
        "segv",
        &["busybox", "sh", "-c", "sh -c 'kill -SEGV $$'; exit 139"],
    )?;
    why("segv", &["crashed with SIGSEGV"])?;
    run(
        "stopped",
        &["-d", "--stop-signal", "KILL", "busybox", "sleep", "1000"],
    )?
    .ok()?;
    daemon.cli(&["stop", "stopped"])?.ok()?;
    why("stopped", &["stopped was", "on request", "SIGKILL"])?;
    run("slow", &["-d", "busybox", "sleep", "1000"])?.ok()?;
    daemon.cli(&["stop", "-t", "1", "slow"])?.ok()?;
    why(
        "slow",
        &[
            "did not go by itself",
            "SIGTERM",
            "1 seconds later",
            "--init",
        ],
    )?;
    run("killed", &["-d", "busybox", "sleep", "1000"])?.ok()?;
    daemon.cli(&["kill", "killed"])?.ok()?;
    daemon.cli(&["wait", "killed"])?.ok()?;
    why("killed", &["killed on request with SIGKILL"])?;
    daemon.cli(&["create", "--name", "made", "busybox"])?.ok()?;
    why("made", &["was made but never started", "start made"])?;
    run("fine", &["-d", "busybox", "sleep", "1000"])?.ok()?;
    why("fine", &["fine runs; nothing is known to be wrong"])?;
    let outside = daemon.cli(&["inspect", "-f", "{{.State.Pid}}", "fine"])?;
    let pid: i32 = outside.ok()?.parse()?;
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    }
    daemon.cli(&["wait", "fine"])?.ok()?;
    why(
        "fine",
        &["was killed with SIGKILL", "nobody asked the daemon for it"],
    )?;
    daemon.clean()
}

#[test]
fn why_names_the_limit_that_was_too_small() -> Result<()> {
    if !ours() {
        return Ok(());
    }
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let eat = "x=a; while :; do x=$x$x; done";
    let output = daemon.cli(&[
        "run",
        "--name",
        "fat",
        "-m",
        "16m",
        "--memory-swap",
        "16m",
        "busybox",
        "sh",
        "-c",
        eat,
    ])?;
    if output.code != 137 {
        eprintln!("skipped: no memory limit here: {output:?}");
        return daemon.clean();
    }
    says(
        daemon.cli(&["why", "fat"])?.ok()?,
        &[
            "killed for want of memory",
            "at its limit of 16MiB",
            "update --memory 32m --memory-swap 32m fat",
        ],
    )?;
    daemon.clean()
}
