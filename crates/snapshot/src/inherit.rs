//! Directories and their attributes: what a tar leaves unsaid is taken from the layers below.
//!
//! Layers are unpacked each into its own directory, in parallel; a tar that names `a/b/file` without naming `a/b` then
//! makes a directory that would hide the owner and mode of the one below.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    CWD, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, fchmod, fchown,
    flistxattr, fsetxattr, fstat, futimens, openat, openat2,
};
use rustix::io::Errno;

use crate::Error;

/// Extended attributes: names and values.
pub(crate) type Extended = Vec<(Vec<u8>, Vec<u8>)>;

/// Owner, mode, time and extended attributes of a directory.
#[derive(Debug)]
pub(crate) struct Attributes {
    status: Stat,
    extended: Extended,
}

impl Attributes {
    /// Those of the directory at `path`, one of our own.
    pub(crate) fn of(path: &Path) -> Result<Attributes, Error> {
        let read = || Attributes::read(open(CWD, path)?.as_fd());
        read().map_err(Error::file("read", path))
    }

    fn read(directory: BorrowedFd<'_>) -> Result<Attributes, Errno> {
        Ok(Attributes {
            status: fstat(directory)?,
            extended: extended(directory)?,
        })
    }

    /// Gives them to the directory at `path`, one of our own.
    pub(crate) fn apply(&self, path: &Path) -> Result<(), Error> {
        let write = || self.write(open(CWD, path)?.as_fd());
        write().map_err(Error::file("change", path))
    }

    pub(crate) fn write(&self, directory: BorrowedFd<'_>) -> Result<(), Errno> {
        set_owner_and_mode(directory, &self.status)?;
        for (name, value) in &self.extended {
            set_extended(directory, name, value)?;
        }
        set_time(directory, &self.status)
    }
}

/// Gives the directories `implied` below `layer` the attributes they have in the layers `below`, topmost first.
pub(crate) fn attributes(
    layer: &Path,
    below: &[PathBuf],
    implied: &[PathBuf],
) -> Result<(), Error> {
    let root = open(CWD, layer).map_err(Error::file("open", layer))?;
    let mut roots = Vec::with_capacity(below.len());
    for path in below {
        roots.push(open(CWD, path).map_err(Error::file("open", path))?);
    }
    for path in implied {
        let change = || -> Result<(), Errno> {
            let Some(attributes) = find(&roots, path)? else {
                return Ok(());
            };
            match inside(root.as_fd(), path) {
                Ok(directory) => attributes.write(directory.as_fd()),
                // Replaced by a later entry of the same tar.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
                Err(errno) => Err(errno),
            }
        };
        change().map_err(Error::file("inherit attributes of", path))?;
    }
    Ok(())
}

/// The attributes of the topmost directory at `path`, if the layers show one there.
pub(crate) fn find(roots: &[OwnedFd], path: &Path) -> Result<Option<Attributes>, Errno> {
    for root in roots {
        match inside(root.as_fd(), path) {
            Ok(directory) => return Attributes::read(directory.as_fd()).map(Some),
            Err(Errno::NOENT) => {}
            // Something else lies there and hides all below.
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(errno) => return Err(errno),
        }
    }
    Ok(None)
}

/// A directory below `root`, reached without links.
pub(crate) fn inside(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let path = match path.as_os_str().is_empty() {
        true => Path::new("."),
        false => path,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags, Mode::empty(), resolve)
}

pub(crate) fn open(at: BorrowedFd<'_>, path: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(at, path, flags, Mode::empty())
}

pub(crate) fn set_owner_and_mode(file: BorrowedFd<'_>, status: &Stat) -> Result<(), Errno> {
    // Owner first: changing it takes set-user-id bits away.
    fchown(
        file,
        Some(Uid::from_raw(status.st_uid)),
        Some(Gid::from_raw(status.st_gid)),
    )?;
    fchmod(file, Mode::from_raw_mode(status.st_mode & 0o7777))
}

pub(crate) fn times(status: &Stat) -> Timestamps {
    let time = Timespec {
        tv_sec: status.st_mtime,
        tv_nsec: i64::try_from(status.st_mtime_nsec).unwrap_or(0),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

pub(crate) fn set_time(file: BorrowedFd<'_>, status: &Stat) -> Result<(), Errno> {
    futimens(file, &times(status))
}

/// The extended attributes of an open file, but for overlayfs's own.
pub(crate) fn extended(file: BorrowedFd<'_>) -> Result<Extended, Errno> {
    let mut found = all_extended(file)?;
    found.retain(|(name, _)| !name.starts_with(b"trusted.overlay."));
    Ok(found)
}

/// All extended attributes of an open file.
pub(crate) fn all_extended(file: BorrowedFd<'_>) -> Result<Extended, Errno> {
    let mut names = vec![0; 1 << 16];
    let length = match flistxattr(file, names.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => 0,
        Err(errno) => return Err(errno),
    };
    let mut found = Vec::new();
    for name in names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; 1 << 16];
        match rustix::fs::fgetxattr(file, name, value.as_mut_slice()) {
            Ok(length) => {
                value.truncate(length);
                found.push((name.to_vec(), value));
            }
            Err(Errno::NODATA | Errno::NOTSUP) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(found)
}

pub(crate) fn set_extended(file: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    match fsetxattr(file, name, value, rustix::fs::XattrFlags::empty()) {
        Err(Errno::NOTSUP) => Ok(()),
        other => other,
    }
}

/// Makes a directory, or gives the one that is there this mode.
pub(crate) fn make_directory(path: &Path, mode: u32) -> Result<(), Error> {
    let make = || -> io::Result<()> {
        match std::fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    };
    make().map_err(Error::file("mkdir", path))
}
