//! Pulls that broke off go on where they were: what came is not fetched twice.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;
#[path = "../../registry/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::{Harness, registry_config};
use onggi_model::Digest;
use onggi_registry::Config;
use onggi_store::Depth;
use support::{Content, Reply, Request, Server, gzip, noise, sha256, tar_of};

/// Bytes of the last layer that come before it breaks off.
const CUT: usize = 600_000;

fn layers() -> Vec<Vec<u8>> {
    vec![
        tar_of(&[("first", &noise(1, 300_000))]),
        tar_of(&[("second", &noise(2, 900_000))]),
    ]
}

fn blob(layer: usize) -> Vec<u8> {
    gzip(&layers()[layer])
}

/// A registry whose last layer breaks off until `whole` is set, wherever it is asked from, but not before the first
/// layer is in the store at `root`.
fn registry(whole: &Arc<AtomicBool>, root: &Path) -> Server {
    let first = root.join("blobs/sha256").join(sha256(&blob(0)).hex());
    let mut content = Content::default();
    content.image("app", "latest", &layers());
    let (last, whole) = (sha256(&blob(1)).to_string(), whole.clone());
    Server::start(move |request| {
        let reply = content.answer(request);
        if !request.target.ends_with(&last) || whole.load(Ordering::Relaxed) {
            return reply;
        }
        let limit = Instant::now() + Duration::from_secs(60);
        while !first.exists() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(5));
        }
        let sent = from(request);
        let length = reply.body.len() as u64;
        Reply {
            body: reply.body[..CUT.saturating_sub(sent)].to_vec(),
            ..reply
        }
        .announcing(length)
    })
}

/// Where a request begins.
fn from(request: &Request) -> usize {
    let range = request.header("range");
    range.map_or(0, |range| {
        let text = range.trim_start_matches("bytes=").trim_end_matches('-');
        text.parse().unwrap()
    })
}

/// Where each request for this blob began.
fn begins(server: &Server, digest: &Digest) -> Vec<usize> {
    let requests = server.requests();
    let of_blob = requests
        .iter()
        .filter(|request| request.target.ends_with(digest.as_str()));
    of_blob.map(from).collect()
}

/// A pull that broke off in the last layer, and the registry, which would now give all of it.
async fn broken_off() -> (Harness, Server, String) {
    let whole = Arc::new(AtomicBool::new(false));
    let harness = Harness::with(Config {
        stall_timeout: Duration::from_secs(60),
        ..registry_config()
    });
    let server = registry(&whole, harness.store.path());
    let name = format!("{}/app", server.host());
    harness.pull(&name).await.unwrap_err();
    harness.nothing_left().await;
    whole.store(true, Ordering::Relaxed);
    (harness, server, name)
}

fn assert_whole(harness: &Harness, image: &onggi_image::Image) {
    for (layer, name, content) in [
        (0, "first", noise(1, 300_000)),
        (1, "second", noise(2, 900_000)),
    ] {
        assert_eq!(
            std::fs::read(harness.file(image, layer, name)).unwrap(),
            content
        );
    }
    let report = harness.store.check(Depth::Content).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!(harness.store.partials().unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_is_not_fetched_twice() {
    let (harness, server, name) = broken_off().await;
    let left: Vec<u64> = {
        let mut left = harness.store.partials().unwrap();
        left.sort_by_key(|partial| partial.size);
        left.iter().map(|partial| partial.size).collect()
    };
    assert_eq!(
        left,
        [blob(0).len() as u64, CUT as u64],
        "a whole one, and the beginning of one"
    );
    let asked = begins(&server, &sha256(&blob(1))).len();
    let pulled = harness.pull(&name).await.unwrap();
    assert_eq!(begins(&server, &sha256(&blob(1)))[asked..], [CUT]);
    assert_eq!(begins(&server, &sha256(&blob(0))), [0], "it was there");
    assert_whole(&harness, &pulled.image);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_by_the_next_daemon() {
    let (harness, server, name) = broken_off().await;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(harness.store.path())
        .arg(&root)
        .status();
    assert!(copied.unwrap().success());
    let harness = Harness::at(&root, registry_config());
    let asked = begins(&server, &sha256(&blob(1))).len();
    let pulled = harness.pull(&name).await.unwrap();
    assert_eq!(begins(&server, &sha256(&blob(1)))[asked..], [CUT]);
    assert_eq!(begins(&server, &sha256(&blob(0))), [0]);
    assert_whole(&harness, &pulled.image);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_power_cut_spoiled_is_fetched_anew() {
    let (harness, server, name) = broken_off().await;
    let hex = sha256(&blob(1)).hex().to_owned();
    let path = harness.store.path().join("partial/sha256").join(hex);
    std::fs::write(&path, vec![0; CUT]).unwrap();
    let asked = begins(&server, &sha256(&blob(1))).len();
    let pulled = harness.pull(&name).await.unwrap();
    assert_eq!(begins(&server, &sha256(&blob(1)))[asked..], [CUT, 0]);
    assert_whole(&harness, &pulled.image);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_there_should_be_is_no_beginning() {
    let (harness, _server, name) = broken_off().await;
    let hex = sha256(&blob(1)).hex().to_owned();
    let path = harness.store.path().join("partial/sha256").join(hex);
    std::fs::write(&path, vec![0; 2_000_000]).unwrap();
    let pulled = harness.pull(&name).await.unwrap();
    assert_whole(&harness, &pulled.image);
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_takes_what_broke_off() {
    let (harness, _server, _name) = broken_off().await;
    let bytes: u64 = harness
        .store
        .partials()
        .unwrap()
        .iter()
        .map(|p| p.size)
        .sum();
    assert_eq!(harness.store.discard_partials().unwrap(), bytes);
    assert_eq!(harness.store.partials().unwrap(), []);
}
