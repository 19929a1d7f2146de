//! Archives compressed as registries never have them, bzip2 and xz: taken, and kept as a tar, which registries take.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::io::{Cursor, Write as _};

use harness::Harness;
use onggi_image::Import;
use onggi_model::{Digest, ErrorKind, Fault as _, ImageRef, chain};
use onggi_oci::image::{Manifest, media_type};
use serde_json::json;

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

fn root() -> Vec<u8> {
    let noise: Vec<u8> = (0..300_000_u32)
        .map(|at| (at.wrapping_mul(at) >> 7) as u8)
        .collect();
    tar(&[("etc/motd", b"hello\n"), ("noise", &noise)])
}

fn manifest(harness: &Harness, image: &onggi_image::Image) -> Manifest {
    let bytes = harness.store.blob_bytes(&image.record.manifest, 1 << 20);
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

fn named() -> Import {
    Import {
        reference: Some(ImageRef::parse("app:1").unwrap()),
        ..Import::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_imported_and_kept_as_a_tar() {
    let plain = root();
    for packed in [bzip2(&plain), xz(&plain)] {
        let harness = Harness::new();
        let image = harness
            .images
            .import(Cursor::new(packed), named())
            .await
            .unwrap();
        let layer = manifest(&harness, &image).layers.remove(0);
        assert_eq!(layer.media_type, media_type::DOCKER_LAYER);
        assert_eq!(layer.size, plain.len() as u64);
        assert_eq!(image.config.rootfs.diff_ids, [layer.digest]);
        let motd = std::fs::read(harness.file(&image, 0, "etc/motd")).unwrap();
        assert_eq!(motd, b"hello\n");
        let report = harness.store.check(onggi_store::Depth::Content).unwrap();
        assert!(report.is_clean(), "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_or_changed_leaves_nothing() {
    let plain = root();
    for packed in [bzip2(&plain), xz(&plain)] {
        let harness = Harness::new();
        let cut = packed[..packed.len() / 2].to_vec();
        let error = harness
            .images
            .import(Cursor::new(cut), named())
            .await
            .unwrap_err();
        assert!(chain(&error).contains("truncated"), "{}", chain(&error));
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        let mut changed = packed.clone();
        changed[packed.len() / 2] ^= 0x10;
        let import = harness.images.import(Cursor::new(changed), named());
        assert!(import.await.is_err());
        // What it is compressed as is known, what is in it is no tar.
        let import = harness.images.import(Cursor::new(xz(b"no tar")), named());
        assert!(import.await.is_err());
        harness.nothing_left().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_of_images_and_layers_in_them_are_loaded() {
    let layer = root();
    let digest = Digest::sha256(
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &layer)
            .as_ref()
            .try_into()
            .unwrap(),
    )
    .to_string();
    let config = json!({"architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest, digest]}, "history": []});
    let saved = json!([{"Config": "config.json", "RepoTags": ["app:1"],
        "Layers": ["one/layer.tar", "two/layer.tar"]}]);
    let archive = tar(&[
        ("one/layer.tar", &bzip2(&layer)),
        ("two/layer.tar", &xz(&layer)),
        ("config.json", &serde_json::to_vec(&config).unwrap()),
        ("manifest.json", &serde_json::to_vec(&saved).unwrap()),
    ]);
    for packed in [archive.clone(), bzip2(&archive), xz(&archive)] {
        let harness = Harness::new();
        let load = harness.images.load(Cursor::new(packed), None, |_| {});
        let loaded = load.await.unwrap();
        assert_eq!(loaded[0].names, ["app:1"]);
        let image = &loaded[0].image;
        for layer in manifest(&harness, image).layers {
            assert_eq!(layer.media_type, media_type::DOCKER_LAYER);
            assert_eq!(layer.digest.to_string(), digest);
        }
        assert!(harness.file(image, 1, "noise").is_file());
    }
}
