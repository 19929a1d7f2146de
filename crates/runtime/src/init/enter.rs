//! exec: into the namespaces of a process of the running container, all at once by its pidfd. The PID namespace was entered by
//! the clone itself.

use onggi_sys::namespace::flag;
use rustix::fs::{Mode, OFlags};

use super::Visitor;
use crate::Error;
use crate::root::Root;

pub(super) fn namespaces(visitor: &mut Visitor<'_>) -> Result<(), Error> {
    let all = flag::MOUNT | flag::CGROUP | flag::UTS | flag::IPC | flag::NET;
    onggi_sys::namespace::enter(visitor.target, all).map_err(|error| {
        if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) {
            return Error::Gone("cannot exec in a stopped container".to_owned());
        }
        Error::namespace("entering the container")(error)
    })?;
    let root = rustix::fs::open(
        "/",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(Error::rootfs("opening the container's root"))?;
    visitor.child.root = Some(Root::new(root));
    Ok(())
}
