//! Import, names, lists, and removing by Docker's rules.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why it was skipped"
)]

mod harness;
#[path = "../../registry/tests/support/mod.rs"]
mod support;

use harness::Harness;
use onggi_image::{Deleted, Error, Image, Import, RemoveOptions, Use};
use onggi_model::{Digest, ErrorKind, Fault, Filters, ImageRef, Platform, chain};
use support::{Content, Server, gzip, sha256, tar_of};

const FORCE: RemoveOptions = RemoveOptions {
    force: true,
    no_prune: false,
};
const PLAIN: RemoveOptions = RemoveOptions {
    force: false,
    no_prune: false,
};

async fn import(harness: &Harness, name: &str, file: &str, changes: &[&str]) -> Image {
    let import = Import {
        reference: (!name.is_empty()).then(|| ImageRef::parse(name).unwrap()),
        changes: changes.iter().map(|c| (*c).to_owned()).collect(),
        ..Import::default()
    };
    let tar = tar_of(&[(file, file.as_bytes())]);
    harness
        .images
        .import(std::io::Cursor::new(tar), import)
        .await
        .unwrap()
}

fn remove(harness: &Harness, name: &str, options: RemoveOptions) -> Result<Vec<Deleted>, String> {
    used(harness, name, options, &[])
}

fn used(
    harness: &Harness,
    name: &str,
    options: RemoveOptions,
    uses: &[(&str, bool)],
) -> Result<Vec<Deleted>, String> {
    let uses: Vec<Use> = uses
        .iter()
        .map(|(container, running)| Use {
            container: container.repeat(64),
            running: *running,
        })
        .collect();
    harness
        .images
        .remove(name, options, &|_: &Digest| uses.clone())
        .map_err(|error| {
            assert!(
                matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound),
                "{error}"
            );
            chain(&error)
        })
}

fn untagged(name: &str) -> Deleted {
    Deleted::Untagged(name.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tar_becomes_an_image() {
    let harness = Harness::new();
    let tar = tar_of(&[("bin/", b""), ("bin/sh", b"#!"), ("etc/", b"")]);
    let import = Import {
        reference: Some(ImageRef::parse("debian:bookworm").unwrap()),
        changes: vec!["CMD [\"sh\"]".into(), "ENV A=b".into()],
        message: String::new(),
        platform: Some(Platform::new("linux", "arm64", None)),
    };
    let source = std::io::Cursor::new(gzip(&tar));
    let image = harness.images.import(source, import.clone()).await.unwrap();
    assert_eq!(image.tags, ["debian:bookworm"]);
    assert_eq!(
        image.config.config.cmd.as_deref(),
        Some(&["sh".to_owned()][..])
    );
    assert_eq!(image.config.config.env, ["A=b"]);
    assert_eq!(image.config.rootfs.diff_ids, [sha256(&tar)]);
    assert_eq!(image.config.comment.as_deref(), Some("Imported from -"));
    assert_eq!(image.platform().to_string(), "linux/arm64");
    assert!(harness.file(&image, 0, "bin/sh").exists());
    let history = harness.images.history(&image).unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(
        (history[0].comment.as_str(), history[0].size),
        ("Imported from -", 2)
    );
    assert_eq!(history[0].id.as_ref(), Some(image.id()));
    assert!(
        harness
            .store
            .check(onggi_store::Depth::Content)
            .unwrap()
            .is_clean()
    );

    // Nothing is read when something else is wrong, and nothing stays.
    let harness = Harness::new();
    let wrong = Import {
        changes: vec!["RUN x".into()],
        ..import.clone()
    };
    let error = harness
        .images
        .import(std::io::Cursor::new(tar), wrong)
        .await
        .unwrap_err();
    assert_eq!(chain(&error), "run is not a valid change command");
    let garbage = std::io::Cursor::new(vec![7; 4096]);
    let error = harness.images.import(garbage, import).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidParameter, "{error}");
    harness.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn found_by_all_its_names() {
    let mut content = Content::default();
    content.image("app", "latest", &[tar_of(&[("x", b"y")])]);
    let server = Server::start(move |request| content.answer(request));
    let harness = Harness::new();
    let pulled = harness
        .pull(&format!("{}/app", server.host()))
        .await
        .unwrap();
    let id = pulled.image.id().clone();
    let by_digest = format!("{}/app@{}", server.host(), pulled.digest);
    for name in [
        format!("{}/app", server.host()),
        format!("{}/app:latest", server.host()),
        by_digest.clone(),
        format!("{}/app:latest@{}", server.host(), pulled.digest),
        id.to_string(),
        id.hex().to_owned(),
        id.short().to_owned(),
        format!("sha256:{}", id.short()),
        id.hex()[..4].to_owned(),
    ] {
        assert_eq!(*harness.images.get(&name).unwrap().id(), id, "{name}");
    }
    for (name, text) in [
        ("nosuch", "No such image: nosuch:latest"),
        ("nosuch:1", "No such image: nosuch:1"),
        (
            &"0".repeat(64),
            &format!("No such image: {}", "0".repeat(64)),
        ),
    ] {
        let error = harness.images.get(name).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.kind()),
            (text, ErrorKind::NotFound)
        );
    }
    let error = harness.images.get("In Valid").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidParameter);

    // More images until two IDs begin alike.
    let mut first: Vec<String> = vec![id.hex()[..1].to_owned()];
    let ambiguous = loop {
        let image = import(&harness, "", &format!("file{}", first.len()), &[]).await;
        let digit = image.id().hex()[..1].to_owned();
        if first.contains(&digit) {
            break digit;
        }
        first.push(digit);
    };
    let error = harness.images.get(&ambiguous).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("multiple IDs found with provided prefix: {ambiguous}")
    );
    // A name that looks like the beginning of an ID is a name first.
    let target = ImageRef::parse(&ambiguous).unwrap();
    harness.images.tag(id.as_str(), &target).unwrap();
    assert_eq!(*harness.images.get(&ambiguous).unwrap().id(), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_move() {
    let harness = Harness::new();
    let one = import(&harness, "one", "1", &[]).await;
    let two = import(&harness, "two", "2", &[]).await;
    let tagged = harness
        .images
        .tag("one", &ImageRef::parse("two").unwrap())
        .unwrap();
    assert_eq!(tagged.tags, ["one:latest", "two:latest"]);
    assert_eq!(harness.images.get("two").unwrap().id(), one.id());
    assert!(
        harness
            .images
            .get(two.id().as_str())
            .unwrap()
            .tags
            .is_empty()
    );
    let digest = ImageRef::parse(&format!("x@{}", one.id())).unwrap();
    let error = harness.images.tag("one", &digest).unwrap_err();
    assert_eq!(
        error.to_string(),
        "refusing to create a tag with a digest reference"
    );
    let error = harness
        .images
        .tag("nosuch", &ImageRef::parse("x").unwrap())
        .unwrap_err();
    assert_eq!(error.to_string(), "No such image: nosuch:latest");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_go_one_by_one_and_the_last_takes_the_image() {
    let harness = Harness::new();
    let image = import(&harness, "app:1", "x", &[]).await;
    harness
        .images
        .tag("app:1", &ImageRef::parse("app:2").unwrap())
        .unwrap();
    harness
        .images
        .tag("app:1", &ImageRef::parse("other/app:1").unwrap())
        .unwrap();
    assert_eq!(
        remove(&harness, "app:1", PLAIN).unwrap(),
        [untagged("app:1")]
    );
    let short = image.id().short().to_owned();
    assert_eq!(
        remove(&harness, &short, PLAIN).unwrap_err(),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
    );
    assert_eq!(
        remove(&harness, "other/app:1", PLAIN).unwrap(),
        [untagged("other/app:1")]
    );
    let gone = remove(&harness, "app:2", PLAIN).unwrap();
    assert_eq!(
        gone,
        [
            untagged("app:2"),
            Deleted::Deleted(image.id().to_string()),
            Deleted::Deleted(image.record.layers[0].to_string()),
        ]
    );
    harness.nothing_left().await;
    assert_eq!(
        remove(&harness, "app:2", PLAIN).unwrap_err(),
        "No such image: app:2"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_takes_all_names_of_one_repository() {
    let mut content = Content::default();
    content.image("app", "1", &[tar_of(&[("x", b"y")])]);
    let server = Server::start(move |request| content.answer(request));
    let harness = Harness::new();
    let pulled = harness
        .pull(&format!("{}/app:1", server.host()))
        .await
        .unwrap();
    let id = pulled.image.id().to_string();
    let tag = format!("{}/app:1", server.host());
    let digest = format!("{}/app@{}", server.host(), pulled.digest);
    let gone = remove(&harness, &id, PLAIN).unwrap();
    assert_eq!(
        gone[..3],
        [untagged(&tag), untagged(&digest), Deleted::Deleted(id)]
    );
    harness.nothing_left().await;

    // The last tag of a repository takes its names by digest along.
    harness.pull(&tag).await.unwrap();
    let gone = remove(&harness, &tag, PLAIN).unwrap();
    assert_eq!(gone[..2], [untagged(&tag), untagged(&digest)]);
    harness.nothing_left().await;

    // Forced, whatever the names.
    harness.pull(&tag).await.unwrap();
    harness
        .images
        .tag(&tag, &ImageRef::parse("another").unwrap())
        .unwrap();
    let gone = remove(&harness, pulled.image.id().short(), FORCE).unwrap();
    assert_eq!(gone.len(), 3 + 1 + 1);
    harness.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_in_the_way() {
    let harness = Harness::new();
    let image = import(&harness, "app", "x", &[]).await;
    let (short, container) = (image.id().short().to_owned(), "c".repeat(12));
    let (stopped, running) = ([("c", false)], [("c", true)]);
    assert_eq!(
        used(&harness, "app", PLAIN, &stopped).unwrap_err(),
        format!(
            "conflict: unable to remove repository reference \"app\" (must force) - container {container} is using its referenced image {short}"
        )
    );
    assert_eq!(
        used(&harness, &short, PLAIN, &stopped).unwrap_err(),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by stopped container {container}"
        )
    );
    let hard = format!(
        "conflict: unable to delete {short} (cannot be forced) - image is being used by running container {container}"
    );
    for options in [PLAIN, FORCE] {
        assert_eq!(used(&harness, &short, options, &running).unwrap_err(), hard);
    }
    assert_eq!(
        harness.images.get("app").unwrap().tags,
        ["app:latest"],
        "nothing went"
    );
    // Forced by its name it loses the name, and the running container keeps the image.
    assert_eq!(
        used(&harness, "app", FORCE, &running).unwrap(),
        [untagged("app:latest")]
    );
    assert!(harness.images.get(&short).unwrap().tags.is_empty());
    // One of several names goes freely.
    harness
        .images
        .tag(&short, &ImageRef::parse("a:1").unwrap())
        .unwrap();
    harness
        .images
        .tag(&short, &ImageRef::parse("a:2").unwrap())
        .unwrap();
    assert_eq!(
        used(&harness, "a:1", PLAIN, &running).unwrap(),
        [untagged("a:1")]
    );
    // A stopped container does not keep an image from force.
    let gone = used(&harness, &short, FORCE, &stopped).unwrap();
    assert!(gone.contains(&Deleted::Deleted(image.id().to_string())));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_filters() {
    let harness = Harness::new();
    let one = import(&harness, "one:1", "1", &["LABEL a=b c=d"]).await;
    let two = import(&harness, "team/two", "2", &["LABEL a=x"]).await;
    let bare = import(&harness, "", "3", &[]).await;
    let list = |filters: &str| -> Result<Vec<Digest>, Error> {
        let images = harness.images.list(&Filters::from_json(filters).unwrap())?;
        Ok(images.iter().map(|i| i.id().clone()).collect())
    };
    let ids = |images: &[&Image]| images.iter().map(|i| i.id().clone()).collect::<Vec<_>>();
    assert_eq!(list("").unwrap(), ids(&[&bare, &two, &one]), "newest first");
    for (filters, expected) in [
        (r#"{"dangling":["true"]}"#, vec![&bare]),
        (r#"{"dangling":["false"]}"#, vec![&two, &one]),
        (r#"{"label":["a"]}"#, vec![&two, &one]),
        (r#"{"label":["a=b","c"]}"#, vec![&one]),
        (r#"{"label!":["a=b"]}"#, vec![&bare, &two]),
        (r#"{"reference":["one"]}"#, vec![&one]),
        (r#"{"reference":["*/two:latest","nothing"]}"#, vec![&two]),
        (r#"{"since":["one:1"]}"#, vec![&bare, &two]),
        (r#"{"before":["team/two"]}"#, vec![&one]),
        (r#"{"until":["1h"]}"#, vec![]),
        (
            r#"{"until":["2100-01-01T00:00:00Z"]}"#,
            vec![&bare, &two, &one],
        ),
    ] {
        assert_eq!(list(filters).unwrap(), ids(&expected), "{filters}");
    }
    for (filters, text) in [
        (r#"{"nope":["x"]}"#, "invalid filter 'nope'"),
        (
            r#"{"dangling":["maybe"]}"#,
            "invalid filter 'dangling=[maybe]'",
        ),
        (r#"{"until":["x"]}"#, "invalid filter 'until=x'"),
        (r#"{"before":["nosuch"]}"#, "No such image: nosuch:latest"),
        (r#"{"reference":["["]}"#, "invalid filter 'reference=['"),
    ] {
        assert_eq!(chain(&list(filters).unwrap_err()), text);
    }
    // With a reference, only the names that match.
    harness
        .images
        .tag("one:1", &ImageRef::parse("uno").unwrap())
        .unwrap();
    let images = harness
        .images
        .list(&Filters::from_json(r#"{"reference":["uno"]}"#).unwrap());
    assert_eq!(images.unwrap()[0].tags, ["uno:latest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let id = {
        let harness = Harness::at(&root, harness::registry_config());
        import(&harness, "app", "x", &["CMD true"])
            .await
            .id()
            .clone()
    };
    let harness = Harness::at(&root, harness::registry_config());
    let image = harness.images.get("app").unwrap();
    assert_eq!(*image.id(), id);
    assert_eq!(image.config.config.cmd.as_ref().unwrap()[2], "true");
    assert!(harness.file(&image, 0, "x").exists());
}
