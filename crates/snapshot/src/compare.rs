//! Two trees that should be the same.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Bytes compared at a time.
const BLOCK: usize = 128 << 10;

/// What is different at one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The name, below the trees' roots.
    pub path: PathBuf,
    /// What is different: `missing`, `content`.
    pub what: &'static str,
}

/// The first thing at which `found` is not what `expected` is, in the order of names: kinds, modes, owners, times,
/// content, links, extended attributes. Times of the directories `made` are not looked at, nor what no tar says: the
/// root's time, and time and names of removals, which the kernel makes links of one file.
///
/// # Errors
/// When something cannot be read.
pub fn difference(
    expected: &Path,
    found: &Path,
    made: &[PathBuf],
) -> io::Result<Option<Difference>> {
    let mut made: BTreeSet<&Path> = made.iter().map(PathBuf::as_path).collect();
    made.insert(Path::new(""));
    let mut left = vec![PathBuf::new()];
    while let Some(path) = left.pop() {
        let differs = |what| {
            let path = path.clone();
            Ok(Some(Difference { path, what }))
        };
        let (one, other) = (at(expected, &path), at(found, &path));
        let status = std::fs::symlink_metadata(&one)?;
        let Ok(other_status) = std::fs::symlink_metadata(&other) else {
            return differs("missing");
        };
        if let Some(what) = unlike(&status, &other_status, made.contains(path.as_path())) {
            return differs(what);
        }
        let kind = status.file_type();
        if kind.is_symlink() && std::fs::read_link(&one)? != std::fs::read_link(&other)? {
            return differs("target");
        }
        if kind.is_file() && !same_content(&one, &other)? {
            return differs("content");
        }
        if attributes(&one)? != attributes(&other)? {
            return differs("extended attributes");
        }
        if kind.is_dir() {
            let names = names(&one)?;
            if let Some(name) = self::names(&other)?.difference(&names).next() {
                let (path, what) = (path.join(name), "not expected");
                return Ok(Some(Difference { path, what }));
            }
            left.extend(names.iter().rev().map(|name| path.join(name)));
        }
    }
    Ok(None)
}

fn at(root: &Path, path: &Path) -> PathBuf {
    match path.as_os_str().is_empty() {
        true => root.to_owned(),
        false => root.join(path),
    }
}

fn unlike(one: &Metadata, other: &Metadata, made: bool) -> Option<&'static str> {
    let kind = one.file_type();
    if kind != other.file_type() {
        return Some("kind");
    }
    let is_removal = kind.is_char_device() && one.rdev() == 0;
    let time = |status: &Metadata| (status.mtime(), status.mtime_nsec());
    if one.mode() != other.mode() {
        Some("mode")
    } else if (one.uid(), one.gid()) != (other.uid(), other.gid()) {
        Some("owner")
    } else if one.rdev() != other.rdev() {
        Some("device")
    } else if kind.is_file() && one.len() != other.len() {
        Some("size")
    } else if !kind.is_dir() && !is_removal && one.nlink() != other.nlink() {
        Some("links")
    } else if !made && !is_removal && time(one) != time(other) {
        Some("time")
    } else {
        None
    }
}

fn names(directory: &Path) -> io::Result<BTreeSet<std::ffi::OsString>> {
    std::fs::read_dir(directory)?
        .map(|entry| Ok(entry?.file_name()))
        .collect()
}

fn same_content(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut here, mut there) = (vec![0; BLOCK], vec![0; BLOCK]);
    loop {
        let count = one.read(&mut here)?;
        if count == 0 {
            return Ok(other.read(&mut there)? == 0);
        }
        match other.read_exact(&mut there[..count]) {
            Ok(()) if here[..count] == there[..count] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

fn attributes(path: &Path) -> io::Result<BTreeSet<(Vec<u8>, Vec<u8>)>> {
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(errno) => return Err(errno.into()),
    };
    names.truncate(length);
    let mut found = BTreeSet::new();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..])?;
        value.truncate(length);
        found.insert((name.to_vec(), value));
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A tree with one thing of each kind.
    fn tree(root: &Path) {
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/file"), "content").unwrap();
        std::fs::hard_link(root.join("a/file"), root.join("a/b/link")).unwrap();
        symlink("a/file", root.join("symlink")).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000);
        for path in ["a/file", "a/b", "a"] {
            File::open(root.join(path))
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
        let times = rustix::fs::Timestamps {
            last_access: rustix::fs::Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            },
            last_modification: rustix::fs::Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            },
        };
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(rustix::fs::CWD, root.join("symlink"), &times, flags).unwrap();
    }

    #[test]
    fn one_difference_is_found() {
        type Change = fn(&Path) -> io::Result<()>;
        let table: [(&str, &str, Change); 8] = [
            ("a/file", "size", |root| {
                let file = File::options().append(true).open(root.join("a/file"))?;
                io::Write::write_all(&mut &file, b"more")
            }),
            ("a/file", "content", |root| {
                let file = File::options().write(true).open(root.join("a/file"))?;
                let time = file.metadata()?.modified()?;
                io::Write::write_all(&mut &file, b"C")?;
                file.set_modified(time)
            }),
            ("a/file", "links", |root| {
                std::fs::remove_file(root.join("a/b/link"))
            }),
            ("symlink", "target", |root| {
                std::fs::remove_file(root.join("symlink"))?;
                symlink("elsewhere", root.join("symlink"))?;
                Ok(())
            }),
            ("a", "time", |root| {
                File::open(root.join("a"))?.set_modified(std::time::UNIX_EPOCH)
            }),
            ("a/b", "mode", |root| {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
                std::fs::set_permissions(root.join("a/b"), mode)
            }),
            ("symlink", "missing", |root| {
                std::fs::remove_file(root.join("symlink"))
            }),
            ("new", "not expected", |root| {
                std::fs::write(root.join("new"), "")
            }),
        ];
        for (path, what, change) in table {
            let folder = tempfile::tempdir().unwrap();
            let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
            tree(&one);
            tree(&other);
            assert_eq!(difference(&one, &other, &[]).unwrap(), None);
            change(&other).unwrap();
            let found = difference(&one, &other, &[]).unwrap().unwrap();
            // A file is found under its first name; a directory that lost a name changed as well, and comes first.
            let paths = [Path::new(path), Path::new("a/b/link"), Path::new("a/b")];
            let whats = [what, "time"];
            assert!(paths.contains(&found.path.as_path()), "{what}: {found:?}");
            assert!(whats.contains(&found.what), "{what}: {found:?}");
        }
    }
}
