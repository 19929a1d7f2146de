//! The terminal: out of the container's own devpts, its slave the standard streams, the controlling terminal and, for the first
//! process, `/dev/console`. The master goes to the parent.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FsWord, OFlags};
use rustix::mount::OpenTreeFlags;

use super::mounts::put;
use super::sources::is_device;
use super::{Child, Container, Streams, Visitor};
use crate::Error;
use crate::root::{Links, Target};

/// `DEVPTS_SUPER_MAGIC`
const DEVPTS_MAGIC: FsWord = 0x1cd1;

pub(super) fn container(container: &mut Container<'_>) -> Result<(), Error> {
    let Streams::Console(size) = container.child.given.streams else {
        return Ok(());
    };
    open(&mut container.child, size)?;
    let child = &container.child;
    let Some(slave) = &child.slave else {
        return Ok(());
    };
    // The descriptor is bound, not a path below /dev/pts that something could have replaced (CVE-2025-52565).
    let tree = rustix::mount::open_tree(
        slave,
        "",
        OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH,
    )
    .map_err(Error::console("copying the mount of the terminal"))?;
    let place = child
        .root()?
        .ensure("/dev/console", Target::File, Links::Refuse)
        .map_err(Error::console("/dev/console"))?;
    put(tree.as_fd(), place.as_fd()).map_err(Error::console("binding /dev/console"))
}

pub(super) fn visitor(visitor: &mut Visitor<'_>) -> Result<(), Error> {
    match visitor.child.given.streams {
        Streams::Console(size) => open(&mut visitor.child, size),
        Streams::Fds(_) => Ok(()),
    }
}

fn open(child: &mut Child<'_>, size: Option<(u16, u16)>) -> Result<(), Error> {
    let location = child
        .root()?
        .locate("/dev/pts/ptmx", Links::Refuse)
        .map_err(Error::console("/dev/pts/ptmx"))?;
    let devpts = rustix::fs::fstatfs(&location).is_ok_and(|fs| fs.f_type == DEVPTS_MAGIC);
    if !devpts || !is_device(&location, 5, 2)? {
        return Err(Error::Console(
            "/dev/pts/ptmx of the container is not a terminal multiplexer".to_owned(),
        ));
    }
    let multiplexer = child.reopen(location.as_fd(), OFlags::RDWR | OFlags::NOCTTY)?;
    let (master, slave) = onggi_sys::pty::from_multiplexer(multiplexer)
        .map_err(Error::console("opening a terminal"))?;
    if let Some((rows, columns)) = size {
        onggi_sys::pty::resize(&master, rows, columns)
            .map_err(Error::console("setting the window size"))?;
    }
    own(&slave)?;
    child.master = Some(master);
    child.slave = Some(slave);
    Ok(())
}

fn own(slave: &OwnedFd) -> Result<(), Error> {
    rustix::process::ioctl_tiocsctty(slave)
        .map_err(Error::console("making it the controlling terminal"))?;
    onggi_sys::fd::install_stdio([slave.as_fd(); 3]).map_err(Error::console("standard streams"))
}
