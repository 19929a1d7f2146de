//! A distribution in a container that fetches packages from the world: names resolve, addresses are translated, and a
//! package manager with its users, locks and signals is content. Needs Debian's mirrors: only with `ONGGI_FULL`.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, Outside};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's smallest root as a tar, made once.
fn debian() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let tar = folder.join("bookworm.tar");
    if tar.exists() {
        return Ok(tar);
    }
    std::fs::create_dir_all(folder)?;
    let root = folder.join("bookworm");
    let unfinished = folder.join("bookworm.unfinished");
    for (program, arguments) in [
        ("debootstrap", &["--variant=minbase", "bookworm"][..]),
        ("tar", &["-cf", path(&unfinished)?, "-C"]),
    ] {
        let mut command = Command::new(program);
        command.args(arguments).arg(&root);
        if program == "tar" {
            command.arg(".");
        }
        let output = command.output().context(program)?;
        ensure!(output.status.success(), "{command:?}: {output:?}");
    }
    std::fs::remove_dir_all(&root)?;
    std::fs::rename(unfinished, &tar)?;
    Ok(tar)
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

#[test]
fn debian_installs_a_package_from_its_mirrors() -> Result<()> {
    if std::env::var_os("ONGGI_FULL").is_none() {
        eprintln!("skipped: ONGGI_FULL is not set, and this needs Debian's mirrors");
        return Ok(());
    }
    let outside = Outside::new()?;
    let daemon = Daemon::start_with(DaemonOptions {
        namespace: Some(outside.namespace().try_clone()?),
        ..DaemonOptions::default()
    })?;
    daemon
        .cli(&["import", path(&debian()?)?, "debian:bookworm"])?
        .ok()?;
    let script = "apt-get update && apt-get install -y curl && curl --version";
    let output = daemon.cli(&["run", "--rm", "debian:bookworm", "sh", "-c", script])?;
    ensure!(output.ok()?.contains("\ncurl "), "{output:?}");
    daemon.clean()
}
