//! Pushes to Debian's docker-registry and to one that misbehaves, and archives that go out and come back.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why it was skipped"
)]

mod harness;
#[path = "../../registry/tests/support/mod.rs"]
mod support;

use std::sync::Mutex;

use harness::{Harness, News};
use onggi_image::{Error, Image, Import};
use onggi_model::{ImageRef, chain};
use onggi_registry::Auth;
use support::{DockerRegistry, Reply, Request, Server, noise, tar_of, unknown};

/// An image of one layer that is not compressed, as `import` makes it.
async fn imported(harness: &Harness, name: &str, size: usize) -> Image {
    let tar = tar_of(&[("file", &noise(7, size))]);
    let import = Import {
        reference: Some(ImageRef::parse(name).unwrap()),
        ..Import::default()
    };
    let reader = std::io::Cursor::new(tar);
    harness.images.import(reader, import).await.unwrap()
}

async fn push(harness: &Harness, name: &str) -> (Result<usize, Error>, Vec<String>) {
    let reference = ImageRef::parse_untagged(name).unwrap();
    let news = News::default();
    let sink = news.sink();
    let pushed = harness
        .images
        .push(&reference, None, &Auth::anonymous(), sink)
        .await
        .map(|pushed| pushed.len());
    let mut lines = news.lines();
    lines.retain(|line| !line.contains(": Pushing "));
    (pushed, lines)
}

#[tokio::test]
async fn to_dockers_registry_and_back() {
    let Some(registry) = DockerRegistry::start() else {
        eprintln!("skipped: docker-registry is not installed");
        return;
    };
    let host = registry.host();
    let here = Harness::new();
    let first = format!("{host}/team/app:v1");
    let image = imported(&here, &first, 3_000_000).await;
    let diff_id = image.config.rootfs.diff_ids[0].short().to_owned();

    let (pushed, lines) = push(&here, &first).await;
    pushed.unwrap();
    let record = here.images.get(&first).unwrap().record;
    let (digest, size) = (record.target.digest.clone(), record.target.size);
    assert_eq!(
        lines,
        [
            format!("The push refers to repository [{host}/team/app]"),
            format!("{diff_id}: Preparing"),
            format!("{diff_id}: Pushed"),
            format!("v1: digest: {digest} size: {size}"),
            format!("aux v1 {digest} {size}"),
        ]
    );
    // The compressed layer took the place of the plain one, and the name by digest is known.
    assert_eq!(record.id, *image.id());
    assert_eq!(record.blobs.len(), 1);
    assert!(
        record
            .repo_digests
            .contains(&format!("{host}/team/app@{digest}"))
    );
    let report = here.store.check(onggi_store::Depth::Content).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);

    // What is there is not sent again, under whatever name.
    let (pushed, lines) = push(&here, &first).await;
    pushed.unwrap();
    assert_eq!(lines[2], format!("{diff_id}: Layer already exists"));
    let other = format!("{host}/other/app:v2");
    here.images
        .tag(&first, &ImageRef::parse(&other).unwrap())
        .unwrap();
    let (pushed, lines) = push(&here, &other).await;
    pushed.unwrap();
    assert_eq!(lines[2], format!("{diff_id}: Mounted from team/app"));

    // Without a tag, all of them.
    here.images
        .tag(
            &first,
            &ImageRef::parse(&format!("{host}/team/app:v3")).unwrap(),
        )
        .unwrap();
    let (pushed, lines) = push(&here, &format!("{host}/team/app")).await;
    pushed.unwrap();
    assert!(lines.contains(&format!("aux v1 {digest} {size}")));
    assert!(lines.contains(&format!("aux v3 {digest} {size}")));

    let there = Harness::new();
    let pulled = there.pull(&format!("{host}/team/app:v3")).await.unwrap();
    assert_eq!(
        (pulled.image.id(), &pulled.digest),
        (image.id(), &digest),
        "the same on the other side"
    );
    // What was pulled goes on as it came.
    let far = format!("{host}/far/app:v1");
    there
        .images
        .tag(
            &format!("{host}/team/app:v3"),
            &ImageRef::parse(&far).unwrap(),
        )
        .unwrap();
    let (pushed, lines) = push(&there, &far).await;
    pushed.unwrap();
    assert_eq!(lines.last().unwrap(), &format!("aux v1 {digest} {size}"));

    for (name, text) in [
        (
            "team/app:nope",
            format!("tag does not exist: {host}/team/app:nope"),
        ),
        (
            "team/nothing:v1",
            format!("An image does not exist locally with the tag: {host}/team/nothing"),
        ),
    ] {
        let (pushed, _) = push(&here, &format!("{host}/{name}")).await;
        assert_eq!(chain(&pushed.unwrap_err()), text);
    }
}

#[tokio::test]
async fn all_tags_of_an_image_that_was_never_pushed() {
    let Some(registry) = DockerRegistry::start() else {
        eprintln!("skipped: docker-registry is not installed");
        return;
    };
    let harness = Harness::new();
    let name = format!("{}/app", registry.host());
    imported(&harness, &format!("{name}:a"), 100_000).await;
    for tag in ["b", "c"] {
        let target = ImageRef::parse(&format!("{name}:{tag}")).unwrap();
        harness.images.tag(&format!("{name}:a"), &target).unwrap();
    }
    let (pushed, lines) = push(&harness, &name).await;
    assert_eq!(pushed.unwrap(), 3, "{lines:?}");
    let there = Harness::new();
    for tag in ["a", "b", "c"] {
        there.pull(&format!("{name}:{tag}")).await.unwrap();
    }
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke_off() {
    // Half of the layer arrives, then the registry has a bad moment.
    let half = 1_500_000;
    let broken = Mutex::new(false);
    let server = Server::start(move |request: &Request| {
        let place = "/v2/app/blobs/uploads/session";
        match (request.method.as_str(), request.path()) {
            (_, "/v2/") => Reply::new(200, "{}"),
            ("HEAD", _) => unknown("BLOB_UNKNOWN", "blob unknown to registry"),
            ("POST", _) => Reply::new(202, "").with("Location", place),
            ("GET", _) => Reply::new(204, "")
                .with("Location", place)
                .with("Range", format!("0-{}", half - 1)),
            ("PATCH", _) if !std::mem::replace(&mut *broken.lock().unwrap(), true) => {
                Reply::new(503, "")
            }
            ("PATCH", _) => Reply::new(202, "").with("Location", place),
            _ => Reply::new(201, ""),
        }
    });
    let harness = Harness::new();
    let name = format!("{}/app:v1", server.host());
    imported(&harness, &name, 3_000_000).await;
    let (pushed, _) = push(&harness, &name).await;
    pushed.unwrap();
    let requests = server.requests();
    let ranges: Vec<_> = requests
        .iter()
        .filter(|request| request.method == "PATCH")
        .map(|request| {
            (
                request.header("content-range").unwrap().to_owned(),
                request
                    .header("content-length")
                    .unwrap()
                    .parse::<u64>()
                    .unwrap(),
            )
        })
        .collect();
    let record = harness.images.get(&name).unwrap().record;
    let blob = record.blobs.iter().next().unwrap();
    let size = harness.store.blob_size(blob).unwrap().unwrap();
    assert_eq!(
        ranges,
        [
            (format!("0-{}", size - 1), size),
            (format!("{half}-{}", size - 1), size - half),
        ]
    );
    let sealed = |request: &&Request| {
        request.method == "PUT" && request.target.contains(&format!("digest={}", blob.hex()))
            || request
                .target
                .contains(&format!("digest=sha256%3A{}", blob.hex()))
    };
    assert_eq!(requests.iter().filter(sealed).count(), 1);
}

#[tokio::test]
async fn registries_that_refuse() {
    let denied =
        r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
    for (status, body, text) in [
        (
            403,
            denied,
            "denied: requested access to the resource is denied",
        ),
        (
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
            "unauthorized: authentication required",
        ),
        (
            500,
            "",
            "received unexpected HTTP status: 500 Internal Server Error",
        ),
    ] {
        let server = Server::start(move |request: &Request| match request.method.as_str() {
            "HEAD" => unknown("BLOB_UNKNOWN", "blob unknown to registry"),
            "POST" => Reply::new(status, body).with("Content-Type", "application/json"),
            _ => Reply::new(200, "{}"),
        });
        let harness = Harness::new();
        let name = format!("{}/app:v1", server.host());
        imported(&harness, &name, 10).await;
        let (pushed, _) = push(&harness, &name).await;
        assert_eq!(chain(&pushed.unwrap_err()), text);
        let tries = if status == 500 { 3 } else { 1 };
        // And one that asks for the blob and a place for it at once.
        assert_eq!(server.count("POST", "uploads"), tries + 1, "{status}");
    }
}

#[tokio::test]
async fn uploads_do_not_lead_into_this_machine() {
    // A registry that is not on this machine must not send us to what is; one that is may. Here only the latter can be
    // tried: the place is another port, which gets no credentials.
    let store = Server::start(|_: &Request| Reply::new(201, ""));
    let place = store.url("/elsewhere");
    let server = Server::start(move |request: &Request| {
        let asked = Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\"");
        match request.method.as_str() {
            _ if request.authorization().is_none() => asked,
            "HEAD" => unknown("BLOB_UNKNOWN", "blob unknown to registry"),
            "POST" => Reply::new(202, "").with("Location", place.clone()),
            _ => Reply::new(201, ""),
        }
    });
    let harness = Harness::new();
    let name = format!("{}/app:v1", server.host());
    imported(&harness, &name, 10).await;
    let reference = ImageRef::parse(&name).unwrap();
    harness
        .images
        .push(&reference, None, &Auth::basic("me", "secret"), |_| {})
        .await
        .unwrap();
    let elsewhere = store.requests();
    assert_eq!(elsewhere.len(), 2, "the layer and the configuration");
    assert!(
        elsewhere
            .iter()
            .all(|request| request.authorization().is_none())
    );
}

#[tokio::test]
async fn what_is_saved_comes_back_the_same() {
    let here = Harness::new();
    let first = imported(&here, "app:v1", 200_000).await;
    here.images
        .tag("app:v1", &ImageRef::parse("app:v2").unwrap())
        .unwrap();
    let other = imported(&here, "other", 100).await;
    let archive = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut bytes = Vec::new();
        let saving = here.images.saving(&names, None).unwrap();
        saving.write(&mut bytes).unwrap();
        bytes
    };
    let bytes = archive(&["app", "other:latest"]);
    assert!(
        bytes == archive(&["app", "other:latest"]),
        "always the same bytes"
    );
    let there = Harness::new();
    let load = |bytes: Vec<u8>| there.images.load(std::io::Cursor::new(bytes), None, |_| {});
    let loaded = load(bytes).await.unwrap();
    let names: Vec<_> = loaded.iter().map(|one| one.names.clone()).collect();
    assert_eq!(names, [vec!["app:v1", "app:v2"], vec!["other:latest"]]);
    assert_eq!(loaded[0].image.id(), first.id());
    assert_eq!(
        loaded[0].image.record.target.digest,
        first.record.target.digest
    );
    assert_eq!(loaded[1].image.id(), other.id());

    // One tag, and an ID, which has no name.
    let there = Harness::new();
    let load = |bytes: Vec<u8>| there.images.load(std::io::Cursor::new(bytes), None, |_| {});
    let loaded = load(archive(&["app:v2", other.id().as_str()]))
        .await
        .unwrap();
    let names: Vec<_> = loaded.iter().map(|one| one.names.clone()).collect();
    assert_eq!(names, [vec!["app:v2".to_owned()], vec![]]);

    let missing = here.images.saving(&["nothing:at-all".to_owned()], None);
    assert_eq!(
        chain(&missing.unwrap_err()),
        "No such image: nothing:at-all"
    );
}
