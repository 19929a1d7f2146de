//! Control groups beside systemd's own, and AppArmor as the kernel has it.

use crate::machine::Machine;
use anyhow::{Result, ensure};

/// A profile that a user brings along: everything but one file.
const PROFILE: &str = "profile kiln flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  network,
  mount,
  umount,
  pivot_root,
  signal,
  ptrace,
  unix,
  deny /etc/secret r,
}
";

#[test]
fn limits_hold_beside_systemd() -> Result<()> {
    let Some(machine) = Machine::get()? else {
        return Ok(());
    };
    let info = machine.ok("onggi info -f '{{.CgroupDriver}} {{.CgroupVersion}}'")?;
    ensure!(info == "cgroupfs 2", "{info}");
    machine.ok("onggi run -d --name bound -m 64m --pids-limit 50 --cpus 0.5 busybox sleep 1000")?;
    let id = machine.inspect("bound", "{{.Id}}")?;
    let limits = format!("cd /sys/fs/cgroup/onggi/{id} && cat memory.max pids.max cpu.max");
    let expected = "67108864\n50\n50000 100000";
    ensure!(machine.ok(&limits)? == expected);
    // systemd writes its own groups anew, and starts and stops others.
    machine.ok("systemctl daemon-reload")?;
    machine.ok("systemd-run --wait --collect -p MemoryMax=100M -p CPUQuota=10% true")?;
    machine.ok("systemctl restart onggi.service")?;
    ensure!(machine.ok(&limits)? == expected);
    ensure!(machine.ok("onggi exec bound cat /sys/fs/cgroup/memory.max")? == "67108864");
    machine.ok("onggi update --memory 128m --memory-swap 128m bound")?;
    ensure!(machine.ok("onggi exec bound cat /sys/fs/cgroup/memory.max")? == "134217728");
    machine.ok("onggi rm -f bound").map(drop)
}

#[test]
fn a_slice_of_systemd_may_be_the_parent() -> Result<()> {
    let Some(machine) = Machine::get()? else {
        return Ok(());
    };
    std::fs::write(
        "/run/systemd/system/pots.slice",
        "[Slice]\nMemoryMax=200M\nTasksMax=100\n",
    )?;
    machine.ok("systemctl daemon-reload && systemctl start pots.slice")?;
    machine
        .ok("onggi run -d --name potted --cgroup-parent /pots.slice -m 64m busybox sleep 999")?;
    let id = machine.inspect("potted", "{{.Id}}")?;
    let pid = machine.inspect("potted", "{{.State.Pid}}")?;
    let group = machine.ok(&format!("cat /proc/{pid}/cgroup"))?;
    ensure!(group == format!("0::/pots.slice/onggi/{id}"), "{group}");
    machine.ok("systemctl daemon-reload")?;
    let limits = machine.ok(&format!(
        "cd /sys/fs/cgroup/pots.slice && cat memory.max pids.max onggi/{id}/memory.max"
    ))?;
    ensure!(limits == "209715200\n100\n67108864", "{limits}");
    machine.ok("onggi rm -f potted")?;
    machine.ok("systemctl stop pots.slice")?;
    machine.ok("test ! -d /sys/fs/cgroup/pots.slice").map(drop)
}

#[test]
fn the_other_cgroup_driver_is_said_to_have_no_effect() -> Result<()> {
    let Some(machine) = Machine::get()? else {
        return Ok(());
    };
    let _configured = machine.configured(r#"{"exec-opts": ["native.cgroupdriver=systemd"]}"#)?;
    ensure!(machine.ok("onggi info -f '{{.CgroupDriver}}'")? == "cgroupfs");
    ensure!(
        machine.ok("onggi run --rm -m 32m busybox cat /sys/fs/cgroup/memory.max")? == "33554432"
    );
    machine.until(
        "journalctl --no-pager -b -u onggi.service",
        "native.cgroupdriver=systemd has no effect",
    )
}

#[test]
fn apparmor_says_what_is_true() -> Result<()> {
    let Some(machine) = Machine::get()? else {
        return Ok(());
    };
    ensure!(machine.ok("cat /sys/module/apparmor/parameters/enabled")? == "Y");
    let options = machine.ok("onggi info -f '{{.SecurityOptions}}'")?;
    ensure!(options.contains("name=apparmor"), "{options}");
    let label = "cat /proc/self/attr/apparmor/current";
    let run = |option: &str, script: &str| {
        machine.sh(&format!(
            "onggi run --rm --security-opt {option} busybox sh -c '{script}'"
        ))
    };
    ensure!(run("apparmor=unconfined", label)?.ok()? == "unconfined");
    // A profile that nobody loaded is no confinement: refused.
    let refused = run("apparmor=nobodys", label)?;
    ensure!(
        refused.code == 125 && refused.stderr.contains("\"nobodys\": it is not loaded"),
        "{refused:?}"
    );
    std::fs::write("/root/kiln", PROFILE)?;
    machine.ok("apparmor_parser --replace --skip-cache /root/kiln")?;
    ensure!(run("apparmor=kiln", label)?.ok()? == "kiln (enforce)");
    let denied = run("apparmor=kiln", "echo x >/etc/secret; cat /etc/secret")?;
    ensure!(
        denied.code != 0 && denied.stderr.contains("Permission denied"),
        "{denied:?}"
    );
    machine.ok("onggi run -d --name fired --security-opt apparmor=kiln busybox sleep 1000")?;
    ensure!(machine.inspect("fired", "{{.AppArmorProfile}}")? == "kiln");
    let inside = machine.ok(&format!("onggi exec fired {label}"))?;
    ensure!(inside == "kiln (enforce)", "{inside}");
    machine.ok("onggi rm -f fired").map(drop)
}
