//! The working directory: made for a container if it is missing, entered, and proven to lie inside the root.

use rustix::io::Errno;

use super::{Child, Container};
use crate::Error;
use crate::error::reason;
use crate::root::{Links, Target};

/// Makes it as Docker does: 0755, root's. Not for exec, where a wrong path is the caller's mistake.
pub(super) fn make(container: &mut Container<'_>) -> Result<(), Error> {
    let path = &container.child.given.process.cwd;
    let root = container.child.root()?;
    if let Err(error) = root.locate(path, Links::Follow)
        && error.raw_os_error() == Some(Errno::NOENT.raw_os_error())
    {
        root.ensure(path, Target::Directory, Links::Follow)
            .map_err(|error| failed(path, reason(&error)))?;
    }
    Ok(())
}

/// Closes what must not become a working directory.
pub(super) fn close(child: &mut Child<'_>) -> Result<(), Error> {
    // Nothing is left to be opened inside the root.
    child.root = None;
    child.slave = None;
    if child.given.fifo.is_none() {
        child.procfs = None;
    }
    Ok(())
}

/// Enters it. `Ok(false)`: this user may not; another may be able to.
pub(super) fn enter(child: &Child<'_>) -> Result<bool, Error> {
    let path = &child.given.process.cwd;
    match rustix::process::chdir(path.as_str()) {
        Ok(()) => {}
        Err(Errno::ACCESS | Errno::PERM) => return Ok(false),
        Err(error) => return Err(failed(path, reason(&error))),
    }
    // A path through /proc/self/fd could have led out of the root: the kernel then says "(unreachable)" (CVE-2024-21626).
    let here = rustix::process::getcwd(Vec::new()).map_err(|error| failed(path, reason(&error)))?;
    if !here.to_bytes().starts_with(b"/") {
        return Err(failed(
            path,
            "the working directory is outside of the container's root".to_owned(),
        ));
    }
    Ok(true)
}

pub(super) fn failed(path: &str, text: String) -> Error {
    Error::WorkingDirectory {
        path: path.to_owned(),
        text,
    }
}
