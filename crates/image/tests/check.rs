//! Layers against their blobs: what is missing or changed is found, made again, or fetched again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;
#[path = "../../registry/tests/support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;

use harness::Harness;
use onggi_store::{ChainId, Depth};
use support::{Content, Server, tar_of};

/// A pulled image of two layers; the upper one does not name the directory it writes to.
async fn pulled() -> (Harness, Server, String, Vec<PathBuf>) {
    let mut content = Content::default();
    let layers = [
        tar_of(&[("bin/", b""), ("bin/sh", b"shell"), ("etc/", b"")]),
        tar_of(&[
            ("etc/motd", b"hello"),
            ("gone/.wh.file", b""),
            ("new/.wh..wh..opq", b""),
        ]),
    ];
    content.image("app", "latest", &layers);
    let server = Server::start(move |request| content.answer(request));
    let harness = Harness::new();
    let name = format!("{}/app", server.host());
    let image = harness.pull(&name).await.unwrap().image;
    let files = vec![
        harness.file(&image, 0, "bin/sh"),
        harness.file(&image, 1, "etc/motd"),
    ];
    (harness, server, name, files)
}

fn broken(harness: &Harness) -> BTreeSet<ChainId> {
    let report = harness.images.check_layers().unwrap();
    report
        .broken
        .into_iter()
        .map(|layer| layer.chain_id)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_is_compared_and_made_again() {
    let (harness, _server, _, files) = pulled().await;
    let report = harness.images.check_layers().unwrap();
    assert_eq!((report.compared, report.not_compared), (2, 0));
    assert!(report.broken.is_empty(), "{:?}", report.broken);
    for file in &files {
        std::fs::write(file, "").unwrap();
    }
    let report = harness.images.check_layers().unwrap();
    let differences: Vec<_> = report.broken.iter().map(|l| l.difference.what).collect();
    assert_eq!(differences, ["size", "size"]);
    let both = broken(&harness);
    // Not under a container's feet.
    let repair = harness.images.repair_layers(&both, &|_| true).unwrap();
    assert!(
        repair.lost.is_empty() && repair.done.len() == 2,
        "{repair:?}"
    );
    assert_eq!(broken(&harness), both);
    let repair = harness.images.repair_layers(&both, &|_| false).unwrap();
    assert!(repair.lost.is_empty(), "{repair:?}");
    assert_eq!(std::fs::read(&files[0]).unwrap(), b"shell");
    assert!(broken(&harness).is_empty());
    assert!(harness.store.check(Depth::Content).unwrap().is_clean());
    assert_eq!(
        harness
            .left()
            .iter()
            .filter(|p| p.starts_with("tmp"))
            .count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_without_its_blob_takes_its_image_and_comes_with_the_next_pull() {
    let (harness, server, name, files) = pulled().await;
    let image = harness.images.get(&name).unwrap();
    std::fs::write(&files[1], "").unwrap();
    let lost = broken(&harness);
    for blob in &image.record.blobs {
        std::fs::write(harness.store.blob_path(blob), "broken").unwrap();
    }
    let report = harness.images.check_layers().unwrap();
    assert_eq!((report.compared, report.not_compared), (0, 2));
    let repair = harness.images.repair_layers(&lost, &|_| false).unwrap();
    assert_eq!(repair.lost, lost);
    let report = harness.store.check(Depth::Content).unwrap();
    harness.store.repair(&report, &repair.lost).unwrap();
    assert!(harness.store.check(Depth::Content).unwrap().is_clean());
    harness.images.get(&name).unwrap_err();
    harness.pull(&name).await.unwrap();
    assert!(broken(&harness).is_empty());
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_was_put_aside_is_fetched_by_the_next_pull() {
    let (harness, server, name, _) = pulled().await;
    let image = harness.images.get(&name).unwrap();
    let blob = image.record.blobs.first().unwrap();
    std::fs::write(harness.store.blob_path(blob), "broken").unwrap();
    let report = harness.store.check(Depth::Content).unwrap();
    harness.store.repair(&report, &BTreeSet::new()).unwrap();
    let before = server.count("GET", "/blobs/");
    assert!(harness.pull(&name).await.unwrap().newer);
    assert_eq!(server.count("GET", "/blobs/") - before, 1, "that one alone");
    assert!(!harness.pull(&name).await.unwrap().newer);
    assert!(
        harness
            .images
            .get(&name)
            .unwrap()
            .record
            .blobs
            .contains(blob)
    );
    assert!(harness.store.check(Depth::Content).unwrap().is_clean());
}
