//! S1: `version`, `info`, `--help`; a user of the socket's group needs no sudo, another gets a clear error. What the
//! units of systemd do is tested in the guest.

use crate::as_typed;
use crate::scene::{Cli, Scene};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Client, Daemon, DaemonOptions, Output, Process};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

as_typed!(it_says_what_it_is, only_the_group_may);

fn it_says_what_it_is(scene: &Scene) -> Result<()> {
    let version = scene.ok("version")?;
    for part in ["Client:", "Server:", " API version:", " OS/Arch:"] {
        ensure!(version.contains(part), "no {part:?} in {version}");
    }
    scene.says(
        "version --format '{{.Server.Os}} {{.Client.Os}}'",
        "linux linux",
    )?;
    ensure!(scene.ok("--version")?.contains(" version "));
    let info = scene.ok("info")?;
    for part in [
        "Client:",
        "Server:",
        " Containers: 0",
        " Images: 1",
        " Storage Driver: ",
    ] {
        ensure!(info.contains(part), "no {part:?} in {info}");
    }
    scene.says(
        "info --format '{{.Containers}} {{.Images}} {{.OSType}}'",
        "0 1 linux",
    )?;
    let help = scene.ok("--help")?;
    for part in [
        "Usage:",
        "COMMAND",
        "Common Commands:",
        "Management Commands:",
        "Global Options:",
    ] {
        ensure!(help.contains(part), "no {part:?} in {help}");
    }
    ensure!(scene.ok("run --help")?.contains("--publish-all"));
    scene.fails("frobnicate", 1, "unknown command")?;
    scene.fails("ps --frobnicate", 125, "unknown flag: --frobnicate")
}

/// The group of the socket, by number: no machine has a name for it.
const GROUP: u32 = 54321;
/// Somebody without rights.
const USER: u32 = 54322;

fn only_the_group_may(scene: &Scene) -> Result<()> {
    let client = match scene.cli {
        Cli::Onggi => Client::Onggi,
        Cli::Docker => Client::Docker(crate::scene::docker().context("docker")?),
    };
    let daemon = Daemon::start_with(DaemonOptions {
        client: Some(client),
        arguments: vec![format!("--group={GROUP}")],
        ..DaemonOptions::default()
    })?;
    daemon.load_busybox()?;
    // Others may come to the socket and to the program, but not further.
    std::fs::set_permissions(daemon.path(""), Permissions::from_mode(0o755))?;
    let typed = daemon.cli_command(&[])?;
    let program = daemon.path("cli");
    std::fs::copy(typed.get_program(), &program)?;
    std::fs::set_permissions(&program, Permissions::from_mode(0o755))?;
    let run = |group: u32, words: &[&str]| -> Result<Output> {
        let mut command = std::process::Command::new(&program);
        command
            .args(words)
            .env("DOCKER_HOST", daemon.host())
            .env("DOCKER_CONFIG", "/nonexistent")
            .gid(group)
            .uid(USER);
        Process::start(daemon.namespace(), &mut command)?.wait()
    };
    let inside = run(GROUP, &["run", "--rm", "busybox", "id", "-u"])?;
    ensure!(inside.ok()? == "0", "{inside:?}");
    for words in [
        &["ps"][..],
        &["run", "--rm", "busybox", "true"],
        &["version"],
    ] {
        let outside = run(USER, words)?;
        ensure!(
            outside.code != 0
                && outside
                    .stderr
                    .contains("permission denied while trying to connect"),
            "{words:?}: {outside:?}"
        );
    }
    daemon.clean()
}
