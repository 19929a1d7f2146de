//! `system check` by the command line: what it finds, what it says, what it repairs.

use crate::{check, image, on_disk, ours, pull, start, swept};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Image, Metered, Output};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

fn run(daemon: &Daemon, arguments: &[&str]) -> Result<Output> {
    daemon.cli(&[&["system", "check"], arguments].concat())
}

/// What is found, and repaired: afterwards nothing is wrong.
fn repaired(daemon: &Daemon, found: &[&str], done: &[&str]) -> Result<()> {
    let before = run(daemon, &[])?;
    ensure!(before.code == 1, "{before:?}");
    let repair = run(daemon, &["--repair"])?;
    ensure!(repair.code == 0, "{repair:?}");
    for text in found {
        ensure!(before.stdout.contains(text), "{text}: {before:?}");
        ensure!(repair.stdout.contains(text), "{text}: {repair:?}");
    }
    for text in done {
        let told = repair
            .stdout
            .lines()
            .any(|line| line.starts_with("repaired: ") && line.contains(text));
        ensure!(told, "{text}: {repair:?}");
    }
    check(daemon)?;
    swept(daemon)
}

/// The directory of the one layer that has this file.
fn layer_with(daemon: &Daemon, name: &str) -> Result<PathBuf> {
    let layers = fs::read_dir(daemon.data_root().join("layers"))?;
    let mut layers = layers.flatten().map(|entry| entry.path());
    layers
        .find(|layer| layer.join(name).exists())
        .context("no such layer")
}

#[test]
fn each_defect_is_told_and_repaired() -> Result<()> {
    if !ours()? {
        return Ok(());
    }
    let daemon = start()?;
    daemon.load_busybox()?;
    daemon.load(&image(&[1], 100_000)?, &["app:latest"])?;
    daemon.cli(&["volume", "create", "data"])?.ok()?;
    let body = json!({"Image": "busybox", "Cmd": ["sleep", "1000"]});
    daemon.post("/containers/create?name=box", &body)?.ok()?;
    let told = check(&daemon)?;
    ensure!(
        told.starts_with("2 images, ")
            && told.contains("2 layers (2 compared with their blobs), 1 containers, 1 volumes"),
        "{told}"
    );
    let quick = run(&daemon, &["--quick"])?;
    ensure!(
        quick.ok()?.contains("not hashed), 2 layers (0 compared"),
        "{quick:?}"
    );

    // Files of nobody.
    let data = daemon.data_root();
    for path in [
        "blobs/sha256/x",
        "layers/x",
        "tmp/x",
        "containers/x",
        "volumes/x",
    ] {
        fs::write(data.join(path), "orphan")?;
    }
    repaired(
        &daemon,
        &[
            "blobs/sha256/x belongs to nothing",
            "volumes/x belongs to no volume",
        ],
        &["removed ", "layers/x", "tmp/x", "containers/x"],
    )?;

    // A layer that is not whole is unpacked again; what is in it is as it was.
    let file = layer_with(&daemon, "d1")?.join("d1/7");
    let content = fs::read(&file)?;
    fs::write(&file, "")?;
    repaired(
        &daemon,
        &["is not what its blob holds: size of"],
        &["unpacked layer"],
    )?;
    ensure!(fs::read(&file)? == content, "the file is back");
    fs::remove_dir_all(layer_with(&daemon, "d1")?)?;
    repaired(&daemon, &["is missing"], &["unpacked layer"])?;

    // Not while a container runs on it.
    daemon.post("/containers/box/start", &json!(null))?.ok()?;
    let group = layer_with(&daemon, "etc/group")?.join("etc/group");
    let content = fs::read(&group)?;
    fs::write(&group, "")?;
    let refused = run(&daemon, &["--repair"])?;
    ensure!(refused.code == 1, "{refused:?}");
    ensure!(
        refused
            .stdout
            .contains("a container runs on it; stop it and repair again")
            && refused.stdout.contains("still: ")
            && refused.stdout.ends_with("1 defect\n"),
        "{refused:?}"
    );
    daemon.post("/containers/box/kill", &json!(null))?.ok()?;
    daemon.post("/containers/box/wait", &json!(null))?.ok()?;
    repaired(
        &daemon,
        &["is not what its blob holds"],
        &["unpacked layer"],
    )?;
    ensure!(fs::read(&group)? == content, "the group is back");

    // A volume without its directory.
    fs::remove_dir_all(data.join("volumes/data"))?;
    repaired(
        &daemon,
        &["the directory of volume data is missing"],
        &["made "],
    )?;
    daemon.clean()
}

#[test]
fn a_broken_blob_comes_again_with_the_next_pull() -> Result<()> {
    if !ours()? {
        return Ok(());
    }
    let daemon = start()?;
    let registry = Metered::start(daemon.namespace(), |_, _| true)?;
    let image: Image = image(&[1, 2], 100_000)?;
    let size = registry.add("app", &image)?;
    let name = format!("{}/app", registry.address());
    pull(&daemon.api(), &name)?;
    ensure!(registry.sent() == size, "{} of {size}", registry.sent());
    let layer = onggi_testkit::digest(&image.layers()[1].gzip()?);
    let file = daemon
        .data_root()
        .join("blobs")
        .join(layer.replace(':', "/"));
    let mut bytes = fs::read(&file)?;
    bytes[1000] ^= 1;
    fs::write(&file, &bytes)?;
    repaired(
        &daemon,
        &[&format!("blob {layer} has other content")],
        &["goes on without 1 compressed layers", "quarantine/sha256-"],
    )?;
    let aside = layer.replace(':', "-");
    ensure!(
        fs::read(daemon.data_root().join("quarantine").join(aside))? == bytes,
        "put aside"
    );
    pull(&daemon.api(), &name)?;
    ensure!(
        on_disk(&daemon.data_root(), &layer) == bytes.len() as u64,
        "it came again"
    );
    ensure!(
        registry.sent() == size + bytes.len() as u64,
        "and nothing else"
    );
    check(&daemon)?;
    // An image whose configuration is broken is none.
    let inspect = daemon
        .get(&format!("/images/{name}:latest/json"))?
        .ok()?
        .json()?;
    let id = inspect["Id"].as_str().context("Id")?.to_owned();
    fs::write(
        daemon.data_root().join("blobs").join(id.replace(':', "/")),
        "{}",
    )?;
    repaired(
        &daemon,
        &[&format!("blob {id} has ")],
        &["of which parts are lost: pull it again"],
    )?;
    pull(&daemon.api(), &name)?;
    check(&daemon)?;
    Ok(())
}
