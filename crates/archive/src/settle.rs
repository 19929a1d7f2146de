//! A tree that was packed becomes what its archive says of it: what the archive leaves out goes from the tree as well.
//! So it can be a layer where it is, and nobody must unpack what was packed a moment ago.

use std::io::Write;
use std::os::fd::BorrowedFd;

use rustix::fs::{
    AtFlags, Gid, Mode, Stat, Uid, fchmod, fchown, futimens, lremovexattr, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::header::Time;
use crate::pack::{Pack, Source, below};
use crate::tree::{self, timestamps};
use crate::{Error, PackOptions, Packed};

/// Packs everything below `root` as [`crate::pack()`] does, and makes the tree what [`crate::apply`] makes of that archive
/// in an empty directory: what is left out is removed, times are those of the archive, attributes of overlayfs but for its
/// removals go, and the root is a plain directory. Of the options those of a layer count: whiteouts, times and paths to be
/// left out. Nobody else may be using the tree, which is of no use after an error.
///
/// # Errors
/// As [`crate::pack()`]; [`Error::Name`] for what would be a removal and is none: names like those of removals, and devices
/// 0:0 where the options do not say that the tree has overlayfs's.
pub fn settle(
    root: BorrowedFd<'_>,
    sink: impl Write,
    options: &PackOptions,
) -> Result<Packed, Error> {
    let options = PackOptions {
        whiteouts: options.whiteouts,
        times: options.times,
        without: options.without.clone(),
        ..PackOptions::default()
    };
    let mut pack = Pack::new(sink, &options);
    pack.settles = true;
    pack.tree(root)?;
    pack.finish()
}

/// Removes what the archive leaves out, with all below it.
pub(crate) fn remove(at: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<(), Error> {
    match tree::remove(at, name) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error::file("remove", path)(errno)),
    }
}

/// As [`remove`], of what is no directory.
pub(crate) fn unlink(at: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<(), Error> {
    unlinkat(at, name, AtFlags::empty()).map_err(Error::file("remove", path))
}

/// Gives an open file the time it has in the archive.
pub(crate) fn file_time(
    file: BorrowedFd<'_>,
    path: &[u8],
    status: &Stat,
    time: Time,
) -> Result<(), Error> {
    match is(status, time) {
        true => Ok(()),
        false => set_time(file, path, time),
    }
}

/// As [`file_time`], of what cannot be opened.
pub(crate) fn entry_time(
    at: BorrowedFd<'_>,
    name: &[u8],
    path: &[u8],
    status: &Stat,
    time: Time,
) -> Result<(), Error> {
    if is(status, time) {
        return Ok(());
    }
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    utimensat(at, name, &timestamps(time), flags).map_err(Error::file("set time of", path))
}

pub(crate) fn set_time(file: BorrowedFd<'_>, path: &[u8], time: Time) -> Result<(), Error> {
    futimens(file, &timestamps(time)).map_err(Error::file("set time of", path))
}

/// Whether that is its time already.
pub(crate) fn is(status: &Stat, time: Time) -> bool {
    let found = (status.st_mtime, status.st_mtime_nsec);
    found == (time.seconds, time.nanoseconds.into())
}

/// Removes an extended attribute that the archive leaves out.
pub(crate) fn strip(source: Source<'_>, path: &[u8], key: &[u8]) -> Result<(), Error> {
    let removed = match source {
        Source::Open(file) => rustix::fs::fremovexattr(file, key),
        Source::Name(at, name) => lremovexattr(below(at, name), key),
    };
    match removed {
        Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
        // The host's policy gives it to every file, and nobody can take it away.
        Err(Errno::PERM | Errno::ACCESS) if key == b"security.selinux" => Ok(()),
        Err(errno) => Err(Error::file("remove attribute of", path)(errno)),
    }
}

/// Makes the root what a layer's is, of which its archive does not speak.
pub(crate) fn plain(root: BorrowedFd<'_>, status: &Stat) -> Result<(), Error> {
    let plain = || -> Result<(), Errno> {
        if (status.st_uid, status.st_gid) != (0, 0) {
            fchown(root, Some(Uid::ROOT), Some(Gid::ROOT))?;
        }
        fchmod(root, Mode::from_raw_mode(0o755))
    };
    plain().map_err(Error::file("change", b"."))
}
