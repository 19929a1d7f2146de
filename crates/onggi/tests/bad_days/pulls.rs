//! Registries that are away, wrong or hostile, and disks that are full.

use crate::{differs, failure, refused, stored};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{
    Behaviour, Daemon, Entry, Hostile, Image, LIMIT, Layer, Registry, Request, Response, wait_until,
};
use std::process::Command;

/// `size` bytes that do not compress.
fn image(size: usize) -> Result<Image> {
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 56) as u8
    });
    let file = Entry::File("noise".into(), 0o644, noise.take(size).collect());
    Ok(Image::new(vec![Layer::new(&[file])?]))
}

fn pull(daemon: &Daemon, name: &str) -> Result<Response> {
    daemon.send(&Request::new(
        "POST",
        &format!("/images/create?fromImage={name}&tag=latest"),
    ))
}

/// No image, no content, no container.
fn nothing_came(daemon: &Daemon) -> Result<()> {
    let images = daemon.get("/images/json?all=1")?.ok()?.json()?;
    ensure!(images.as_array().is_some_and(Vec::is_empty), "{images}");
    let mut left = Vec::new();
    wait_until("nothing to be stored", LIMIT, || {
        left = stored(daemon).ok()?;
        left.is_empty().then_some(())
    })
    .with_context(|| format!("{left:#?}"))?;
    daemon.clean()
}

#[test]
fn names_that_cannot_be_pulled() -> Result<()> {
    let daemon = Daemon::start()?;
    let registry = Registry::start(daemon.namespace(), 5000)?;
    let unknown = pull(&daemon, &format!("{}/nothing", registry.address()))?;
    refused(
        &unknown,
        404,
        "manifest for 127.0.0.1:5000/nothing:latest not found: manifest unknown",
    )?;
    refused(&pull(&daemon, "UPPER")?, 400, "invalid reference format")?;
    refused(&pull(&daemon, "a%20b")?, 400, "invalid reference format")?;
    let down = pull(&daemon, "127.0.0.1:1/image")?;
    refused(&down, 500, "connection refused")?;
    drop(registry);
    nothing_came(&daemon)
}

#[test]
fn registries_that_do_not_keep_their_word() -> Result<()> {
    if differs("takes a manifest that is an index too")? {
        return Ok(());
    }
    let daemon = Daemon::start()?;
    let image = image(300_000)?;
    for (behaviour, texts) in [
        (
            Behaviour::TruncatedBlob,
            &["unexpected", "EOF", "short", "ended"][..],
        ),
        (
            Behaviour::WrongDigest,
            &[
                "filesystem layer verification failed for digest sha256:",
                "verification failed",
                "digest",
            ],
        ),
        (
            Behaviour::Ambiguous,
            &["manifest", "ambiguous", "mediaType"],
        ),
        (
            Behaviour::StrangeRealm,
            &[
                "unauthorized",
                "realm",
                "token",
                "denied",
                "timeout",
                "unreachable",
            ],
        ),
    ] {
        let registry = Hostile::start(daemon.namespace(), &image, behaviour.clone())?;
        let answer = pull(&daemon, &format!("{}/image", registry.address()))?;
        let text = failure(&answer).with_context(|| format!("{behaviour:?}: {}", answer.text()))?;
        ensure!(
            texts.iter().any(|t| text.contains(t)),
            "{behaviour:?}: {text}"
        );
        nothing_came(&daemon).with_context(|| format!("{behaviour:?}"))?;
    }
    Ok(())
}

#[test]
fn a_manifest_without_end_is_not_read_to_the_end() -> Result<()> {
    if differs("reads it to the end")? {
        return Ok(());
    }
    let daemon = Daemon::start()?;
    let registry = Hostile::start(daemon.namespace(), &image(10)?, Behaviour::EndlessManifest)?;
    let answer = pull(&daemon, &format!("{}/image", registry.address()))?;
    let text = failure(&answer).with_context(|| answer.text())?;
    ensure!(!text.is_empty(), "no reason");
    // It was not kept in memory either: some MiB are what a daemon has anyway.
    if let Some(pid) = daemon.pid() {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .context("VmHWM")?;
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse()?;
        ensure!(kib < 300 * 1024, "{kib} KiB were in memory");
    }
    nothing_came(&daemon)
}

#[test]
fn a_cut_transfer_goes_on_where_it_was_cut() -> Result<()> {
    if differs("does not ask for the rest of a configuration")? {
        return Ok(());
    }
    let daemon = Daemon::start()?;
    for behaviour in [Behaviour::ResumableBlob, Behaviour::Honest] {
        let registry = Hostile::start(daemon.namespace(), &image(300_000)?, behaviour.clone())?;
        let answer = pull(&daemon, &format!("{}/image", registry.address()))?;
        ensure!(
            failure(&answer).is_none(),
            "{behaviour:?}: {}",
            answer.text()
        );
        daemon
            .delete(&format!("/images/{}/image:latest", registry.address()))?
            .ok()?;
    }
    nothing_came(&daemon)
}

#[test]
fn a_disk_that_fills_up_during_a_pull() -> Result<()> {
    let mut daemon = Daemon::start()?;
    daemon.stop()?;
    let data = daemon.data_root();
    let mount = |options: &str| -> Result<()> {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&data)
            .status()?;
        ensure!(status.success(), "mount {options}: {status}");
        Ok(())
    };
    mount("size=12m")?;
    daemon.run()?;
    let registry = Hostile::start(daemon.namespace(), &image(16 << 20)?, Behaviour::Honest)?;
    let name = format!("{}/image", registry.address());
    let answer = pull(&daemon, &name)?;
    let text = failure(&answer).with_context(|| answer.text())?;
    ensure!(
        text.to_lowercase().contains("no space left on device"),
        "{text}"
    );
    nothing_came(&daemon)?;
    mount("remount,size=100m")?;
    let answer = pull(&daemon, &name)?;
    ensure!(failure(&answer).is_none(), "{}", answer.text());
    daemon.delete(&format!("/images/{name}:latest"))?.ok()?;
    nothing_came(&daemon)
}
