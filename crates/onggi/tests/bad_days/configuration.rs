//! What a daemon does not start with.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Binaries, Daemon, Process, Subject};
use std::fs;
use std::process::Command;

/// Starts a second daemon that has to end at once; what it says.
fn refuses(daemon: &Daemon, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(Binaries::find()?.path("onggid"));
    let host = format!("unix://{}", daemon.path("second.sock").display());
    command
        .args(["--no-docker-socket", "-H", &host])
        .args(arguments);
    command.arg("--exec-root").arg(daemon.path("second"));
    command.arg("--pidfile").arg(daemon.path("second.pid"));
    let output = Process::start(daemon.namespace(), &mut command)?.wait()?;
    ensure!(output.code != 0, "{arguments:?}: {output:?}");
    ensure!(
        !daemon.path("second.sock").exists(),
        "{arguments:?}: its socket is left"
    );
    Ok(output.stderr + &output.stdout)
}

#[test]
fn a_second_daemon_on_the_same_data_is_told_who_has_it() -> Result<()> {
    let daemon = Daemon::start()?;
    if daemon.subject() != Subject::Onggi {
        return Ok(());
    }
    let data = daemon.data_root();
    let said = refuses(&daemon, &["--data-root", data.to_str().context("UTF-8")?])?;
    let pid = daemon.pid().context("pid")?.to_string();
    ensure!(said.contains(&pid), "{said} does not name {pid}");
    // The first one is not disturbed.
    ensure!(daemon.get("/_ping")?.status == 200);
    daemon.clean()
}

#[test]
fn unknown_keys_flags_and_values_are_refused() -> Result<()> {
    let daemon = Daemon::start()?;
    if daemon.subject() != Subject::Onggi {
        return Ok(());
    }
    let data = daemon.path("second-data").display().to_string();
    let file = daemon.path("second.json");
    let path = file.display().to_string();
    for (text, named) in [
        (r#"{"no-such-key": true}"#, "no-such-key"),
        (r#"{"bip": "nonsense"}"#, "nonsense"),
        (
            r#"{"bip": "172.30.0.0/16"}"#,
            "must be the address of the bridge",
        ),
        (
            r#"{"bip": "172.30.0.1/16", "fixed-cidr": "10.0.0.0/24"}"#,
            "is not within the bridge's subnet",
        ),
        (
            r#"{"registry-mirrors": ["nonsense"]}"#,
            "no scheme specified",
        ),
        (
            r#"{"group": "no-such-group"}"#,
            "group no-such-group not found",
        ),
        (r#"{"bip": "#, "second.json"),
    ] {
        fs::write(&file, text)?;
        for validate in [&[][..], &["--validate"]] {
            let said = refuses(
                &daemon,
                &[&["--data-root", &data, "--config-file", &path], validate].concat(),
            )?;
            ensure!(said.contains(named), "{text}: {said}");
        }
    }
    let said = refuses(&daemon, &["--data-root", &data, "--no-such-flag"])?;
    ensure!(said.contains("--no-such-flag"), "{said}");
    daemon.clean()
}
