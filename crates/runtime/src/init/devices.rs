//! `/dev`: device nodes and the links every program expects. Left alone when the specification binds a `/dev` from elsewhere.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Uid, makedev};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use super::mounts::put;
use super::sources::is_device;
use super::{Container, Streams};
use crate::Error;
use crate::error::reason;
use crate::plan::{DevicePlan, MountKind};
use crate::root::{Links, Root, Target};

/// runtime-spec, "Dev symbolic links".
const LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

pub(super) fn make(container: &mut Container<'_>) -> Result<(), Error> {
    let bound = container
        .plan
        .mounts
        .iter()
        .any(|m| m.destination == "/dev" && matches!(m.kind, MountKind::Bind { .. }));
    if bound {
        return Ok(());
    }
    let root = container.child.root()?;
    for device in &container.plan.devices {
        node(root, device).map_err(|error| {
            Error::Rootfs(format!(
                "creating device node {:?}: {}",
                device.path,
                reason(&error)
            ))
        })?;
    }
    let dev = root
        .ensure("/dev", Target::Directory, Links::Refuse)
        .map_err(Error::rootfs("/dev"))?;
    for (name, target) in LINKS {
        link(&dev, name, target)
            .map_err(|error| Error::Rootfs(format!("linking /dev/{name}: {}", reason(&error))))?;
    }
    if matches!(container.child.given.streams, Streams::Console(_)) {
        // The place the terminal is bound to.
        root.ensure("/dev/console", Target::File, Links::Refuse)
            .map_err(Error::console("making /dev/console"))?;
    }
    // Masks are bound from the container's own node: whoever changes its mode changes nobody else's.
    if let Ok(null) = root.locate("/dev/null", Links::Refuse)
        && is_device(&null, 1, 3)?
    {
        container.null = Some(null);
    }
    Ok(())
}

fn node(root: &Root, device: &DevicePlan) -> std::io::Result<()> {
    let (parent, name) = match device.path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some(parts) => parts,
        None => return Err(Errno::INVAL.into()),
    };
    let parent = root.ensure(parent, Target::Directory, Links::Refuse)?;
    let number = makedev(device.major, device.minor);
    let mode = Mode::from_raw_mode(device.mode);
    // umask is 0 here.
    match rustix::fs::mknodat(&parent, name, device.kind, mode, number) {
        Ok(()) => {}
        Err(Errno::EXIST) if same(&parent, name, device, number) => return Ok(()),
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(&parent, name, AtFlags::empty())?;
            rustix::fs::mknodat(&parent, name, device.kind, mode, number)?;
        }
        // Without the right to make nodes (a user namespace) the host's node is bound.
        Err(Errno::PERM) => return bound(root, device, number),
        Err(error) => return Err(error.into()),
    }
    if (device.uid, device.gid) != (0, 0) {
        rustix::fs::chownat(
            &parent,
            name,
            Some(Uid::from_raw(device.uid)),
            Some(Gid::from_raw(device.gid)),
            AtFlags::SYMLINK_NOFOLLOW,
        )?;
        // chown(2) clears set-id bits; nothing else is lost.
    }
    Ok(())
}

fn same(parent: &OwnedFd, name: &str, device: &DevicePlan, number: u64) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == device.kind
            && (device.kind == FileType::Fifo || stat.st_rdev == number)
    })
}

fn bound(root: &Root, device: &DevicePlan, number: u64) -> std::io::Result<()> {
    let tree = rustix::mount::open_tree(
        CWD,
        &device.path,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
    )?;
    let stat = rustix::fs::statat(&tree, "", AtFlags::EMPTY_PATH)?;
    if FileType::from_raw_mode(stat.st_mode) != device.kind || stat.st_rdev != number {
        return Err(Errno::PERM.into());
    }
    let place = root.ensure(&device.path, Target::File, Links::Refuse)?;
    put(tree.as_fd(), place.as_fd())?;
    Ok(())
}

fn link(dev: &OwnedFd, name: &str, target: &str) -> std::io::Result<()> {
    match rustix::fs::symlinkat(target, dev, name) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => {
            let present = rustix::fs::readlinkat(dev, name, Vec::new());
            if present.is_ok_and(|text| text.to_bytes() == target.as_bytes()) {
                return Ok(());
            }
            // An image without a /dev of its own mounted over may hold anything here; a directory stays (EISDIR).
            match rustix::fs::unlinkat(dev, name, AtFlags::empty()) {
                Ok(()) => Ok(rustix::fs::symlinkat(target, dev, name)?),
                Err(Errno::ISDIR | Errno::BUSY | Errno::ROFS) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}
