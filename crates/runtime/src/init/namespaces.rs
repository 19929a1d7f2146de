//! Namespaces that exist already, the loopback link of a new one, and where mount events go.

use onggi_sys::mount::Reach;
use rustix::mount::MountPropagationFlags;

use super::Container;
use crate::Error;

pub(super) fn join(container: &mut Container<'_>) -> Result<(), Error> {
    for (kind, namespace) in container.joins {
        use std::os::fd::AsFd;
        onggi_sys::namespace::enter(namespace.as_fd(), *kind)
            .map_err(Error::namespace("joining by path"))?;
    }
    if container.plan.new_network {
        onggi_sys::loopback::up().map_err(Error::namespace("setting lo up"))?;
    }
    Ok(())
}

/// From here on nothing mounted here is seen on the host, unless the specification wants it so.
pub(super) fn propagation(container: &mut Container<'_>) -> Result<(), Error> {
    let (propagation, reach) = container.plan.propagation;
    let mut flags = MountPropagationFlags::from_bits_retain(propagation.bits() as u32);
    if reach == Reach::Tree {
        flags |= MountPropagationFlags::REC;
    }
    rustix::mount::mount_change("/", flags).map_err(Error::rootfs("propagation of /"))
}
