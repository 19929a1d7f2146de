//! Images of a project by their digests: asked of the registry by the daemon.

use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, Image, Namespace, OnggiRegistry};
use serde_json::json;

use crate::{compose_in, refused, write};

#[test]
fn images_are_fixed_by_their_digests() -> Result<()> {
    let namespace = Namespace::new()?;
    let _registry = OnggiRegistry::start(&namespace, 5000, &json!({}))?;
    let daemon = Daemon::start_with(DaemonOptions {
        namespace: Some(namespace.try_clone()?),
        ..DaemonOptions::default()
    })?;
    let name = "127.0.0.1:5000/thing:1";
    daemon.load(&Image::busybox()?, &[name])?;
    daemon.cli(&["push", name])?.ok()?;
    write(
        &daemon,
        "shop/compose.yaml",
        "services: {web: {image: '127.0.0.1:5000/thing:1', environment: {A: b}}, own: {build: .}}\n",
    )?;
    let yaml = compose_in(&daemon, "shop", &["config", "--resolve-image-digests"])?;
    let yaml = yaml.ok()?;
    let line = yaml.lines().find(|line| line.contains("image: "));
    let image = line
        .unwrap_or_default()
        .trim()
        .trim_start_matches("image: ");
    ensure!(image.starts_with(&format!("{name}@sha256:")), "{yaml}");
    ensure!(yaml.contains("A: b"), "{yaml}");
    let lock = compose_in(&daemon, "shop", &["config", "--lock-image-digests"])?;
    let lock = lock.ok()?;
    ensure!(lock.contains(image) && !lock.contains("A: b"), "{lock}");
    // Laid over the others, it fixes them.
    write(&daemon, "shop/lock.yaml", lock)?;
    let files = [
        "-f",
        "compose.yaml",
        "-f",
        "lock.yaml",
        "config",
        "--images",
    ];
    let images = compose_in(&daemon, "shop", &files)?;
    ensure!(images.ok()?.lines().any(|line| line == image), "{images:?}");
    write(
        &daemon,
        "none/compose.yaml",
        "services: {web: {image: '127.0.0.1:5000/nothing:1'}}\n",
    )?;
    let missing = compose_in(&daemon, "none", &["config", "--resolve-image-digests"])?;
    refused(&missing, "service web: ")?;
    daemon.clean()
}
