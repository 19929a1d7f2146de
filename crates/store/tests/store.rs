//! The store from outside: what is kept, what goes, how many syncs it costs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use onggi_model::{Digest, ErrorKind, Fault as _};
use onggi_oci::image::{Descriptor, Platform};
use onggi_store::{ChainId, Depth, Error, ImageRecord, Record, RootRecord, Store, Sweeper, Usage};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

fn open(place: &TempDir) -> Store {
    Store::open(&place.path().join("data")).unwrap()
}

fn assert_clean(store: &Store) {
    let report = store.check(Depth::Content).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}

fn count(path: &Path) -> usize {
    std::fs::read_dir(path).unwrap().count()
}

/// A layer with one file of `size` bytes.
fn layer(store: &Store, parent: Option<&ChainId>, name: &str, size: usize) -> ChainId {
    let staged = store.stage_layer().unwrap();
    std::fs::write(staged.path().join(name), vec![b'x'; size]).unwrap();
    let diff_id = store
        .put_blob(format!("diff of {name}").as_bytes(), None)
        .unwrap();
    store
        .commit_layer(staged, parent, &diff_id, size as u64)
        .unwrap()
        .chain_id
}

/// An image of these layers, not put.
fn image(store: &Store, name: &str, layers: Vec<ChainId>) -> ImageRecord {
    let id = store
        .put_blob(format!("config of {name}").as_bytes(), None)
        .unwrap();
    let manifest = store
        .put_blob(format!("manifest of {name}").as_bytes(), None)
        .unwrap();
    let kept = store
        .put_blob(format!("compressed layer of {name}").as_bytes(), None)
        .unwrap();
    ImageRecord {
        id,
        target: Descriptor::new("application/json", manifest.clone(), 7),
        manifest,
        layers,
        blobs: BTreeSet::from([kept]),
        references: BTreeSet::from([format!("docker.io/library/{name}:latest")]),
        repo_digests: BTreeSet::new(),
        size: 10,
        created: None,
        platform: Platform::default(),
        tagged: None,
        parent: None,
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    text: String,
}

impl Record for Note {
    const TABLE: &'static str = "note";
}

fn note(text: &str) -> Note {
    Note {
        text: text.to_owned(),
    }
}

#[test]
fn records_are_kept_changed_listed_and_taken_back() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place);
    assert_eq!(store.read(|tx| tx.get::<Note>("a")).unwrap(), None);
    let before = store.syncs();
    store
        .write(|tx| {
            tx.put("b", &note("2"))?;
            tx.put("a/1", &note("1"))?;
            tx.put("a/2", &note("1"))?;
            assert_eq!(tx.get::<Note>("b")?, Some(note("2")));
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!(store.syncs() - before, 1, "one change, one sync");
    let refused: Result<(), Error> = store.write(|tx| {
        tx.delete::<Note>("b")?;
        tx.put("c", &note("3"))?;
        Err(Error::NoImage("x".to_owned()))
    });
    assert!(matches!(refused, Err(Error::NoImage(_))));
    drop(store);
    let store = open(&place);
    let all = store.read(|tx| tx.list::<Note>()).unwrap();
    let keys: Vec<&str> = all.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["a/1", "a/2", "b"]);
    assert_eq!(
        store.read(|tx| tx.list_prefix::<Note>("a/")).unwrap().len(),
        2
    );
    assert!(store.write(|tx| tx.delete::<Note>("b")).unwrap());
    assert!(!store.write(|tx| tx.delete::<Note>("b")).unwrap());
}

#[test]
fn a_second_store_on_the_same_root_is_refused_with_the_pid_of_the_first() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place);
    let error = Store::open(&place.path().join("data")).unwrap_err();
    assert!(
        matches!(&error, Error::Locked { pid, .. } if *pid == std::process::id()),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error
            .to_string()
            .ends_with(&format!("the process with pid {}", std::process::id()))
    );
    drop(store);
    open(&place);
}

#[test]
fn the_data_root_is_for_root_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("data");
    std::fs::create_dir(&root).unwrap();
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    let _store = open(&place);
    for path in ["", "blobs", "blobs/sha256", "layers", "containers", "tmp"] {
        let mode = std::fs::metadata(root.join(path))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700, "{path}");
    }
}

#[test]
fn a_blob_is_what_its_digest_says_or_nothing() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place);
    let _lease = store.lease();
    let mut ingest = store.ingest().unwrap();
    ingest.write_all(b"hello ").unwrap();
    ingest.write_all(b"world").unwrap();
    let known = "sha256:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    let digest = ingest.commit(Some(&Digest::parse(known).unwrap())).unwrap();
    assert_eq!(digest.as_str(), known);
    assert_eq!(store.blob_size(&digest).unwrap(), Some(11));
    assert_eq!(store.blob_bytes(&digest, 11).unwrap(), b"hello world");
    assert!(store.blob_bytes(&digest, 10).is_err());

    let mut ingest = store.ingest().unwrap();
    ingest.write_all(b"something else").unwrap();
    let error = ingest.commit(Some(&digest)).unwrap_err();
    assert!(matches!(error, Error::Digest { .. }));
    drop(store.ingest().unwrap());
    // Named by another algorithm than it was hashed with.
    let sha512 = format!(
        "sha512:{}",
        "309ecc489c12d6eb4cc40f50c902f2b4d0ed77ee511a7c7a9bcd3ca86d4cd86f989dd35bc5ff499670da34255b45b0cfd830e81f605dcf7dc5542e93ae9cd76f"
    );
    let mut ingest = store.ingest().unwrap();
    ingest.write_all(b"hello world").unwrap();
    let digest = ingest
        .commit(Some(&Digest::parse(&sha512).unwrap()))
        .unwrap();
    assert_eq!(digest.as_str(), sha512);
    assert!(store.has_blob(&digest).unwrap());
    assert_eq!(
        count(&store.path().join("tmp")),
        1,
        "only the trash is there"
    );
    let missing = Digest::sha256([1; 32]);
    assert!(matches!(store.blob(&missing), Err(Error::NoBlob(_))));
    assert_clean(&store);
}

#[test]
fn an_image_costs_one_sync_of_files_and_one_of_the_catalogue() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place);
    let lease = store.lease();
    let base = layer(&store, None, "base", 100);
    let top = layer(&store, Some(&base), "top", 10);
    let record = image(&store, "busybox", vec![base.clone(), top.clone()]);
    let (syncs, file_syncs) = (store.syncs(), store.file_syncs());
    assert_eq!(file_syncs, 0);
    store.put_image(&record).unwrap();
    drop(lease);
    assert_eq!((store.syncs() - syncs, store.file_syncs()), (1, 1));
    assert_eq!(store.image(&record.id).unwrap(), Some(record.clone()));
    assert_eq!(
        store.reference("docker.io/library/busybox:latest").unwrap(),
        Some(record.id.clone())
    );
    assert_eq!(
        store.images_by_prefix(&record.id.hex()[..6]).unwrap().len(),
        1
    );
    let usage = store.usage().unwrap();
    assert_eq!((usage.images, usage.layers, usage.layer_bytes), (1, 2, 110));
    assert_clean(&store);
    drop(store);
    let store = open(&place);
    assert_clean(&store);
    assert_eq!(store.usage().unwrap(), usage);

    let removed = store.remove_image(&record.id).unwrap();
    assert_eq!(removed.layers, [top, base]);
    assert_eq!(store.usage().unwrap(), Usage::default());
    assert!(matches!(
        store.remove_image(&record.id),
        Err(Error::NoImage(_))
    ));
    assert_clean(&store);
    store.sweep().unwrap();
    assert_eq!(
        count(&store.path().join("layers")),
        1,
        "only the empty layer is there"
    );
    assert_eq!(count(&store.path().join("blobs/sha256")), 0);
    assert_eq!(count(&store.path().join("tmp/trash")), 0);
}

#[test]
fn images_share_layers_and_names_move() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place);
    let lease = store.lease();
    let base = layer(&store, None, "base", 1);
    let one_top = layer(&store, Some(&base), "one", 1);
    let two_top = layer(&store, Some(&base), "two", 1);
    let one = image(&store, "one", vec![base.clone(), one_top.clone()]);
    let mut two = image(&store, "two", vec![base.clone(), two_top.clone()]);
    store.put_image(&one).unwrap();
    two.references.extend(one.references.clone());
    two.repo_digests
        .insert("docker.io/library/two@sha256:1".to_owned());
    let moved = store.put_image(&two).unwrap();
    drop(lease);
    assert_eq!(
        moved.into_iter().collect::<Vec<_>>(),
        [("docker.io/library/one:latest".to_owned(), one.id.clone())]
    );
    assert!(store.image(&one.id).unwrap().unwrap().references.is_empty());
    // The same image again, by another manifest: nothing is lost, nothing counted twice.
    let mut again = two.clone();
    again.references = BTreeSet::from(["docker.io/library/other:1".to_owned()]);
    again.manifest = store.put_blob(b"another manifest", None).unwrap();
    let layers_before = store.layers().unwrap();
    store.put_image(&again).unwrap();
    assert_eq!(store.layers().unwrap(), layers_before);
    let merged = store.image(&two.id).unwrap().unwrap();
    assert_eq!(merged.references.len(), 3);
    assert!(merged.kept_blobs().contains(&two.manifest));
    assert_clean(&store);

    assert_eq!(
        store
            .tag(&one.id, "docker.io/library/two:latest", Some("now".into()))
            .unwrap(),
        Some(two.id.clone())
    );
    assert_eq!(
        store.untag("docker.io/library/two@sha256:1").unwrap(),
        Some(two.id.clone())
    );
    assert_eq!(store.untag("docker.io/library/nothing:1").unwrap(), None);
    assert!(matches!(
        store.tag(&Digest::sha256([0; 32]), "x", None),
        Err(Error::NoImage(_))
    ));
    assert_clean(&store);
    let removed = store.remove_image(&two.id).unwrap();
    assert_eq!(removed.layers, [two_top]);
    assert_clean(&store);
    assert_eq!(store.remove_image(&one.id).unwrap().layers, [one_top, base]);
    assert_eq!(store.usage().unwrap(), Usage::default());
    assert_clean(&store);
}

#[test]
fn what_is_missing_cannot_be_named_by_an_image() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place);
    let _lease = store.lease();
    let base = layer(&store, None, "base", 1);
    let mut record = image(&store, "x", vec![base.clone()]);
    record.blobs.insert(Digest::sha256([9; 32]));
    assert!(matches!(store.put_image(&record), Err(Error::NoBlob(_))));
    record.blobs.clear();
    let missing = ChainId::from(Digest::sha256([8; 32]));
    record.layers.push(missing.clone());
    assert!(matches!(store.put_image(&record), Err(Error::NoLayer(id)) if id == missing));
    let staged = store.stage_layer().unwrap();
    let path = staged.path().to_path_buf();
    let refused = store.commit_layer(staged, Some(&missing), &Digest::sha256([7; 32]), 0);
    assert!(matches!(refused, Err(Error::NoLayer(_))));
    assert!(!path.exists());
    // The failures took nothing with them.
    record.layers.pop();
    store.put_image(&record).unwrap();
    assert_clean(&store);
}

#[test]
fn leases_protect_what_was_written_or_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place);
    let unprotected = store.put_blob(b"nobody wants this", None).unwrap();
    let pull = store.lease();
    let written = store.put_blob(b"a layer of a pull", None).unwrap();
    let staged = layer(&store, None, "pulled", 1);
    let other = store.lease();
    assert_eq!(store.collect().unwrap().blobs, 1);
    assert!(!store.has_blob(&unprotected).unwrap());
    assert!(store.has_blob(&written).unwrap() && store.has_layer(&staged).unwrap());
    drop(other);
    assert!(store.has_blob(&written).unwrap());
    // A pull that fails leaves nothing.
    drop(pull);
    assert!(!store.has_blob(&written).unwrap() && !store.has_layer(&staged).unwrap());
    assert_clean(&store);

    let pull = store.lease();
    let base = layer(&store, None, "base", 5);
    let record = image(&store, "x", vec![base.clone()]);
    store.put_image(&record).unwrap();
    drop(pull);
    // Another pull found the layer there; meanwhile the image goes.
    let pull = store.lease();
    assert!(store.has_layer(&base).unwrap() && store.has_blob(&record.id).unwrap());
    assert!(store.remove_image(&record.id).unwrap().layers.is_empty());
    assert!(store.has_layer(&base).unwrap());
    assert!(!store.has_blob(&record.manifest).unwrap());
    assert_clean(&store);
    let second = image(&store, "y", vec![base.clone()]);
    store.put_image(&second).unwrap();
    drop(pull);
    assert!(store.has_layer(&base).unwrap());
    assert!(
        !store.has_blob(&record.id).unwrap(),
        "put off while leased, then collected"
    );
    assert_clean(&store);
    // A lease that began later than the last use protects nothing.
    let late = store.lease();
    assert_eq!(store.remove_image(&second.id).unwrap().layers, [base]);
    drop(late);
    assert_eq!(store.usage().unwrap(), Usage::default());
    assert_clean(&store);
}

#[test]
fn a_parent_stays_while_a_pending_layer_stands_on_it() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place);
    let lease = store.lease();
    let base = layer(&store, None, "base", 5);
    let record = image(&store, "x", vec![base.clone()]);
    store.put_image(&record).unwrap();
    let top = layer(&store, Some(&base), "top", 5);
    store.remove_image(&record.id).unwrap();
    let second = image(&store, "y", vec![base.clone(), top]);
    store.put_image(&second).unwrap();
    drop(lease);
    assert!(store.has_layer(&base).unwrap());
    assert_clean(&store);
}

#[test]
fn a_layer_unpacked_twice_is_kept_once() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place);
    let _lease = store.lease();
    let diff_id = Digest::sha256([5; 32]);
    let (one, two) = (store.stage_layer().unwrap(), store.stage_layer().unwrap());
    let first = store.commit_layer(one, None, &diff_id, 1).unwrap();
    let second = store.commit_layer(two, None, &diff_id, 1).unwrap();
    assert_eq!(first, second);
    assert_eq!(count(&store.path().join("layers")), 2);
    assert_clean(&store);
}

#[test]
fn container_roots_hold_their_layer_and_go_with_their_directory() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place);
    let lease = store.lease();
    let base = layer(&store, None, "base", 5);
    let record = image(&store, "x", vec![base.clone()]);
    store.put_image(&record).unwrap();
    drop(lease);
    let root = RootRecord {
        top: Some(base.clone()),
        driver: "overlay2".to_owned(),
    };
    let path = store.container_path("c1");
    std::fs::create_dir_all(path.join("upper")).unwrap();
    let syncs = store.syncs();
    store.write(|tx| tx.put_root("c1", &root)).unwrap();
    assert_eq!(store.syncs() - syncs, 1);
    let twice = store.write(|tx| tx.put_root("c1", &root));
    assert!(matches!(twice, Err(Error::RootExists(_))));
    // Forced removal of the image: the layer stays for the container.
    assert!(store.remove_image(&record.id).unwrap().layers.is_empty());
    assert_clean(&store);
    let syncs = store.syncs();
    assert!(store.write(|tx| tx.remove_root("c1")).unwrap());
    assert_eq!(store.syncs() - syncs, 1);
    assert!(!path.exists() && !store.has_layer(&base).unwrap());
    assert!(!store.write(|tx| tx.remove_root("c1")).unwrap());
    assert_eq!(store.usage().unwrap(), Usage::default());
    assert_clean(&store);
}

#[test]
fn what_a_crash_left_is_gone_after_opening() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place);
    let lease = store.lease();
    let base = layer(&store, None, "base", 5);
    store.put_image(&image(&store, "x", vec![base])).unwrap();
    drop(lease);
    let root = store.path().to_path_buf();
    drop(store);
    // What every step of a crash may leave.
    std::fs::write(root.join("tmp/blob-1"), "half").unwrap();
    std::fs::create_dir_all(root.join("tmp/layer-9/deep/er")).unwrap();
    std::fs::create_dir_all(root.join("layers/7/usr")).unwrap();
    std::fs::write(
        root.join("blobs/sha256").join("0".repeat(64)),
        "renamed, not recorded",
    )
    .unwrap();
    std::fs::write(root.join("blobs/sha256/not-a-digest"), "").unwrap();
    std::fs::create_dir_all(root.join("containers/c9/upper")).unwrap();
    std::fs::create_dir_all(root.join("tmp/trash/1/half/deleted")).unwrap();
    let store = open(&place);
    assert_clean(&store);
    let sweeper = Sweeper::start(&store).unwrap();
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while count(&root.join("tmp/trash")) > 0 {
        assert!(std::time::Instant::now() < limit, "trash is still there");
        std::thread::yield_now();
    }
    assert_eq!(count(&root.join("layers")), 2);
    assert_eq!(count(&root.join("tmp")), 1);
    drop(sweeper);
    // Numbers of layers are not used twice while something uses them.
    let staged = store.stage_layer().unwrap();
    assert!(staged.number() > 1);
}

#[test]
fn deep_and_wide_trees_are_swept() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place);
    let staged = store.stage_layer().unwrap();
    // Deeper than a path name and than open descriptors reach.
    let mut at: std::os::fd::OwnedFd = std::fs::File::open(staged.path()).unwrap().into();
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
    let none = rustix::fs::Mode::empty();
    for _ in 0..5000 {
        rustix::fs::mkdirat(&at, "d", rustix::fs::Mode::RWXU).unwrap();
        rustix::fs::symlinkat("/", &at, "l").unwrap();
        at = rustix::fs::openat(&at, "d", flags, none).unwrap();
    }
    for number in 0..500 {
        std::fs::write(staged.path().join(number.to_string()), "").unwrap();
    }
    drop(staged);
    store.sweep().unwrap();
    assert_eq!(count(&store.path().join("tmp/trash")), 0);
}

#[test]
fn check_finds_what_is_wrong() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place);
    let lease = store.lease();
    let base = layer(&store, None, "base", 5);
    let record = image(&store, "x", vec![base.clone()]);
    store.put_image(&record).unwrap();
    drop(lease);
    std::fs::write(store.blob_path(&record.id), "config of y").unwrap();
    assert!(store.check(Depth::Names).unwrap().is_clean());
    assert_eq!(store.check(Depth::Content).unwrap().problems.len(), 1);
    std::fs::write(store.blob_path(&record.id), "longer than it was").unwrap();
    std::fs::remove_file(store.blob_path(&record.manifest)).unwrap();
    std::fs::create_dir(store.path().join("layers/99")).unwrap();
    let number = store.layer(&base).unwrap().unwrap().number;
    std::fs::remove_dir_all(store.path().join(format!("layers/{number}"))).unwrap();
    let report = store.check(Depth::Names).unwrap();
    let texts: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert!(
        texts
            .iter()
            .any(|text| text.ends_with("layers/99 belongs to nothing"))
    );
}

#[test]
fn many_threads_put_and_remove_at_once() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place);
    let sweeper = Sweeper::start(&store).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..25 {
                    let lease = store.lease();
                    // All share the base, so they race for it.
                    let base = layer(store, None, "base", 5);
                    let top = layer(store, Some(&base), &format!("top-{}", round % 3), 5);
                    let name = format!("{}", (worker + round) % 5);
                    let record = image(store, &name, vec![base, top]);
                    store.put_image(&record).unwrap();
                    drop(lease);
                    if round % 2 == 0 {
                        match store.remove_image(&record.id) {
                            Ok(_) | Err(Error::NoImage(_)) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
        }
    });
    assert_clean(&store);
    for image in store.images().unwrap() {
        store.remove_image(&image.id).unwrap();
    }
    store.collect().unwrap();
    assert_clean(&store);
    assert_eq!(store.usage().unwrap(), Usage::default());
    drop(sweeper);
}

/// In a mount namespace of its own, on a tmpfs of 8 MiB.
#[test]
fn a_full_disk_is_a_clear_error_and_leaves_nothing() {
    const INSIDE: &str = "ONGGI_TEST_FULL_DISK";
    if std::env::var_os(INSIDE).is_none() {
        let place = tempfile::tempdir().unwrap();
        let output = std::process::Command::new("unshare")
            .args(["--mount", "--propagation", "private"])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_full_disk_is_a_clear_error_and_leaves_nothing",
                "--nocapture",
            ])
            .env(INSIDE, place.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let place = std::path::PathBuf::from(std::env::var_os(INSIDE).unwrap());
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("tmpfs", &place, "tmpfs", flags, Some(c"size=8m")).unwrap();
    let store = Store::open(&place.join("data")).unwrap();
    let lease = store.lease();
    let kept = image(&store, "kept", vec![layer(&store, None, "base", 1000)]);
    store.put_image(&kept).unwrap();
    drop(lease);
    for round in 0..3 {
        let lease = store.lease();
        let mut ingest = store.ingest().unwrap();
        let error = (0..100)
            .find_map(|_| ingest.write_all(&[round; 1 << 17]).err())
            .unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        // Nothing else fits either, and says why.
        let error = (0..).find_map(|number: u32| {
            store
                .put_blob(&number.to_le_bytes().repeat(1 << 10), None)
                .err()
        });
        let error = error.unwrap();
        assert!(
            error.is_full() && error.hint().is_some(),
            "{}",
            onggi_model::chain(&error)
        );
        assert!(onggi_model::chain(&error).contains("no space left on device"));
        drop(ingest);
        drop(lease);
        store.sweep().unwrap();
        assert_clean(&store);
    }
    // The catalogue itself runs full: the change is refused, those before it stay.
    let filler = std::fs::File::create(place.join("filler")).unwrap();
    let mut filled = std::io::BufWriter::with_capacity(4096, filler);
    while filled.write_all(&[1; 4096]).is_ok() {}
    let big = "x".repeat(256 << 10);
    let error = (0..100)
        .find_map(|number| {
            store
                .write(|tx| tx.put(&number.to_string(), &note(&big)))
                .err()
        })
        .unwrap();
    assert!(error.is_full(), "{}", onggi_model::chain(&error));
    drop(filled);
    std::fs::remove_file(place.join("filler")).unwrap();
    // There is room again: the running store goes on.
    store.write(|tx| tx.put("again", &note("small"))).unwrap();
    assert_clean(&store);
    drop(store);
    let store = Store::open(&place.join("data")).unwrap();
    assert_clean(&store);
    assert_eq!(store.images().unwrap(), [kept]);
    store
        .write(|tx| tx.put("after", &note("fits again")))
        .unwrap();
}
