//! What is changed in a container's root comes back from the layer that is made of it: the kernel's overlay on top of
//! the same base shows the same tree, whether its upper directory is the one that was written to or the one that the
//! layer was unpacked into. Root is needed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod seen;

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

use onggi_archive::{ApplyOptions, PackOptions, Time, Times, apply_at, pack_at, settle};
use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};
use seen::{Seen, look};

/// An overlay that is mounted nowhere: only this descriptor leads to it.
struct Overlay(OwnedFd);

impl Overlay {
    fn new(lower: &Path, upper: &Path, work: &Path) -> Overlay {
        fs::create_dir_all(upper).unwrap();
        fs::create_dir_all(work).unwrap();
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
        for (key, value) in [("lowerdir", lower), ("upperdir", upper), ("workdir", work)] {
            fsconfig_set_string(&context, key, value).unwrap();
        }
        for key in ["redirect_dir", "metacopy", "index"] {
            fsconfig_set_string(&context, key, "off").unwrap();
        }
        // Else the whole disk is synced when it ends.
        fsconfig_set_flag(&context, "volatile").unwrap();
        fsconfig_create(&context).unwrap();
        let flags = FsMountFlags::FSMOUNT_CLOEXEC;
        Overlay(fsmount(&context, flags, MountAttrFlags::empty()).unwrap())
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/", self.0.as_raw_fd()))
    }
}

/// Something done to a tree; the numbers choose names that are there.
#[derive(Clone, Debug)]
struct Change {
    kind: u8,
    what: usize,
    other: usize,
    number: u32,
    data: Vec<u8>,
    name: String,
}

fn changes(most: usize) -> impl Strategy<Value = Vec<Change>> {
    let name = prop_oneof![
        4 => "[a-zA-Z0-9 _-]{1,10}",
        1 => "[a-z\u{e9}\u{4e00}]{30,80}",
    ];
    let data = proptest::collection::vec(any::<u8>(), 0..30);
    let one = (
        0_u8..16,
        any::<usize>(),
        any::<usize>(),
        any::<u32>(),
        data,
        name,
    )
        .prop_map(|(kind, what, other, number, data, name)| Change {
            kind,
            what,
            other,
            number,
            data,
            name,
        });
    proptest::collection::vec(one, 1..most)
}

impl Change {
    /// Does it; what cannot be done (the kernel does not rename folders of the base, say) is not done.
    fn make(&self, root: &Path) -> io::Result<()> {
        let names: Vec<PathBuf> = look(root).into_keys().map(|name| root.join(name)).collect();
        if names.is_empty() && self.kind > 3 {
            return Ok(());
        }
        let pick = |number: usize| match names.len() {
            0 => root.to_path_buf(),
            count => names[number % count].clone(),
        };
        let folder = |number: usize| {
            let path = pick(number);
            match path.symlink_metadata() {
                Ok(status) if status.is_dir() => path,
                _ => path.parent().unwrap_or(root).to_path_buf(),
            }
        };
        let old = pick(self.what);
        let new = folder(self.other).join(&self.name);
        let number = self.number;
        match self.kind {
            0 | 1 => fs::write(new, &self.data),
            2 | 3 => fs::create_dir(new),
            4 => remove(&old),
            5 => {
                // As opaque as it gets: gone, and there again with something else in it.
                remove(&old)?;
                fs::create_dir(&old)?;
                fs::write(old.join(&self.name), "alone")
            }
            6 => {
                remove(&old)?;
                fs::write(old, &self.data)
            }
            7 => {
                remove(&old)?;
                symlink(format!("../{}", self.name), old)
            }
            8 => fs::hard_link(old, new),
            9 => fs::rename(old, new),
            10 => {
                if old.is_symlink() {
                    return Ok(());
                }
                fs::set_permissions(old, Permissions::from_mode(number & 0o7777))
            }
            11 => lchown(old, Some(number % 70_000), Some(number / 70_000)),
            12 => {
                let time = Timespec {
                    tv_sec: i64::from(number) - 1_000_000_000,
                    tv_nsec: i64::from(number % 1_000_000_000),
                };
                let times = Timestamps {
                    last_access: time,
                    last_modification: time,
                };
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                Ok(rustix::fs::utimensat(CWD, old, &times, flags)?)
            }
            13 => {
                let key = match number % 2 {
                    0 => "user.note",
                    _ => "trusted.note",
                };
                let flags = XattrFlags::empty();
                Ok(rustix::fs::lsetxattr(old, key, &self.data, flags)?)
            }
            14 => {
                // With a hole in front and one behind.
                let sparse = File::create(new)?;
                sparse.write_all_at(&self.data, u64::from(number % 900_000))?;
                sparse.set_len(1_000_000)
            }
            _ => {
                let kind = match number % 3 {
                    0 => FileType::Fifo,
                    1 => FileType::CharacterDevice,
                    _ => FileType::BlockDevice,
                };
                // 0:0 is a removal, where the kernel lets us make one.
                let device = match number % 5 {
                    0 => 0,
                    _ => rustix::fs::makedev(number % 200, number % 1000),
                };
                Ok(rustix::fs::mknodat(
                    CWD,
                    new,
                    kind,
                    Mode::from_raw_mode(0o640),
                    device,
                )?)
            }
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata()?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

/// So many trees: more in the full tier.
fn cases() -> u32 {
    match std::env::var_os("ONGGI_FULL") {
        Some(_) => 200,
        None => 16,
    }
}

/// What two trees do not have in common. Of removals only the place counts.
fn differ(one: &Path, other: &Path) -> Vec<(String, Option<Seen>, Option<Seen>)> {
    let (mut one, mut other) = (look(one), look(other));
    let names: BTreeSet<String> = one.keys().chain(other.keys()).cloned().collect();
    let pairs = names.into_iter().map(|name| {
        let pair = (one.remove(&name), other.remove(&name));
        (name, pair.0, pair.1)
    });
    pairs
        .filter(|(_, one, other)| match (one, other) {
            (Some(one), Some(other)) if one.is_removal() && other.is_removal() => false,
            (one, other) => one != other,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_root_comes_back_from_its_layer(base in changes(30), on_top in changes(30)) {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        for name in ["made", "base", "again"] {
            fs::create_dir(path(name)).unwrap();
        }
        // The base went through an archive as well.
        for change in &base {
            let _ = change.make(&path("made"));
        }
        let mut layer = Vec::new();
        pack_at(&path("made"), &mut layer, &PackOptions::layer()).unwrap();
        apply_at(&layer[..], &path("base"), &ApplyOptions::layer()).unwrap();
        prop_assert_eq!(differ(&path("made"), &path("base")), Vec::new());

        let changed = Overlay::new(&path("base"), &path("upper"), &path("work"));
        for change in &on_top {
            let _ = change.make(&changed.path());
        }
        let mut layer = Vec::new();
        pack_at(&path("upper"), &mut layer, &PackOptions::layer()).unwrap();
        let applied = apply_at(&layer[..], &path("again"), &ApplyOptions::layer()).unwrap();
        prop_assert!(applied.implied.is_empty());
        let again = Overlay::new(&path("base"), &path("again"), &path("work again"));
        prop_assert_eq!(differ(&changed.path(), &again.path()), Vec::new());
        drop((changed, again));
        let mut same = Vec::new();
        pack_at(&path("again"), &mut same, &PackOptions::layer()).unwrap();
        prop_assert!(layer == same, "not the same bytes");
    }
    #[test]
    fn a_tree_settles_into_what_is_unpacked_of_it(
        base in changes(20),
        on_top in changes(40),
        left_out in proptest::collection::vec(any::<usize>(), 0..4),
        times in prop_oneof![
            Just(Times::Seconds),
            Just(Times::Fixed(Time { seconds: 1_700_000_000, nanoseconds: 0 })),
        ],
    ) {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        for name in ["base", "unpacked"] {
            fs::create_dir(path(name)).unwrap();
        }
        for change in &base {
            let _ = change.make(&path("base"));
        }
        let changed = Overlay::new(&path("base"), &path("upper"), &path("work"));
        for change in &on_top {
            let _ = change.make(&changed.path());
        }
        let socket = std::os::unix::net::UnixListener::bind(changed.path().join("socket"));
        drop((socket, changed));
        fs::set_permissions(path("upper"), Permissions::from_mode(0o700)).unwrap();
        rustix::fs::setxattr(path("upper"), "user.note", b"root", XattrFlags::empty()).unwrap();
        let names: Vec<String> = look(&path("upper")).into_keys().collect();
        let options = PackOptions {
            times,
            without: left_out.iter().map(|number| names[number % names.len()].clone().into_bytes()).collect(),
            ..PackOptions::layer()
        };
        let (mut layer, mut same) = (Vec::new(), Vec::new());
        let packed = pack_at(&path("upper"), &mut layer, &options).unwrap();
        let upper = File::open(path("upper")).unwrap();
        let settled = settle(upper.as_fd(), &mut same, &options).unwrap();
        prop_assert_eq!(packed, settled);
        prop_assert!(layer == same, "not the same bytes");
        let applied = apply_at(&layer[..], &path("unpacked"), &ApplyOptions::layer()).unwrap();
        prop_assert_eq!(applied.size, settled.size);
        prop_assert_eq!(differ(&path("upper"), &path("unpacked")), Vec::new());
        let status = fs::metadata(path("upper")).unwrap();
        prop_assert_eq!(status.permissions().mode() & 0o7777, 0o755);
        let mut of_root = [0; 256];
        prop_assert_eq!(rustix::fs::listxattr(path("upper"), &mut of_root[..]).unwrap(), 0);
        // And stays that.
        let mut again = Vec::new();
        settle(upper.as_fd(), &mut again, &PackOptions { without: Vec::new(), ..options }).unwrap();
        prop_assert!(layer == again, "not the same bytes again");
    }
}

#[test]
fn removals_of_a_tree_that_has_none_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let literal = PackOptions::default();
    let tree = |name: &str| {
        let path = place.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let device = tree("device");
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(CWD, device.join("null"), FileType::CharacterDevice, mode, 0).unwrap();
    let named = tree("named");
    fs::write(named.join(".wh.file"), "").unwrap();
    for path in [device, named] {
        let root = File::open(path).unwrap();
        let error = settle(root.as_fd(), io::sink(), &literal).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("as a layer it would be a removal"),
            "{error}"
        );
    }
    let marked = tree("marked");
    fs::create_dir(marked.join("opaque")).unwrap();
    let flags = XattrFlags::empty();
    rustix::fs::setxattr(marked.join("opaque"), "trusted.overlay.opaque", b"y", flags).unwrap();
    let packed = settle(File::open(&marked).unwrap().as_fd(), io::sink(), &literal).unwrap();
    assert_eq!(packed.entries, 1);
    let gone = rustix::fs::getxattr(
        marked.join("opaque"),
        "trusted.overlay.opaque",
        &mut [0; 4][..],
    );
    assert_eq!(gone, Err(rustix::io::Errno::NODATA));
}
