//! What every driver must do, asked of each; roots are looked at in private mount namespaces only.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use onggi_model::{ContainerId, Digest};
use onggi_snapshot::{Driver, Error, LayerCommit, Rootfs, Snapshots};
use onggi_store::{ChainId, Depth, Lease, Store};
use tempfile::TempDir;

struct Place {
    place: TempDir,
    store: Store,
    snapshots: Snapshots,
    _lease: Lease,
}

impl Place {
    fn new(driver: Driver) -> Place {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(&place.path().join("data")).unwrap();
        let snapshots = Snapshots::open(&store, driver);
        let lease = store.lease();
        Place {
            place,
            store,
            snapshots,
            _lease: lease,
        }
    }

    fn layer(&self, parent: Option<&ChainId>, number: u8, fill: impl FnOnce(&Path)) -> ChainId {
        self.layer_implying(parent, number, &[], fill)
    }

    fn layer_implying(
        &self,
        parent: Option<&ChainId>,
        number: u8,
        implied: &[PathBuf],
        fill: impl FnOnce(&Path),
    ) -> ChainId {
        let layer = self.snapshots.begin_layer().unwrap();
        fill(&layer.path);
        let diff_id = Digest::sha256([number; 32]);
        let commit = LayerCommit {
            parent,
            diff_id: &diff_id,
            size: 1,
            implied,
        };
        self.snapshots
            .commit_layer(layer, &commit)
            .unwrap()
            .chain_id
    }

    /// What a shell prints inside the root of a container, which is mounted for it alone.
    fn shell(&self, container: &ContainerId, script: &str) -> String {
        let mount = match self.snapshots.rootfs(container).unwrap() {
            Rootfs::Directory(path) => format!("cd {}", path.display()),
            Rootfs::Overlay { lower, upper, work } => {
                let at = self.place.path().join("mnt");
                std::fs::create_dir_all(&at).unwrap();
                let lower: Vec<_> = lower
                    .iter()
                    .map(|path| path.to_str().unwrap().to_owned())
                    .collect();
                format!(
                    "mount -t overlay overlay -o lowerdir={},upperdir={},workdir={} {at} && cd {at}",
                    lower.join(":"),
                    upper.display(),
                    work.display(),
                    at = at.display(),
                )
            }
        };
        let output = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-ec"])
            .arg(format!("{mount}\n{script}"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn assert_clean(&self) {
        let report = self.store.check(Depth::Content).unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
    }
}

fn id(number: u8) -> ContainerId {
    ContainerId::from_bytes([number; 32])
}

fn whiteout(path: &Path) {
    let (kind, mode) = (
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::empty(),
    );
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
}

fn make_opaque(path: &Path) {
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(path, "trusted.overlay.opaque", b"y", flags).unwrap();
}

fn conformance(driver: Driver) {
    let place = Place::new(driver);
    let base = place.layer(None, 1, |root| {
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o751)).unwrap();
        std::fs::create_dir_all(root.join("etc/sub")).unwrap();
        std::fs::create_dir_all(root.join("hidden/deep")).unwrap();
        std::fs::write(root.join("etc/one"), "one").unwrap();
        std::fs::write(root.join("etc/two"), "two").unwrap();
        std::fs::hard_link(root.join("etc/two"), root.join("etc/two-too")).unwrap();
        std::fs::write(root.join("hidden/deep/x"), "x").unwrap();
        std::fs::write(root.join("becomes-dir"), "").unwrap();
        std::os::unix::fs::symlink("/nowhere", root.join("link")).unwrap();
        std::os::unix::fs::chown(root.join("etc/one"), Some(12), Some(34)).unwrap();
        let mode = std::fs::Permissions::from_mode(0o4755);
        std::fs::set_permissions(root.join("etc/one"), mode).unwrap();
    });
    let top = place.layer(Some(&base), 2, |root| {
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/new"), "new").unwrap();
        whiteout(&root.join("etc/sub"));
        std::fs::create_dir(root.join("hidden")).unwrap();
        make_opaque(&root.join("hidden"));
        std::fs::write(root.join("hidden/y"), "y").unwrap();
        std::fs::create_dir(root.join("becomes-dir")).unwrap();
        std::fs::write(root.join("becomes-dir/z"), "z").unwrap();
    });
    place.snapshots.create(&id(1), Some(&top)).unwrap();
    assert_eq!(
        place.shell(
            &id(1),
            "find . ! -name . | sort; cat etc/one etc/new; readlink link"
        ),
        "./.dockerenv\n./becomes-dir\n./becomes-dir/z\n./etc\n./etc/mtab\n./etc/new\n./etc/one\n./etc/two\n./etc/two-too\n\
         ./hidden\n./hidden/y\n./link\nonenew/nowhere\n"
    );
    assert_eq!(
        place.shell(&id(1), "stat -c '%a %u:%g' etc/one; stat -c %h etc/two"),
        "4755 12:34\n2\n"
    );
    assert_eq!(place.shell(&id(1), "stat -c %a ."), "755\n");
    place.snapshots.create(&id(2), Some(&base)).unwrap();
    assert_eq!(
        place.shell(&id(2), "stat -c %a .; ls hidden/deep"),
        "751\nx\n"
    );

    // What one container writes, the other does not see, and the layers stay as they are.
    let before = place.snapshots.usage(&id(1)).unwrap();
    place.shell(
        &id(1),
        "rm etc/one; echo changed > etc/two; head -c 5000 /dev/zero > big",
    );
    assert_eq!(
        place.shell(&id(1), "test ! -e etc/one; cat etc/two"),
        "changed\n"
    );
    assert_eq!(place.shell(&id(2), "cat etc/one etc/two"), "onetwo");
    let grown = place.snapshots.usage(&id(1)).unwrap() - before;
    assert!((4990..6000).contains(&grown), "{grown}");
    place.snapshots.create(&id(3), Some(&top)).unwrap();
    assert_eq!(place.shell(&id(3), "cat etc/one etc/two"), "onetwo");

    // Without any layer.
    place.snapshots.create(&id(4), None).unwrap();
    assert_eq!(
        place.shell(&id(4), "ls -A; echo made > it; cat it"),
        ".dockerenv\netc\nmade\n"
    );
    place.assert_clean();
    assert!(matches!(
        place.snapshots.create(&id(4), None),
        Err(Error::Store(_))
    ));
    assert_eq!(
        place.shell(&id(4), "cat it"),
        "made\n",
        "a refused create changes nothing"
    );
    let missing = ChainId::from(Digest::sha256([99; 32]));
    let refused = place.snapshots.create(&id(5), Some(&missing));
    assert!(matches!(refused, Err(Error::NoLayer(_))));
    assert!(!place.snapshots.container_path(&id(5)).exists());
    assert!(matches!(
        place.snapshots.rootfs(&id(5)),
        Err(Error::NoRoot(_))
    ));

    // Abandoned before the transaction, with and without directories.
    drop(place.snapshots.prepare(&id(6), Some(&top)).unwrap());
    assert!(!place.snapshots.container_path(&id(6)).exists());
    let prepared = place.snapshots.prepare(&id(6), Some(&top)).unwrap();
    std::fs::create_dir_all(prepared.path()).unwrap();
    drop(prepared);
    assert!(!place.snapshots.container_path(&id(6)).exists());

    for number in 1..5 {
        assert!(place.snapshots.remove(&id(number)).unwrap());
        assert!(!place.snapshots.container_path(&id(number)).exists());
        assert!(!place.snapshots.remove(&id(number)).unwrap());
    }
    place.snapshots.sweep().unwrap();
    place.assert_clean();
    let trash = place.place.path().join("data/tmp/trash");
    assert_eq!(std::fs::read_dir(trash).unwrap().count(), 0);
}

#[test]
fn overlay_conforms() {
    conformance(Driver::Overlay);
}

#[test]
fn native_conforms() {
    conformance(Driver::Native);
}

#[test]
fn an_overlay_has_directories_when_somebody_asks_for_its_parts() {
    let place = Place::new(Driver::Overlay);
    let path = place.snapshots.container_path(&id(1));
    place.snapshots.create(&id(1), None).unwrap();
    assert!(!path.exists());
    assert_eq!(place.snapshots.usage(&id(1)).unwrap(), 0);
    place.snapshots.rootfs(&id(1)).unwrap();
    assert!(path.join("upper").is_dir() && path.join("work").is_dir());
    assert!(place.snapshots.remove(&id(1)).unwrap());
    assert!(!path.exists());
}

#[test]
fn roots_outlive_the_driver_they_were_made_by_and_lost_directories() {
    let place = Place::new(Driver::Native);
    let base = place.layer(None, 1, |root| std::fs::write(root.join("f"), "f").unwrap());
    place.snapshots.create(&id(1), Some(&base)).unwrap();
    let other = Snapshots::open(&place.store, Driver::Overlay);
    assert!(matches!(
        other.rootfs(&id(1)).unwrap(),
        Rootfs::Directory(_)
    ));
    other.create(&id(2), Some(&base)).unwrap();
    assert!(matches!(
        place.snapshots.rootfs(&id(2)).unwrap(),
        Rootfs::Overlay { .. }
    ));
    // A power cut may take directories whose record is safe.
    for number in [1, 2] {
        std::fs::remove_dir_all(place.snapshots.container_path(&id(number))).unwrap();
        assert_eq!(place.shell(&id(number), "cat f"), "f");
    }
}

#[test]
fn a_creation_in_a_larger_change_costs_one_sync() {
    let place = Place::new(Driver::Overlay);
    let base = place.layer(None, 1, |root| std::fs::write(root.join("f"), "f").unwrap());
    place.store.flush().unwrap();
    let syncs = place.store.syncs();
    let prepared = place.snapshots.prepare(&id(1), Some(&base)).unwrap();
    place.store.write(|tx| prepared.commit(tx)).unwrap();
    drop(prepared);
    assert_eq!(place.store.syncs() - syncs, 1);
    let syncs = place.store.syncs();
    place
        .store
        .write(|tx| place.snapshots.remove_in(tx, &id(1)))
        .unwrap();
    assert_eq!(place.store.syncs() - syncs, 1);
}

#[test]
fn implied_directories_take_after_those_below() {
    let place = Place::new(Driver::Overlay);
    let base = place.layer(None, 1, |root| {
        std::fs::create_dir_all(root.join("srv/data")).unwrap();
        for (path, mode, owner) in [("srv", 0o711, 5), ("srv/data", 0o2770, 6)] {
            std::os::unix::fs::chown(root.join(path), Some(owner), Some(owner)).unwrap();
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(root.join(path), mode).unwrap();
        }
        std::fs::create_dir(root.join("gone")).unwrap();
        std::fs::set_permissions(root.join("gone"), std::fs::Permissions::from_mode(0o700))
            .unwrap();
        std::os::unix::fs::symlink("/", root.join("link")).unwrap();
    });
    let middle = place.layer(Some(&base), 2, |root| whiteout(&root.join("gone")));
    let implied = ["srv", "srv/data", "gone", "link", "fresh"].map(PathBuf::from);
    let top = place.layer_implying(Some(&middle), 3, &implied, |root| {
        for path in ["srv/data", "gone", "link", "fresh"] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
    });
    let record = place.store.layer(&top).unwrap().unwrap();
    let look = |path: &str| {
        let status = std::fs::metadata(place.store.layer_path(&record).join(path)).unwrap();
        (status.mode() & 0o7777, status.uid())
    };
    assert_eq!(look("srv"), (0o711, 5));
    assert_eq!(look("srv/data"), (0o2770, 6));
    for path in ["gone", "link", "fresh"] {
        assert_eq!(look(path), (0o755, 0), "{path}");
    }
}

#[test]
fn layer_paths_are_short() {
    let place = Place::new(Driver::Overlay);
    let mut top: Option<ChainId> = None;
    for number in 1..=127 {
        top = Some(place.layer(top.as_ref(), number, |_| ()));
    }
    place.snapshots.create(&id(1), top.as_ref()).unwrap();
    let Rootfs::Overlay { lower, .. } = place.snapshots.rootfs(&id(1)).unwrap() else {
        panic!()
    };
    assert_eq!(lower.len(), 127);
    let root = place.place.path().join("data/layers");
    let length: usize = lower
        .iter()
        .map(|path| path.strip_prefix(&root).unwrap().as_os_str().len() + 1)
        .sum();
    assert!(length < 700, "{length}");
    assert!(lower[0].ends_with("127") && lower[126].ends_with("1"));
}
