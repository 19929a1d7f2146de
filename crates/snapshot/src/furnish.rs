//! What Docker's containers have and no layer of their image shows.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Stat, fchmod, fstat, mkdirat, openat, statat, symlinkat,
    unlinkat,
};
use rustix::io::Errno;

use crate::Error;
use crate::inherit::{find, inside, open, set_time};

/// Where `/etc/mtab` leads.
const MOUNTS: &str = "/proc/mounts";

/// Puts into a new root on top of these layers, topmost first, `.dockerenv`, by which programs know that they are in a
/// container, and `/etc/mtab` as a link to the mounts; what the layers show stays.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn furnish(root: &Path, layers: &[PathBuf]) -> Result<(), Error> {
    let (mark, etc) = (Path::new(".dockerenv"), Path::new("etc"));
    let mtab = etc.join("mtab");
    let mut below = Vec::with_capacity(layers.len());
    for path in layers {
        below.push(open(CWD, path).map_err(Error::file("open", path))?);
    }
    let top = open(CWD, root).map_err(Error::file("open", root))?;
    let furnish = || -> Result<(), Errno> {
        if !shows(&below, mark)? {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            made(openat(&top, mark, flags, Mode::from_raw_mode(0o755)).map(drop))?;
        }
        let attributes = find(&below, etc)?;
        if attributes.is_none() && shows(&below, etc)? || shows(&below, &mtab)? {
            return Ok(());
        }
        made(mkdirat(&top, etc, Mode::from_raw_mode(0o755)))?;
        made(symlinkat(MOUNTS, &top, &mtab))?;
        match attributes {
            Some(attributes) => attributes.write(inside(top.as_fd(), etc)?.as_fd()),
            None => Ok(()),
        }
    };
    furnish().map_err(Error::file("furnish", root))
}

/// What [`furnish`] put there, in bytes: nothing that the container has written.
pub(crate) fn weight(root: &Path) -> u64 {
    match std::fs::read_link(root.join("etc/mtab")) {
        Ok(target) if target == Path::new(MOUNTS) => MOUNTS.len() as u64,
        Ok(_) | Err(_) => 0,
    }
}

/// What a container's root has, and so what a volume has that is filled there. Docker makes them anew in each container,
/// whatever its image has under these names; over most of them it mounts something.
const OWN: [(&str, &str, Thing); 7] = [
    ("dev", "console", Thing::File),
    ("dev", "pts", Thing::Directory),
    ("dev", "shm", Thing::Directory),
    ("etc", "hostname", Thing::File),
    ("etc", "hosts", Thing::File),
    ("etc", "mtab", Thing::Link(MOUNTS)),
    ("etc", "resolv.conf", Thing::File),
];

#[derive(Clone, Copy)]
enum Thing {
    File,
    Directory,
    Link(&'static str),
}

/// Puts into a directory that shows `place` of a container's root what every container has there; says whether there is
/// anything. `fresh`: the image does not have the directory.
pub(crate) fn volume(directory: BorrowedFd<'_>, place: &Path, fresh: bool) -> Result<bool, Errno> {
    let own = || OWN.iter().filter(|(parent, ..)| place == Path::new(parent));
    if own().next().is_none() {
        return Ok(false);
    }
    let mode = Mode::from_raw_mode(0o755);
    let before = fstat(directory)?;
    for (_, name, thing) in own() {
        match unlinkat(directory, *name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR | Errno::PERM) => {}
            Err(errno) => return Err(errno),
        }
        made(match thing {
            Thing::File => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                // Not left to the umask.
                openat(directory, *name, flags, mode).and_then(|file| fchmod(file, mode))
            }
            Thing::Directory => mkdirat(directory, *name, mode),
            Thing::Link(target) => symlinkat(*target, directory, *name),
        })?;
    }
    match fresh {
        true => fchmod(directory, mode)?,
        false => set_time(directory, &before)?,
    }
    Ok(true)
}

/// What is there already is left as it is.
fn made(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// Whether the layers, topmost first, show something at this path.
fn shows(layers: &[OwnedFd], path: &Path) -> Result<bool, Errno> {
    let (parent, name) = (path.parent().unwrap_or(Path::new("")), path.file_name());
    let Some(name) = name else { return Ok(true) };
    for layer in layers {
        let parent = match inside(layer.as_fd(), parent) {
            Ok(parent) => parent,
            Err(Errno::NOENT) => continue,
            // Something else lies there and hides all below.
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(false),
            Err(errno) => return Err(errno),
        };
        match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            // A whiteout.
            Ok(status) if is_whiteout(&status) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        let mut value = [0; 4];
        if rustix::fs::fgetxattr(&parent, "trusted.overlay.opaque", value.as_mut_slice()).is_ok() {
            return Ok(false);
        }
    }
    Ok(false)
}

fn is_whiteout(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice && status.st_rdev == 0
}
