//! A directory in a volume, while others change what its path means.

use crate::{cli, daemon, is_dockerd, refuses, run, says};
use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, Entry, Image, Layer};
use serde_json::json;
use std::fs;

const RUNC: &str = "/usr/sbin/runc";

const PREPARE: &str = "mkdir -p /v/sub/deep /v/link && echo inner > /v/sub/deep/file && echo top > /v/file && \
                       ln -s sub/deep /v/inside && ln -s / /v/root && ln -s ../../../../../../etc /v/up && \
                       ln -s /sub /v/absolute";

fn mount(subpath: &str) -> String {
    format!("type=volume,source=data,target=/s,volume-subpath={subpath}")
}

#[test]
fn only_the_directory_is_mounted() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "20.10 has no subpaths") {
        return Ok(());
    }
    says(&daemon, &["-v", "data:/v"], PREPARE)?;
    for (subpath, file) in [
        ("sub", "/s/deep/file"),
        ("sub/deep", "/s/file"),
        ("inside", "/s/file"),
        ("sub/../sub/deep", "/s/file"),
    ] {
        let told = says(
            &daemon,
            &["--mount", &mount(subpath)],
            &format!("cat {file}; ls /s/.. | grep -c '^file$'; true"),
        )?;
        ensure!(told == "inner\n0", "{subpath}: {told}");
    }
    ensure!(says(&daemon, &["--mount", &mount("file")], "cat /s")? == "top");
    for subpath in ["root", "up", "absolute"] {
        let output = run(&daemon, &["--mount", &mount(subpath)], "ls /s")?;
        ensure!(
            output.code != 0
                && output
                    .stderr
                    .contains("path concatenation escapes the base directory"),
            "{subpath}: {output:?}"
        );
    }
    let output = run(&daemon, &["--mount", &mount("missing")], "ls /s")?;
    ensure!(
        output.code != 0
            && output
                .stderr
                .contains("cannot access path missing: no such file or directory"),
        "{output:?}"
    );
    for subpath in ["/etc", "../etc", "sub/../../etc"] {
        refuses(
            &daemon,
            &["create", "--mount", &mount(subpath), "busybox"],
            "subpath must be a relative path within the volume",
        )?;
    }
    refuses(
        &daemon,
        &[
            "create",
            "--mount",
            "target=/s,volume-subpath=sub",
            "busybox",
        ],
        "must not set Subpath when using anonymous volumes",
    )?;
    // An empty one takes the image's files.
    says(&daemon, &["-v", "data:/v"], "mkdir /v/empty")?;
    let etc = "type=volume,source=data,target=/etc,volume-subpath=empty";
    cli(&daemon, &["create", "--mount", etc, "busybox"])?;
    ensure!(says(&daemon, &["-v", "data:/v"], "ls /v/empty/passwd")? == "/v/empty/passwd");
    daemon.clean()
}

/// Debian's runc knows no subpaths and no layers: it gets what they lead to.
#[test]
fn another_runtime_gets_what_they_lead_to() -> Result<()> {
    if !fs::exists(RUNC)? {
        eprintln!("skipped: {RUNC} is not installed");
        return Ok(());
    }
    let daemon = Daemon::start_with(DaemonOptions {
        arguments: vec!["--add-runtime".to_owned(), format!("debian={RUNC}")],
        ..DaemonOptions::default()
    })?;
    if is_dockerd(&daemon, "20.10 has no subpaths") {
        return Ok(());
    }
    daemon.load_busybox()?;
    let layer = |path: &str| Layer::new(&[Entry::File(path.to_owned(), 0o644, b"image".to_vec())]);
    let image = Image::new(vec![layer("one")?, layer("two")?]);
    daemon.load(&image, &["double:latest"])?;
    says(&daemon, &["-v", "data:/v"], PREPARE)?;
    let flags = [
        "--runtime",
        "debian",
        "--mount",
        &mount("sub/deep"),
        "--mount",
        "type=image,source=double,target=/i",
    ];
    let told = says(
        &daemon,
        &flags,
        "cat /s/file /i/one /i/two; touch /i/x 2>&1; touch /s/x && ls /s",
    )?;
    ensure!(
        told.starts_with("inner\nimageimage")
            && told.contains("Read-only")
            && told.ends_with("file\nx"),
        "{told}"
    );
    ensure!(
        says(
            &daemon,
            &["--runtime", "debian", "--mount", &mount("file")],
            "cat /s"
        )? == "top"
    );
    let output = run(
        &daemon,
        &["--runtime", "debian", "--mount", &mount("root")],
        "ls /s",
    )?;
    ensure!(
        output.code != 0
            && output
                .stderr
                .contains("path concatenation escapes the base directory"),
        "{output:?}"
    );
    daemon.clean()
}

/// A container that runs swaps the directory for a link to the host's root, over and over, while others mount it.
#[test]
fn a_link_in_its_place_leads_nowhere() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "20.10 has no subpaths") {
        return Ok(());
    }
    let secret = daemon.path("secret");
    fs::create_dir(&secret)?;
    fs::write(secret.join("file"), "of the host")?;
    let script = format!(
        "mkdir /v/real; echo inner > /v/real/file; ln -s {} /v/link; touch /v/ready; \
         while :; do mv /v/real /v/sub; mv /v/sub /v/real; mv /v/link /v/sub; mv /v/sub /v/link; done",
        secret.display()
    );
    let swapper = [
        "run", "-d", "--name", "swapper", "-v", "data:/v", "busybox", "sh", "-c", &script,
    ];
    cli(&daemon, &swapper)?;
    let ready = daemon.data_root().join("volumes/data/_data/ready");
    onggi_testkit::wait_until("the swapper to swap", onggi_testkit::LIMIT, || {
        ready.exists().then_some(())
    })?;
    let mut seen = 0;
    for _ in 0..40 {
        let body = json!({"Image": "busybox", "Cmd": ["cat", "/s/file"], "HostConfig": {"Mounts": [
            {"Type": "volume", "Source": "data", "Target": "/s", "VolumeOptions": {"Subpath": "sub"}}]}});
        let Ok(id) = daemon.run_container(&body) else {
            continue;
        };
        cli(&daemon, &["wait", &id])?;
        let told = daemon.cli(&["logs", &id])?;
        ensure!(!told.stdout.contains("of the host"), "{told:?}");
        seen += usize::from(told.stdout == "inner\n");
    }
    // Not a condition: how often the directory was there when it was looked for is the kernel's affair.
    let _ = seen;
    daemon.clean()
}
