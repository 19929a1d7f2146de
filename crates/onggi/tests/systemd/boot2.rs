//! The second boot: containers ended by their timeouts, and came back by their policies.

use crate::machine::Machine;
use anyhow::{Result, ensure};
use std::path::Path;

/// The first boot leaves containers behind, unless only some of its tests were run.
fn machine() -> Result<Option<Machine>> {
    let Some(machine) = Machine::get()? else {
        return Ok(None);
    };
    let left = machine.sh("onggi inspect never")?.code == 0;
    if !left {
        eprintln!("skipped: the first boot left no containers");
    }
    Ok(left.then_some(machine))
}

#[test]
fn the_end_of_the_machine_waited_for_containers() -> Result<()> {
    let Some(machine) = machine()? else {
        return Ok(());
    };
    // What it does when it is told to stop took three seconds: nobody killed it meanwhile.
    let data = machine.ok("onggi volume inspect -f '{{.Mountpoint}}' work")?;
    ensure!(Path::new(&data).join("done").exists());
    let state = "{{.State.Status}} {{.State.ExitCode}}";
    ensure!(machine.inspect("polite", state)? == "exited 7");
    ensure!(machine.inspect("stubborn", state)? == "exited 137");
    ensure!(machine.inspect("never", state)? == "exited 137");
    Ok(())
}

#[test]
fn policies_start_containers_at_boot() -> Result<()> {
    let Some(machine) = machine()? else {
        return Ok(());
    };
    for name in ["always", "journal", "unless", "retired"] {
        machine.until(
            &format!("onggi inspect -f '{{{{.State.Running}}}}' {name}"),
            "true",
        )?;
        let begun = machine.inspect(name, "{{.State.StartedAt}}")?;
        let booted = machine.ok("date -u -d \"$(uptime -s)\" +%Y-%m-%dT%H:%M:%S")?;
        ensure!(begun > booted, "{name} begun {begun}, booted {booted}");
    }
    ensure!(machine.inspect("stopped", "{{.State.Running}}")? == "false");
    ensure!(machine.inspect("always", "{{.RestartCount}}")? == "0");
    let lines = "journalctl --no-pager -o cat CONTAINER_NAME=journal";
    machine.until(&format!("{lines} | grep -c up"), "2")
}

#[test]
fn nothing_of_the_last_boot_is_in_the_way() -> Result<()> {
    let Some(machine) = machine()? else {
        return Ok(());
    };
    for unit in ["onggi.socket", "onggi.service"] {
        machine.until(&format!("systemctl is-active {unit}"), "active")?;
    }
    let said = machine.sh_as("member", "onggi run --rm busybox echo again")?;
    ensure!(said.ok()? == "again", "{said:?}");
    // The other tests look at what was left: only this one goes.
    machine.ok("onggi rm never-again 2>/dev/null; onggi create --name never-again busybox true")?;
    machine.ok("onggi rm never-again").map(drop)
}
