//! Files to be read: a directory, and what of it does not count.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use onggi_dockerfile::ignore::Ignore;
use rustix::fs::{Dir, FileType, Mode, OFlags, fstat};
use rustix::io::Errno;

pub(crate) use onggi_sys::inside::{clean, follow, open, parts, split};

use super::Error;

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
