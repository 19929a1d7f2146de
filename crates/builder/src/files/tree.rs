//! Files to be read: a directory, and what of it does not count.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use onggi_dockerfile::ignore::Ignore;
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat2, readlinkat};
use rustix::io::Errno;

use super::Error;

/// How often the kernel is asked again when a rename ran beside a `..` and it cannot be sure (openat2(2), EAGAIN).
const TRIES: usize = 128;
/// As many links as the kernel follows in one path (path_resolution(7)).
const LINKS: usize = 40;

/// Files to be read: a directory, and what of it does not count.
#[derive(Debug)]
pub struct Tree {
    pub(crate) root: OwnedFd,
    pub(crate) ignore: Ignore,
    pub(crate) name: String,
    pub(crate) keeps_owners: bool,
    pub(crate) identity: Option<String>,
}

impl Tree {
    /// All files below `root`, a directory. `name` is what errors call it: `context`, a stage, an image.
    pub fn new(root: OwnedFd, name: impl Into<String>) -> Self {
        Self {
            root,
            ignore: Ignore::default(),
            name: name.into(),
            keeps_owners: false,
            identity: None,
        }
    }

    /// What says all that is in it, so that nobody needs to read it to know it: a commit.
    #[must_use]
    pub fn known_by(mut self, identity: impl Into<String>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// Files belong to whom they belong even if a context has them: a context that is an image.
    #[must_use]
    pub fn keeping_owners(mut self) -> Self {
        self.keeps_owners = true;
        self
    }

    /// Where it is: below a directory that nobody else changes.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn path(&self) -> std::io::Result<std::path::PathBuf> {
        std::fs::read_link(format!("/proc/self/fd/{}", self.root.as_raw_fd()))
    }

    /// Without those that `.dockerignore` names.
    #[must_use]
    pub fn ignoring(mut self, ignore: Ignore) -> Self {
        self.ignore = ignore;
        self
    }

    /// The content of a file, also of one that is ignored: a Dockerfile, a `.dockerignore`. `None` if it is not there.
    ///
    /// # Errors
    /// If it is no file, larger than `limit`, or cannot be read.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let file = match open(self.root.as_fd(), path.as_bytes(), flags) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(Error::file("open", path)(errno)),
        };
        let status = fstat(&file).map_err(Error::file("stat", path))?;
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Err(Error::wrong(format!("{path} is not a file")));
        }
        let mut bytes = Vec::new();
        let read = File::from(file).take(limit + 1).read_to_end(&mut bytes);
        if read.map_err(Error::file("read", path))? as u64 > limit {
            return Err(Error::wrong(format!("{path} is larger than {limit} bytes")));
        }
        Ok(Some(bytes))
    }
}

/// Opens what is at `path` as if `root` were `/`: links are followed, but never out of it, and none of the kernel's.
pub(crate) fn open(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
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

/// The directory `name` in another; a link is none.
pub(crate) fn directory(at: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

/// The names in a directory with what they are, as far as the file system says at once. Sorted.
pub(crate) fn names(directory: BorrowedFd<'_>) -> Result<Vec<(Vec<u8>, FileType)>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push((name.to_vec(), entry.file_type()));
        }
    }
    names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(names)
}

/// Where a clean path leads: without links. From where nothing is there any more the rest is taken as it is.
pub(crate) fn follow(root: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<u8>, Errno> {
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
        let status = fstat(&found)?;
        if FileType::from_raw_mode(status.st_mode) != FileType::Symlink {
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
pub(crate) fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let names = path.split(|byte| *byte == b'/');
    names.filter(|name| !matches!(*name, b"" | b"."))
}

/// Without slashes at its ends, `.` and `..`, which as text lead up to the root and not beyond.
pub(crate) fn clean(path: &[u8]) -> Vec<u8> {
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
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// One clean path below another.
pub(crate) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    match (path.is_empty(), name.is_empty()) {
        (true, _) => name.to_vec(),
        (_, true) => path.to_vec(),
        _ => [path, b"/", name].concat(),
    }
}

/// A path as people and patterns have it.
pub(crate) fn text(path: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(path)
}
