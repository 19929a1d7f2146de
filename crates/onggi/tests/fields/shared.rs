//! Namespaces of other containers and of the host.

use crate::{daemon, is_dockerd, says};
use anyhow::{Context, Result, ensure};
use onggi_testkit::Daemon;
use std::fs;

fn start(daemon: &Daemon, name: &str, flags: &[&str]) -> Result<()> {
    let run = [
        &["run", "-d", "--name", name],
        flags,
        &["busybox", "sleep", "1000"],
    ];
    daemon.cli(&run.concat())?.ok().map(drop)
}

fn exec(daemon: &Daemon, name: &str, script: &str) -> Result<String> {
    let output = daemon.cli(&["exec", name, "sh", "-c", script])?;
    output.ok().map(str::to_owned).context(script.to_owned())
}

#[test]
fn ipc_of_another_container_with_its_shared_memory() -> Result<()> {
    let daemon = daemon()?;
    start(
        &daemon,
        "donor",
        &["--ipc", "shareable", "--shm-size", "3m"],
    )?;
    exec(&daemon, "donor", "echo kept > /dev/shm/pot")?;
    let flags = ["--ipc", "container:donor"];
    ensure!(
        says(
            &daemon,
            &flags,
            "cat /dev/shm/pot; echo more > /dev/shm/lid"
        )? == "kept"
    );
    ensure!(exec(&daemon, "donor", "cat /dev/shm/lid")? == "more");
    let theirs = exec(&daemon, "donor", "readlink /proc/self/ns/ipc")?;
    ensure!(says(&daemon, &flags, "readlink /proc/self/ns/ipc")? == theirs);
    ensure!(says(&daemon, &flags, "grep ' /dev/shm ' /proc/mounts")?.contains("size=3072k"));
    start(&daemon, "alone", &["--ipc", "private"])?;
    let output = crate::run(&daemon, &["--ipc", "container:alone"], "true")?;
    ensure!(
        output.code == 125
            && output.stderr.contains(
                "non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
            ),
        "{output:?}"
    );
    daemon.clean()
}

#[test]
fn pid_namespace_of_another_container() -> Result<()> {
    let daemon = daemon()?;
    start(&daemon, "first", &[])?;
    ensure!(
        says(
            &daemon,
            &["--pid", "container:first"],
            "cat /proc/1/cmdline | tr '\\0' ' '"
        )? == "sleep 1000 "
    );
    daemon.cli(&["rename", "first", "other"])?.ok()?;
    daemon
        .cli(&[
            "create",
            "--name",
            "second",
            "--pid",
            "container:other",
            "busybox",
            "true",
        ])?
        .ok()?;
    let mode = daemon.cli(&["inspect", "-f", "{{.HostConfig.PidMode}}", "second"])?;
    let id = daemon.cli(&["inspect", "-f", "{{.Id}}", "other"])?;
    ensure!(mode.ok()? == format!("container:{}", id.ok()?), "{mode:?}");
    daemon.cli(&["kill", "other"])?.ok()?;
    daemon.cli(&["wait", "other"])?.ok()?;
    let output = daemon.cli(&["start", "second"])?;
    ensure!(
        output.code != 0 && output.stderr.contains("is not running"),
        "{output:?}"
    );
    daemon.clean()
}

#[test]
fn a_shared_network_comes_with_its_names_and_files() -> Result<()> {
    let daemon = daemon()?;
    let flags = [
        "-h",
        "pot",
        "--add-host",
        "lid:10.1.1.1",
        "--dns",
        "10.1.1.2",
    ];
    start(&daemon, "owner", &flags)?;
    let flags = ["--network", "container:owner"];
    ensure!(says(&daemon, &flags, "hostname")? == "pot");
    ensure!(says(&daemon, &flags, "cat /etc/hostname")? == "pot");
    ensure!(says(&daemon, &flags, "cat /etc/hosts")? == exec(&daemon, "owner", "cat /etc/hosts")?);
    ensure!(says(&daemon, &flags, "cat /etc/resolv.conf")?.contains("nameserver 10.1.1.2"));
    let theirs = exec(&daemon, "owner", "readlink /proc/self/ns/net")?;
    ensure!(says(&daemon, &flags, "readlink /proc/self/ns/net")? == theirs);
    start(&daemon, "guest", &flags)?;
    let paths = "{{.HostsPath}}{{.HostnamePath}}{{.ResolvConfPath}}";
    let guest = daemon.cli(&["inspect", "-f", paths, "guest"])?;
    ensure!(
        guest.ok()? == daemon.cli(&["inspect", "-f", paths, "owner"])?.ok()?,
        "{guest:?}"
    );
    // And of the guest's again.
    let through = ["--network", "container:guest"];
    ensure!(
        says(&daemon, &through, "readlink /proc/self/ns/net; hostname")?
            == format!("{theirs}\npot")
    );
    daemon.clean()
}

#[test]
fn the_hosts_own() -> Result<()> {
    let daemon = daemon()?;
    let own = |name: &str| -> Result<String> {
        Ok(fs::read_link(format!("/proc/self/ns/{name}"))?
            .display()
            .to_string())
    };
    ensure!(says(&daemon, &["--uts=host"], "readlink /proc/self/ns/uts")? == own("uts")?);
    ensure!(says(&daemon, &["--pid=host"], "readlink /proc/self/ns/pid")? == own("pid")?);
    ensure!(says(&daemon, &["--ipc=host"], "readlink /proc/self/ns/ipc")? == own("ipc")?);
    ensure!(says(&daemon, &["--userns=host"], "readlink /proc/self/ns/user")? == own("user")?);
    ensure!(
        says(
            &daemon,
            &["--cgroupns=host"],
            "readlink /proc/self/ns/cgroup"
        )? == own("cgroup")?
    );
    ensure!(
        says(
            &daemon,
            &["--cgroupns=private"],
            "readlink /proc/self/ns/cgroup"
        )? != own("cgroup")?
    );
    // Shared memory is the host's too.
    let name = format!("onggi-fields-{}", std::process::id());
    let file = std::path::Path::new("/dev/shm").join(&name);
    fs::write(&file, "host")?;
    let seen = says(&daemon, &["--ipc=host"], &format!("cat /dev/shm/{name}"));
    fs::remove_file(&file)?;
    ensure!(seen? == "host");
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname")?;
    ensure!(says(&daemon, &["--network=host"], "hostname")? == hostname.trim());
    daemon.clean()
}

#[test]
fn a_device_that_a_cdi_file_describes() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon) {
        return Ok(());
    }
    let vendor = format!("onggi{}.test", std::process::id());
    let folder = std::path::Path::new("/var/run/cdi");
    fs::create_dir_all(folder)?;
    let file = folder.join(format!("{vendor}.json"));
    let text = format!(
        r#"{{"cdiVersion":"0.6.0","kind":"{vendor}/pot","devices":[{{"name":"zero","containerEdits":{{
            "env":["POT=zero"],"additionalGids":[4444],
            "deviceNodes":[{{"path":"/dev/pot","hostPath":"/dev/zero"}}],
            "mounts":[{{"hostPath":"/proc/version","containerPath":"/pot-version","options":["ro"]}}]}}}}]}}"#
    );
    fs::write(&file, text)?;
    let device = format!("{vendor}/pot=zero");
    let seen = says(
        &daemon,
        &["--device", &device],
        "head -c 1 /dev/pot | wc -c; echo $POT; id -G | grep -c 4444; cat /pot-version | wc -l",
    );
    fs::remove_file(&file)?;
    let _ = fs::remove_dir(folder);
    ensure!(seen? == "1\nzero\n1\n1");
    daemon.clean()
}
