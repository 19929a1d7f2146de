//! What is on disk survives everything: transfers go on where they broke off, a killed daemon leaves images whole or
//! absent and no byte nobody owns, and `system check` proves it.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod check; // system check and its repairs
mod freed; // removal answers first and frees behind
mod kill; // kill -9 at random moments
mod resume; // bytes fetched twice

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, Entry, Image, LIMIT, Layer, Subject, wait_until};
use serde_json::Value;
use std::path::Path;

/// Docker promises none of this, and has no `system check`.
fn ours() -> Result<bool> {
    let ours = Subject::from_env()? == Subject::Onggi;
    if !ours {
        eprintln!("skipped: Docker does not promise this");
    }
    Ok(ours)
}

/// The long run.
fn is_full() -> bool {
    std::env::var_os("ONGGI_FULL").is_some()
}

/// A daemon with a registry that asks for no certificate.
fn start() -> Result<Daemon> {
    Daemon::start_with(DaemonOptions::default())
}

/// `size` bytes that do not compress.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    next.take(size).collect()
}

/// A layer with one large file of noise and some small ones.
fn layer(seed: u64, size: usize) -> Result<Layer> {
    let mut entries = vec![
        Entry::Directory(format!("d{seed}"), 0o755),
        Entry::File(format!("d{seed}/noise"), 0o644, noise(seed, size)),
    ];
    for number in 0..20 {
        let text = format!("{seed} {number}\n").repeat(100);
        entries.push(Entry::File(
            format!("d{seed}/{number}"),
            0o600,
            text.into_bytes(),
        ));
    }
    Layer::new(&entries)
}

/// An image of such layers.
fn image(seeds: &[u64], size: usize) -> Result<Image> {
    let layers = seeds.iter().map(|seed| layer(*seed, size));
    Ok(Image::new(layers.collect::<Result<_>>()?))
}

/// Has the command line check, which must find nothing.
fn check(daemon: &Daemon) -> Result<String> {
    let output = daemon.cli(&["system", "check"])?;
    ensure!(output.code == 0, "{}{}", output.stdout, output.stderr);
    ensure!(output.stdout.ends_with("no defects\n"), "{}", output.stdout);
    Ok(output.stdout)
}

/// Waits until what was removed is deleted.
fn swept(daemon: &Daemon) -> Result<()> {
    let trash = daemon.data_root().join("tmp/trash");
    wait_until("the trash to be emptied", LIMIT, || {
        let left = std::fs::read_dir(&trash).ok()?.count();
        (left == 0).then_some(())
    })
}

/// The tags there are.
fn tags(daemon: &Daemon) -> Result<Vec<String>> {
    let list = daemon.get("/images/json")?.ok()?.json()?;
    let images = list.as_array().context("a list")?;
    let tags = images
        .iter()
        .filter_map(|image| image["RepoTags"].as_array());
    Ok(tags
        .flatten()
        .filter_map(|tag| tag.as_str().map(str::to_owned))
        .collect())
}

/// Pulls; the error of the last message is an error.
fn pull(api: &onggi_testkit::Api, name: &str) -> Result<()> {
    let path = format!("/images/create?fromImage={name}&tag=latest");
    let answer = api.post(&path, &Value::Null)?.ok()?;
    ensure!(!answer.text().contains("errorDetail"), "{}", answer.text());
    ensure!(
        answer.text().contains("Status: "),
        "broken off: {}",
        answer.text()
    );
    Ok(())
}

/// Bytes of the blob that the daemon has on disk.
fn on_disk(data: &Path, digest: &str) -> u64 {
    let name = digest.replace(':', "/");
    let sizes = ["partial", "blobs"].map(|folder| {
        let file = data.join(folder).join(&name);
        file.metadata().map_or(0, |status| status.len())
    });
    sizes[0].max(sizes[1])
}
