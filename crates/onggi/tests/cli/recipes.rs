//! `inspect --as`: what it prints makes the container again.

use crate::{ours, says};
use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, Process};
use serde_json::Value;
use std::process::Command;

#[test]
fn the_command_makes_the_same_container_again() -> Result<()> {
    if !ours() {
        return Ok(());
    }
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let words = [
        "run",
        "-d",
        "--name",
        "one",
        "-e",
        "A=b c",
        "--label",
        "x=it's",
        "-m",
        "64m",
        "--cpus",
        "0.5",
        "--restart",
        "on-failure:3",
        "-p",
        "127.0.0.1::80",
        "--hostname",
        "h",
        "--add-host",
        "a:1.2.3.4",
        "--ulimit",
        "nofile=100:200",
        "--tmpfs",
        "/t:size=1m",
        "--read-only",
        "--cap-drop",
        "ALL",
        "--stop-timeout",
        "1",
        "--init",
        "busybox",
        "sh",
        "-c",
        "echo \"$A\"; exec sleep 1000",
    ];
    daemon.cli(&words)?.ok()?;
    let inspect = |name: &str| -> Result<Value> {
        let output = daemon.cli(&["inspect", "-f", "json", name])?;
        Ok(serde_json::from_str::<Value>(output.ok()?)?[0].take())
    };
    let before = inspect("one")?;
    let line = daemon.cli(&["inspect", "--as", "run", "one"])?;
    let line = line.ok()?.to_owned();
    daemon.cli(&["rm", "-f", "one"])?.ok()?;
    let program = daemon.cli_command(&[])?;
    let program = program.get_program().to_string_lossy().into_owned();
    let line = line.replacen("onggi run", &format!("{program} run"), 1);
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).env("DOCKER_HOST", daemon.host());
    Process::start(daemon.namespace(), &mut shell)?
        .wait()?
        .ok()?;
    let after = inspect("one")?;
    for part in ["HostConfig", "Config"] {
        let mut pair = [before[part].clone(), after[part].clone()];
        for config in &mut pair {
            // The terminal's size is not the container's.
            config["ConsoleSize"] = Value::Null;
        }
        ensure!(pair[0] == pair[1], "{line}\n{}\n{}", pair[0], pair[1]);
    }
    says(
        daemon.cli(&["inspect", "--as", "compose", "one"])?.ok()?,
        &[
            "services:\n  one:\n",
            "init: true",
            "mem_limit: \"64m\"",
            "$$A",
        ],
    )?;
    let output = daemon.cli(&["inspect", "--as", "poem", "one"])?;
    ensure!(
        output.code == 1 && output.stderr.contains("must be one of"),
        "{output:?}"
    );
    daemon.clean()
}
