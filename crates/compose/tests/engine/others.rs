//! Projects that Docker's compose of before (1.29) made.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use onggi_compose::command::{Down, Up};

use crate::scene::Scene;

const FILE: &str = "
services:
  web:
    image: busybox
    init: true
    command: sleep 1000
    environment: {A: '1'}
    ports: ['8089:80']
    volumes: [data:/data, /anonymous, './src:/src:ro']
    restart: always
    labels: {a: b}
    hostname: one
    depends_on: [db]
    healthcheck: {test: 'true', interval: 10s}
    mem_limit: 64m
    cap_add: [NET_ADMIN]
    tmpfs: /run
    extra_hosts: ['other:1.2.3.4']
    ulimits: {nofile: 1000}
    logging: {driver: json-file, options: {max-size: 1m}}
  db:
    image: busybox
    init: true
    command: sleep 1000
    networks: {default: {aliases: [database]}}
  guest:
    image: busybox
    init: true
    command: sleep 1000
    network_mode: 'service:db'
volumes:
  data: {}
";

#[expect(
    clippy::print_stderr,
    reason = "whoever reads the log should know that nothing was tested"
)]
#[test]
fn what_is_as_the_files_say_is_kept() -> Result<()> {
    if !Path::new("/usr/bin/docker-compose").exists() {
        eprintln!("skipped: no docker-compose is installed");
        return Ok(());
    }
    let scene = Scene::new(FILE)?;
    let output = Command::new("/usr/bin/docker-compose")
        .args(["-p", "p", "-f"])
        .arg(scene.path("compose.yaml"))
        .args(["up", "-d"])
        .env("DOCKER_HOST", scene.daemon.host())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{said}");
    let made = scene.states()?;
    ensure!(made.len() == 3, "{made:?}");
    let done = scene.up(&Up::default())?;
    ensure!(done.is_empty(), "{done:?}");
    // What differs is named, and made anew.
    scene.write(&FILE.replace("A: '1'", "A: '2'"))?;
    let done = scene.up(&Up::default())?;
    ensure!(
        done[0] == "recreate container p-web-1: it differs: environment",
        "{done:?}"
    );
    ensure!(done.len() == 2, "{done:?}");
    ensure!(scene.up(&Up::default())?.is_empty());
    scene.down(&Down::default())?;
    scene.nothing()
}
