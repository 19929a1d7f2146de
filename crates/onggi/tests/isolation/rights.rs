//! Capabilities, system calls, and paths of the kernel: Docker's numbers.

use crate::{daemon, run, says};
use anyhow::{Context, Result, bail, ensure};
use onggi_testkit::{Daemon, Subject};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// Docker's default set: chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw
/// sys_chroot mknod audit_write setfcap.
const DEFAULT: &str = "00000000a80425fb";
const NONE: &str = "0000000000000000";

/// Lines of `/proc/self/status` with these names.
fn status(daemon: &Daemon, flags: &[&str], names: &[&str]) -> Result<Vec<String>> {
    let text = says(daemon, flags, "cat /proc/self/status")?;
    lines(&text, names)
}

fn lines(status: &str, names: &[&str]) -> Result<Vec<String>> {
    let find = |name: &&str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}:")));
        Ok(line
            .with_context(|| format!("no {name}"))?
            .trim()
            .to_owned())
    };
    names.iter().map(find).collect()
}

#[test]
fn capabilities_and_seccomp_are_dockers() -> Result<()> {
    let daemon = daemon()?;
    const NAMES: [&str; 7] = [
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
    ];
    for (flags, wanted) in [
        (&[][..], [NONE, DEFAULT, DEFAULT, DEFAULT, NONE, "0", "2"]),
        (
            &["--user", "nobody"],
            [NONE, NONE, NONE, DEFAULT, NONE, "0", "2"],
        ),
        (
            &["--cap-drop", "ALL"],
            [NONE, NONE, NONE, NONE, NONE, "0", "2"],
        ),
        (
            &["--cap-drop=ALL", "--cap-add=NET_ADMIN"],
            [
                NONE,
                "0000000000001000",
                "0000000000001000",
                "0000000000001000",
                NONE,
                "0",
                "2",
            ],
        ),
        (
            &["--cap-drop=CHOWN", "--cap-drop", "cap_mknod"],
            [
                NONE,
                "00000000a00425fa",
                "00000000a00425fa",
                "00000000a00425fa",
                NONE,
                "0",
                "2",
            ],
        ),
        (
            &["--security-opt", "no-new-privileges"],
            [NONE, DEFAULT, DEFAULT, DEFAULT, NONE, "1", "2"],
        ),
        (
            &["--security-opt", "seccomp=unconfined"],
            [NONE, DEFAULT, DEFAULT, DEFAULT, NONE, "0", "0"],
        ),
    ] {
        let found = status(&daemon, flags, &NAMES)?;
        ensure!(
            found == wanted,
            "{flags:?}: {found:?} instead of {wanted:?}"
        );
    }
    daemon.clean()
}

#[test]
fn privileged_is_all_there_is() -> Result<()> {
    let daemon = daemon()?;
    let own = lines(&fs::read_to_string("/proc/self/status")?, &["CapBnd"])?;
    if daemon.subject() == Subject::Dockerd && own[0] != "000001ffffffffff" {
        eprintln!("skipped: runc cannot do with less than all capabilities");
        return Ok(());
    }
    let found = status(&daemon, &["--privileged"], &["CapEff", "CapBnd", "Seccomp"])?;
    ensure!(found == [&*own[0], &*own[0], "0"], "{found:?}");
    let script = "test -c /dev/kmsg && mount -t tmpfs none /tmp && touch /tmp/x && cat /proc/sys/net/ipv4/ip_forward > /proc/sys/net/ipv4/ip_forward && echo can";
    ensure!(says(&daemon, &["--privileged"], script)? == "can");
    daemon.clean()
}

#[test]
fn what_a_container_may_not_do() -> Result<()> {
    let daemon = daemon()?;
    for (script, reason) in [
        ("mount -t tmpfs none /tmp", "permission denied"),
        ("hostname other", "Operation not permitted"),
        ("ip link set eth0 down", "Operation not permitted"),
        ("echo 1 > /proc/sys/kernel/panic", "Read-only file system"),
        (
            "echo 1 > /proc/irq/default_smp_affinity",
            "Read-only file system",
        ),
        (
            "mkdir /sys/fs/cgroup/memory/x /sys/fs/cgroup/x",
            "Read-only file system",
        ),
        (
            "mknod /tmp/disk b 8 0 && head -c 1 /tmp/disk",
            "Operation not permitted",
        ),
        ("unshare -m true", "Operation not permitted"),
        ("date -s 2000-01-01; false", "Operation not permitted"),
    ] {
        let output = run(&daemon, &[], script)?;
        ensure!(
            output.code != 0 && output.stderr.contains(reason),
            "{script}: {output:?}"
        );
    }
    daemon.clean()
}

#[test]
fn masked_paths_show_nothing() -> Result<()> {
    let daemon = daemon()?;
    let script = "for f in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug; do [ ! -e $f ] || head -c 1 $f; done; ls -A /proc/scsi /proc/acpi /sys/firmware 2> /dev/null | grep -v :; true";
    let shown = says(&daemon, &[], script)?;
    ensure!(shown.trim().is_empty(), "{shown:?}");
    // What a program needs is there.
    let script = "echo x > /dev/null; head -c 4 /dev/urandom | wc -c; test -c /dev/tty && test -d /dev/shm && test -d /dev/pts && test -e /dev/fd/0 && readlink /dev/stdout";
    ensure!(says(&daemon, &[], script)? == "4\n/proc/self/fd/1");
    daemon.clean()
}

#[test]
fn what_masks_a_path_is_not_the_hosts() -> Result<()> {
    let daemon = daemon()?;
    let mode = || -> Result<(u32, u32)> {
        let data = fs::metadata("/dev/null")?;
        Ok((data.mode(), data.uid()))
    };
    let before = mode()?;
    let script = "for f in /proc/keys /proc/timer_list /proc/interrupts; do [ ! -e $f ] || { chmod 0640 $f; chown 7 $f; }; done; chmod 0640 /dev/null; true";
    let output = run(&daemon, &[], script)?;
    // Put it right first: it would be the whole machine's.
    if mode()? != before {
        fs::set_permissions("/dev/null", fs::Permissions::from_mode(before.0))?;
        std::os::unix::fs::chown("/dev/null", Some(before.1), None)?;
        bail!("a container changed the host's /dev/null: {output:?}");
    }
    daemon.clean()
}
