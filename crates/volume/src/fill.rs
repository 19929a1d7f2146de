//! The first content of an empty volume: put together where no container can reach it, and moved into place as a whole.

use std::fs::DirBuilder;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Timespec, Timestamps, Uid,
    XattrFlags, fchmod, fchown, fgetxattr, flistxattr, fsetxattr, fstat, futimens, openat2,
    renameat, renameat_with, unlinkat,
};
use rustix::io::Errno;

use crate::volumes::{DATA, FILL};
use crate::{Error, Result, usage};

/// Whose directory is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// No container runs with it.
    Own,
    /// Containers that run see it.
    Shared,
    /// It is on a file system of others, where nothing of ours can be moved to.
    Foreign,
}

/// See [`crate::Volumes::fill`].
pub(crate) fn fill<E: From<Error>>(
    volume: &Path,
    subpath: &str,
    place: Place,
    copy: impl FnOnce(&Path) -> Result<bool, E>,
) -> Result<(), E> {
    let data = volume.join(DATA);
    let root = usage::open(CWD, &data).map_err(Error::file("open", &data))?;
    let target = match subpath {
        "" => root,
        subpath => match beneath(root.as_fd(), subpath) {
            Ok(target) => target,
            // Whoever mounts it says what is wrong with it.
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(Errno::XDEV) => return Err(Error::Escapes.into()),
            Err(errno) => return Err(Error::file("open", data.join(subpath))(errno).into()),
        },
    };
    if !is_empty_but(&target, &[]).map_err(Error::file("read", &data))? {
        return Ok(());
    }
    if place == Place::Foreign {
        // The descriptor, not a name in it: what it leads to stays the same.
        let here = format!("/proc/self/fd/{}/.", target.as_raw_fd());
        return copy(Path::new(&here)).map(drop);
    }
    let staged = volume.join(FILL);
    if staged.exists() {
        std::fs::remove_dir_all(&staged).map_err(Error::file("delete", &staged))?;
    }
    DirBuilder::new()
        .mode(0o700)
        .create(&staged)
        .map_err(Error::file("mkdir", &staged))?;
    let copied = copy(&staged).and_then(|copied| {
        if copied {
            let whole = place == Place::Own && subpath.is_empty();
            put(&staged, &data, &target, whole)?;
        }
        Ok(())
    });
    if staged.exists()
        && let Err(error) = std::fs::remove_dir_all(&staged)
    {
        tracing::warn!(path = %staged.display(), "left to the next start: {error}");
    }
    copied
}

/// Moves what was put together to where it belongs.
fn put(staged: &Path, data: &Path, target: &OwnedFd, whole: bool) -> Result<()> {
    let from = usage::open(CWD, staged).map_err(Error::file("open", staged))?;
    // What is in it must not come after what says that it is there.
    rustix::fs::syncfs(&from).map_err(Error::file("sync", staged))?;
    if whole {
        // rename(2) replaces an empty directory at once, and no other.
        return match std::fs::rename(staged, data) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
            other => other.map_err(Error::file("rename", staged)),
        };
    }
    move_all(&from, target).map_err(Error::file("fill", data))
}

/// Moves everything in the directory `name` to `target`, gives that its attributes, and removes it.
pub(crate) fn move_up(parent: &OwnedFd, name: &str, target: &OwnedFd) -> Result<(), Errno> {
    let from = usage::open(parent.as_fd(), name)?;
    move_all(&from, target)?;
    drop(from);
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        // What somebody was faster with.
        Err(Errno::NOTEMPTY) => {
            let path = format!("/proc/self/fd/{}/{name}", parent.as_raw_fd());
            std::fs::remove_dir_all(path).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
        }
        other => other,
    }
}

fn move_all(from: &OwnedFd, target: &OwnedFd) -> Result<(), Errno> {
    let status = fstat(from)?;
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match renameat_with(from, name, target, name, RenameFlags::NOREPLACE) {
            // Somebody was faster: theirs stays.
            Ok(()) | Err(Errno::EXIST) => {}
            // A file system that does not know the flag: nobody is there whose names it could take.
            Err(Errno::INVAL) => renameat(from, name, target, name)?,
            Err(errno) => return Err(errno),
        }
    }
    let (user, group) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
    fchown(target, Some(user), Some(group))?;
    fchmod(target, Mode::from_raw_mode(status.st_mode & 0o7777))?;
    let mut names = vec![0; 1 << 16];
    let length = match flistxattr(from, names.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => 0,
        Err(errno) => return Err(errno),
    };
    for name in names[..length].split(|b| *b == 0).filter(|n| !n.is_empty()) {
        let mut value = vec![0; 1 << 16];
        let length = fgetxattr(from, name, value.as_mut_slice())?;
        fsetxattr(target, name, &value[..length], XattrFlags::empty())?;
    }
    let time = |seconds, nanoseconds| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
    };
    let times = Timestamps {
        last_access: time(status.st_atime, status.st_atime_nsec),
        last_modification: time(status.st_mtime, status.st_mtime_nsec),
    };
    futimens(target, &times)
}

/// A directory in the volume, whatever its users make of the path meanwhile.
fn beneath(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // EAGAIN: a rename ran beside a "..", and the kernel cannot be sure.
    for _ in 0..128 {
        match openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// Whether there is nothing in the directory, but what has one of these names.
pub(crate) fn is_empty_but(directory: &OwnedFd, own: &[&str]) -> Result<bool, Errno> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") && !own.iter().any(|own| own.as_bytes() == name) {
            return Ok(false);
        }
    }
    Ok(true)
}
