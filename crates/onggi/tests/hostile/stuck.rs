//! Containers that do not move: stuck in the kernel, their monitor stopped, without room for one more process.

use crate::fuse::Silent;
use crate::{daemon, inspect, monitor, run, serves_others, wait_for};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{LIMIT, wait_until};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn a_container_stuck_in_the_kernel_is_alone_with_it() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let path = daemon.path("silent");
    let Some(silent) = Silent::mount(&path)? else {
        return Ok(());
    };
    run(&daemon, "other", &[], "echo there; exec sleep 1000")?;
    run(&daemon, "third", &[], "exec sleep 1000")?;
    let bind = format!("{}:/silent", path.display());
    run(
        &daemon,
        "stuck",
        &["-v", &bind],
        "echo begins; cat /silent/x",
    )?;
    silent.expect_somebody()?;
    let removal = daemon.cli_process(&["rm", "-f", "stuck"])?;
    wait_until("the signal to be on its way", LIMIT, || {
        let events = daemon.cli(&[
            "events",
            "--since",
            "1h",
            "--until",
            "0s",
            "-f",
            "event=kill",
        ]);
        events.ok()?.stdout.contains("name=stuck").then_some(())
    })?;
    // Everybody else is served, and so are questions about this one.
    let names = daemon.cli(&["ps", "-a", "--format", "{{.Names}}"])?;
    let mut names: Vec<&str> = names.ok()?.lines().collect();
    names.sort_unstable();
    ensure!(names == ["other", "stuck", "third"], "{names:?}");
    ensure!(inspect(&daemon, "stuck")?["State"]["Running"] == true);
    ensure!(daemon.cli(&["logs", "stuck"])?.ok()? == "begins");
    ensure!(daemon.cli(&["logs", "other"])?.ok()? == "there");
    daemon.cli(&["exec", "other", "true"])?.ok()?;
    daemon.cli(&["rm", "-f", "other"])?.ok()?;
    serves_others(&daemon)?;
    let failed = removal.wait()?;
    ensure!(
        failed.code == 1
            && failed.stderr.contains("cannot remove container")
            && failed.stderr.contains("did not receive an exit event")
            && failed.stderr.contains("(cat) is stuck in the kernel"),
        "{failed:?}"
    );
    daemon.cli(&["rm", "-f", "third"])?.ok()?;
    // The file system comes back: the signal of before arrives.
    drop(silent);
    let state = wait_for(&daemon, "stuck", "exited")?;
    ensure!(state["ExitCode"] == 137, "{state}");
    daemon.cli(&["rm", "-f", "stuck"])?.ok()?;
    daemon.clean()
}

#[test]
fn a_monitor_that_is_stopped_holds_up_its_container_alone() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    run(&daemon, "held", &[], "exec sleep 1000")?;
    run(&daemon, "other", &[], "exec sleep 1000")?;
    let number = monitor(&daemon, "held")?;
    let process = i32::try_from(number).ok().and_then(Pid::from_raw);
    let process = process.context("a process")?;
    kill_process(process, Signal::STOP)?;
    let exec = daemon.cli_process(&["exec", "held", "true"])?;
    daemon.cli(&["exec", "other", "true"])?.ok()?;
    serves_others(&daemon)?;
    let advice = format!("\"kill -CONT {number}\" lets it go on");
    let said = exec.wait()?;
    ensure!(
        said.code != 0
            && [said.stdout.as_str(), &said.stderr]
                .concat()
                .contains(&advice),
        "exec: {said:?}"
    );
    let said = daemon.cli(&["stop", "-t", "1", "held"])?;
    ensure!(
        said.code == 1 && said.stderr.contains(&advice),
        "stop: {said:?}"
    );
    ensure!(inspect(&daemon, "held")?["State"]["Running"] == true);
    kill_process(process, Signal::CONT)?;
    let state = wait_for(&daemon, "held", "exited")?;
    ensure!(state["ExitCode"] == 137, "{state}");
    daemon.clean()
}

#[test]
fn a_daemon_does_not_wait_for_a_monitor_that_is_stopped() -> Result<()> {
    let Some(mut daemon) = daemon()? else {
        return Ok(());
    };
    run(&daemon, "held", &[], "exec sleep 1000")?;
    run(&daemon, "other", &[], "exec sleep 1000")?;
    let process = i32::try_from(monitor(&daemon, "held")?).ok();
    let process = process.and_then(Pid::from_raw).context("a process")?;
    // In this order: the kernel lets those go on who lose their parent while they are stopped.
    daemon.kill()?;
    kill_process(process, Signal::STOP)?;
    daemon.run()?;
    ensure!(inspect(&daemon, "held")?["State"]["Running"] == true);
    daemon.cli(&["exec", "other", "true"])?.ok()?;
    serves_others(&daemon)?;
    kill_process(process, Signal::CONT)?;
    wait_until("it to be taken up", LIMIT, || {
        let said = daemon.cli(&["exec", "held", "echo", "there"]).ok()?;
        (said.stdout == "there\n").then_some(())
    })?;
    daemon.clean().with_context(|| daemon.log())
}

#[test]
fn a_container_without_room_for_a_process_can_be_stopped() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let script = "for i in 1 2 3; do sleep 1000 & done; exec sleep 1000";
    run(&daemon, "full", &["--pids-limit", "4"], script)?;
    let pids = || inspect_pids(&daemon);
    wait_until("the limit to be reached", LIMIT, || {
        (pids().ok()? >= 4).then_some(())
    })?;
    // Where the kernel counts those who are put into a group, it is refused; else it runs.
    let said = daemon.cli(&["exec", "full", "true"])?;
    ensure!(
        said.code == 0
            || said
                .stderr
                .to_lowercase()
                .contains("resource temporarily unavailable"),
        "{said:?}"
    );
    ensure!(inspect(&daemon, "full")?["State"]["Running"] == true);
    daemon.cli(&["top", "full"])?.ok()?;
    serves_others(&daemon)?;
    daemon.cli(&["stop", "-t", "0", "full"])?.ok()?;
    daemon.clean()
}

fn inspect_pids(daemon: &onggi_testkit::Daemon) -> Result<usize> {
    let top = daemon.get("/containers/full/top")?.ok()?.json()?;
    Ok(top["Processes"].as_array().map_or(0, Vec::len))
}
