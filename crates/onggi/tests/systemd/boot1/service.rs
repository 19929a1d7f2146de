//! Units, socket and group.

use crate::machine::Machine;
use anyhow::{Result, ensure};
use onggi_testkit::{LIMIT, wait_until};

#[test]
fn units_are_installed_and_enabled() -> Result<()> {
    let Some(machine) = Machine::get()? else {
        return Ok(());
    };
    for unit in ["onggi.socket", "onggi.service"] {
        ensure!(machine.ok(&format!("systemctl is-enabled {unit}"))? == "enabled");
        machine.until(&format!("systemctl is-active {unit}"), "active")?;
    }
    // systemd says on the console of `verify` what it does not understand in a unit.
    let said = machine.sh("systemd-analyze verify --man=no onggi.service onggi.socket")?;
    ensure!(said.code == 0 && said.stderr.is_empty(), "{said:?}");
    let unit = machine.ok("systemctl show -p KillMode -p Delegate -p Type onggi.service")?;
    for line in ["KillMode=process", "Delegate=yes", "Type=notify"] {
        ensure!(unit.contains(line), "{unit}");
    }
    let socket = machine.ok("stat -c '%a %U:%G' /run/onggi/onggi.sock /run/docker.sock")?;
    ensure!(socket == "660 root:onggi\n660 root:onggi", "{socket}");
    Ok(())
}

#[test]
fn the_first_client_starts_the_daemon() -> Result<()> {
    let Some(machine) = Machine::get()? else {
        return Ok(());
    };
    machine.ok("systemctl stop onggi.socket onggi.service")?;
    machine.ok("systemctl start onggi.socket")?;
    let state = machine.sh("systemctl is-active onggi.service")?;
    ensure!(state.stdout.trim() == "inactive", "{state:?}");
    let version = machine.ok("onggi version -f '{{.Server.Version}}'")?;
    ensure!(!version.is_empty());
    machine.until("systemctl is-active onggi.service", "active")
}

#[test]
fn a_client_alone_starts_the_service_where_nothing_listens() -> Result<()> {
    let Some(machine) = Machine::get()? else {
        return Ok(());
    };
    machine.ok("systemctl stop onggi.socket onggi.service")?;
    machine.ok("onggi ps")?;
    // Not a daemon of its own, but the machine's.
    machine.until("systemctl is-active onggi.service", "active")
}

#[test]
fn a_member_of_the_group_needs_no_more_and_others_are_told() -> Result<()> {
    let Some(machine) = Machine::get()? else {
        return Ok(());
    };
    let said = machine.sh_as("member", "onggi run --rm busybox echo hello")?;
    ensure!(said.ok()? == "hello", "{said:?}");
    for command in ["onggi ps", "DOCKER_HOST=unix:///run/docker.sock onggi ps"] {
        let said = machine.sh_as("stranger", command)?;
        ensure!(
            said.code == 1
                && said.stderr.contains("permission denied")
                && said.stderr.contains("group"),
            "{said:?}"
        );
    }
    Ok(())
}

#[test]
fn containers_outlive_restart_stop_and_death_of_the_service() -> Result<()> {
    let Some(machine) = Machine::get()? else {
        return Ok(());
    };
    let loops = "i=0; while sleep 0.2; do i=$((i+1)); echo line $i; done";
    machine.ok(&format!(
        "onggi run -d --name survivor busybox sh -c '{loops}'"
    ))?;
    let pid = machine.inspect("survivor", "{{.State.Pid}}")?;
    let begun = machine.inspect("survivor", "{{.State.StartedAt}}")?;
    let same = || -> Result<()> {
        ensure!(
            machine.inspect("survivor", "{{.State.Running}} {{.State.Pid}}")?
                == format!("true {pid}")
        );
        ensure!(machine.inspect("survivor", "{{.State.StartedAt}}")? == begun);
        ensure!(machine.ok("onggi exec survivor echo inside")? == "inside");
        Ok(())
    };
    machine.ok("systemctl restart onggi.service")?;
    same()?;
    machine.ok("systemctl stop onggi.service onggi.socket")?;
    machine.ok(&format!("test -d /proc/{pid}"))?;
    machine.ok("systemctl start onggi.socket onggi.service")?;
    same()?;
    let daemon = machine.ok("systemctl show -P MainPID onggi.service")?;
    machine.ok("systemctl kill --kill-who=main --signal=KILL onggi.service")?;
    wait_until("systemd to start another daemon", LIMIT, || {
        let now = machine.ok("systemctl show -P MainPID onggi.service").ok()?;
        (now != "0" && now != daemon).then_some(())
    })?;
    machine.until("systemctl is-active onggi.service", "active")?;
    same()?;
    machine.until("onggi logs survivor", "line 20")?;
    machine.ok("onggi rm -f survivor").map(drop)
}

#[test]
fn reload_takes_up_the_file() -> Result<()> {
    let Some(machine) = Machine::get()? else {
        return Ok(());
    };
    let _configured = machine.configured(r#"{"labels": ["a=1"]}"#)?;
    ensure!(machine.ok("onggi info -f '{{.Labels}}'")? == "[a=1]");
    std::fs::write("/etc/onggi/daemon.json", r#"{"labels": ["b=2"]}"#)?;
    machine.ok("systemctl reload onggi.service")?;
    machine.until("onggi info -f '{{.Labels}}'", "[b=2]")
}
