//! Memory and processes.

use crate::{daemon, run};
use anyhow::{Result, ensure};

#[test]
fn more_memory_than_allowed_is_death_and_inspect_says_why() -> Result<()> {
    let daemon = daemon()?;
    let flags = [
        "run",
        "--name",
        "glutton",
        "-m",
        "32m",
        "--memory-swap",
        "32m",
        "busybox",
        "tail",
        "/dev/zero",
    ];
    let output = daemon.cli(&flags)?;
    ensure!(output.code == 137, "{output:?}");
    let state = daemon.cli(&[
        "inspect",
        "-f",
        "{{.State.OOMKilled}} {{.State.ExitCode}} {{.HostConfig.Memory}}",
        "glutton",
    ])?;
    ensure!(state.ok()? == "true 137 33554432", "{state:?}");
    // One that was only killed is not said to have been.
    daemon
        .cli(&[
            "run", "-d", "--name", "killed", "-m", "32m", "busybox", "sleep", "1000",
        ])?
        .ok()?;
    daemon.cli(&["kill", "killed"])?.ok()?;
    ensure!(daemon.cli(&["wait", "killed"])?.ok()? == "137");
    let state = daemon.cli(&["inspect", "-f", "{{.State.OOMKilled}}", "killed"])?;
    ensure!(state.ok()? == "false", "{state:?}");
    daemon.clean()
}

#[test]
fn no_more_processes_than_allowed() -> Result<()> {
    let daemon = daemon()?;
    let script = "i=0; while [ $i -lt 40 ]; do sleep 1000 & i=$((i + 1)); echo $i; done";
    let output = run(&daemon, &["--pids-limit", "20"], script)?;
    ensure!(
        output.code != 0 && output.stderr.contains("can't fork"),
        "{output:?}"
    );
    ensure!(output.stdout.lines().count() == 19, "{output:?}");
    ensure!(run(&daemon, &["--pids-limit", "60"], script)?.code == 0);
    daemon.clean()
}
