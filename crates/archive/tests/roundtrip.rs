//! Packing and applying are inverse: any tree comes back as it was, and packs to the same bytes again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod seen;

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use onggi_archive::{
    ApplyOptions, Entry, Kind, PackOptions, TarReader, TarWriter, Time, Times, apply_at, pack_at,
};
use proptest::prelude::*;
use seen::look;

#[derive(Clone, Debug)]
enum What {
    Directory,
    File(Vec<u8>),
    Symlink(String),
    HardLink(usize),
    Fifo,
    Device(u32, u32),
}

#[derive(Clone, Debug)]
struct Made {
    parent: usize,
    name: String,
    what: What,
    mode: u32,
    owner: (u32, u32),
    mtime: Time,
    xattr: Option<(String, Vec<u8>)>,
}

fn made() -> impl Strategy<Value = Made> {
    let what = prop_oneof![
        3 => Just(What::Directory),
        4 => proptest::collection::vec(any::<u8>(), 0..2000).prop_map(What::File),
        1 => "[a-z./]{1,120}".prop_map(What::Symlink),
        2 => any::<usize>().prop_map(What::HardLink),
        1 => Just(What::Fifo),
        1 => (0_u32..4000, 1_u32..200_000).prop_map(|(major, minor)| What::Device(major, minor)),
    ];
    let owner = prop_oneof![2 => Just((0, 0)), 1 => (0_u32..u32::MAX, 0_u32..u32::MAX)];
    let mode = prop_oneof![2 => Just(0o644), 1 => Just(0o755), 2 => 0_u32..0o10000];
    let seconds = prop_oneof![3 => 0_i64..4_000_000_000, 1 => -1_000_000_000_i64..0];
    let time = (seconds, prop_oneof![Just(0_u32), 0_u32..1_000_000_000]);
    let name = prop_oneof![4 => "[a-zA-Z0-9 ._-]{1,12}", 1 => "[a-z\u{e9}\u{4e00}]{30,80}"];
    let xattr = proptest::option::weighted(
        0.2,
        (
            "user\\.[a-z]{1,9}",
            proptest::collection::vec(any::<u8>(), 0..60),
        ),
    );
    (any::<usize>(), name, what, mode, owner, time, xattr).prop_map(
        |(parent, name, what, mode, owner, (seconds, nanoseconds), xattr)| Made {
            parent,
            name,
            what,
            mode,
            owner,
            mtime: Time {
                seconds,
                nanoseconds,
            },
            xattr,
        },
    )
}

/// An archive of these, names made unique.
fn archive(all: &[Made]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    let mut directories: Vec<(String, Made)> = Vec::new();
    let mut files: Vec<String> = Vec::new();
    for (number, made) in all.iter().enumerate() {
        let parent = match directories.len() {
            0 => String::new(),
            count => match made.parent % (count + 1) {
                0 => String::new(),
                index => format!("{}/", directories[index - 1].0),
            },
        };
        let path = format!("{parent}{}-{number}", made.name.trim_start_matches('.'));
        let kind = match &made.what {
            What::Directory => {
                directories.push((path.clone(), made.clone()));
                Kind::Directory
            }
            What::File(_) => Kind::File,
            What::Symlink(_) => Kind::Symlink,
            What::HardLink(_) if files.is_empty() => continue,
            What::HardLink(_) => Kind::HardLink,
            What::Fifo => Kind::Fifo,
            What::Device(..) => Kind::CharacterDevice,
        };
        let mut entry = Entry::new(path.clone(), kind, made.mode);
        (entry.uid, entry.gid) = made.owner;
        entry.mtime = made.mtime;
        if matches!(kind, Kind::Directory | Kind::File)
            && let Some((name, value)) = &made.xattr
        {
            entry
                .xattrs
                .push((name.clone().into_bytes(), value.clone()));
        }
        match &made.what {
            What::File(data) => {
                entry.size = data.len() as u64;
                tar.file(&entry, &data[..]).unwrap();
                files.push(path);
                continue;
            }
            What::Symlink(target) => entry.link = target.clone().into_bytes(),
            What::HardLink(index) => {
                entry.link = files[index % files.len()].clone().into_bytes();
            }
            What::Device(major, minor) => entry.device = (*major, *minor),
            What::Directory | What::Fifo => {}
        }
        tar.header(&entry).unwrap();
    }
    tar.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_comes_back(all in proptest::collection::vec(made(), 0..40)) {
        let place = tempfile::tempdir().unwrap();
        let (one, two) = (place.path().join("one"), place.path().join("two"));
        std::fs::create_dir(&one).unwrap();
        std::fs::create_dir(&two).unwrap();
        apply_at(&archive(&all)[..], &one, &ApplyOptions::layer()).unwrap();
        let mut packed = Vec::new();
        pack_at(&one, &mut packed, &PackOptions::layer()).unwrap();
        let applied = apply_at(&packed[..], &two, &ApplyOptions::layer()).unwrap();
        prop_assert!(applied.implied.is_empty());
        prop_assert_eq!(look(&one), look(&two));
        let mut again = Vec::new();
        pack_at(&two, &mut again, &PackOptions::layer()).unwrap();
        prop_assert!(packed == again, "not the same bytes");
    }

    #[test]
    fn no_bytes_make_it_panic_or_hang(mut bytes in proptest::collection::vec(any::<u8>(), 0..4096),
                                      changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6)) {
        let mut reader = TarReader::new(&bytes[..]);
        while let Ok(Some(_)) = reader.next() {}
        // A valid archive with some bytes changed and its checksums made right again goes deeper.
        let whole = archive(&[Made {
            parent: 0, name: "n".repeat(150), what: What::File(bytes.clone()), mode: 0o644,
            owner: (3_000_000, 1), mtime: Time { seconds: 1, nanoseconds: 5 },
            xattr: Some(("user.x".to_owned(), vec![1])),
        }]);
        bytes = whole;
        for (index, byte) in changes {
            let index = index % bytes.len();
            bytes[index] = byte;
            let block = index / 512 * 512;
            let sum: u32 = bytes[block..block + 512].iter().enumerate()
                .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
            bytes[block + 148..block + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let mut reader = TarReader::new(&bytes[..]);
        while let Ok(Some(_)) = reader.next() {}
    }
}

#[test]
fn an_upper_directory_packs_to_removals_and_comes_back() {
    let place = tempfile::tempdir().unwrap();
    let (one, two) = (place.path().join("one"), place.path().join("two"));
    std::fs::create_dir_all(one.join("etc")).unwrap();
    std::fs::create_dir(&two).unwrap();
    std::fs::write(one.join("etc/new"), "n").unwrap();
    let device = rustix::fs::FileType::CharacterDevice;
    let mode = rustix::fs::Mode::empty();
    rustix::fs::mknodat(rustix::fs::CWD, one.join("etc/gone"), device, mode, 0).unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(one.join("etc"), "trusted.overlay.opaque", b"y", flags).unwrap();
    rustix::fs::setxattr(one.join("etc"), "trusted.overlay.origin", b"abc", flags).unwrap();
    let mut bytes = Vec::new();
    let packed = pack_at(&one, &mut bytes, &PackOptions::layer()).unwrap();
    assert_eq!(packed.entries, 4);
    let mut names = Vec::new();
    let mut reader = TarReader::new(&bytes[..]);
    while let Some(entry) = reader.next().unwrap() {
        assert!(entry.xattrs.is_empty());
        names.push(String::from_utf8(entry.path).unwrap());
    }
    assert_eq!(
        names,
        ["etc/", "etc/.wh..wh..opq", "etc/.wh.gone", "etc/new"]
    );
    apply_at(&bytes[..], &two, &ApplyOptions::layer()).unwrap();
    let gone = std::fs::symlink_metadata(two.join("etc/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    rustix::fs::setxattr(one.join("etc/new"), "trusted.overlay.metacopy", b"", flags).unwrap();
    let error = pack_at(&one, std::io::sink(), &PackOptions::layer()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unsupported tar archive: overlay metacopy on \"etc/new\""
    );
}

#[test]
fn options_of_packing_do_what_they_say() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("f"), "x").unwrap();
    let socket = std::os::unix::net::UnixListener::bind(place.path().join("socket")).unwrap();
    let options = PackOptions {
        times: Times::Fixed(Time {
            seconds: 9,
            nanoseconds: 0,
        }),
        with_root: true,
        prefix: b"base".to_vec(),
        owner: Some((5, 6)),
        ..PackOptions::default()
    };
    let mut bytes = Vec::new();
    let packed = pack_at(place.path(), &mut bytes, &options).unwrap();
    drop(socket);
    assert_eq!((packed.entries, packed.skipped, packed.size), (2, 1, 1));
    let mut reader = TarReader::new(&bytes[..]);
    let root = reader.next().unwrap().unwrap();
    assert_eq!(
        (root.path.as_slice(), root.kind),
        (&b"base/"[..], Kind::Directory)
    );
    let file = reader.next().unwrap().unwrap();
    assert_eq!(
        (file.path.as_slice(), file.uid, file.gid),
        (&b"base/f"[..], 5, 6)
    );
    assert_eq!(file.mtime.seconds, 9);
    // GNU tar agrees that it is a tar.
    let path = place.path().join("out.tar");
    std::fs::write(&path, &bytes).unwrap();
    let listed = std::process::Command::new("tar")
        .arg("-tf")
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), "base/\nbase/f\n");
}

#[test]
fn holes_stay_holes_and_gnu_tar_reads_them() {
    let place = tempfile::tempdir().unwrap();
    let (from, back, gnu) = (
        place.path().join("from"),
        place.path().join("back"),
        place.path().join("gnu"),
    );
    for path in [&from, &back, &gnu] {
        std::fs::create_dir(path).unwrap();
    }
    let write = |name: &str, size: u64, pieces: &[u64]| {
        let file = std::fs::File::create(from.join(name)).unwrap();
        file.set_len(size).unwrap();
        for at in pieces {
            std::os::unix::fs::FileExt::write_all_at(&file, &[7; 5000], *at).unwrap();
        }
    };
    write("nothing", 30 << 20, &[]);
    write("first", 30 << 20, &[0]);
    write("last", (30 << 20) + 5000, &[30 << 20]);
    write(&"many".repeat(40), 90 << 20, &[1 << 20, 3 << 20, 60 << 20]);
    write("none", 5000, &[0]);
    let options = PackOptions {
        holes: true,
        ..PackOptions::default()
    };
    let mut bytes = Vec::new();
    pack_at(&from, &mut bytes, &options).unwrap();
    assert!(bytes.len() < 200_000, "{}", bytes.len());
    apply_at(&bytes[..], &back, &ApplyOptions::default()).unwrap();
    let tar = place.path().join("out.tar");
    std::fs::write(&tar, &bytes).unwrap();
    let mut unpack = std::process::Command::new("tar");
    unpack.arg("-xf").arg(&tar).arg("-C").arg(&gnu);
    assert!(unpack.status().unwrap().success());
    for entry in std::fs::read_dir(&from).unwrap() {
        let name = entry.unwrap().file_name();
        let content = std::fs::read(from.join(&name)).unwrap();
        for other in [&back, &gnu] {
            assert!(
                std::fs::read(other.join(&name)).unwrap() == content,
                "{name:?}"
            );
        }
        let blocks = |folder: &std::path::Path| folder.join(&name).metadata().unwrap().blocks();
        assert!(blocks(&back) <= blocks(&from) + 16, "{name:?}");
    }
}

/// A name that is a link, a file with a second name, a device and nothing, in turn: what is there when it is looked for is
/// packed or left out, nothing fails, and the second name of a file that was left out is a file.
#[test]
fn what_changes_under_the_packer_is_packed_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("a file"), "kept").unwrap();
    std::fs::hard_link(at("a file"), at("z")).unwrap();
    std::os::unix::fs::symlink("/nowhere", at("a link")).unwrap();
    let device = rustix::fs::makedev(1, 7);
    let (kind, mode) = (rustix::fs::FileType::CharacterDevice, 0o600.into());
    rustix::fs::mknodat(rustix::fs::CWD, at("a device"), kind, mode, device).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for name in ["a link", "a file", "a device"] {
                    std::fs::rename(at(name), at("b")).unwrap();
                    std::fs::rename(at("b"), at(name)).unwrap();
                }
            }
        });
        let packed: Vec<_> = (0..2_000)
            .map(|_| {
                let mut tar = Vec::new();
                pack_at(folder.path(), &mut tar, &PackOptions::default()).map(|_| tar)
            })
            .collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        for tar in packed {
            let tar = tar.unwrap();
            let mut tar = tar::Archive::new(tar.as_slice());
            let mut names = Vec::new();
            for entry in tar.entries().unwrap() {
                let entry = entry.unwrap();
                if let Some(first) = entry.link_name_bytes()
                    && entry.header().entry_type() == tar::EntryType::Link
                {
                    assert!(names.contains(&first.to_vec()), "a link to nothing");
                }
                names.push(entry.path_bytes().to_vec());
            }
            assert!(names.contains(&b"z".to_vec()));
        }
    });
}
