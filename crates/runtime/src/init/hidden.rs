//! Paths that must not be read (masked) and must not be written (read-only). What is not there is left so.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use onggi_sys::mount::{self as attr, Attributes, Reach, set_attributes};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags};

use super::Container;
use super::mounts::put;
use super::sources::is_device;
use crate::Error;
use crate::error::reason;
use crate::root::{Links, Root, kind_of};

const READONLY: Attributes = Attributes {
    set: attr::RDONLY,
    clear: 0,
    propagation: 0,
};

pub(super) fn all(container: &mut Container<'_>) -> Result<(), Error> {
    let root = container.child.root()?;
    for path in &container.plan.readonly {
        readonly(root, path).map_err(|error| {
            Error::Rootfs(format!("making {path} read-only: {}", reason(&error)))
        })?;
    }
    let null = container
        .null
        .take()
        .ok_or_else(|| Error::Internal("there is no null device".to_owned()))?;
    let mut empty = Empty::default();
    for path in &container.plan.masked {
        mask(root, path, &null, &mut empty)
            .map_err(|error| Error::Rootfs(format!("masking {path}: {}", reason(&error))))?;
    }
    Ok(())
}

fn find(root: &Root, path: &str) -> std::io::Result<Option<OwnedFd>> {
    match root.locate(path, Links::Follow) {
        Ok(place) => Ok(Some(place)),
        Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            _ => Err(error),
        },
    }
}

fn readonly(root: &Root, path: &str) -> std::io::Result<()> {
    let Some(place) = find(root, path)? else {
        return Ok(());
    };
    let tree = copy(place.as_fd(), OpenTreeFlags::AT_RECURSIVE)?;
    set_attributes(tree.as_fd(), Reach::Tree, READONLY)?;
    put(&tree, &place)?;
    Ok(())
}

fn mask(root: &Root, path: &str, null: &OwnedFd, empty: &mut Empty) -> std::io::Result<()> {
    let Some(place) = find(root, path)? else {
        return Ok(());
    };
    if kind_of(&place)? == FileType::Directory {
        let tree = empty.next()?;
        put(&tree, &place)?;
        empty.attached(tree);
        return Ok(());
    }
    let tree = copy(null.as_fd(), OpenTreeFlags::empty())?;
    if !is_device(&tree, 1, 3).unwrap_or(false) {
        return Err(Errno::NODEV.into());
    }
    // The node may be shared, with the host where /dev comes from there: its mode and owner are not for changing here.
    set_attributes(tree.as_fd(), Reach::One, READONLY)?;
    put(&tree, &place)?;
    Ok(())
}

fn copy(of: BorrowedFd<'_>, also: OpenTreeFlags) -> std::io::Result<OwnedFd> {
    Ok(rustix::mount::open_tree(
        of,
        "",
        OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | also,
    )?)
}

/// One empty read-only tmpfs for all masked directories: the first is made, the others are copies of its mount.
#[derive(Default)]
struct Empty {
    first: Option<OwnedFd>,
}

impl Empty {
    fn next(&self) -> std::io::Result<OwnedFd> {
        if let Some(first) = &self.first {
            return copy(first.as_fd(), OpenTreeFlags::empty());
        }
        let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_set_string(&context, "nr_blocks", "1")?;
        rustix::mount::fsconfig_set_string(&context, "nr_inodes", "1")?;
        rustix::mount::fsconfig_set_string(&context, "mode", "755")?;
        rustix::mount::fsconfig_create(&context)?;
        Ok(rustix::mount::fsmount(
            &context,
            FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::MOUNT_ATTR_RDONLY,
        )?)
    }

    /// A mount can be copied once it is attached (kernels before 6.15).
    fn attached(&mut self, tree: OwnedFd) {
        self.first.get_or_insert(tree);
    }
}
