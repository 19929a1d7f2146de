//! The names and ways `compose` is called by.

use std::process::Command;

use anyhow::{Result, ensure};
use onggi_testkit::{Binaries, Daemon, Output, Process};

use crate::{SLEEP, made};

/// Our program under another name.
fn called(daemon: &Daemon, name: &str) -> Result<Command> {
    let path = daemon.path("names").join(name);
    std::fs::create_dir_all(daemon.path("names"))?;
    if !path.exists() {
        std::os::unix::fs::symlink(Binaries::find()?.path("onggi"), &path)?;
    }
    let mut command = Command::new(path);
    command.env("DOCKER_HOST", daemon.host());
    command.env("DOCKER_CONFIG", daemon.path("config"));
    Ok(command)
}

fn run(daemon: &Daemon, mut command: Command, arguments: &[&str]) -> Result<Output> {
    Process::start(daemon.namespace(), command.args(arguments))?.wait()
}

#[test]
fn it_answers_to_its_own_name() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    made("web", 1).run(&daemon, &[], SLEEP)?;
    for (name, words) in [
        ("onggi-compose", &["-p", "shop"][..]),
        ("docker-compose", &["-p", "shop"]),
        ("onggi", &["compose", "-p", "shop"]),
        ("docker", &["compose", "--project-name", "shop"]),
    ] {
        let output = run(
            &daemon,
            called(&daemon, name)?,
            &[words, &["ps", "-q"]].concat(),
        )?;
        ensure!(output.ok()?.len() == 64, "{name}: {output:?}");
    }
    let host = daemon.host();
    let mut command = called(&daemon, "docker-compose")?;
    command.env_remove("DOCKER_HOST");
    let output = run(
        &daemon,
        command,
        &["-H", &host, "-p", "shop", "ps", "--services"],
    )?;
    ensure!(output.ok()? == "web", "{output:?}");
    let version = |arguments: &[&str]| -> Result<String> {
        Ok(run(&daemon, called(&daemon, "docker-compose")?, arguments)?
            .ok()?
            .to_owned())
    };
    let short = version(&["version", "--short"])?;
    ensure!(version(&["version"])? == format!("Docker Compose version v{short}"));
    ensure!(version(&["--version"])? == version(&["version"])?);
    ensure!(version(&["version", "-f", "json"])? == format!("{{\"version\":\"v{short}\"}}"));
    let page = version(&["--help"])?;
    ensure!(
        page.starts_with("Usage:  docker compose [OPTIONS] COMMAND"),
        "{page}"
    );
    ensure!(
        page.contains("--project-name") && page.contains("\n  ps "),
        "{page}"
    );
    let page = version(&["ps", "--help"])?;
    ensure!(
        page.starts_with("Usage:  docker compose ps [OPTIONS] [SERVICE...]"),
        "{page}"
    );
    daemon.clean()
}

#[test]
fn docker_s_command_line_finds_it_among_its_plugins() -> Result<()> {
    let docker = "/usr/local/bin/docker";
    if !std::path::Path::new(docker).exists() {
        eprintln!("skipped: Docker's command line is not here");
        return Ok(());
    }
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    made("web", 1).run(&daemon, &[], SLEEP)?;
    let folder = daemon.path("config/cli-plugins");
    std::fs::create_dir_all(&folder)?;
    std::os::unix::fs::symlink(
        Binaries::find()?.path("onggi"),
        folder.join("docker-compose"),
    )?;
    let typed = |arguments: &[&str]| -> Result<Output> {
        let mut command = Command::new(docker);
        command.env("DOCKER_CONFIG", daemon.path("config"));
        command.env_remove("DOCKER_HOST");
        run(&daemon, command, arguments)
    };
    let host = daemon.host();
    let output = typed(&["-H", &host, "compose", "-p", "shop", "ps", "--services"])?;
    ensure!(output.ok()? == "web", "{output:?}");
    let output = typed(&["compose", "version", "--short"])?;
    ensure!(!output.ok()?.is_empty(), "{output:?}");
    let help = typed(&["--help"])?;
    let listed = help
        .stdout
        .lines()
        .any(|line| line.trim_start().starts_with("compose*"));
    ensure!(listed, "{help:?}");
    let words = typed(&["__complete", "compose", "p"])?;
    ensure!(
        words.stdout.contains("ps\t") && words.stdout.ends_with(":4\n"),
        "{words:?}"
    );
    let failed = typed(&["-H", &host, "compose", "-p", "shop", "port", "web", "1"])?;
    ensure!(
        failed.code == 1 && failed.stderr.contains("no port 1/tcp"),
        "{failed:?}"
    );
    daemon.clean()
}
