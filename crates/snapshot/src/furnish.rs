//! What Docker's containers have and no layer of their image shows.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, mkdirat, openat, statat, symlinkat};
use rustix::io::Errno;

use crate::Error;
use crate::inherit::{find, inside, open};

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
        made(symlinkat("/proc/mounts", &top, &mtab))?;
        match attributes {
            Some(attributes) => attributes.write(inside(top.as_fd(), etc)?.as_fd()),
            None => Ok(()),
        }
    };
    furnish().map_err(Error::file("furnish", root))
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
