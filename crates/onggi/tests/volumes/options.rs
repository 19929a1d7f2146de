//! Volumes that are file systems of others: mounted while containers run with them, and not a moment longer.

use crate::{cli, daemon, refuses, says};
use anyhow::{Result, ensure};
use onggi_testkit::Daemon;
use std::fs;

fn is_mounted(daemon: &Daemon, volume: &str) -> Result<bool> {
    let path = daemon.data_root().join(format!("volumes/{volume}/_data"));
    let path = path.display().to_string();
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    Ok(mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == Some(&path)))
}

const TMPFS: [&str; 6] = [
    "-o",
    "type=tmpfs",
    "-o",
    "device=tmpfs",
    "-o",
    "o=size=1m,nodev",
];

#[test]
fn it_is_mounted_while_somebody_runs_with_it() -> Result<()> {
    let mut daemon = daemon()?;
    cli(
        &daemon,
        &[&["volume", "create"], &TMPFS[..], &["ram"]].concat(),
    )?;
    ensure!(!is_mounted(&daemon, "ram")?);
    for name in ["one", "two"] {
        cli(
            &daemon,
            &[
                "run", "-d", "--name", name, "-v", "ram:/r", "busybox", "sleep", "1000",
            ],
        )?;
    }
    ensure!(is_mounted(&daemon, "ram")?);
    let size = "df -k /r | awk 'NR == 2 {print $2}'; touch /r/x";
    ensure!(cli(&daemon, &["exec", "one", "sh", "-c", size])? == "1024");
    ensure!(cli(&daemon, &["exec", "two", "ls", "/r"])? == "x");
    cli(&daemon, &["rm", "-f", "one"])?;
    ensure!(is_mounted(&daemon, "ram")?);
    if daemon.subject() == onggi_testkit::Subject::Onggi {
        // The next daemon knows who still runs with it.
        daemon.kill()?;
        daemon.run()?;
        ensure!(is_mounted(&daemon, "ram")?);
        ensure!(cli(&daemon, &["exec", "two", "ls", "/r"])? == "x");
    }
    cli(&daemon, &["rm", "-f", "two"])?;
    ensure!(!is_mounted(&daemon, "ram")?);
    // Its files went with the file system.
    ensure!(says(&daemon, &["-v", "ram:/r"], "ls /r")?.is_empty());
    ensure!(!is_mounted(&daemon, "ram")?);
    cli(&daemon, &["volume", "rm", "ram"])?;
    daemon.clean()
}

#[test]
fn a_directory_of_the_host_may_be_one() -> Result<()> {
    let daemon = daemon()?;
    let shared = daemon.path("shared");
    fs::create_dir(&shared)?;
    let mount = format!(
        "type=volume,source=host,target=/h,volume-opt=type=none,volume-opt=device={},volume-opt=o=bind",
        shared.display()
    );
    says(&daemon, &["--mount", &mount], "echo here > /h/file")?;
    ensure!(fs::read_to_string(shared.join("file"))? == "here\n");
    ensure!(!is_mounted(&daemon, "host")?);
    let told = cli(
        &daemon,
        &[
            "volume",
            "inspect",
            "-f",
            "{{.Options.o}} {{.Options.type}}",
            "host",
        ],
    )?;
    ensure!(told == "bind none", "{told}");
    // The image fills it as any other, if it is empty.
    let empty = daemon.path("empty");
    fs::create_dir(&empty)?;
    let mount = format!(
        "type=volume,source=filled,target=/etc,volume-opt=type=none,volume-opt=device={},volume-opt=o=bind",
        empty.display()
    );
    cli(&daemon, &["create", "--mount", &mount, "busybox"])?;
    ensure!(empty.join("passwd").exists() && !is_mounted(&daemon, "filled")?);
    cli(
        &daemon,
        &[
            "volume",
            "create",
            "-o",
            "type=none",
            "-o",
            "o=bind",
            "-o",
            "device=/no/such/dir",
            "gone",
        ],
    )?;
    refuses(
        &daemon,
        &["run", "--rm", "-v", "gone:/g:nocopy", "busybox", "true"],
        "no such file or directory",
    )?;
    ensure!(!is_mounted(&daemon, "gone")?);
    daemon.clean()
}

/// What the kernel refuses, in Docker's words.
#[test]
fn what_cannot_be_mounted_is_told_as_docker_tells_it() -> Result<()> {
    let onggi = daemon()?;
    if crate::is_dockerd(&onggi, "this is a comparison") {
        return Ok(());
    }
    if !std::path::Path::new("/usr/sbin/dockerd").exists() {
        eprintln!("dockerd: skipped, it is not installed");
        return onggi.clean();
    }
    let docker = Daemon::start_with(onggi_testkit::DaemonOptions {
        subject: Some(onggi_testkit::Subject::Dockerd),
        client: Some(onggi_testkit::Client::Onggi),
        ..Default::default()
    })?;
    docker.load_busybox()?;
    let mut differ = Vec::new();
    for options in [
        &["type=none", "o=bind", "device=/no/such/dir"][..],
        &["type=none", "o=rbind,ro", "device=/no/such/dir"],
        &["type=btrfs", "device=/no/such/device"],
        &["type=btrfs", "device=/dev/null", "o=subvol=a,noatime"],
        &["type=ext4", "device=/dev/null"],
        &["type=nosuchfs", "device=none", "o=a=b"],
        &["type=tmpfs", "device=tmpfs", "o=size=odd"],
        &["type=tmpfs", "device=tmpfs", "o=nosuch,ro"],
        &["type=nfs", "device=:/x", "o=addr=127.0.0.1,nolock,soft"],
        &["type=nfs4", "device=:/x", "o=addr=127.0.0.1,rw,vers=4"],
        &["type=nfs", "device=:/x"],
        &["type=nfs", "device=:/x", "o=addr=no-such-host.invalid,ro"],
    ] {
        let mut said = Vec::new();
        for daemon in [&onggi, &docker] {
            let mut create = vec!["volume", "create"];
            for option in options {
                create.extend(["-o", option]);
            }
            create.push("odd");
            cli(daemon, &create)?;
            let output = daemon.cli(&["run", "--rm", "-v", "odd:/o:nocopy", "busybox", "true"])?;
            ensure!(output.code != 0, "{options:?}: {output:?}");
            let root = daemon.data_root().display().to_string();
            let text = output.stderr.replace(&root, "ROOT");
            // What a resolver says differs from one to the next; who is asked is told.
            let text = text.split(" on ").next().unwrap_or_default();
            let line = text.lines().find(|line| line.contains("mount"));
            let line = line
                .unwrap_or(text)
                .split(" no-such-host")
                .next()
                .unwrap_or_default();
            said.push(line.trim().trim_end_matches('.').to_owned());
            cli(daemon, &["volume", "rm", "odd"])?;
        }
        if said[0] != said[1] {
            differ.push(format!(
                "{options:?}:\n  onggi:  {}\n  docker: {}",
                said[0], said[1]
            ));
        }
    }
    ensure!(differ.is_empty(), "{}", differ.join("\n"));
    onggi.clean()
}
