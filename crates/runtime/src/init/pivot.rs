//! Into the new root: the old one is let go with everything that was mounted there.

use std::os::fd::AsFd;

use onggi_sys::mount::{Attributes, Reach, set_attributes};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountPropagationFlags, UnmountFlags};

use super::Container;
use crate::Error;
use crate::options::Propagation;

pub(super) fn run(container: &mut Container<'_>) -> Result<(), Error> {
    // Descriptors of the host that are still open end here.
    container.sources.clear();
    container.null = None;
    let root = container.child.root()?.descriptor();
    let old = rustix::fs::open(
        "/",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(Error::rootfs("opening the old root"))?;
    rustix::process::fchdir(root).map_err(Error::rootfs("entering the new root"))?;
    // pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one, with no directory needed for it.
    rustix::process::pivot_root(".", ".").map_err(Error::rootfs("pivot_root"))?;
    rustix::process::fchdir(&old).map_err(Error::rootfs("entering the old root"))?;
    // Unmounting must not reach the host's mounts where they are shared.
    let slave = Attributes {
        propagation: Propagation::Slave.bits(),
        ..Attributes::default()
    };
    set_attributes(old.as_fd(), Reach::Tree, slave)
        .map_err(Error::rootfs("separating the old root"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)
        .map_err(Error::rootfs("unmounting the old root"))?;
    drop(old);
    rustix::process::chdir("/").map_err(Error::rootfs("entering /"))?;
    if let Some((propagation, reach)) = container.plan.root_propagation {
        let mut flags = MountPropagationFlags::from_bits_retain(propagation.bits() as u32);
        if reach == Reach::Tree {
            flags |= MountPropagationFlags::REC;
        }
        rustix::mount::mount_change("/", flags).map_err(Error::rootfs("propagation of the root"))?;
    }
    Ok(())
}
