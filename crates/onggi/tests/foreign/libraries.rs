//! Programs of ours that use Docker's libraries as their users do, each beside a daemon and a registry of its own.

use crate::packages::{DOCKER_PY, DOCKERODE, Packages, TESTCONTAINERS_JS, TESTCONTAINERS_PY};
use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, Image, Process, Registry, workspace};
use std::path::Path;

/// Where the images of the programs come from.
const PORT: u16 = 5000;

/// Runs a program to its end; each of its cases says `ok` or `FAILED`.
fn run(packages: &Packages, script: &str, cases: usize) -> Result<()> {
    if !Path::new("/usr/bin/docker-registry").exists() {
        eprintln!("skipped: no docker-registry is installed");
        return Ok(());
    }
    let Some(folder) = packages.installed()? else {
        return Ok(());
    };
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let registry = Registry::start(daemon.namespace(), PORT)?;
    registry.push(&Image::busybox()?, "library/busybox", "latest")?;
    let script = workspace().join("crates/onggi/tests/foreign").join(script);
    let mut command = packages.program(&folder, &script);
    command
        .env("DOCKER_HOST", daemon.host())
        .env("DOCKER_CONFIG", daemon.path("config"))
        .env("HOME", daemon.path("home"))
        // The reaper is an image of the hub's; what it would do, the end of the test does.
        .env("TESTCONTAINERS_RYUK_DISABLED", "true")
        .env_remove("DOCKER_CONTEXT");
    let output = Process::start(daemon.namespace(), &mut command)?.wait()?;
    let passed = output.stdout.lines().filter(|l| l.starts_with("ok "));
    ensure!(
        output.code == 0 && passed.count() == cases,
        "{}{}",
        output.stdout,
        output.stderr
    );
    drop(registry);
    daemon.clean()
}

#[test]
fn docker_py_lives_with_containers() -> Result<()> {
    run(&DOCKER_PY, "docker_py/life.py", 7)
}

#[test]
fn docker_py_streams() -> Result<()> {
    run(&DOCKER_PY, "docker_py/streams.py", 9)
}

#[test]
fn docker_py_moves_files_and_images() -> Result<()> {
    run(&DOCKER_PY, "docker_py/files.py", 4)
}

#[test]
fn docker_py_builds() -> Result<()> {
    run(&DOCKER_PY, "docker_py/builds.py", 8)
}

#[test]
fn dockerode_builds() -> Result<()> {
    run(&DOCKERODE, "dockerode/builds.js", 6)
}

#[test]
fn docker_py_joins_networks() -> Result<()> {
    run(&DOCKER_PY, "docker_py/networks.py", 6)
}

#[test]
fn dockerode_joins_networks() -> Result<()> {
    run(&DOCKERODE, "dockerode/networks.js", 5)
}

#[test]
fn dockerode_does_all_of_it() -> Result<()> {
    run(&DOCKERODE, "dockerode/containers.js", 14)
}

#[test]
fn testcontainers_of_python_start_and_wait() -> Result<()> {
    run(&TESTCONTAINERS_PY, "testcontainers_py/waits.py", 6)
}

#[test]
fn testcontainers_of_node_start_and_wait() -> Result<()> {
    run(&TESTCONTAINERS_JS, "testcontainers_js/waits.js", 7)
}
