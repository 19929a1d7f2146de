//! Flags about streams, names, files of the client and the container's life.

use crate::{daemon, is_dockerd, run, says};
use anyhow::{Result, ensure};
use std::fs;

#[test]
fn attach_interactive_tty_and_detach() -> Result<()> {
    let daemon = daemon()?;
    let both = "echo out; echo err >&2";
    let output = run(&daemon, &["-a", "stderr"], both)?;
    ensure!(
        (&*output.stdout, &*output.stderr) == ("", "err\n"),
        "{output:?}"
    );
    let output = run(&daemon, &["-a", "stdout"], both)?;
    ensure!(
        (&*output.stdout, &*output.stderr) == ("out\n", ""),
        "{output:?}"
    );
    let output = daemon.cli_with_input(&["run", "--rm", "-i", "busybox", "cat"], b"in")?;
    ensure!(output.ok()? == "in", "{output:?}");
    ensure!(says(&daemon, &["-t"], "tty")?.trim() == "/dev/pts/0");
    let id = daemon.cli(&["run", "-d", "busybox", "echo", "kept"])?;
    let id = id.ok()?.to_owned();
    daemon.cli(&["wait", &id])?.ok()?;
    ensure!(id.len() == 64 && daemon.cli(&["logs", &id])?.ok()? == "kept");
    let output = run(&daemon, &["--detach-keys", "nonsense", "-i"], "true")?;
    ensure!(output.code != 0, "{output:?}");
    // Once: the first client's end of input is the container's.
    let once = daemon.cli(&["create", "-i", "-a", "stdin", "busybox", "cat"])?;
    let format = "{{.Config.OpenStdin}} {{.Config.StdinOnce}} {{.Config.AttachStdin}} {{.Config.AttachStdout}}";
    let once = daemon.cli(&["inspect", "-f", format, once.ok()?])?;
    ensure!(once.ok()? == "true true true false", "{once:?}");
    daemon.clean()
}

#[test]
fn names_files_and_removal() -> Result<()> {
    let daemon = daemon()?;
    let path = |name: &str| daemon.path(name).display().to_string();
    let (cidfile, env, labels) = (path("cid"), path("env"), path("labels"));
    fs::write(&env, "# a comment\nPOT=from a file\n")?;
    fs::write(&labels, "a=1\nb=2\n")?;
    let create = [
        "create",
        "--name",
        "pot",
        "--cidfile",
        &cidfile,
        "--env-file",
        &env,
        "--label-file",
        &labels,
        "busybox",
        "sh",
        "-c",
        "echo $POT",
    ];
    let id = daemon.cli(&create)?;
    ensure!(fs::read_to_string(&cidfile)? == id.ok()?, "{id:?}");
    let again = daemon.cli(&["create", "--cidfile", &cidfile, "busybox", "true"])?;
    ensure!(
        again.code != 0 && again.stderr.contains("container ID file found"),
        "{again:?}"
    );
    let again = daemon.cli(&["create", "--name", "pot", "busybox", "true"])?;
    ensure!(
        again.code != 0
            && again
                .stderr
                .contains("The container name \"/pot\" is already in use"),
        "{again:?}"
    );
    let inspected = daemon.cli(&[
        "inspect",
        "-f",
        "{{.Name}} {{.Config.Labels.a}} {{.Config.Labels.b}}",
        "pot",
    ])?;
    ensure!(inspected.ok()? == "/pot 1 2", "{inspected:?}");
    ensure!(daemon.cli(&["start", "-a", "pot"])?.ok()? == "from a file");
    says(&daemon, &["--name", "gone"], "true")?;
    ensure!(daemon.cli(&["inspect", "gone"])?.code != 0, "--rm");
    let never = daemon.cli(&["run", "--pull", "never", "no-such-image:none", "true"])?;
    ensure!(never.code == 125, "{never:?}");
    let quiet = daemon.cli(&[
        "run", "-q", "--pull", "missing", "--rm", "busybox", "echo", "ran",
    ])?;
    ensure!(quiet.ok()? == "ran" && quiet.stderr.is_empty(), "{quiet:?}");
    daemon.clean()
}

#[test]
fn a_stop_signal_is_the_one_that_comes() -> Result<()> {
    let daemon = daemon()?;
    let script = "trap 'echo usr1; exit 4' USR1; trap 'echo term; exit 5' TERM; echo up; while :; do sleep 0.1; done";
    let start = [
        "run",
        "-d",
        "--name",
        "pot",
        "--stop-signal",
        "USR1",
        "--stop-timeout",
        "30",
        "busybox",
        "sh",
        "-c",
        script,
    ];
    daemon.cli(&start)?.ok()?;
    onggi_testkit::wait_until("it to be up", onggi_testkit::LIMIT, || {
        daemon
            .cli(&["logs", "pot"])
            .ok()?
            .stdout
            .contains("up")
            .then_some(())
    })?;
    daemon.cli(&["stop", "pot"])?.ok()?;
    ensure!(daemon.cli(&["logs", "pot"])?.ok()? == "up\nusr1");
    ensure!(daemon.cli(&["wait", "pot"])?.ok()? == "4");
    daemon.clean()
}

#[test]
fn a_seccomp_profile_in_dockers_form() -> Result<()> {
    let daemon = daemon()?;
    let profile = daemon.path("profile.json");
    fs::write(
        &profile,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64"],
            "syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#,
    )?;
    let option = format!("seccomp={}", profile.display());
    let script = "mkdir /x 2> /dev/null || echo refused; touch /y && echo made";
    ensure!(says(&daemon, &["--security-opt", &option], script)? == "refused\nmade");
    if !is_dockerd(&daemon) {
        // A privileged container has no filter but one that it asks for.
        let flags = ["--privileged", "--security-opt", &option];
        ensure!(says(&daemon, &flags, script)? == "refused\nmade");
    }
    fs::write(&profile, "{")?;
    let output = run(&daemon, &["--security-opt", &option], "true")?;
    ensure!(
        output.code == 125 && output.stderr.contains("seccomp profile"),
        "{output:?}"
    );
    daemon.clean()
}

#[test]
fn limits_of_a_block_device() -> Result<()> {
    let Some(device) = ["/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop0"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists())
    else {
        eprintln!("skipped: no block device");
        return Ok(());
    };
    let daemon = daemon()?;
    for (flag, rate, file, expected) in [
        ("--device-read-bps", "1mb", "read_bps_device", " 1048576"),
        ("--device-write-bps", "2mb", "write_bps_device", " 2097152"),
        ("--device-read-iops", "30", "read_iops_device", " 30"),
        ("--device-write-iops", "40", "write_iops_device", " 40"),
    ] {
        let value = format!("{device}:{rate}");
        let script = match crate::is_v2() {
            true => "cat /sys/fs/cgroup/io.max".to_owned(),
            false => crate::limit("blkio", &format!("blkio.throttle.{file}")),
        };
        let found = says(&daemon, &[flag, &value], &script)?;
        let expected = if crate::is_v2() {
            &expected[1..]
        } else {
            expected
        };
        ensure!(found.contains(expected), "{flag}: {found}");
    }
    daemon.clean()
}

#[test]
fn binds_ports_and_addresses() -> Result<()> {
    let daemon = daemon()?;
    let folder = daemon.path("shared");
    fs::create_dir(&folder)?;
    fs::write(folder.join("x"), "bound\n")?;
    let bind = format!("{}:/pot:ro", folder.display());
    ensure!(
        says(
            &daemon,
            &["-v", &bind],
            "cat /pot/x; touch /pot/y 2> /dev/null || echo kept"
        )? == "bound\nkept"
    );
    let mount = format!("type=bind,src={},dst=/pot,readonly", folder.display());
    ensure!(
        says(
            &daemon,
            &["--mount", &mount],
            "cat /pot/x; touch /pot/y 2> /dev/null || echo kept"
        )? == "bound\nkept"
    );
    daemon
        .cli(&[
            "run",
            "-d",
            "--name",
            "web",
            "-p",
            "127.0.0.1:8123:80",
            "--expose",
            "90",
            "-P",
            "busybox",
            "sleep",
            "1000",
        ])?
        .ok()?;
    let ports = daemon.cli(&["port", "web"])?;
    ensure!(
        ports.ok()?.contains("80/tcp -> 127.0.0.1:8123") && ports.ok()?.contains("90/tcp -> "),
        "{ports:?}"
    );
    if !is_dockerd(&daemon) {
        for flags in [
            &["--ip", "172.30.0.5"][..],
            &["--ip6", "2001:db8::5"],
            &["--link-local-ip", "169.254.1.1"],
            &["--network-alias", "pot"],
        ] {
            let output = run(&daemon, flags, "true")?;
            ensure!(output.code == 125, "{flags:?}: {output:?}");
        }
    }
    daemon.clean()
}
