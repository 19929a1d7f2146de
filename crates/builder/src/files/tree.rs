//! Files to be read: a directory, and what of it does not count.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use onggi_dockerfile::ignore::Ignore;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;

use super::Error;

/// How often the kernel is asked again when a rename ran beside a `..` and it cannot be sure (openat2(2), EAGAIN).
const TRIES: usize = 128;

/// Files to be read: a directory, and what of it does not count.
#[derive(Debug)]
pub struct Tree {
    pub(crate) root: OwnedFd,
    pub(crate) ignore: Ignore,
    pub(crate) name: String,
}

impl Tree {
    /// All files below `root`, a directory. `name` is what errors call it: `context`, a stage, an image.
    pub fn new(root: OwnedFd, name: impl Into<String>) -> Self {
        Self {
            root,
            ignore: Ignore::default(),
            name: name.into(),
        }
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
