//! Mounts, users, environment, and how a run ends.

use crate::{daemon, run, says};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{LIMIT, Subject, wait_until};
use std::fs;

#[test]
fn roots_and_mounts_are_writable_as_asked() -> Result<()> {
    let daemon = daemon()?;
    let output = run(&daemon, &["--read-only"], "touch /x")?;
    ensure!(
        output.code == 1 && output.stderr.contains("Read-only file system"),
        "{output:?}"
    );
    let flags = ["--read-only", "--tmpfs", "/scratch:size=1m,mode=1777"];
    let told = says(
        &daemon,
        &flags,
        "touch /scratch/x && df -k /scratch | awk 'NR == 2 {print $2}'; stat -c %a /scratch",
    )?;
    ensure!(told == "1024\n1777", "{told}");

    let shared = daemon.path("shared");
    fs::create_dir(&shared)?;
    fs::write(shared.join("file"), "from the host")?;
    let shared = shared.to_str().context("a path in UTF-8")?;
    ensure!(
        says(
            &daemon,
            &["-v", &format!("{shared}:/in")],
            "cat /in/file; echo back > /in/reply"
        )? == "from the host"
    );
    ensure!(fs::read_to_string(format!("{shared}/reply"))? == "back\n");
    let output = run(
        &daemon,
        &["-v", &format!("{shared}:/in:ro")],
        "cat /in/file; touch /in/x",
    )?;
    ensure!(
        output.stdout == "from the host" && output.stderr.contains("Read-only"),
        "{output:?}"
    );
    // -v makes what is missing, --mount does not.
    says(
        &daemon,
        &["-v", &format!("{shared}/made:/in")],
        "test -d /in",
    )?;
    ensure!(fs::metadata(format!("{shared}/made"))?.is_dir());
    let mount = format!("type=bind,source={shared}/missing,target=/in");
    let output = run(&daemon, &["--mount", &mount], "true")?;
    ensure!(
        output.code == 125 && output.stderr.contains("bind source path does not exist"),
        "{output:?}"
    );
    ensure!(!fs::exists(format!("{shared}/missing"))?);
    daemon.clean()
}

#[test]
fn users_groups_directories_and_environment() -> Result<()> {
    let daemon = daemon()?;
    for (user, wanted) in [
        ("nobody", "65534 65534 /home"),
        ("nobody:wheel", "65534 10 /home"),
        ("1234", "1234 0 /"),
        ("1234:567", "1234 567 /"),
        ("0", "0 0 /root"),
    ] {
        let found = says(&daemon, &["--user", user], "echo $(id -u) $(id -g) $HOME")?;
        ensure!(found == wanted, "{user}: {found}");
    }
    let groups = says(
        &daemon,
        &["--group-add", "77", "--group-add", "wheel"],
        "id -G",
    )?;
    ensure!(
        ["0", "77", "10"]
            .iter()
            .all(|group| groups.split(' ').any(|g| g == *group)),
        "{groups}"
    );
    let unknown = run(&daemon, &["--user", "stranger"], "true")?;
    let text = "unable to find user stranger: no matching entries in passwd file";
    ensure!(unknown.code == 125 || unknown.code == 126, "{unknown:?}");
    ensure!(unknown.stderr.contains(text), "{unknown:?}");

    ensure!(says(&daemon, &["-w", "/a/new/place"], "pwd")? == "/a/new/place");
    let own = says(
        &daemon,
        &["-w", "/a/new/place", "--user", "nobody"],
        "stat -c %U /a/new/place; pwd",
    )?;
    ensure!(own.ends_with("/a/new/place"), "{own}");
    let environment = says(
        &daemon,
        &["-e", "A=b c", "-e", "EMPTY=", "-h", "pot"],
        "env | sort",
    )?;
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for line in ["A=b c", "EMPTY=", "HOME=/root", "HOSTNAME=pot", path] {
        ensure!(
            environment.lines().any(|l| l == line),
            "no {line} in {environment}"
        );
    }
    ensure!(!environment.contains("DOCKER_HOST"), "{environment}");
    daemon.clean()
}

#[test]
fn exit_codes_tell_who_failed() -> Result<()> {
    let daemon = daemon()?;
    for (code, arguments, text) in [
        (0, &["busybox", "true"][..], ""),
        (42, &["busybox", "sh", "-c", "exit 42"], ""),
        (143, &["--init", "busybox", "sh", "-c", "kill -TERM $$"], ""),
        (
            125,
            &["--no-such-flag", "busybox", "true"],
            "unknown flag: --no-such-flag",
        ),
        (126, &["busybox", "/etc/passwd"], "permission denied"),
        (126, &["busybox", "/etc"], ""),
        (
            127,
            &["busybox", "no-such-program"],
            "executable file not found in $PATH",
        ),
        (
            127,
            &["busybox", "/no/such/program"],
            "no such file or directory",
        ),
    ] {
        if arguments[0] == "--init"
            && daemon.subject() == Subject::Dockerd
            && !fs::exists("/usr/bin/docker-init")?
        {
            eprintln!("skipped: no docker-init is installed");
            continue;
        }
        let output = daemon.cli(&[&["run", "--rm"], arguments].concat())?;
        ensure!(
            output.code == code && output.stderr.contains(text),
            "{arguments:?}: {output:?}"
        );
    }
    daemon
        .cli(&["run", "-d", "--name", "sleeper", "busybox", "sleep", "1000"])?
        .ok()?;
    daemon.cli(&["kill", "-s", "KILL", "sleeper"])?.ok()?;
    ensure!(daemon.cli(&["wait", "sleeper"])?.ok()? == "137");
    daemon.clean()
}

#[test]
fn init_is_pid_1_and_buries_orphans() -> Result<()> {
    let daemon = daemon()?;
    if daemon.subject() == Subject::Dockerd && !fs::exists("/usr/bin/docker-init")? {
        eprintln!("skipped: no docker-init is installed");
        return Ok(());
    }
    let script = "echo $$; (sleep 0 & exec true); sleep 1000";
    daemon
        .cli(&[
            "run", "-d", "--init", "--name", "family", "busybox", "sh", "-c", script,
        ])?
        .ok()?;
    // The shell is not pid 1, and its orphan's orphan does not stay a zombie.
    wait_until("the orphan to be buried", LIMIT, || {
        let output = daemon
            .cli(&[
                "exec",
                "family",
                "sh",
                "-c",
                "grep -l '^State:.Z' /proc/[0-9]*/status; cat /proc/1/comm",
            ])
            .ok()?;
        let comm = output.stdout.trim().to_owned();
        (comm.ends_with("init") && !comm.contains('\n')).then_some(())
    })?;
    let first = daemon.cli(&["logs", "family"])?;
    ensure!(first.ok()? != "1", "{first:?}");
    daemon.cli(&["stop", "family"])?.ok()?;
    ensure!(daemon.cli(&["wait", "family"])?.ok()? == "143");
    daemon.clean()
}

#[test]
fn exec_makes_no_directory() -> Result<()> {
    let daemon = daemon()?;
    daemon
        .cli(&["run", "-d", "--name", "pot", "busybox", "sleep", "100"])?
        .ok()?;
    let output = daemon.cli(&["exec", "-w", "/missing/here", "pot", "true"])?;
    ensure!(
        output.code == 126 && output.stdout.contains("no such file or directory"),
        "{output:?}"
    );
    ensure!(daemon.cli(&["exec", "pot", "test", "-e", "/missing"])?.code == 1);
    daemon.clean()
}
