//! Where files go: directories that are made on the way, links followed inside the root.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid, chownat, fchmod, mkdirat, statat, unlinkat};
use rustix::io::Errno;

use super::walk::absolute;
use super::{Error, tree};

/// What directories are that nobody described.
const MODE: u32 = 0o755;

/// What a destination means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// Clean.
    pub(crate) path: Vec<u8>,
    /// It ends as only a directory does.
    pub(crate) is_directory: bool,
}

impl Destination {
    pub(crate) fn parse(text: &str) -> Self {
        let path = tree::clean(text.as_bytes());
        Self {
            is_directory: path.is_empty() || text.ends_with('/') || text.ends_with("/."),
            path,
        }
    }
}

/// Where a clean path leads below the root.
pub(crate) fn follow(root: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<u8>, Error> {
    tree::follow(root, path).map_err(Error::file("open", absolute(path)))
}

/// The directory at a path without links; it and those above it are made where they are not there, for `owner`.
pub(crate) fn make(
    root: BorrowedFd<'_>,
    path: &[u8],
    owner: Option<(u32, u32)>,
) -> Result<OwnedFd, Error> {
    let open = |at: BorrowedFd<'_>, name: &[u8], here: &[u8]| match tree::directory(at, name) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP) => Err(Error::wrong(format!(
            "mkdir /{}: not a directory",
            tree::text(here)
        ))),
        Err(errno) => Err(Error::file("open", absolute(here))(errno)),
    };
    let mut directory = tree::directory(root, b".").map_err(Error::file("open", b"/"))?;
    let mut here = Vec::new();
    for name in tree::parts(path) {
        here = tree::join(&here, name);
        let at = directory.as_fd();
        directory = match open(at, name, &here)? {
            Some(directory) => directory,
            None => {
                let refused = |errno| Error::file("mkdir", absolute(&here))(errno);
                mkdirat(at, name, Mode::from_raw_mode(MODE)).map_err(refused)?;
                let (uid, gid) = owner.unwrap_or_default();
                let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
                chownat(at, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(refused)?;
                let made = tree::directory(at, name).map_err(refused)?;
                // Not left to the umask.
                fchmod(&made, Mode::from_raw_mode(MODE)).map_err(refused)?;
                made
            }
        };
    }
    Ok(directory)
}

/// What is at `name`, if anything: not followed.
pub(crate) fn kind(at: BorrowedFd<'_>, name: &[u8]) -> Result<Option<FileType>, Errno> {
    match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(status) => Ok(Some(FileType::from_raw_mode(status.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Makes something that is no directory at `name`; what is in its place goes first, unless it is a directory.
pub(crate) fn replacing<T>(
    at: BorrowedFd<'_>,
    name: &[u8],
    path: &[u8],
    mut make: impl FnMut() -> Result<T, Errno>,
) -> Result<T, Error> {
    let refused = |errno| Error::file("write", absolute(path))(errno);
    match make() {
        Err(Errno::EXIST) => {}
        other => return other.map_err(refused),
    }
    if kind(at, name).map_err(refused)? == Some(FileType::Directory) {
        return Err(Error::wrong(format!(
            "cannot replace to directory /{} with file",
            tree::text(path)
        )));
    }
    match unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(refused(errno)),
    }
    make().map_err(refused)
}
