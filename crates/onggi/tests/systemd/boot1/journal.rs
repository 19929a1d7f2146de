//! Logs to journald, and back.

use crate::machine::Machine;
use anyhow::{Result, ensure};

#[test]
fn lines_reach_the_journal_and_logs_shows_them_too() -> Result<()> {
    let Some(machine) = Machine::get()? else {
        return Ok(());
    };
    let script = "echo to out; echo to err >&2";
    let flags = "--log-driver journald --label team=pots --log-opt labels=team --log-opt tag=kiln";
    machine.ok(&format!(
        "onggi run --name teller {flags} busybox sh -c '{script}'"
    ))?;
    let lines = "journalctl --no-pager -o cat CONTAINER_NAME=teller";
    machine.until(lines, "to out")?;
    machine.until(lines, "to err")?;
    let id = machine.inspect("teller", "{{.Id}}")?;
    for (field, value) in [
        ("CONTAINER_ID_FULL", id.as_str()),
        ("CONTAINER_TAG", "kiln"),
        ("SYSLOG_IDENTIFIER", "kiln"),
        ("IMAGE_NAME", "busybox"),
        ("TEAM", "pots"),
    ] {
        machine.until(
            &format!("journalctl --no-pager -o cat {field}={value}"),
            "to out",
        )?;
    }
    machine.until(&format!("{lines} PRIORITY=3"), "to err")?;
    // They are what the daemon sent, not what a container may claim to be.
    machine.until(&format!("{lines} _SYSTEMD_UNIT=onggi.service"), "to out")?;
    let logs = machine.sh("onggi logs teller")?;
    ensure!(
        logs.stdout == "to out\n" && logs.stderr == "to err\n",
        "{logs:?}"
    );
    machine.ok("onggi rm teller").map(drop)
}

#[test]
fn what_is_said_while_the_daemon_is_away_arrives_later_and_once() -> Result<()> {
    let Some(machine) = Machine::get()? else {
        return Ok(());
    };
    let script = "echo before; until [ -e /go ]; do sleep 0.1; done; echo meanwhile; sleep 1000";
    machine.ok(&format!(
        "onggi run -d --name away --log-driver journald busybox sh -c '{script}'"
    ))?;
    let lines = "journalctl --no-pager -o cat CONTAINER_NAME=away";
    machine.until(lines, "before")?;
    let pid = machine.inspect("away", "{{.State.Pid}}")?;
    machine.ok("systemctl stop onggi.service onggi.socket")?;
    machine.ok(&format!("touch /proc/{pid}/root/go"))?;
    machine.ok("systemctl start onggi.socket onggi.service")?;
    machine.until(lines, "meanwhile")?;
    let all = machine.ok(lines)?;
    ensure!(all == "before\nmeanwhile", "{all}");
    machine.ok("onggi rm -f away").map(drop)
}

#[test]
fn it_can_be_the_default() -> Result<()> {
    let Some(machine) = Machine::get()? else {
        return Ok(());
    };
    let _configured = machine.configured(r#"{"log-driver": "journald"}"#)?;
    ensure!(machine.ok("onggi info -f '{{.LoggingDriver}}'")? == "journald");
    machine.ok("onggi run --rm --name defaulter busybox echo by default")?;
    machine.until(
        "journalctl --no-pager -o cat CONTAINER_NAME=defaulter",
        "by default",
    )
}
