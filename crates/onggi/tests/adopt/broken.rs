//! What cannot be taken is left, with the reason; all the rest comes.

use crate::{adopt, docker, layered, onggi, result, root_of};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Entry, Image, Layer};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

#[test]
fn a_data_root_in_use_is_refused() -> Result<()> {
    let Some(docker) = docker(&[])? else {
        return Ok(());
    };
    let ours = onggi()?;
    let output = adopt(&ours, &docker)?;
    ensure!(output.code == 1, "{output:?}");
    let pid = docker.pid().context("a pid")?;
    let who = format!("is in use by process {pid} (dockerd): stop it first");
    ensure!(output.stderr.contains(&who), "{output:?}");
    let nothing = ours.cli(&["images", "-q"])?;
    ensure!(nothing.ok()?.is_empty(), "{nothing:?}");
    let output = ours.cli(&["system", "adopt", "/no/such/place"])?;
    ensure!(
        output.stderr.contains("there is no such directory"),
        "{output:?}"
    );
    let own = ours.data_root();
    let output = ours.cli(&["system", "adopt", own.to_str().context("a path")?])?;
    ensure!(output.stderr.contains("own data root"), "{output:?}");
    Ok(())
}

/// An image of one file.
fn single(name: &str) -> Result<Image> {
    let text = format!("the content of {name}");
    let file = Entry::File(name.to_owned(), 0o644, text.into_bytes());
    Ok(Image::new(vec![Layer::new(&[file])?]).config(json!({"Cmd": ["/x"]})))
}

/// Where dockerd keeps a file of the layers.
fn find(docker: &Daemon, name: &str) -> Result<PathBuf> {
    let folder = docker.data_root().join("overlay2");
    let found = fs::read_dir(folder)?.flatten().find_map(|entry| {
        let path = entry.path().join("diff").join(name);
        path.exists().then_some(path)
    });
    found.with_context(|| format!("no {name}"))
}

#[test]
fn what_is_broken_or_unknown_is_left() -> Result<()> {
    let Some(mut docker) = docker(&[])? else {
        return Ok(());
    };
    for name in ["changed", "short", "lost", "config"] {
        docker.load(&single(name)?, &[&format!("{name}:1")])?;
    }
    docker
        .cli(&["create", "--name", "onchanged", "changed:1"])?
        .ok()?;
    docker
        .post(
            "/networks/create",
            &json!({"Name": "backend", "Options": {"com.docker.network.bridge.colour": "red"}}),
        )?
        .ok()?;
    docker
        .cli(&[
            "create",
            "--name",
            "networked",
            "--network",
            "backend",
            "busybox",
        ])?
        .ok()?;
    docker
        .cli(&["create", "--name", "good", "busybox", "true"])?
        .ok()?;
    let shared = [
        "create",
        "--name",
        "beside",
        "--network",
        "container:networked",
        "busybox",
    ];
    docker.cli(&shared)?.ok()?;
    docker.stop()?;

    fs::write(find(&docker, "changed")?, "the CONTENT of changed")?;
    fs::write(find(&docker, "short")?, "the")?;
    fs::remove_file(find(&docker, "lost")?)?;
    let id = single("config")?.id();
    let hex = id.trim_start_matches("sha256:");
    let config = docker
        .data_root()
        .join("image/overlay2/imagedb/content/sha256");
    fs::write(config.join(hex), "{}")?;

    let ours = onggi()?;
    let output = adopt(&ours, &docker)?;
    ensure!(output.code == 1, "{output:?}");
    for (kind, name, why) in [
        ("image", "changed:1", "are not those the image was made of"),
        ("image", "short:1", "short: 3 bytes where there were 20"),
        ("image", "lost:1", "lost: no such file"),
        ("image", "config:1", "its configuration is broken"),
        ("container", "onchanged", "is not here"),
        ("network", "backend", "no option"),
        (
            "container",
            "networked",
            "it is in the network \"backend\", which is not here",
        ),
        ("container", "beside", "which is not here"),
    ] {
        let said = result(&output, kind, name)?;
        ensure!(
            said.starts_with("skipped: ") && said.contains(why),
            "{kind} {name}: {said}"
        );
    }
    for (kind, name) in [("image", "busybox:latest"), ("container", "good")] {
        ensure!(
            result(&output, kind, name)?.starts_with("taken"),
            "{output:?}"
        );
    }
    let images = ours.cli(&["images", "--format", "{{.Repository}}"])?;
    ensure!(images.ok()? == "busybox", "{images:?}");
    let all = ours.cli(&["ps", "-a", "--format", "{{.Names}}"])?;
    ensure!(all.ok()? == "good", "{all:?}");
    ensure!(ours.cli(&["start", "-a", "good"])?.code == 0);
    ours.clean()
}

/// A container that outlives its daemon is not taken while it runs.
#[test]
fn what_still_runs_is_left() -> Result<()> {
    let Some(mut docker) = docker(&["--live-restore"])? else {
        return Ok(());
    };
    docker.load(&layered()?, &["layered:1"])?;
    docker
        .cli(&[
            "run",
            "-d",
            "--name",
            "alive",
            "--network",
            "none",
            "busybox",
            "sleep",
            "100000",
        ])?
        .ok()?;
    docker.stop()?;
    let ours = onggi()?;
    let output = adopt(&ours, &docker)?;
    let said = result(&output, "container", "alive")?;
    ensure!(said.contains("it still runs as process"), "{said}");
    ensure!(result(&output, "image", "layered:1")?.starts_with("taken"));
    ensure!(root_of(&docker)?.starts_with('/'));
    docker.run()?;
    docker.clean()
}
