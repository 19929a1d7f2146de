//! Archives that would like to write outside of their image.

use crate::{differs, failure};
use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, Entry, Image, Layer, Request};
use std::fs;

/// One file in a tar whose name no honest program writes.
fn tar_with(name: &str) -> Vec<u8> {
    let content = b"evil";
    let mut header = [0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = header.to_vec();
    tar.extend_from_slice(content);
    tar.resize(512 * 4, 0);
    tar
}

#[test]
fn names_that_lead_out_are_refused() -> Result<()> {
    if differs("loads them with the dots taken away")? {
        return Ok(());
    }
    let daemon = Daemon::start()?;
    for name in ["../../../../evil", "../evil", "a/../../../evil"] {
        let image = Image::new(vec![Layer::from_tar(tar_with(name))]).save(&["evil:latest"])?;
        let request = Request::new("POST", "/images/load?quiet=1").body("application/x-tar", image);
        let answer = daemon.send(&request)?;
        ensure!(failure(&answer).is_some(), "{name}: {}", answer.text());
        ensure!(
            daemon.get("/images/evil/json")?.status == 404,
            "{name} became an image"
        );
    }
    let mut found = Vec::new();
    crate::files(&daemon.data_root(), &mut found)?;
    ensure!(
        !found.iter().any(|path| path.ends_with("/evil")),
        "{found:#?}"
    );
    daemon.clean()
}

#[test]
fn links_lead_nowhere_but_into_the_image() -> Result<()> {
    let daemon = Daemon::start()?;
    let outside = daemon.path("outside");
    fs::create_dir(&outside)?;
    let layer = Layer::new(&[
        Entry::Directory("etc".into(), 0o755),
        Entry::Link("way".into(), outside.display().to_string()),
        Entry::Link("up".into(), "../../../../../../..".into()),
        Entry::Link("abs".into(), "/etc".into()),
        Entry::File("abs/evil".into(), 0o644, b"evil".to_vec()),
    ])?;
    daemon.load(&Image::busybox()?.layer(layer), &["links:latest"])?;
    let output = daemon.cli(&["run", "--rm", "links", "cat", "/etc/evil"])?;
    ensure!(output.ok()? == "evil", "{output:?}");
    let escaping = Layer::new(&[
        Entry::Link("way".into(), outside.display().to_string()),
        Entry::File("way/evil".into(), 0o644, b"evil".to_vec()),
    ])?;
    let image = Image::busybox()?.layer(escaping).save(&["way:latest"])?;
    daemon.send(&Request::new("POST", "/images/load?quiet=1").body("application/x-tar", image))?;
    ensure!(
        fs::read_dir(&outside)?.next().is_none(),
        "a layer wrote to the host"
    );
    ensure!(!fs::exists("/etc/evil")?, "a layer wrote to the host");
    daemon.clean()
}

#[test]
fn what_is_no_image_is_refused() -> Result<()> {
    let daemon = Daemon::start()?;
    for body in [&b""[..], b"this is not a tar", &[0; 1024]] {
        let request = Request::new("POST", "/images/load?quiet=1").body("application/x-tar", body);
        let answer = daemon.send(&request)?;
        ensure!(
            failure(&answer).is_some(),
            "{} {}",
            answer.status,
            answer.text()
        );
    }
    let images = daemon.get("/images/json?all=1")?.ok()?.json()?;
    ensure!(images.as_array().is_some_and(Vec::is_empty), "{images}");
    daemon.clean()
}
