//! Volumes on the real file system: what is true after each step, and after a daemon that died between two of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use onggi_model::{ErrorKind, Fault as _};
use onggi_store::Store;
use onggi_volume::{ANONYMOUS_LABEL, Error, Maker, NewVolume, Volumes};

struct Root {
    directory: tempfile::TempDir,
}

impl Root {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("makes a directory");
        Self { directory }
    }

    /// As a daemon that starts.
    fn open(&self) -> (Store, Volumes) {
        let store = Store::open(self.directory.path()).expect("opens the store");
        let volumes = Volumes::open(&self.volumes(), &store).expect("opens the volumes");
        (store, volumes)
    }

    fn volumes(&self) -> std::path::PathBuf {
        self.directory.path().join("volumes")
    }
}

fn named(name: &str) -> NewVolume {
    NewVolume {
        name: name.to_owned(),
        ..NewVolume::default()
    }
}

fn names(volumes: &Volumes) -> Vec<String> {
    let list = volumes.list().into_iter();
    list.map(|(volume, _)| volume.name.clone()).collect()
}

#[test]
fn a_volume_is_made_once_and_stays() {
    let root = Root::new();
    let (store, volumes) = root.open();
    let made = volumes.create(&named("data"), Maker::User).expect("makes");
    assert!(made.is_new && !made.volume.is_anonymous());
    let again = volumes.create(&named("data"), Maker::User).expect("finds");
    assert!(!again.is_new && again.volume == made.volume);
    let ours = volumes.create(&named(""), Maker::User).expect("makes");
    assert_eq!(ours.volume.name.len(), 64);
    assert!(ours.volume.labels.contains_key(ANONYMOUS_LABEL));
    fs::write(volumes.path("data").join("file"), "kept").expect("writes");
    assert_eq!(volumes.usage("data").expect("measures"), 4);
    drop((volumes, store));
    let (_store, volumes) = root.open();
    assert_eq!(names(&volumes).len(), 2);
    assert_eq!(*volumes.get("data").expect("is there"), *made.volume);
    let text = fs::read_to_string(volumes.path("data").join("file")).expect("reads");
    assert_eq!(text, "kept");
}

#[test]
fn what_cannot_be_made_leaves_nothing() {
    let root = Root::new();
    let (_store, volumes) = root.open();
    for (new, kind) in [
        (named("x"), ErrorKind::InvalidParameter),
        (named("../up"), ErrorKind::InvalidParameter),
        (named(".removing-x"), ErrorKind::InvalidParameter),
        (
            NewVolume {
                driver: "nope".to_owned(),
                ..named("data")
            },
            ErrorKind::NotFound,
        ),
        (
            NewVolume {
                options: BTreeMap::from([("size".to_owned(), "1g".to_owned())]),
                ..named("data")
            },
            ErrorKind::InvalidParameter,
        ),
    ] {
        let error = volumes.create(&new, Maker::User).expect_err("refused");
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert!(names(&volumes).is_empty());
    let left = fs::read_dir(root.volumes()).expect("lists").count();
    assert_eq!(left, 0);
}

#[test]
fn who_holds_a_volume_keeps_it() {
    let root = Root::new();
    let (store, volumes) = root.open();
    volumes
        .create(&named("data"), Maker::Container("c1"))
        .expect("makes");
    assert!(volumes.hold("data", "c2") && !volumes.hold("other", "c2"));
    let error = volumes.remove("data").expect_err("in use").to_string();
    assert_eq!(error, "remove data: volume is in use - [c1, c2]");
    // With its container goes only what nobody else holds.
    let doomed = volumes.doom_unheld(["data"], "c1").expect("looks");
    assert!(doomed.names().is_empty());
    doomed.done();
    volumes.release("c1");
    let doomed = volumes.doom_unheld(["data"], "c2").expect("dooms");
    assert_eq!(doomed.names(), ["data"]);
    // A change that fails brings it back.
    drop(doomed);
    assert!(volumes.path("data").is_dir() && volumes.get("data").is_ok());
    volumes.release("c2");
    volumes.remove("data").expect("removes");
    assert!(matches!(volumes.remove("data"), Err(Error::NotFound(_))));
    store.sweep().expect("sweeps");
    assert!(!root.volumes().join("data").exists());
}

#[test]
fn a_removal_that_was_not_finished_has_not_happened() {
    let root = Root::new();
    let (store, volumes) = root.open();
    volumes.create(&named("data"), Maker::User).expect("makes");
    fs::write(volumes.path("data").join("file"), "kept").expect("writes");
    // Killed between the rename and the catalogue.
    std::mem::forget(volumes.doom_unheld(["data"], "").expect("dooms"));
    assert!(!root.volumes().join("data").exists());
    drop((volumes, store));
    let (store, volumes) = root.open();
    assert!(volumes.path("data").join("file").exists());
    // Killed between the catalogue and the deletion.
    let doomed = volumes.doom_unheld(["data"], "").expect("dooms");
    store.write(|tx| doomed.forget_in(tx)).expect("forgets");
    std::mem::forget(doomed);
    drop((volumes, store));
    let (store, volumes) = root.open();
    assert!(names(&volumes).is_empty());
    store.sweep().expect("sweeps");
    assert_eq!(fs::read_dir(root.volumes()).expect("lists").count(), 0);
}

#[test]
fn a_volume_of_a_container_that_never_was_goes() {
    let root = Root::new();
    let (store, volumes) = root.open();
    volumes
        .create(&named("kept"), Maker::Container("c1"))
        .expect("makes");
    volumes
        .create(&named("gone"), Maker::Container("c2"))
        .expect("makes");
    store
        .write(|tx| volumes.settle_in(tx, ["kept"]))
        .expect("settles");
    drop((volumes, store));
    let (_store, volumes) = root.open();
    assert_eq!(names(&volumes), ["kept"]);
    assert!(!root.volumes().join("gone").exists());
}

#[test]
fn directories_and_catalogue_are_made_to_agree() {
    let root = Root::new();
    let (store, volumes) = root.open();
    volumes.create(&named("data"), Maker::User).expect("makes");
    drop((volumes, store));
    fs::remove_dir_all(root.volumes().join("data")).expect("removes");
    fs::create_dir_all(root.volumes().join("restored/_data/sub")).expect("makes");
    fs::create_dir_all(root.volumes().join("no-volume")).expect("makes");
    let (_store, volumes) = root.open();
    assert_eq!(names(&volumes), ["data", "restored"]);
    assert!(volumes.path("data").is_dir());
    assert!(volumes.path("restored").join("sub").is_dir());
}

fn put(name: &'static str) -> impl FnOnce(&Path) -> Result<bool, Error> {
    move |into| {
        fs::write(into.join(name), name).expect("writes");
        Ok(true)
    }
}

#[test]
fn only_an_empty_volume_is_filled() {
    let root = Root::new();
    let (_store, volumes) = root.open();
    volumes
        .create(&named("data"), Maker::Container("c1"))
        .expect("makes");
    volumes
        .fill("data", "", |_| Ok::<_, Error>(false))
        .expect("finds nothing");
    assert_eq!(
        fs::read_dir(volumes.path("data")).expect("lists").count(),
        0
    );
    volumes.fill("data", "", put("first")).expect("fills");
    volumes.fill("data", "", put("second")).expect("leaves");
    let path = volumes.path("data");
    assert!(path.join("first").exists() && !path.join("second").exists());
    assert!(!root.volumes().join("data/.fill").exists());
    // A directory in it, too, and not one outside.
    fs::create_dir(path.join("sub")).expect("makes");
    volumes.fill("data", "sub", put("third")).expect("fills");
    assert!(path.join("sub/third").exists());
    volumes.fill("data", "missing", put("x")).expect("leaves");
    std::os::unix::fs::symlink("/tmp", path.join("out")).expect("links");
    assert!(matches!(
        volumes.fill("data", "out", put("x")),
        Err(Error::Escapes)
    ));
    // One that runs elsewhere keeps its directory: it sees what comes.
    volumes
        .create(&named("live"), Maker::Container("c1"))
        .expect("makes");
    volumes.mount("live", "c1").expect("mounts");
    let seen = fs::File::open(volumes.path("live")).expect("opens");
    volumes.fill("live", "", put("first")).expect("fills");
    let inside = format!(
        "/proc/self/fd/{}/first",
        std::os::fd::AsRawFd::as_raw_fd(&seen)
    );
    assert!(fs::exists(inside).expect("looks"));
}

#[test]
fn many_at_once_get_one() {
    let root = Root::new();
    let (_store, volumes) = root.open();
    let new = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (volumes, new) = (&volumes, &new);
            scope.spawn(move || {
                let container = format!("c{n}");
                for _ in 0..20 {
                    let made = volumes
                        .create(&named("data"), Maker::Container(&container))
                        .expect("makes or finds");
                    if made.is_new {
                        new.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                    assert!(volumes.path("data").is_dir());
                    volumes.release(&container);
                    match volumes.remove("data") {
                        Ok(()) | Err(Error::NotFound(_) | Error::InUse { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    assert!(new.into_inner() >= 1);
}
