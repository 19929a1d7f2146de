//! The docker CLI in a container, with the daemon's socket: what CI runners, Portainer and Traefik do.

use anyhow::{Result, ensure};
use onggi_testkit::{Client, Daemon, Entry, Image, Layer};

pub(crate) fn the_client_in_a_container_starts_a_container(daemon: &Daemon) -> Result<()> {
    let Some(Client::Docker(program)) = crate::docker() else {
        unreachable!("asked before")
    };
    daemon.load_busybox()?;
    let layer = Layer::new(&[Entry::File(
        "bin/docker".into(),
        0o755,
        std::fs::read(program)?,
    )])?;
    let image = Image::busybox()?.layer(layer);
    daemon.load(&image, &["docker:cli"])?;
    let socket = format!("{}:/var/run/docker.sock", daemon.socket().display());
    let script =
        "docker version --format {{.Server.Os}} && docker run --rm busybox echo from inside";
    let output = daemon.cli(&[
        "run",
        "--rm",
        "-v",
        &socket,
        "docker:cli",
        "sh",
        "-c",
        script,
    ])?;
    ensure!(output.ok()? == "linux\nfrom inside", "{output:?}");
    // What it starts is the daemon's, not its own child.
    let script = "docker run -d --name sibling busybox sleep 1000 > /dev/null && docker ps --format '{{.Names}}'";
    let output = daemon.cli(&[
        "run",
        "--rm",
        "--name",
        "outer",
        "-v",
        &socket,
        "docker:cli",
        "sh",
        "-c",
        script,
    ])?;
    let mut names: Vec<_> = output.ok()?.lines().collect();
    names.sort_unstable();
    ensure!(names == ["outer", "sibling"], "{output:?}");
    let rest = daemon.cli(&["ps", "--format", "{{.Names}}"])?;
    ensure!(rest.ok()? == "sibling", "{rest:?}");
    Ok(())
}
