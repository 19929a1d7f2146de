//! S22: what a container has of its own, what it may use, and what is out of its reach.

use crate::as_typed;
use crate::scene::{Scene, folder};
use anyhow::{Result, ensure};
use std::fs;

as_typed!(
    it_has_its_own_of_everything,
    its_limits_hold,
    the_host_is_out_of_reach
);

fn it_has_its_own_of_everything(scene: &Scene) -> Result<()> {
    scene.says("run --rm busybox sh -c 'echo $$'", "1")?;
    let id = scene.ok("run -d --name box busybox sleep 1000")?;
    scene.says("exec box hostname", &id[..12])?;
    scene.says(
        "exec box sh -c 'grep -c : /proc/net/dev; grep -c eth0 /proc/net/dev'",
        "2\n1",
    )?;
    scene.says("exec box cat /proc/1/comm", "sleep")?;
    for kind in ["pid", "net", "mnt", "ipc", "uts"] {
        let inside = scene.ok(&format!("exec box readlink /proc/1/ns/{kind}"))?;
        let outside = fs::read_link(format!("/proc/self/ns/{kind}"))?;
        ensure!(inside != outside.display().to_string(), "{kind}: {inside}");
    }
    scene.says(
        "run --rm --network none busybox sh -c 'ls /sys/class/net | grep -c eth0; true'",
        "0",
    )?;
    // Each has its own, and shares it only when asked.
    let own = scene.ok("exec box readlink /proc/1/ns/net")?;
    scene.says(
        "run --rm --network container:box busybox readlink /proc/self/ns/net",
        &own,
    )?;
    ensure!(scene.ok("run --rm busybox readlink /proc/self/ns/net")? != own);
    let host = fs::read_link("/proc/self/ns/uts")?.display().to_string();
    scene.says(
        "run --rm --uts host busybox readlink /proc/self/ns/uts",
        &host,
    )
}

fn its_limits_hold(scene: &Scene) -> Result<()> {
    scene.fails(
        "run --name fat -m 32m --memory-swap 32m busybox tail /dev/zero",
        137,
        "",
    )?;
    scene.says(
        "inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' fat",
        "true 137",
    )?;
    let script = "i=0; while [ $i -lt 40 ]; do sleep 1000 & i=$((i + 1)); echo $i; done";
    let forks = scene.typed(&format!(
        "run --rm --pids-limit 20 busybox sh -c '{script}'"
    ))?;
    ensure!(
        forks.code != 0
            && forks.stderr.contains("can't fork")
            && forks.stdout.lines().count() == 19,
        "{forks:?}"
    );
    // Half a processor, as the kernel has it: quota and period, on either version of control groups.
    let quota = scene.ok("run --rm --cpus 0.5 busybox sh -c 'cat /sys/fs/cgroup/cpu.max 2>/dev/null || cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us'")?;
    ensure!(
        quota.split_whitespace().collect::<Vec<_>>() == ["50000", "100000"],
        "{quota}"
    );
    // The one beside it has not noticed.
    scene.says("run --rm busybox echo well", "well")
}

fn the_host_is_out_of_reach(scene: &Scene) -> Result<()> {
    let here = folder(scene, "here")?;
    fs::write(here.join("secret"), "x\n")?;
    scene.fails(
        &format!("run --rm busybox cat {}/secret", here.display()),
        1,
        "No such file or directory",
    )?;
    let closed = [
        "echo 1 > /proc/sys/kernel/panic",
        "echo h > /proc/sysrq-trigger",
        "mkdir /m && mount -t proc none /m",
        "mknod /disk b 8 0 && dd if=/disk of=/dev/null count=1",
        "echo x > /sys/kernel/uevent_helper",
        "chroot /proc/1/root/../../.. test -e /tmp/onggi-nothing",
        "nsenter -t 1 -p -m true && test -e /host",
        "cat /proc/kcore | head -c 1 | grep -q .",
        "cat /proc/keys | grep -q .",
        "hostname other",
    ];
    for script in closed {
        let output = scene.typed(&format!("run --rm busybox sh -c '{script}'"))?;
        ensure!(output.code != 0, "{script}: {output:?}");
    }
    // Processes of the host are not seen, and not signalled.
    let own = std::process::id();
    scene.fails(&format!("run --rm busybox kill -0 {own}"), 1, "")?;
    ensure!(
        scene
            .ok("run --rm busybox sh -c 'ls -d /proc/[0-9]* | wc -l'")?
            .trim()
            .parse::<u32>()?
            < 6
    );
    // A container does not see the files of another.
    scene.ok("run -d --name box busybox sh -c 'echo mine > /mine; exec sleep 1000'")?;
    scene.fails("run --rm busybox cat /mine", 1, "No such file or directory")
}
