//! Into the new root: the old one is let go with everything that was mounted there.

use std::os::fd::AsFd;

use onggi_sys::mount::{Attributes, Reach, set_attributes};
use onggi_sys::namespace::flag;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
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
    prove(container)?;
    if let Some((propagation, reach)) = container.plan.root_propagation {
        let mut flags = MountPropagationFlags::from_bits_retain(propagation.bits() as u32);
        if reach == Reach::Tree {
            flags |= MountPropagationFlags::REC;
        }
        rustix::mount::mount_change("/", flags)
            .map_err(Error::rootfs("propagation of the root"))?;
    }
    Ok(())
}

/// Enters this very mount namespace again, which leads to its root, and compares. Where the runtime itself was started in a chroot,
/// pivot_root changes only that: below it the host would stay, within reach of any process that may chroot(2).
fn prove(container: &mut Container<'_>) -> Result<(), Error> {
    let mount = |place| {
        rustix::fs::statx(
            rustix::fs::CWD,
            place,
            AtFlags::empty(),
            StatxFlags::MNT_ID | StatxFlags::INO,
        )
        .map(|stat| (stat.stx_mnt_id, stat.stx_ino))
        .map_err(Error::rootfs("statx of the root"))
    };
    let wanted = mount("/")?;
    let path = format!("{}/ns/mnt", rustix::process::getpid().as_raw_nonzero());
    let namespace = rustix::fs::openat(
        container.child.procfs()?,
        path,
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(Error::rootfs("opening the mount namespace"))?;
    onggi_sys::namespace::enter(namespace.as_fd(), flag::MOUNT)
        .map_err(Error::rootfs("entering the mount namespace"))?;
    if mount("/")? != wanted {
        return Err(Error::Rootfs(
            "this program was started in a chroot, from which a container could reach the host: start it from the real root".to_owned(),
        ));
    }
    Ok(())
}
