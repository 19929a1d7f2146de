//! Pulls from Debian's docker-registry and from registries that misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why it was skipped"
)]

mod harness;
#[path = "../../registry/tests/support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use harness::{Harness, News, registry_config};
use onggi_image::Error;
use onggi_model::{Digest, ErrorKind, Fault, ImageRef, chain};
use onggi_registry::{Auth, Config};
use support::{
    CONFIG, Content, DockerRegistry, INDEX, LAYER, MANIFEST, Reply, Request, Server, gzip, noise,
    oci_layout, sha256, tar_of,
};

fn three_layers() -> Vec<Vec<u8>> {
    vec![
        tar_of(&[("bin/", b""), ("bin/sh", &noise(1, 400_000))]),
        tar_of(&[("etc/", b""), ("etc/motd", b"hello\n")]),
        tar_of(&[("data", &noise(2, 900_000)), ("etc/motd", b"changed\n")]),
    ]
}

/// A registry with `app:latest`, correct unless `hook` answers.
fn registry(hook: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Server {
    let mut content = Content::default();
    content.image("app", "latest", &three_layers());
    serving(content, hook)
}

fn serving(
    content: Content,
    hook: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
) -> Server {
    Server::start(move |request| hook(request).unwrap_or_else(|| content.answer(request)))
}

#[tokio::test(flavor = "multi_thread")]
async fn from_dockers_registry() {
    let Some(registry) = DockerRegistry::start() else {
        eprintln!("skipped: docker-registry is not installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    oci_layout(folder.path(), "v1", &three_layers());
    registry.push(
        &format!("oci:{}:v1", folder.path().display()),
        "team/app:v1",
        &[],
    );
    let harness = Harness::new();
    let name = format!("{}/team/app:v1", registry.host());
    let (pulled, news) = harness.pull_told(&name).await;
    let pulled = pulled.unwrap();
    let image = &pulled.image;
    assert!(pulled.newer);
    assert_eq!(image.tags.join(" "), name);
    assert_eq!(
        image.digests,
        [format!("{}/team/app@{}", registry.host(), pulled.digest)]
    );
    let config = harness.images.config_bytes(image).unwrap();
    assert_eq!(sha256(&config), *image.id());
    let manifest = harness.store.blob_bytes(&pulled.digest, 1 << 20).unwrap();
    assert_eq!(
        sha256(&manifest),
        pulled.digest,
        "the manifest is kept as it came"
    );
    assert_eq!(image.record.blobs.len(), 3, "so are the layers");
    assert_eq!(image.record.size, 400_000 + 6 + 900_000 + 8);
    assert_eq!(
        std::fs::read(harness.file(image, 2, "etc/motd")).unwrap(),
        b"changed\n"
    );
    assert_eq!(
        std::fs::read(harness.file(image, 0, "bin/sh")).unwrap(),
        noise(1, 400_000)
    );

    // Docker's words, in Docker's order.
    assert_eq!(news[0], "v1: Pulling from team/app");
    let short = image.record.blobs.iter().map(|b| b.short().to_owned());
    for layer in short {
        let own: Vec<_> = news
            .iter()
            .filter_map(|l| l.strip_prefix(&format!("{layer}: ")))
            .collect();
        let at = |word: &str| {
            own.iter()
                .position(|l| l.starts_with(word))
                .unwrap_or_else(|| panic!("{word}: {own:?}"))
        };
        let words = [
            "Pulling fs layer",
            "Verifying Checksum",
            "Download complete",
            "Extracting",
            "Pull complete",
        ];
        assert!(
            words.windows(2).all(|pair| at(pair[0]) < at(pair[1])),
            "{own:?}"
        );
        assert_eq!(own.last(), Some(&"Pull complete"));
    }
    assert_eq!(news[news.len() - 2], format!("Digest: {}", pulled.digest));
    assert_eq!(
        news[news.len() - 1],
        format!("Status: Downloaded newer image for {name}")
    );

    let (again, news) = harness.pull_told(&name).await;
    assert!(!again.unwrap().newer);
    assert_eq!(
        news,
        [
            "v1: Pulling from team/app".to_owned(),
            format!("Digest: {}", pulled.digest),
            format!("Status: Image is up to date for {name}"),
        ]
    );
    let report = harness.store.check(onggi_store::Depth::Content).unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_transaction_and_one_sync_for_a_pull() {
    let server = registry(|_| None);
    let harness = Harness::new();
    let (syncs, files) = (harness.store.syncs(), harness.store.file_syncs());
    harness
        .pull(&format!("{}/app", server.host()))
        .await
        .unwrap();
    assert_eq!(harness.store.syncs() - syncs, 1);
    assert_eq!(harness.store.file_syncs() - files, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_up_to_date_image_costs_one_head() {
    let server = registry(|_| None);
    let harness = Harness::new();
    let name = format!("{}/app", server.host());
    harness.pull(&name).await.unwrap();
    let before = server.requests().len();
    harness.pull(&name).await.unwrap();
    assert_eq!(server.requests().len() - before, 1);
    assert_eq!(server.count("HEAD", "/manifests/latest"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_at_the_same_time_fetch_once() {
    let server = registry(|_| None);
    let harness = Harness::new();
    let name = format!("{}/app", server.host());
    let pulls = (0..6).map(|_| harness.pull(&name));
    for pulled in futures_util::future::join_all(pulls).await {
        pulled.unwrap();
    }
    for request in server.requests().iter().filter(|r| r.method == "GET") {
        if request.path().contains("/blobs/") {
            let layer = server.count("GET", request.path());
            let config = harness.images.list(&Default::default()).unwrap()[0]
                .id()
                .to_string();
            assert!(
                layer == 1 || request.path().ends_with(&config),
                "{request:?}"
            );
        }
    }
    assert_eq!(harness.store.images().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_blob_twice_in_one_image_and_shared_layers() {
    let mut content = Content::default();
    let layers = three_layers();
    let twice = vec![
        layers[0].clone(),
        layers[1].clone(),
        layers[0].clone(),
        layers[1].clone(),
    ];
    content.image("twice", "latest", &twice);
    content.image("base", "latest", &layers[..1]);
    let server = serving(content, |_| None);
    let harness = Harness::new();
    harness
        .pull(&format!("{}/base", server.host()))
        .await
        .unwrap();
    let (pulled, news) = harness.pull_told(&format!("{}/twice", server.host())).await;
    let image = pulled.unwrap().image;
    assert_eq!(image.record.layers.len(), 4);
    assert_eq!(image.record.size, 2 * (400_000 + 6));
    assert!(
        news.iter().any(|line| line.ends_with(": Already exists")),
        "{news:?}"
    );
    for layer in &layers[..2] {
        assert_eq!(server.count("GET", sha256(&gzip(layer)).hex()), 1);
    }
    assert_eq!(
        std::fs::read(harness.file(&image, 3, "etc/motd")).unwrap(),
        b"hello\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn platforms_of_an_index() {
    let mut content = Content::default();
    let mut entries = Vec::new();
    for (os, architecture) in [("linux", "arm64"), ("linux", "amd64"), ("windows", "amd64")] {
        let layer = tar_of(&[("arch", architecture.as_bytes())]);
        let (digest, _) = content.image_for("app", architecture, &[layer], os, architecture);
        let size = content.manifests[&format!("app:{digest}")].1.len();
        entries.push(format!(
            r#"{{"mediaType":"{MANIFEST}","digest":"{digest}","size":{size},"platform":{{"os":"{os}","architecture":"{architecture}"}}}}"#
        ));
    }
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#,
        entries.join(",")
    );
    let digest = content.manifest("app", "latest", INDEX, index.as_bytes());
    let server = serving(content, |_| None);
    let harness = Harness::new();
    let name = format!("{}/app:latest", server.host());
    let host = harness.pull_for(&name, Some("linux/amd64")).await.unwrap();
    assert_eq!(
        std::fs::read(harness.file(&host.image, 0, "arch")).unwrap(),
        b"amd64"
    );
    assert_eq!(host.digest, digest, "the reference stands for the index");
    assert_eq!(host.image.record.target.media_type, INDEX);
    assert_eq!(
        harness.store.blob_bytes(&digest, 1 << 20).unwrap(),
        index.as_bytes()
    );
    // All are told; only one is here, and that one first.
    let told = |image: &onggi_image::Image| -> Vec<String> {
        let manifests = harness.images.manifests(image).unwrap();
        let line = |manifest: onggi_image::ImageManifest| match manifest.kind {
            onggi_image::ManifestKind::Image { platform, id, .. } => {
                let (os, architecture) = (platform.os, platform.architecture);
                let (here, content) = (id.is_some(), manifest.content > 0);
                format!(
                    "{os}/{architecture} {} {here} {content}",
                    manifest.available
                )
            }
            other => format!("{other:?}"),
        };
        manifests.into_iter().map(line).collect()
    };
    let gone = [
        "linux/arm64 false false false",
        "windows/amd64 false false false",
    ];
    assert_eq!(told(&host.image)[0], "linux/amd64 true true true");
    assert_eq!(told(&host.image)[1..], gone);
    let other = harness.pull_for(&name, Some("linux/arm64")).await.unwrap();
    assert_eq!(other.image.platform().to_string(), "linux/arm64");
    assert!(other.newer);
    assert_eq!(
        other.image.tags.join(" "),
        name,
        "the name is the newer one's"
    );
    let error = harness
        .pull_for(&name, Some("linux/s390x"))
        .await
        .unwrap_err();
    assert_eq!(
        chain(&error),
        "no matching manifest for linux/s390x in the manifest list entries: \
         no match for platform in manifest: not found"
    );
    assert_eq!(error.kind(), ErrorKind::NotFound);

    // A single manifest for another machine is kept, unless this one was asked for.
    let single = format!("{}/app:arm64", server.host());
    assert_eq!(
        harness
            .pull(&single)
            .await
            .unwrap()
            .image
            .platform()
            .to_string(),
        "linux/arm64"
    );
    let error = harness
        .pull_for(&single, Some("linux/amd64"))
        .await
        .unwrap_err();
    assert!(
        chain(&error).contains("does not match the specified platform"),
        "{error}"
    );
    let by_digest = format!("{}/app@{digest}", server.host());
    let pulled = harness
        .pull_for(&by_digest, Some("linux/amd64"))
        .await
        .unwrap();
    assert!(pulled.image.digests.contains(&by_digest));
}

/// Pulls `app` from a registry that misbehaves: the error, and nothing is left.
async fn refused(server: &Server) -> Error {
    let harness = Harness::new();
    let error = harness
        .pull(&format!("{}/app", server.host()))
        .await
        .unwrap_err();
    harness.nothing_left().await;
    error
}

/// The blob of the last layer.
fn is_last_layer(request: &Request) -> bool {
    static DIGEST: OnceLock<Digest> = OnceLock::new();
    let digest = DIGEST.get_or_init(|| sha256(&gzip(&three_layers()[2])));
    request.path().ends_with(digest.hex())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_with_other_bytes() {
    let other = gzip(&tar_of(&[
        ("data", &noise(3, 900_000)),
        ("etc/motd", b"changed\n"),
    ]));
    let right = gzip(&three_layers()[2]);
    // Of the same size, so that only the digest tells.
    let mut same_size = other;
    same_size.resize(right.len(), 0);
    let server =
        registry(move |request| is_last_layer(request).then(|| Reply::new(200, same_size.clone())));
    let error = refused(&server).await;
    let digest = sha256(&right);
    assert_eq!(
        chain(&error),
        format!("filesystem layer verification failed for digest {digest}")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_breaks_off_once_and_one_that_always_does() {
    let right = gzip(&three_layers()[2]);
    let tries = Arc::new(AtomicUsize::new(0));
    let (body, counter) = (right.clone(), tries.clone());
    let server = registry(move |request| {
        (is_last_layer(request) && counter.fetch_add(1, Ordering::Relaxed) == 0)
            .then(|| Reply::new(200, &body[..300_000]).announcing(body.len() as u64))
    });
    let harness = Harness::new();
    harness
        .pull(&format!("{}/app", server.host()))
        .await
        .unwrap();
    assert_eq!(tries.load(Ordering::Relaxed), 2);
    let ranged = server
        .requests()
        .into_iter()
        .filter(is_last_layer)
        .nth(1)
        .unwrap();
    assert_eq!(ranged.header("range"), Some("bytes=300000-"));

    let server = registry(move |request| {
        is_last_layer(request)
            .then(|| Reply::new(200, &right[..1000]).announcing(right.len() as u64))
    });
    let error = refused(&server).await;
    assert!(
        chain(&error).ends_with("unexpected EOF"),
        "{}",
        chain(&error)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_a_broken_disk() {
    let server = registry(|request| is_last_layer(request).then(|| Reply::new(500, "")));
    let error = refused(&server).await;
    assert!(
        chain(&error).contains("received unexpected HTTP status: 500"),
        "{}",
        chain(&error)
    );
    let server = registry(|request| is_last_layer(request).then(|| Reply::new(404, "")));
    assert_eq!(refused(&server).await.kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_falls_silent() {
    let right = gzip(&three_layers()[2]);
    let server = registry(move |request| {
        is_last_layer(request).then(|| {
            Reply::new(200, &right[..1000])
                .announcing(right.len() as u64)
                .stalling()
        })
    });
    let harness = Harness::with(Config {
        attempts: 2,
        stall_timeout: Duration::from_millis(300),
        ..registry_config()
    });
    let error = harness
        .pull(&format!("{}/app", server.host()))
        .await
        .unwrap_err();
    assert!(chain(&error).contains("timeout"), "{}", chain(&error));
    harness.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_pull_leaves_nothing() {
    let right = gzip(&three_layers()[2]);
    let stalled = Arc::new(AtomicBool::new(false));
    let seen = stalled.clone();
    let server = registry(move |request| {
        is_last_layer(request).then(|| {
            seen.store(true, Ordering::Relaxed);
            Reply::new(200, &right[..500_000])
                .announcing(right.len() as u64)
                .stalling()
        })
    });
    let harness = Harness::with(Config {
        stall_timeout: Duration::from_secs(600),
        ..registry_config()
    });
    let name = format!("{}/app", server.host());
    {
        let pull = harness.pull(&name);
        let mut pull = std::pin::pin!(pull);
        while !stalled.load(Ordering::Relaxed) {
            let soon = tokio::time::timeout(Duration::from_millis(20), &mut pull).await;
            assert!(soon.is_err(), "it stalls");
        }
        assert!(!harness.left().is_empty(), "in the middle of it");
    }
    harness.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_pull_goes_on_when_the_first_is_abandoned() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    let server = registry(move |request| {
        while is_last_layer(request) && !gate.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    });
    let config = Config {
        stall_timeout: Duration::from_secs(600),
        ..registry_config()
    };
    let harness = Harness::with(config);
    let name = format!("{}/app", server.host());
    let (first, second) = (Arc::new(harness), News::default());
    let task = tokio::spawn({
        let (harness, name) = (first.clone(), name.clone());
        async move { harness.pull(&name).await }
    });
    while server
        .requests()
        .iter()
        .filter(|r| is_last_layer(r))
        .count()
        == 0
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let reference = ImageRef::parse(&name).unwrap();
    let auth = Auth::anonymous();
    let pull = first.images.pull(&reference, None, &auth, second.sink());
    let mut pull = std::pin::pin!(pull);
    while !second
        .lines()
        .iter()
        .any(|line| line.ends_with("Pulling fs layer"))
    {
        let _ = tokio::time::timeout(Duration::from_millis(20), &mut pull).await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    open.store(true, Ordering::Relaxed);
    pull.await.unwrap();
    assert_eq!(
        server
            .requests()
            .iter()
            .filter(|r| is_last_layer(r))
            .count(),
        1
    );
}

/// A registry with one hand-made image.
fn made(config: &str, config_type: &str, layers: &[Vec<u8>]) -> Server {
    let mut content = Content::default();
    let id = content.blob(config.as_bytes());
    let entries: Vec<String> = layers
        .iter()
        .map(|layer| {
            let digest = content.blob(layer);
            format!(
                r#"{{"mediaType":"{LAYER}","digest":"{digest}","size":{}}}"#,
                layer.len()
            )
        })
        .collect();
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"{config_type}","digest":"{id}","size":{}}},"layers":[{}]}}"#,
        config.len(),
        entries.join(",")
    );
    content.manifest("app", "latest", MANIFEST, manifest.as_bytes());
    serving(content, |_| None)
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_contradict_themselves() {
    let layer = gzip(&tar_of(&[("x", b"y")]));
    let config = |os: &str, diff_ids: &str| {
        format!(
            r#"{{"architecture":"amd64","os":"{os}","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}"#
        )
    };
    let wrong = format!("\"{}\"", sha256(b"another tar"));
    let layers = std::slice::from_ref(&layer);
    for (config, config_type, text) in [
        (
            config("linux", &wrong),
            CONFIG,
            "wrong diff id calculated on extraction",
        ),
        (
            config("linux", ""),
            CONFIG,
            "layers from manifest don't match image configuration",
        ),
        (
            config("windows", &wrong),
            CONFIG,
            "operating system is not supported",
        ),
        (
            "{}".to_owned(),
            "application/vnd.cncf.helm.config.v1+json",
            "Encountered remote \"application/vnd.cncf.helm.config.v1+json\"(unknown) when fetching",
        ),
        (
            "{}".to_owned(),
            "application/vnd.docker.plugin.v1+json",
            "Encountered remote \"application/vnd.docker.plugin.v1+json\"(plugin) when fetching",
        ),
        ("not json".to_owned(), CONFIG, "malformed image document"),
    ] {
        let error = refused(&made(&config, config_type, layers)).await;
        assert!(chain(&error).contains(text), "{}", chain(&error));
    }
    // Right digest, but no tar.
    let nonsense = gzip(
        b"this is no tar at all, whatever its digest says "
            .repeat(100)
            .as_slice(),
    );
    let server = made(&config("linux", &wrong), CONFIG, &[nonsense]);
    let error = refused(&server).await;
    assert!(
        chain(&error).starts_with("failed to register layer: "),
        "{}",
        chain(&error)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_climbs_out() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    // The tar crate refuses such names, so they are written by hand.
    header.as_old_mut().name[..16].copy_from_slice(b"../../../escaped");
    header.set_cksum();
    builder.append(&header, &b"evil"[..]).unwrap();
    let tar = builder.into_inner().unwrap();
    let mut content = Content::default();
    content.image("app", "latest", &[tar]);
    let server = serving(content, |_| None);
    let harness = Harness::new();
    let outcome = harness.pull(&format!("{}/app", server.host())).await;
    for above in [".", "..", "../..", "../../.."] {
        let place = harness
            .store
            .path()
            .join("layers/1")
            .join(above)
            .join("escaped");
        let inside = above == "." && place.exists();
        assert!(inside || !place.exists(), "{}", place.display());
    }
    if outcome.is_err() {
        harness.nothing_left().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_nobody_may_use_and_registries_that_are_down() {
    let harness = Harness::new();
    let error = harness.pull("scratch").await.unwrap_err();
    assert_eq!(error.to_string(), "'scratch' is a reserved name");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap();
    drop(listener);
    let error = harness.pull(&format!("{host}/app")).await.unwrap_err();
    assert_eq!(
        chain(&error),
        format!("Get \"http://{host}/v2/\": dial tcp {host}: connect: connection refused")
    );
    harness.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_of_the_hub() {
    let mut content = Content::default();
    content.image("library/busybox", "latest", &three_layers());
    let server = serving(content, |_| None);
    let harness = Harness::with(Config {
        mirrors: vec![server.url("")],
        ..registry_config()
    });
    let (pulled, news) = harness.pull_told("busybox").await;
    assert_eq!(pulled.unwrap().image.tags, ["busybox:latest"]);
    assert_eq!(news[0], "latest: Pulling from library/busybox");
    assert_eq!(
        news.last().unwrap(),
        "Status: Downloaded newer image for busybox:latest"
    );
}

/// A disk of 3 MiB, in a mount namespace of its own: this program runs itself there.
#[test]
fn a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg("mount -t tmpfs -o size=3m tmpfs \"$1\" && shift && exec \"$@\"")
        .arg("sh")
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "on_a_full_disk", "--ignored", "--nocapture"])
        .env("ONGGI_SMALL_DISK", folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by a_full_disk on a small disk"]
async fn on_a_full_disk() {
    let disk = std::env::var("ONGGI_SMALL_DISK").unwrap();
    let mut content = Content::default();
    content.image("app", "latest", &[tar_of(&[("big", &noise(5, 8 << 20))])]);
    content.image("small", "latest", &[tar_of(&[("small", b"x")])]);
    let server = serving(content, |_| None);
    let harness = Harness::at(&std::path::Path::new(&disk).join("root"), registry_config());
    let error = harness
        .pull(&format!("{}/app", server.host()))
        .await
        .unwrap_err();
    assert!(
        chain(&error).ends_with("no space left on device"),
        "{}",
        chain(&error)
    );
    assert!(error.hint().unwrap().contains("full"));
    harness.nothing_left().await;
    harness
        .pull(&format!("{}/small", server.host()))
        .await
        .unwrap();
}
