//! Configs, secrets, and volumes without a name.

use anyhow::{Result, ensure};
use onggi_compose::command::{Recreate, Up};

use crate::scene::Scene;

#[test]
fn configs_and_secrets_are_in_their_containers() -> Result<()> {
    let text = "
services:
  web:
    image: busybox
    init: true
    command: sleep 1000
    configs:
      - {source: said, target: /etc/said, mode: 0440, uid: '65534'}
      - held
    secrets: [token]
configs:
  said: {content: the content}
  held: {file: ./held.txt}
secrets:
  token: {environment: TOKEN}
";
    let scene = Scene::new(text)?;
    std::fs::write(scene.path("held.txt"), "held")?;
    scene.up(&Up::default())?;
    ensure!(scene.exec("p-web-1", &["cat", "/etc/said"])? == "the content");
    ensure!(scene.exec("p-web-1", &["stat", "-c", "%a %u", "/etc/said"])? == "440 65534");
    ensure!(scene.exec("p-web-1", &["cat", "/held"])? == "held");
    ensure!(scene.exec("p-web-1", &["cat", "/run/secrets/token"])? == "from the shell");
    ensure!(
        scene
            .daemon
            .cli(&["exec", "p-web-1", "touch", "/held"])?
            .code
            != 0
    );
    ensure!(scene.up(&Up::default())?.is_empty());
    // Other content, other container.
    std::fs::write(scene.path("held.txt"), "other")?;
    let done = scene.up(&Up::default())?;
    ensure!(
        done[0] == "recreate container p-web-1: its configuration changed",
        "{done:?}"
    );
    ensure!(scene.exec("p-web-1", &["cat", "/held"])? == "other");
    Ok(())
}

#[test]
fn volumes_without_a_name_go_along_unless_they_are_renewed() -> Result<()> {
    let scene = Scene::new(
        "services: {web: {image: busybox, init: true, command: sleep 1000, volumes: [/data]}}",
    )?;
    scene.up(&Up::default())?;
    scene.exec("p-web-1", &["touch", "/data/kept"])?;
    let mut anew = Up {
        recreate: Recreate::Force,
        ..Up::default()
    };
    scene.up(&anew)?;
    ensure!(scene.exec("p-web-1", &["ls", "/data"])? == "kept");
    anew.renew_anon_volumes = true;
    scene.up(&anew)?;
    ensure!(scene.exec("p-web-1", &["ls", "/data"])?.is_empty());
    Ok(())
}
