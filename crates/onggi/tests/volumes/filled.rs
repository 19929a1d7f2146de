//! What the image gives a new volume: its files with owners, modes, links; once, and never from outside the image.

use crate::{cli, daemon, points, run, says};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Entry, Image, Layer};
use serde_json::json;
use std::fs;

fn directory(path: &str, mode: u32) -> Entry {
    Entry::Directory(path.to_owned(), mode)
}

fn file(path: &str, mode: u32, text: &str) -> Entry {
    Entry::File(path.to_owned(), mode, text.as_bytes().to_vec())
}

fn link(path: &str, target: &str) -> Entry {
    Entry::Link(path.to_owned(), target.to_owned())
}

/// busybox with `VOLUME /data`, made by two layers; `/alias` leads there, `/out` out of the image.
fn image() -> Result<Image> {
    let lower = Layer::new(&[
        directory("data", 0o1750),
        directory("data/sub", 0o700),
        file("data/sub/file", 0o644, "lower"),
        file("data/suid", 0o4755, "a program"),
        file("data/gone", 0o644, "hidden"),
        file("data/changed", 0o644, "lower"),
        link("data/link", "sub/file"),
        Entry::HardLink("data/second".to_owned(), "data/sub/file".to_owned()),
        link("alias", "/data"),
        link("out", "../../../../../../../../tmp"),
        file("plain", 0o644, "a file"),
    ])?;
    let upper = Layer::new(&[
        directory("data", 0o1750),
        file("data/.wh.gone", 0o644, ""),
        file("data/changed", 0o600, "upper"),
        directory("more", 0o755),
        directory("more/a", 0o755),
        link("more/chain", "../alias/sub"),
    ])?;
    Ok(Image::busybox()?.layer(lower).layer(upper).config(json!({
        "Env": ["PATH=/bin"],
        "Cmd": ["sh"],
        "Volumes": {"/data": {}},
    })))
}

fn with_image() -> Result<Daemon> {
    let daemon = daemon()?;
    daemon.load(&image()?, &["filled:latest"])?;
    Ok(daemon)
}

const LOOK: &str = "cd /v; stat -c '%n %a %u:%g %F' . sub suid changed; readlink link; \
                    stat -c %h second; cat changed; ls";
const SEEN: &str = ". 1750 0:0 directory\nsub 700 0:0 directory\nsuid 4755 0:0 regular file\n\
                    changed 600 0:0 regular file\nsub/file\n2\nupperchanged\nlink\nsecond\nsub\nsuid";

fn look(daemon: &Daemon, volume: &str) -> Result<String> {
    says(daemon, &["-v", &format!("{volume}:/v")], LOOK)
}

#[test]
fn a_new_volume_takes_the_images_files() -> Result<()> {
    let daemon = with_image()?;
    for (volume, target) in [
        ("one", "/data"),
        ("two", "/alias"),
        ("three", "/data/../alias/."),
    ] {
        cli(
            &daemon,
            &["create", "-v", &format!("{volume}:{target}"), "filled"],
        )?;
        let seen = look(&daemon, volume)?;
        ensure!(seen == SEEN, "{target}: {seen}");
    }
    // Over links in the middle of the path, too.
    cli(&daemon, &["create", "-v", "four:/more/chain", "filled"])?;
    ensure!(says(&daemon, &["-v", "four:/v"], "cat /v/file")? == "lower");
    // One that was made before is empty and is filled; by --mount, too.
    cli(&daemon, &["volume", "create", "made"])?;
    cli(
        &daemon,
        &["create", "--mount", "source=made,target=/data", "filled"],
    )?;
    ensure!(look(&daemon, "made")? == SEEN);
    // A full one stays, an unwilling one, too.
    says(&daemon, &["-v", "full:/v"], "touch /v/own")?;
    cli(&daemon, &["create", "-v", "full:/data", "filled"])?;
    ensure!(says(&daemon, &["-v", "full:/v"], "ls /v")? == "own");
    cli(&daemon, &["create", "-v", "bare:/data:nocopy", "filled"])?;
    cli(
        &daemon,
        &[
            "create",
            "--mount",
            "source=bare,target=/data,volume-nocopy",
            "filled",
        ],
    )?;
    ensure!(says(&daemon, &["-v", "bare:/v"], "ls /v")?.is_empty());
    // What the image does not have fills nothing.
    cli(&daemon, &["create", "-v", "none:/nowhere/at/all", "filled"])?;
    ensure!(says(&daemon, &["-v", "none:/v"], "ls /v; stat -c %a /v")? == "755");
    daemon.clean()
}

#[test]
fn a_link_out_of_the_image_leads_nowhere() -> Result<()> {
    let daemon = with_image()?;
    let marker = tempfile_in_tmp()?;
    cli(&daemon, &["create", "-v", "out:/out", "filled"])?;
    let seen = says(&daemon, &["-v", "out:/v"], "ls /v")?;
    ensure!(!seen.contains("onggi-marker"), "{seen}");
    fs::remove_file(marker)?;
    daemon.clean()
}

fn tempfile_in_tmp() -> Result<std::path::PathBuf> {
    let path = std::env::temp_dir().join(format!("onggi-marker-{}", std::process::id()));
    fs::write(&path, "of the host")?;
    Ok(path)
}

#[test]
fn declared_volumes_are_anonymous() -> Result<()> {
    let daemon = with_image()?;
    let flags = ["create", "--name", "cc", "-v", "/more", "filled"];
    cli(&daemon, &flags)?;
    let found = points(&daemon, "cc")?;
    for (point, destination) in found.iter().zip(["/data", "/more"]) {
        let name = point["Name"].as_str().context("Name")?;
        let expected = json!({
            "Type": "volume", "Name": name, "Source": daemon.data_root().join("volumes").join(name).join("_data"),
            "Destination": destination, "Driver": "local", "Mode": "", "RW": true, "Propagation": "",
        });
        ensure!(name.len() == 64 && *point == expected, "{point}");
    }
    ensure!(found.len() == 2, "{found:?}");
    let inspect = daemon.get("/containers/cc/json")?.ok()?.json()?;
    ensure!(inspect["Config"]["Volumes"] == json!({"/data": {}, "/more": {}}));
    // A named volume, a bind or a tmpfs in its place, and there is none.
    let shared = daemon.path("shared");
    fs::create_dir(&shared)?;
    let bind = format!("{}:/data", shared.display());
    for flags in [&["-v", "named:/data"][..], &["-v", &bind]] {
        cli(
            &daemon,
            &[&["create", "--name", "dd"], flags, &["filled"]].concat(),
        )?;
        ensure!(points(&daemon, "dd")?.len() == 1, "{flags:?}");
        cli(&daemon, &["rm", "dd"])?;
    }
    daemon.clean()
}

#[test]
fn no_volume_over_a_file() -> Result<()> {
    let daemon = with_image()?;
    let before = cli(&daemon, &["volume", "ls", "-q"])?;
    let output = run(&daemon, &["-v", "/etc/passwd"], "true")?;
    let text = "cannot mount volume over existing file, file exists";
    ensure!(
        output.code == 125 && output.stderr.contains(text),
        "{output:?}"
    );
    ensure!(cli(&daemon, &["volume", "ls", "-q"])? == before);
    daemon.clean()
}
