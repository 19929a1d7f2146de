//! Another OCI runtime: Debian's runc in the place of ours.

use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, LIMIT, Subject, wait_until};
use serde_json::json;
use std::fs;
use std::path::Path;

/// A daemon whose runtime `other` is runc; none where runc is not installed.
fn daemon() -> Result<Option<Daemon>> {
    const RUNC: [&str; 2] = ["/usr/sbin/runc", "/usr/bin/runc"];
    let Some(runc) = RUNC.into_iter().find(|path| Path::new(path).exists()) else {
        eprintln!("skipped: no runc is installed");
        return Ok(None);
    };
    let mut daemon = crate::daemon()?;
    if daemon.subject() == Subject::Dockerd {
        return Ok(None);
    }
    daemon.stop()?;
    let config = json!({"runtimes": {"other": {"path": runc, "runtimeArgs": ["--debug"]}}});
    fs::write(daemon.path("daemon.json"), config.to_string())?;
    daemon.run()?;
    Ok(Some(daemon))
}

fn run(daemon: &Daemon, flags: &[&str], script: &str) -> Result<onggi_testkit::Output> {
    crate::run(daemon, &[&["--runtime", "other"], flags].concat(), script)
}

#[test]
fn runc_makes_containers_like_ours() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    for (flags, script, expected) in [
        (&[][..], "echo out; id -u; pwd", "out\n0\n/"),
        (
            &["-u", "nobody", "-w", "/tmp"],
            "id -un; pwd",
            "nobody\n/tmp",
        ),
        (&["-h", "pot"], "hostname; cat /etc/hostname", "pot\npot"),
        (
            &["--cap-drop=ALL"],
            "grep CapEff /proc/self/status | cut -f2",
            "0000000000000000",
        ),
        (&[], "grep Seccomp: /proc/self/status | cut -f2", "2"),
        (&["--init"], "[ $$ != 1 ] && grep -c init /proc/1/comm", "1"),
        (
            &["--read-only"],
            "touch /x 2> /dev/null || echo kept",
            "kept",
        ),
        (&["--tmpfs", "/pot"], "touch /pot/x && echo made", "made"),
        (
            &["--sysctl", "net.ipv4.ip_forward=1"],
            "cat /proc/sys/net/ipv4/ip_forward",
            "1",
        ),
        (
            &["--privileged"],
            "grep Seccomp: /proc/self/status | cut -f2",
            "0",
        ),
        (&[], "ip -o -4 addr show eth0 | wc -l", "1"),
    ] {
        let output = run(&daemon, flags, script)?;
        ensure!(output.ok()? == expected, "{flags:?}: {output:?}");
    }
    if !crate::is_v2() {
        let output = run(
            &daemon,
            &["-m", "64m"],
            &crate::limit("memory", "memory.limit_in_bytes"),
        )?;
        ensure!(output.ok()? == "67108864", "{output:?}");
    }
    ensure!(run(&daemon, &[], "exit 7")?.code == 7);
    ensure!(run(&daemon, &["-t"], "tty")?.ok()?.trim() == "/dev/pts/0");
    let missing = daemon.cli(&["run", "--rm", "--runtime", "other", "busybox", "/no/such"])?;
    ensure!(missing.code == 127, "{missing:?}");
    daemon.clean()
}

#[test]
fn its_whole_life() -> Result<()> {
    let Some(mut daemon) = daemon()? else {
        return Ok(());
    };
    let script = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.1; done";
    let start = [
        "run",
        "-d",
        "--name",
        "pot",
        "--runtime",
        "other",
        "busybox",
        "sh",
        "-c",
        script,
    ];
    daemon.cli(&start)?.ok()?;
    let runtime = daemon.cli(&[
        "inspect",
        "-f",
        "{{.HostConfig.Runtime}} {{.State.Status}}",
        "pot",
    ])?;
    ensure!(runtime.ok()? == "other running", "{runtime:?}");
    for (flags, words, code, expected) in [
        (&[][..], &["echo", "in"][..], 0, "in\n"),
        (&["-u", "1234"], &["id", "-u"], 0, "1234\n"),
        (
            &["-e", "A=b", "-w", "/etc"],
            &["sh", "-c", "echo $A $PWD"],
            0,
            "b /etc\n",
        ),
        (&["-t"], &["tty"], 0, "/dev/pts/0\r\n"),
        (&[], &["sh", "-c", "exit 9"], 9, ""),
        (&[], &["/no/such"], 127, ""),
    ] {
        let output = daemon.cli(&[&["exec"], flags, &["pot"], words].concat())?;
        ensure!(
            output.code == code && (code == 127 || output.stdout == expected),
            "{words:?}: {output:?}"
        );
    }
    let output = daemon.cli_with_input(&["exec", "-i", "pot", "cat"], b"given")?;
    ensure!(output.ok()? == "given", "{output:?}");
    // The daemon goes, the container stays.
    daemon.kill()?;
    daemon.run()?;
    ensure!(daemon.cli(&["exec", "pot", "echo", "still"])?.ok()? == "still");
    daemon.cli(&["stop", "pot"])?.ok()?;
    let state = daemon.cli(&[
        "inspect",
        "-f",
        "{{.State.Status}} {{.State.ExitCode}}",
        "pot",
    ])?;
    ensure!(state.ok()? == "exited 3", "{state:?}");
    ensure!(daemon.cli(&["logs", "pot"])?.ok()? == "up\nbye");
    daemon.cli(&["start", "pot"])?.ok()?;
    daemon.cli(&["rm", "-f", "pot"])?.ok()?;
    daemon.clean()
}

#[test]
fn dockers_name_of_its_runtime_is_ours_and_says_so() -> Result<()> {
    let daemon = crate::daemon()?;
    if daemon.subject() == Subject::Dockerd {
        return Ok(());
    }
    let made = daemon.cli(&["create", "--runtime", "runc", "--name", "pot", "busybox"])?;
    ensure!(
        made.code == 0
            && made
                .stderr
                .contains("the built-in one, onggi, runs this container"),
        "{made:?}"
    );
    let runtime = daemon.cli(&["inspect", "-f", "{{.HostConfig.Runtime}}", "pot"])?;
    ensure!(runtime.ok()? == "onggi", "{runtime:?}");
    let info = daemon.get("/info")?.ok()?.json()?;
    for name in ["onggi", "runc", "io.containerd.runc.v2"] {
        let path = &info["Runtimes"][name]["path"];
        ensure!(*path == "onggi-runtime (built in)", "{name}: {path}");
    }
    daemon.clean()
}

#[test]
fn namespaces_are_shared_across_runtimes() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    for (donor, joiner) in [("onggi", "other"), ("other", "onggi"), ("other", "other")] {
        let script = "echo given > /dev/shm/pot; exec sleep 1000";
        daemon
            .cli(&[
                "run",
                "-d",
                "--name",
                "donor",
                "--runtime",
                donor,
                "--ipc",
                "shareable",
                "busybox",
                "sh",
                "-c",
                script,
            ])?
            .ok()?;
        wait_until("the file to be there", LIMIT, || {
            let said = daemon.cli(&["exec", "donor", "cat", "/dev/shm/pot"]).ok()?;
            (said.stdout == "given\n").then_some(())
        })?;
        let output = daemon.cli(&[
            "run",
            "--rm",
            "--runtime",
            joiner,
            "--ipc",
            "container:donor",
            "--pid",
            "container:donor",
            "--network",
            "container:donor",
            "busybox",
            "sh",
            "-c",
            "cat /dev/shm/pot; cat /proc/1/comm; for kind in ipc net pid; do \
             [ $(readlink /proc/1/ns/$kind) = $(readlink /proc/self/ns/$kind) ] && echo shared; done",
        ])?;
        ensure!(
            output.ok()? == "given\nsleep\nshared\nshared\nshared",
            "{joiner} in {donor}: {output:?}"
        );
        daemon.cli(&["rm", "-f", "donor"])?.ok()?;
    }
    daemon.clean()
}
