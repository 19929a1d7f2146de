//! Archives as `docker save`, skopeo and builders write them, and archives that are none.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why it was skipped"
)]

mod harness;
#[path = "../../registry/tests/support/mod.rs"]
mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use harness::{Harness, News};
use onggi_image::{Error, Loaded};
use onggi_model::{ErrorKind, Fault, Platform, chain};
use support::{CONFIG, Content, MANIFEST, Server, gzip, noise, oci_layout, sha256, tar_of};

fn layers() -> Vec<Vec<u8>> {
    vec![
        tar_of(&[("bin/", b""), ("bin/sh", &noise(1, 400_000))]),
        vec![0; 1024],
        tar_of(&[("etc/", b""), ("etc/motd", b"hello\n")]),
    ]
}

/// Parts of an archive in the order they are written.
struct Archive(tar::Builder<Vec<u8>>);

impl Archive {
    fn new() -> Archive {
        Archive(tar::Builder::new(Vec::new()))
    }
    fn file(mut self, name: &str, bytes: &[u8]) -> Archive {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        self.0.append_data(&mut header, name, bytes).unwrap();
        self
    }
    fn symlink(mut self, name: &str, target: &str) -> Archive {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        self.0.append_link(&mut header, name, target).unwrap();
        self
    }
    fn done(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// The configuration of an image of these layers, as registries' tests make it.
fn config(layers: &[Vec<u8>]) -> Vec<u8> {
    let mut content = Content::default();
    let (_, id) = content.image("x", "y", layers);
    content.blobs[&id.to_string()].clone()
}

/// An archive in the shape of old engines: layers in folders, before the manifest; a layer that comes twice is
/// a link.
fn old_archive(tags: &str) -> Vec<u8> {
    let layers = layers();
    let all = [
        layers[0].clone(),
        layers[1].clone(),
        layers[2].clone(),
        layers[1].clone(),
    ];
    let config = config(&all);
    let id = sha256(&config);
    Archive::new()
        .file("one/VERSION", b"1.0")
        .file("one/json", b"{}")
        .file("one/layer.tar", &layers[0])
        .file("two/layer.tar", &layers[1])
        .file("three/layer.tar", &layers[2])
        .symlink("four/layer.tar", "../two/layer.tar")
        .file(&format!("{}.json", id.hex()), &config)
        .file(
            "manifest.json",
            format!(
                r#"[{{"Config":"{}.json","RepoTags":{tags},"Layers":["one/layer.tar","two/layer.tar","three/layer.tar","four/layer.tar"]}}]"#,
                id.hex()
            )
            .as_bytes(),
        )
        .file("repositories", b"{}")
        .done()
}

async fn load(harness: &Harness, archive: Vec<u8>) -> Result<Vec<Loaded>, Error> {
    harness
        .images
        .load(std::io::Cursor::new(archive), None, |_| {})
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_an_old_engine() {
    let harness = Harness::new();
    let news = News::default();
    let archive = old_archive(r#"["app:1","localhost:5000/app:2"]"#);
    let loaded = harness
        .images
        .load(std::io::Cursor::new(archive), None, news.sink())
        .await
        .unwrap();
    assert_eq!(loaded.len(), 1);
    let image = &loaded[0].image;
    assert_eq!(loaded[0].names, ["app:1", "localhost:5000/app:2"]);
    assert_eq!(image.tags, ["app:1", "localhost:5000/app:2"]);
    assert_eq!(image.record.layers.len(), 4);
    assert_eq!(
        std::fs::read(harness.file(image, 2, "etc/motd")).unwrap(),
        b"hello\n"
    );
    let bytes = harness.images.config_bytes(image).unwrap();
    assert_eq!(sha256(&bytes), *image.id());
    assert!(
        news.lines()
            .iter()
            .any(|line| line == "one: Loading layer 402432/402432"),
        "{:?}",
        news.lines()
    );
    // A manifest was made, and everything in it is there.
    let manifest = harness
        .store
        .blob_bytes(&image.record.manifest, 1 << 20)
        .unwrap();
    let manifest: onggi_oci::image::Manifest = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest.layers.len(), 4);
    for layer in &manifest.layers {
        assert_eq!(
            harness.store.blob_size(&layer.digest).unwrap(),
            Some(layer.size)
        );
    }
    let report = harness.store.check(onggi_store::Depth::Content).unwrap();
    assert!(report.is_clean(), "{report:?}");
    // Once more is no change.
    let again = load(&harness, old_archive(r#"["app:1"]"#)).await.unwrap();
    assert_eq!(again[0].image.id(), image.id());
    assert_eq!(again[0].image.record.layers, image.record.layers);
    assert_eq!(harness.store.images().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_and_without_a_name() {
    let harness = Harness::new();
    let plain = old_archive("null");
    let loaded = load(&harness, gzip(&plain)).await.unwrap();
    assert!(loaded[0].names.is_empty() && loaded[0].image.tags.is_empty());
    let squeezed = zstd::encode_all(&plain[..], 1).unwrap();
    let again = load(&harness, squeezed).await.unwrap();
    assert_eq!(again[0].image.id(), loaded[0].image.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_with_a_docker_manifest_keeps_its_bytes() {
    let layers = layers();
    let config = config(&layers);
    let id = sha256(&config);
    let entries: Vec<String> = layers
        .iter()
        .map(|l| {
            format!(
                r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}}"#,
                sha256(l),
                l.len()
            )
        })
        .collect();
    // Oddly spaced, so that bytes made anew would differ.
    let manifest = format!(
        r#"{{ "schemaVersion": 2,  "mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{id}","size":{}}},"layers":[{}]}}"#,
        config.len(),
        entries.join(", ")
    );
    let digest = sha256(manifest.as_bytes());
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", sha256(bytes).hex());
    let mut archive = Archive::new().file(&blob(&config), &config);
    for layer in &layers {
        archive = archive.file(&blob(layer), layer);
    }
    let names: Vec<String> = layers.iter().map(|l| format!("\"{}\"", blob(l))).collect();
    let archive = archive
        .file(&blob(manifest.as_bytes()), manifest.as_bytes())
        .file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
        .file(
            "index.json",
            format!(
                r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{},"annotations":{{"io.containerd.image.name":"docker.io/library/app:latest","org.opencontainers.image.ref.name":"latest"}}}}]}}"#,
                manifest.len()
            )
            .as_bytes(),
        );
    let index_only = {
        let bytes = archive.0.into_inner().unwrap();
        Archive(tar::Builder::new(bytes[..bytes.len() - 1024].to_vec()))
    };
    let bytes = index_only.0.into_inner().unwrap();
    let harness = Harness::new();
    let loaded = load(&harness, bytes.clone()).await.unwrap();
    let image = &loaded[0].image;
    assert_eq!(loaded[0].names, ["app:latest"]);
    assert_eq!(image.record.target.digest, digest);
    assert_eq!(
        harness.store.blob_bytes(&digest, 1 << 20).unwrap(),
        manifest.as_bytes()
    );

    // The same with a manifest.json beside it, as newer engines write.
    let whole = Archive(tar::Builder::new(bytes[..bytes.len() - 1024].to_vec()))
        .file(
            "manifest.json",
            format!(
                r#"[{{"Config":"{}","RepoTags":["app:other"],"Layers":[{}]}}]"#,
                blob(&config),
                names.join(",")
            )
            .as_bytes(),
        )
        .done();
    let loaded = load(&harness, whole).await.unwrap();
    assert_eq!(loaded[0].names, ["app:other"]);
    assert_eq!(loaded[0].image.record.target.digest, digest);
    assert_eq!(loaded[0].image.id(), image.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_skopeo_writes_is_what_a_pull_brings() {
    if Command::new("skopeo").arg("--version").output().is_err() {
        eprintln!("skipped: skopeo is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    oci_layout(&layout, "v1", &layers());
    let mut ids = Vec::new();
    for (kind, name) in [("oci-archive", ":v1"), ("docker-archive", ":app:v1")] {
        let archive = folder.path().join(kind);
        let output = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet"])
            .arg(format!("oci:{}:v1", layout.display()))
            .arg(format!("{kind}:{}{name}", archive.display()))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let harness = Harness::new();
        let loaded = load(&harness, std::fs::read(&archive).unwrap())
            .await
            .unwrap();
        ids.push((
            loaded[0].image.id().clone(),
            loaded[0].image.record.layers.clone(),
        ));
    }
    let mut content = Content::default();
    let (_, id) = content.image("app", "v1", &layers());
    let server = Server::start(move |request| content.answer(request));
    let harness = Harness::new();
    let pulled = harness
        .pull(&format!("{}/app:v1", server.host()))
        .await
        .unwrap();
    assert_eq!(*pulled.image.id(), id);
    for (loaded, layers) in ids {
        assert_eq!(
            loaded, id,
            "the same layers and configuration have the same ID"
        );
        assert_eq!(layers, pulled.image.record.layers);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn platforms_in_a_layout() {
    let mut content = Content::default();
    let mut entries = Vec::new();
    for architecture in ["arm64", "amd64"] {
        let layer = tar_of(&[("arch", architecture.as_bytes())]);
        let (digest, _) = content.image_for("x", architecture, &[layer], "linux", architecture);
        let bytes = content.manifests[&format!("x:{digest}")].1.clone();
        content.blob(&bytes);
        entries.push(format!(
            r#"{{"mediaType":"{MANIFEST}","digest":"{digest}","size":{},"platform":{{"os":"linux","architecture":"{architecture}"}}}}"#,
            bytes.len()
        ));
    }
    let inner = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
        entries.join(",")
    );
    let digest = content.blob(inner.as_bytes());
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{digest}","size":{},"annotations":{{"io.containerd.image.name":"docker.io/library/multi:latest"}}}}]}}"#,
        inner.len()
    );
    let mut archive = Archive::new().file("index.json", index.as_bytes());
    for (digest, bytes) in &content.blobs {
        archive = archive.file(&format!("blobs/sha256/{}", &digest[7..]), bytes);
    }
    let archive = archive.done();
    let harness = Harness::new();
    for architecture in ["amd64", "arm64"] {
        let platform = Platform::new("linux", architecture, None);
        let reader = std::io::Cursor::new(archive.clone());
        let loaded = harness
            .images
            .load(reader, Some(platform), |_| {})
            .await
            .unwrap();
        let image = &loaded[0].image;
        let file = harness.file(image, 0, "arch");
        assert_eq!(std::fs::read(file).unwrap(), architecture.as_bytes());
        assert_eq!(
            image.record.target.digest, digest,
            "it stands for the whole index"
        );
    }
    let none = Platform::new("linux", "s390x", None);
    let reader = std::io::Cursor::new(archive);
    assert!(
        harness
            .images
            .load(reader, Some(none), |_| {})
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_that_are_none() {
    let layers = layers();
    let good = config(&layers[..1]);
    let manifest = |layers: &str, tags: &str| {
        format!(r#"[{{"Config":"c.json","RepoTags":[{tags}],"Layers":[{layers}]}}]"#)
    };
    let archive = |manifest: &str| {
        Archive::new()
            .file("a/layer.tar", &layers[0])
            .file("b/layer.tar", &layers[2])
            .file("c.json", &good)
            .file("manifest.json", manifest.as_bytes())
            .done()
    };
    let whole = archive(&manifest("\"a/layer.tar\"", ""));
    let lying_layout = {
        // The blob is not what its name says.
        let name = format!("blobs/sha256/{}", sha256(b"something else").hex());
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{CONFIG}","digest":"{}","size":{}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}}]}}"#,
            sha256(&good),
            good.len(),
            sha256(b"something else"),
            layers[0].len()
        );
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{}}}]}}"#,
            sha256(manifest.as_bytes()),
            manifest.len()
        );
        let blob = |bytes: &[u8]| format!("blobs/sha256/{}", sha256(bytes).hex());
        Archive::new()
            .file(&name, &layers[0])
            .file(&blob(&good), &good)
            .file(&blob(manifest.as_bytes()), manifest.as_bytes())
            .file("index.json", index.as_bytes())
            .done()
    };
    for (bytes, text) in [
        (b"".to_vec(), "neither manifest.json nor index.json"),
        (
            b"not a tar, but long enough to be looked at as one ".repeat(40),
            "invalid tar archive",
        ),
        (whole[..whole.len() / 2].to_vec(), "truncated"),
        (gzip(&whole)[..1000].to_vec(), ""),
        (
            tar_of(&[("x", b"y")]),
            "neither manifest.json nor index.json",
        ),
        (archive("{"), "malformed manifest.json"),
        (archive("[]"), "no image in it"),
        (
            archive(&manifest("\"nope/layer.tar\"", "")),
            "no layer \"nope/layer.tar\" in it",
        ),
        (
            archive(&manifest("\"../../a/layer.tar\"", "")),
            "invalid name",
        ),
        (
            archive(&manifest("\"a/layer.tar\",\"b/layer.tar\"", "")),
            "layers length mismatch: expected 1, got 2",
        ),
        (archive(&manifest("\"b/layer.tar\"", "")), "wrong diff id"),
        (
            archive(&manifest("\"a/layer.tar\"", "\"UPPER:x\"")),
            "must be lowercase",
        ),
        (lying_layout, "filesystem layer verification failed"),
    ] {
        let harness = Harness::new();
        let error = load(&harness, bytes).await.unwrap_err();
        assert!(chain(&error).contains(text), "{text}: {}", chain(&error));
        harness.nothing_left().await;
        assert_ne!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_images_of_which_one_is_broken() {
    let layers = layers();
    let (first, second) = (config(&layers[..1]), config(&layers[2..]));
    let archive = Archive::new()
        .file("a.tar", &layers[0])
        .file("one.json", &first)
        .file("two.json", &second)
        .file(
            "manifest.json",
            br#"[{"Config":"one.json","RepoTags":["one:1"],"Layers":["a.tar"]},
                 {"Config":"two.json","RepoTags":["two:1"],"Layers":["gone.tar"]}]"#,
        )
        .done();
    let harness = Harness::new();
    assert!(load(&harness, archive).await.is_err());
    // What came before the broken one is whole.
    assert_eq!(harness.images.get("one:1").unwrap().record.layers.len(), 1);
    assert!(harness.images.get("two:1").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_stops_coming() {
    let archive = old_archive(r#"["app:1"]"#);
    let (mut client, server) = tokio::io::duplex(64 << 10);
    let harness = Harness::new();
    let half = archive[..archive.len() / 2].to_vec();
    let writer = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        client.write_all(&half).await.unwrap();
    });
    let error = harness.images.load(server, None, |_| {}).await.unwrap_err();
    writer.await.unwrap();
    assert!(chain(&error).contains("truncated"), "{}", chain(&error));
    harness.nothing_left().await;
}

#[test]
fn archives_are_written_as_expected() {
    // Guards the tests themselves: `tar` reads what they write.
    let folder = tempfile::tempdir().unwrap();
    let path: &Path = &folder.path().join("a.tar");
    std::fs::File::create(path)
        .unwrap()
        .write_all(&old_archive("null"))
        .unwrap();
    let output = Command::new("tar").arg("tf").arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("manifest.json") && text.contains("four/layer.tar"),
        "{text}"
    );
}
