//! Applying archives, good and hostile. Root is needed: owners, devices and `trusted.` attributes are real.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use onggi_archive::{Applied, ApplyOptions, Entry, Error, Kind, Limits, TarWriter, Time, apply_at};
use onggi_model::{ErrorKind, Fault as _};
use tempfile::TempDir;

struct Tar(TarWriter<Vec<u8>>);

impl Tar {
    fn new() -> Tar {
        Tar(TarWriter::new(Vec::new()))
    }

    fn entry(mut self, entry: Entry) -> Tar {
        self.0.header(&entry).unwrap();
        self
    }

    fn directory(self, path: &str, mode: u32) -> Tar {
        self.entry(Entry::new(path, Kind::Directory, mode))
    }

    fn file(mut self, path: &str, data: &str) -> Tar {
        let mut entry = Entry::new(path, Kind::File, 0o644);
        entry.size = data.len() as u64;
        self.0.file(&entry, data.as_bytes()).unwrap();
        self
    }

    fn link(self, kind: Kind, path: &str, target: &str) -> Tar {
        let mut entry = Entry::new(path, kind, 0o777);
        entry.link = target.as_bytes().to_vec();
        self.entry(entry)
    }

    fn bytes(self) -> Vec<u8> {
        self.0.finish().unwrap()
    }

    fn apply(self, root: &Path) -> Result<Applied, Error> {
        apply_at(&self.bytes()[..], root, &ApplyOptions::layer())
    }
}

/// A root with a neighbour that nothing may reach.
struct Place {
    outer: TempDir,
}

impl Place {
    fn new() -> Place {
        let outer = tempfile::tempdir().unwrap();
        std::fs::create_dir(outer.path().join("root")).unwrap();
        std::fs::create_dir(outer.path().join("victim")).unwrap();
        std::fs::write(outer.path().join("victim/secret"), "untouched").unwrap();
        Place { outer }
    }

    fn root(&self) -> std::path::PathBuf {
        self.outer.path().join("root")
    }

    fn victim(&self) -> String {
        self.outer
            .path()
            .join("victim")
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn assert_untouched(&self) {
        let names: Vec<_> = std::fs::read_dir(self.victim()).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        let secret = self.outer.path().join("victim/secret");
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "untouched");
        assert_eq!(std::fs::metadata(secret).unwrap().nlink(), 1);
        assert_eq!(std::fs::read_dir(self.outer.path()).unwrap().count(), 2);
    }
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 256];
    let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).ok()?;
    value.truncate(length);
    Some(value)
}

fn is_whiteout(path: &Path) -> bool {
    let status = std::fs::symlink_metadata(path).unwrap();
    status.file_type().is_char_device() && status.rdev() == 0
}

fn is_opaque(path: &Path) -> bool {
    xattr(path, "trusted.overlay.opaque").as_deref() == Some(b"y")
}

#[test]
fn every_kind_of_entry_is_made_as_it_says() {
    let place = Place::new();
    let root = place.root();
    let mut file = Entry::new("etc/shadow", Kind::File, 0o4640);
    (file.uid, file.gid, file.size) = (7, 42, 5);
    file.mtime = Time {
        seconds: 1_234_567_890,
        nanoseconds: 987_654_321,
    };
    file.xattrs = vec![
        (b"user.note".to_vec(), b"a\0b".to_vec()),
        // cap_net_bind_service=ep, revision 2.
        (
            b"security.capability".to_vec(),
            vec![1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
    ];
    let mut etc = Entry::new("etc/", Kind::Directory, 0o2751);
    (etc.uid, etc.gid, etc.mtime.seconds) = (1, 2, 1_000_000_000);
    let mut device = Entry::new("null", Kind::CharacterDevice, 0o666);
    device.device = (1, 3);
    let mut block = Entry::new("loop", Kind::BlockDevice, 0o660);
    block.device = (7, 300);
    block.gid = 6;
    let mut root_entry = Entry::new("./", Kind::Directory, 0o711);
    root_entry.mtime.seconds = 5;
    let mut link = Entry::new("sh", Kind::Symlink, 0o777);
    (link.uid, link.mtime.seconds) = (33, 77);
    link.link = b"/bin/busybox".to_vec();
    let mut tar = Tar::new().entry(root_entry).entry(etc);
    tar.0.file(&file, &b"hello"[..]).unwrap();
    let applied = tar
        .entry(device)
        .entry(block)
        .entry(Entry::new("pipe", Kind::Fifo, 0o622))
        .entry(link)
        .link(Kind::HardLink, "etc/shadow-", "etc/shadow")
        .directory("tmp/", 0o1777)
        .apply(&root)
        .unwrap();
    // `hello`, and where the link leads.
    assert_eq!((applied.entries, applied.size), (9, 5 + 12));
    assert!(applied.implied.is_empty());

    let status = std::fs::metadata(root.join("etc/shadow")).unwrap();
    assert_eq!(
        (status.mode() & 0o7777, status.uid(), status.gid()),
        (0o4640, 7, 42)
    );
    assert_eq!(
        (status.mtime(), status.mtime_nsec()),
        (1_234_567_890, 987_654_321)
    );
    assert_eq!(status.nlink(), 2);
    assert_eq!(read(root.join("etc/shadow-")), "hello");
    assert_eq!(
        xattr(&root.join("etc/shadow"), "user.note").unwrap(),
        b"a\0b"
    );
    assert!(xattr(&root.join("etc/shadow"), "security.capability").is_some());
    let status = std::fs::metadata(root.join("etc")).unwrap();
    assert_eq!(
        (status.mode() & 0o7777, status.uid(), status.gid()),
        (0o2751, 1, 2)
    );
    assert_eq!((status.mtime(), status.mtime_nsec()), (1_000_000_000, 0));
    let status = std::fs::metadata(root.join("null")).unwrap();
    assert!(status.file_type().is_char_device());
    assert_eq!(
        (status.rdev(), status.mode() & 0o777),
        (rustix::fs::makedev(1, 3), 0o666)
    );
    let status = std::fs::metadata(root.join("loop")).unwrap();
    assert_eq!(
        (status.rdev(), status.gid()),
        (rustix::fs::makedev(7, 300), 6)
    );
    assert!(
        std::fs::metadata(root.join("pipe"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    let status = std::fs::symlink_metadata(root.join("sh")).unwrap();
    assert_eq!((status.uid(), status.mtime()), (33, 77));
    assert_eq!(
        std::fs::read_link(root.join("sh")).unwrap(),
        Path::new("/bin/busybox")
    );
    let status = std::fs::metadata(&root).unwrap();
    assert_eq!((status.mode() & 0o7777, status.mtime()), (0o711, 5));
    assert_eq!(
        std::fs::metadata(root.join("tmp")).unwrap().mode() & 0o7777,
        0o1777
    );
}

#[test]
fn modes_do_not_depend_on_the_umask_nor_on_each_other() {
    let place = Place::new();
    let root = place.root();
    let mut tar = Tar::new();
    for mode in [
        0, 0o1, 0o20, 0o222, 0o444, 0o600, 0o666, 0o777, 0o4755, 0o2775, 0o1000, 0o7777,
    ] {
        tar = tar.directory(&format!("d{mode:o}/"), mode);
        for inner in [0, 0o002, 0o666, 0o755, 0o4711, 0o7777] {
            let mut entry = Entry::new(format!("d{mode:o}/f{inner:o}"), Kind::File, inner);
            entry.size = 1;
            tar.0.file(&entry, &b"x"[..]).unwrap();
        }
        tar = tar.directory(&format!("d{mode:o}/sub/"), 0o755);
    }
    tar.apply(&root).unwrap();
    for directory in std::fs::read_dir(&root).unwrap() {
        let directory = directory.unwrap();
        let mode = directory.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(
            format!("d{mode:o}"),
            directory.file_name().to_str().unwrap()
        );
        for file in std::fs::read_dir(directory.path()).unwrap() {
            let file = file.unwrap();
            let status = file.metadata().unwrap();
            let mode = status.permissions().mode() & 0o7777;
            match file.file_name().to_str().unwrap() {
                // A set-group-id parent would have handed its bit and group down.
                "sub" => assert_eq!((mode, status.gid()), (0o755, 0)),
                name => assert_eq!(format!("f{mode:o}"), name),
            }
        }
    }
}

#[test]
fn names_that_lead_out_are_refused_and_absolute_ones_stay_inside() {
    for path in [
        "../victim/new",
        "a/../../victim/new",
        "/../victim/new",
        "..",
        "./../x",
    ] {
        let place = Place::new();
        let error = Tar::new()
            .file(path, "evil")
            .apply(&place.root())
            .unwrap_err();
        assert!(matches!(error, Error::Name { .. }), "{path}: {error}");
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        place.assert_untouched();
    }
    let place = Place::new();
    let victim = place.victim();
    Tar::new()
        .file(&format!("{victim}/new"), "x")
        .apply(&place.root())
        .unwrap();
    place.assert_untouched();
    assert_eq!(
        read(
            place
                .root()
                .join(victim.trim_start_matches('/'))
                .join("new")
        ),
        "x"
    );
    for link in ["../victim/secret", "/../victim/secret"] {
        let place = Place::new();
        let error = Tar::new()
            .link(Kind::HardLink, "x", link)
            .apply(&place.root())
            .unwrap_err();
        assert!(matches!(error, Error::Name { .. }), "{error}");
        place.assert_untouched();
    }
}

#[test]
fn links_in_the_way_are_followed_inside_the_root() {
    let place = Place::new();
    let (root, victim) = (place.root(), place.victim());
    // All of these would reach the victim if the kernel followed them from the host's root.
    let applied = Tar::new()
        .link(Kind::Symlink, "absolute", &victim)
        .file("absolute/new", "one")
        .link(Kind::Symlink, "dots", "../../../../../../..")
        .file(&format!("dots{victim}/two"), "two")
        .link(Kind::Symlink, "chain", "absolute")
        .file("chain/sub/three", "three")
        .directory("usr/lib/", 0o755)
        .link(Kind::Symlink, "lib", "usr/lib")
        .file("lib/so", "four")
        .apply(&root)
        .unwrap();
    place.assert_untouched();
    let inside = root.join(victim.trim_start_matches('/'));
    assert_eq!(read(inside.join("new")), "one");
    assert_eq!(read(inside.join("two")), "two");
    assert_eq!(read(inside.join("sub/three")), "three");
    assert_eq!(read(root.join("usr/lib/so")), "four");
    // Directories nobody named are told of by their real names.
    assert!(
        applied
            .implied
            .iter()
            .any(|path| Path::new("/").join(path) == Path::new(&victim))
    );
    assert!(applied.implied.iter().any(|path| path == Path::new("usr")));
    assert!(
        !applied
            .implied
            .iter()
            .any(|path| path == Path::new("usr/lib"))
    );
}

#[test]
fn a_link_put_in_place_of_a_directory_leads_nowhere_else() {
    let place = Place::new();
    let victim = place.victim();
    // The directory is open and cached when the link replaces it; its time is set at the end.
    Tar::new()
        .directory("a/", 0o777)
        .file("a/one", "1")
        .link(Kind::Symlink, "a", &victim)
        .file("a/two", "2")
        .directory("b/", 0o2777)
        .file("b/c/x", "")
        .link(Kind::Symlink, "b", &victim)
        .apply(&place.root())
        .unwrap();
    place.assert_untouched();
    let mode = std::fs::metadata(place.victim()).unwrap().mode();
    assert_eq!(mode & 0o2000, 0, "a late chmod went through the link");
    assert!(place.root().join("a").is_symlink());
    assert_eq!(
        read(
            place
                .root()
                .join(victim.trim_start_matches('/'))
                .join("two")
        ),
        "2"
    );
}

#[test]
fn an_entry_never_writes_through_a_link_of_its_own_name() {
    let place = Place::new();
    let (root, victim) = (place.root(), place.victim());
    let secret = format!("{victim}/secret");
    Tar::new()
        .link(Kind::Symlink, "x", &secret)
        .file("x", "new")
        .link(Kind::Symlink, "d", &victim)
        .directory("d/", 0o7777)
        .link(Kind::Symlink, "s", &secret)
        .link(Kind::HardLink, "h", "s")
        .apply(&root)
        .unwrap();
    place.assert_untouched();
    assert_eq!(read(root.join("x")), "new");
    assert!(root.join("d").symlink_metadata().unwrap().is_dir());
    // The hard link is one of the symbolic link, not of what it points at.
    assert!(root.join("h").is_symlink());
}

#[test]
fn loops_of_links_and_files_in_the_way_are_errors() {
    let place = Place::new();
    let error = Tar::new()
        .link(Kind::Symlink, "a", "b")
        .link(Kind::Symlink, "b", "a")
        .file("a/x", "")
        .apply(&place.root())
        .unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
    let error = Tar::new()
        .file("f", "")
        .file("f/x", "")
        .apply(&place.root())
        .unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
    let error = Tar::new()
        .link(Kind::HardLink, "x", "missing")
        .apply(&place.root())
        .unwrap_err();
    assert!(matches!(error, Error::File { what: "link", .. }), "{error}");
    let error = Tar::new().file(".", "x").apply(&place.root()).unwrap_err();
    assert!(matches!(error, Error::Name { .. }), "{error}");
    place.assert_untouched();
}

#[test]
fn the_last_of_several_entries_wins_and_directories_stay() {
    let place = Place::new();
    let root = place.root();
    Tar::new()
        .file("f", "old")
        .file("f", "new")
        .directory("d/", 0o700)
        .file("d/kept", "k")
        .directory("d/", 0o750)
        .directory("gone/", 0o755)
        .file("gone/deep/er/x", "x")
        .file("gone", "file now")
        .file("t", "file")
        .directory("t/", 0o755)
        .file("t/in", "in")
        .file("h", "h")
        .link(Kind::HardLink, "h", "h")
        .apply(&root)
        .unwrap();
    assert_eq!(read(root.join("f")), "new");
    assert_eq!(read(root.join("d/kept")), "k");
    assert_eq!(
        std::fs::metadata(root.join("d")).unwrap().mode() & 0o777,
        0o750
    );
    assert_eq!(read(root.join("gone")), "file now");
    assert_eq!(read(root.join("t/in")), "in");
    assert_eq!(read(root.join("h")), "h");
}

#[test]
fn removals_take_the_form_of_overlayfs() {
    let place = Place::new();
    let root = place.root();
    Tar::new()
        .file("a/.wh.gone", "")
        .file("b/.wh..wh..opq", "")
        .file("b/new", "n")
        // Removed below and made again, in either order: the directory hides what was below.
        .file(".wh.first", "")
        .directory("first/", 0o755)
        .directory("second/", 0o755)
        .file(".wh.second", "")
        .file(".wh.third", "")
        .file("third/x", "x")
        .file(".wh.plain", "")
        .file("plain", "here")
        .file("late", "here")
        .file(".wh.late", "")
        .file(".wh..wh.plnk/1.2", "")
        .apply(&root)
        .unwrap();
    assert!(is_whiteout(&root.join("a/gone")));
    assert!(is_opaque(&root.join("b")) && !is_opaque(&root.join("a")));
    for name in ["first", "second", "third"] {
        assert!(is_opaque(&root.join(name)), "{name}");
    }
    assert_eq!(read(root.join("third/x")), "x");
    assert_eq!(read(root.join("plain")), "here");
    assert_eq!(read(root.join("late")), "here");
    for path in [".wh.", ".wh...", "a/.wh..", "a/.wh..."] {
        let error = Tar::new().file(path, "").apply(&root);
        match path {
            // ".wh..." removes "..": refused; ".wh.." removes ".": refused.
            _ if error.is_err() => {
                assert!(matches!(error.unwrap_err(), Error::Name { .. }), "{path}");
            }
            _ => panic!("{path} was taken"),
        }
    }
    let literal = Place::new();
    let bytes = Tar::new().file(".wh.x", "data").bytes();
    apply_at(&bytes[..], &literal.root(), &ApplyOptions::default()).unwrap();
    assert_eq!(read(literal.root().join(".wh.x")), "data");
}

#[test]
fn attributes_of_overlayfs_are_not_taken_from_an_archive() {
    let place = Place::new();
    let mut entry = Entry::new("d/", Kind::Directory, 0o755);
    entry.xattrs = [
        ("trusted.overlay.opaque", "y"),
        ("trusted.overlay.redirect", "/etc"),
        ("user.overlay.whiteout", "y"),
        ("user.fine", "1"),
        ("trusted.other", "2"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .to_vec();
    let mut file = entry.clone();
    (file.path, file.kind) = (b"f".to_vec(), Kind::File);
    Tar::new()
        .entry(entry)
        .entry(file)
        .apply(&place.root())
        .unwrap();
    for name in ["d", "f"] {
        let path = place.root().join(name);
        assert_eq!(xattr(&path, "trusted.overlay.opaque"), None);
        assert_eq!(xattr(&path, "trusted.overlay.redirect"), None);
        assert_eq!(xattr(&path, "user.overlay.whiteout"), None);
        assert_eq!(xattr(&path, "user.fine").unwrap(), b"1");
        assert_eq!(xattr(&path, "trusted.other").unwrap(), b"2");
    }
}

#[test]
fn limits_hold() {
    let place = Place::new();
    let options = ApplyOptions {
        limits: Limits {
            entries: 3,
            bytes: 10,
        },
        ..ApplyOptions::layer()
    };
    let tar = (0..4).fold(Tar::new(), |tar, number| {
        tar.file(&format!("f{number}"), "")
    });
    let error = apply_at(&tar.bytes()[..], &place.root(), &options).unwrap_err();
    assert!(matches!(
        error,
        Error::TooLarge {
            what: "entries",
            limit: 3
        }
    ));
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    // Refused by what the header says, before anything is written.
    let mut bytes = Tar::new().file("big", "0123456789a").bytes();
    bytes.truncate(512);
    let error = apply_at(&bytes[..], &place.root(), &options).unwrap_err();
    assert!(matches!(error, Error::TooLarge { what: "bytes", .. }));
    assert!(!place.root().join("big").exists());
    // A header that says its name has a gigabyte costs nothing.
    let mut header = tar::Header::new_gnu();
    header.set_path("././@LongLink").unwrap();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 30);
    header.set_cksum();
    let endless = std::io::Cursor::new(header.as_bytes().to_vec()).chain(std::io::repeat(b'x'));
    let error = apply_at(endless, &place.root(), &options).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                what: "bytes in a header",
                ..
            }
        ),
        "{error}"
    );
    // Nor do zeros without end after the archive.
    let endless = std::io::Cursor::new(Tar::new().bytes()).chain(std::io::repeat(0));
    let error = apply_at(endless, &place.root(), &options).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                what: "bytes after its end",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn broken_archives_are_refused() {
    let place = Place::new();
    let whole = Tar::new().file("a", &"x".repeat(1000)).bytes();
    for length in [1, 511, 513, 1000, 1500] {
        let error = apply_at(&whole[..length], &place.root(), &ApplyOptions::layer()).unwrap_err();
        assert!(matches!(error, Error::Truncated), "{length}: {error}");
    }
    // Without end marks, as some tools write: taken.
    apply_at(&whole[..1536], &place.root(), &ApplyOptions::layer()).unwrap();
    // Without the padding of the last file, as Docker's clients write a Dockerfile behind a context: taken.
    apply_at(&whole[..1512], &place.root(), &ApplyOptions::layer()).unwrap();
    let mut wrong = whole.clone();
    wrong[3] ^= 0x40;
    let error = apply_at(&wrong[..], &place.root(), &ApplyOptions::layer()).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    let error = apply_at(
        &b"<html>".repeat(200)[..],
        &place.root(),
        &ApplyOptions::layer(),
    )
    .unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    let hidden = [&[0; 512][..], &whole].concat();
    let error = apply_at(&hidden[..], &place.root(), &ApplyOptions::layer()).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    apply_at(&b""[..], &place.root(), &ApplyOptions::layer()).unwrap();
}

#[test]
fn strange_types_and_owners_out_of_range_are_refused() {
    let place = Place::new();
    let build = |change: &dyn Fn(&mut tar::Header)| {
        let mut header = tar::Header::new_gnu();
        header.set_path("x").unwrap();
        header.set_mode(0o644);
        header.set_size(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        change(&mut header);
        header.set_cksum();
        apply_at(
            &header.as_bytes()[..],
            &place.root(),
            &ApplyOptions::layer(),
        )
    };
    build(&|_| {}).unwrap();
    let error = build(&|header| header.as_mut_bytes()[156] = b'Z').unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    assert_eq!(error.kind(), ErrorKind::NotImplemented);
    // Holes that end before they begin, and pieces that are not there.
    for map in [
        &[(10_u64, 0_u64), (5, 0)][..],
        &[(0, 512)],
        &[(u64::MAX / 8, 1)],
    ] {
        let error = build(&|header| {
            header.set_entry_type(tar::EntryType::GNUSparse);
            let bytes = header.as_mut_bytes();
            for (at, (offset, length)) in map.iter().enumerate() {
                let text = format!("{:011o}\0{length:011o}\0", offset & 0o77_777_777_777);
                bytes[386 + 24 * at..410 + 24 * at].copy_from_slice(text.as_bytes());
            }
            bytes[483..495].copy_from_slice(b"00000000777\0");
        });
        assert!(matches!(error, Err(Error::Invalid(_))), "{error:?}");
    }
    // -1 would mean "unchanged" to chown.
    for uid in [u64::from(u32::MAX), 1 << 32, u64::MAX] {
        let error = build(&|header| header.set_uid(uid)).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{uid}: {error}");
        assert!(matches!(
            build(&|header| header.set_gid(uid)),
            Err(Error::Invalid(_))
        ));
    }
    build(&|header| header.set_uid(u64::from(u32::MAX) - 1)).unwrap();
    let error = build(&|header| header.set_size(u64::MAX / 2)).unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { .. } | Error::Invalid(_)),
        "{error}"
    );
}

#[test]
fn archives_of_other_tools_are_understood() {
    let place = Place::new();
    let source = tempfile::tempdir().unwrap();
    let deep = source.path().join("d".repeat(120)).join("e".repeat(120));
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("f".repeat(200)), "deep").unwrap();
    std::os::unix::fs::symlink("t".repeat(300), source.path().join("long-link")).unwrap();
    std::fs::write(source.path().join("a"), "a").unwrap();
    std::fs::hard_link(source.path().join("a"), source.path().join("z")).unwrap();
    std::fs::write(source.path().join("ü\u{301}"), "utf").unwrap();
    for format in ["gnu", "pax", "oldgnu"] {
        let output = std::process::Command::new("tar")
            .args(["--format", format, "--numeric-owner", "-cf", "-", "."])
            .current_dir(source.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let root = place.root().join(format);
        std::fs::create_dir(&root).unwrap();
        apply_at(&output.stdout[..], &root, &ApplyOptions::layer()).unwrap();
        let same = std::process::Command::new("diff")
            .args(["-r", "--no-dereference"])
            .args([source.path(), &root])
            .output()
            .unwrap();
        assert!(same.status.success(), "{format}: {same:?}");
        assert_eq!(std::fs::metadata(root.join("z")).unwrap().nlink(), 2);
    }
}

#[test]
fn a_failing_source_is_told_apart_from_a_broken_archive() {
    struct Failing(std::io::Cursor<Vec<u8>>);
    impl std::io::Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(std::io::Error::other("connection reset")),
                count => Ok(count),
            }
        }
    }
    let place = Place::new();
    let mut bytes = Tar::new().file("a", &"x".repeat(9000)).bytes();
    bytes.truncate(5000);
    let source = Failing(std::io::Cursor::new(bytes));
    let error = apply_at(source, &place.root(), &ApplyOptions::layer()).unwrap_err();
    assert!(matches!(&error, Error::Read(source) if source.to_string() == "connection reset"));
}

/// GNU tar's three formats for files with holes give back the holes.
#[test]
fn files_with_holes_keep_them() {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};
    let place = Place::new();
    let source = place.root().join("source");
    std::fs::create_dir(&source).unwrap();
    let sparse = std::fs::File::create(source.join("sparse")).unwrap();
    // More pieces than a header has room for, with a hole at the end.
    for piece in 0..40 {
        sparse.write_all_at(&[b'x'; 4096], piece << 20).unwrap();
    }
    sparse.set_len(64 << 20).unwrap();
    std::fs::write(source.join("then"), "more").unwrap();
    for format in ["gnu", "posix", "posix 0.1"] {
        let mut tar = std::process::Command::new("tar");
        let (name, version) = format.split_once(' ').unwrap_or((format, "1.0"));
        if name == "posix" {
            tar.arg(format!("--sparse-version={version}"));
        }
        let output = tar
            .args([&format!("--format={name}"), "-Scf", "-", "-C"])
            .arg(&source)
            .arg(".")
            .output()
            .unwrap();
        assert!(
            output.status.success() && output.stdout.len() < 1 << 20,
            "{format}"
        );
        let target = place.root().join(format);
        std::fs::create_dir(&target).unwrap();
        apply_at(&output.stdout[..], &target, &ApplyOptions::default()).unwrap();
        let status = std::fs::metadata(target.join("sparse")).unwrap();
        assert_eq!(status.size(), 64 << 20, "{format}");
        assert!(
            status.blocks() * 512 < 1 << 20,
            "{format}: {}",
            status.blocks()
        );
        let same = std::fs::read(target.join("sparse")).unwrap()
            == std::fs::read(source.join("sparse")).unwrap();
        assert!(same, "{format}");
        assert_eq!(
            std::fs::read_to_string(target.join("then")).unwrap(),
            "more"
        );
        // A reader that does not care for holes sees zeros.
        let mut reader = onggi_archive::TarReader::new(&output.stdout[..]);
        let mut sizes = Vec::new();
        while let Some(entry) = reader.next().unwrap() {
            let mut read = 0;
            loop {
                let count = reader.data().unwrap().len();
                if count == 0 {
                    break;
                }
                reader.consume(count);
                read += count as u64;
            }
            assert_eq!(read, entry.size);
            sizes.push(read);
        }
        sizes.sort_unstable();
        assert_eq!(sizes, [0, 4, 64 << 20], "{format}");
    }
}

/// `cp` into a tree where others live: what may give way, to whom it belongs, where it goes.
#[test]
fn copies_respect_what_is_there() {
    use onggi_archive::{Conflicts, Owner, apply_below};
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;
    let place = Place::new();
    let root = place.root();
    std::fs::create_dir_all(root.join("in/dir")).unwrap();
    std::fs::create_dir(root.join("elsewhere")).unwrap();
    std::fs::write(root.join("in/file"), "old").unwrap();
    std::os::unix::fs::symlink("/elsewhere", root.join("in/link")).unwrap();
    let opened = std::fs::File::open(&root).unwrap();
    let copy = |tar: &[u8], conflicts, owner| {
        let options = ApplyOptions::copy(conflicts, owner);
        apply_below(tar, opened.as_fd(), b"in", &options)
    };
    let directory = |name: &str| {
        let mut tar = onggi_archive::TarWriter::new(Vec::new());
        let entry = onggi_archive::Entry::new(name, onggi_archive::Kind::Directory, 0o700);
        tar.header(&entry).unwrap();
        tar.finish().unwrap()
    };
    let file = |name: &str| {
        let mut tar = onggi_archive::TarWriter::new(Vec::new());
        let mut entry = onggi_archive::Entry::new(name, onggi_archive::Kind::File, 0o600);
        (entry.uid, entry.gid, entry.size) = (7, 8, 3);
        tar.file(&entry, &b"new"[..]).unwrap();
        tar.finish().unwrap()
    };
    for (tar, text) in [
        (
            file("dir"),
            "cannot overwrite directory \"/in/dir\" with non-directory \"/in\"",
        ),
        (
            directory("file"),
            "cannot overwrite non-directory \"/in/file\" with directory \"/in\"",
        ),
        (
            directory("link"),
            "cannot overwrite non-directory \"/in/link\" with directory \"/in\"",
        ),
    ] {
        let error = copy(&tar, Conflicts::Refuse, Owner::Archive).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    // The archive's own root changes nothing; a link on the way is followed in the tree's root.
    let mode = |path: &str| std::fs::metadata(root.join(path)).unwrap().mode() & 0o777;
    let before = mode("in");
    copy(&directory("./"), Conflicts::Refuse, Owner::Archive).unwrap();
    assert_eq!(mode("in"), before);
    copy(&file("link/new"), Conflicts::Refuse, Owner::Archive).unwrap();
    let status = std::fs::metadata(root.join("elsewhere/new")).unwrap();
    assert_eq!((status.uid(), status.gid()), (7, 8));
    copy(&file("given"), Conflicts::Refuse, Owner::Fixed(1, 2)).unwrap();
    let status = std::fs::metadata(root.join("in/given")).unwrap();
    assert_eq!((status.uid(), status.gid()), (1, 2));
    copy(&file("own"), Conflicts::Refuse, Owner::Process).unwrap();
    let status = std::fs::metadata(root.join("in/own")).unwrap();
    assert_eq!(status.uid(), rustix::process::geteuid().as_raw());
    let error = copy(&file("../out"), Conflicts::Replace, Owner::Archive).unwrap_err();
    assert!(error.to_string().contains("leads out"), "{error}");
    copy(&file("dir"), Conflicts::Replace, Owner::Archive).unwrap();
    assert!(root.join("in/dir").is_file());
}

/// More directories than are remembered: each has its time in the end, also one that is entered again late.
#[test]
fn times_outlast_more_directories_than_are_remembered() {
    let place = Place::new();
    let time = |seconds| Time {
        seconds,
        nanoseconds: 5,
    };
    let directory = |path: &str, seconds| {
        let mut entry = Entry::new(path, Kind::Directory, 0o755);
        entry.mtime = time(seconds);
        entry
    };
    let mut tar = Tar::new()
        .entry(directory("early", 1_000))
        .file("early/file", "x")
        .entry(directory("many", 2_000));
    for n in 0..8_300 {
        tar = tar.entry(directory(&format!("many/{n}"), 3_000));
    }
    tar = tar.file("early/late", "x").file("many/7/late", "x");
    tar.apply(&place.root()).unwrap();
    for (path, seconds) in [("early", 1_000), ("many", 2_000), ("many/7", 3_000)] {
        let meta = place.root().join(path).metadata().unwrap();
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (seconds, 5), "{path}");
    }
}
