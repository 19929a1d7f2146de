//! Paths below a directory, resolved by the kernel as if that were `/`: links are followed, never out of it, and none of
//! the kernel's own. What is found is used as a descriptor.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2, readlinkat};
use rustix::io::Errno;

/// How often the kernel is asked again when a rename ran beside a `..` and it cannot be sure (openat2(2), EAGAIN).
const TRIES: usize = 128;
/// As many links as the kernel follows in one path (path_resolution(7)).
const LINKS: usize = 40;

/// Opens what is at `path` below `root`; `root` itself for an empty one.
///
/// # Errors
/// As openat2(2).
pub fn open(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = match path {
        b"" => b".".as_slice(),
        path => path,
    };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..TRIES {
        match openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// Where `path` leads: without links, without slashes at its ends. From where nothing is there any more the rest of it is
/// taken as it is.
///
/// # Errors
/// As openat2(2); `ELOOP`.
pub fn follow(root: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut ahead: VecDeque<Vec<u8>> = parts(path).map(<[u8]>::to_vec).collect();
    let mut behind: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == b".." {
            behind.pop();
            continue;
        }
        behind.push(name);
        let here = behind.join(&b'/');
        let found = match open(root, &here, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(found) => found,
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(errno) => return Err(errno),
        };
        if FileType::from_raw_mode(fstat(&found)?.st_mode) != FileType::Symlink {
            continue;
        }
        links += 1;
        if links > LINKS {
            return Err(Errno::LOOP);
        }
        let target = readlinkat(&found, "", Vec::new())?;
        let target = target.as_bytes();
        match target.starts_with(b"/") {
            true => behind.clear(),
            false => drop(behind.pop()),
        }
        for part in parts(target).rev() {
            ahead.push_front(part.to_vec());
        }
    }
    Ok(behind.join(&b'/'))
}

/// The names of a path, but for those that mean nothing.
pub fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let names = path.split(|byte| *byte == b'/');
    names.filter(|name| !matches!(*name, b"" | b"."))
}

/// Without slashes at its ends, `.` and `..`, which as text lead up to the root and not beyond.
#[must_use]
pub fn clean(path: &[u8]) -> Vec<u8> {
    let mut clean: Vec<&[u8]> = Vec::new();
    for part in parts(path) {
        match part {
            b".." => drop(clean.pop()),
            part => clean.push(part),
        }
    }
    clean.join(&b'/')
}

/// Parent and last name of a clean path.
#[must_use]
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        symlink("/a/b", folder.path().join("absolute")).unwrap();
        symlink("../../../../a", folder.path().join("above")).unwrap();
        symlink("loop", folder.path().join("loop")).unwrap();
        let root = rustix::fs::open(folder.path(), OFlags::PATH, Mode::empty()).unwrap();
        let root = root.as_fd();
        let leads =
            |path: &str| follow(root, path.as_bytes()).map(|path| String::from_utf8(path).unwrap());
        assert_eq!(leads("/absolute/c/d").unwrap(), "a/b/c/d");
        assert_eq!(leads("above/./b/").unwrap(), "a/b");
        assert_eq!(leads("../../etc").unwrap(), "etc");
        assert_eq!(leads("loop"), Err(Errno::LOOP));
        assert!(open(root, b"above/b", OFlags::PATH).is_ok());
        assert_eq!(open(root, b"etc", OFlags::PATH).err(), Some(Errno::NOENT));
        assert_eq!(clean(b"//a/./../../b//"), b"b");
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
    }
}
