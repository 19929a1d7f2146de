//! mount_setattr(2), the one call of the mount API that rustix lacks. The others are in `rustix::mount`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What to change on a mount (struct mount_attr). The constants are in `linux_raw_sys::general`, re-exported here by their names.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// `MOUNT_ATTR_*` to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` to clear.
    pub clear: u64,
    /// One of `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, `MS_UNBINDABLE`, or 0 for no change.
    pub propagation: u64,
}

/// Read-only.
pub const RDONLY: u64 = linux_raw_sys::general::MOUNT_ATTR_RDONLY as u64;
/// Set-user-id bits and file capabilities are ignored.
pub const NOSUID: u64 = linux_raw_sys::general::MOUNT_ATTR_NOSUID as u64;
/// Device nodes cannot be opened.
pub const NODEV: u64 = linux_raw_sys::general::MOUNT_ATTR_NODEV as u64;
/// Programs cannot be executed.
pub const NOEXEC: u64 = linux_raw_sys::general::MOUNT_ATTR_NOEXEC as u64;
/// The field of access-time choices: must be cleared as a whole before one of them is set.
pub const ATIME: u64 = linux_raw_sys::general::MOUNT_ATTR__ATIME as u64;
/// Access times are never written.
pub const NOATIME: u64 = linux_raw_sys::general::MOUNT_ATTR_NOATIME as u64;
/// Access times are always written.
pub const STRICTATIME: u64 = linux_raw_sys::general::MOUNT_ATTR_STRICTATIME as u64;
/// Access times of directories are never written.
pub const NODIRATIME: u64 = linux_raw_sys::general::MOUNT_ATTR_NODIRATIME as u64;
/// Symbolic links are not followed.
pub const NOSYMFOLLOW: u64 = linux_raw_sys::general::MOUNT_ATTR_NOSYMFOLLOW as u64;

/// How far a change reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This mount only.
    One,
    /// This mount and all below it.
    Tree,
}

/// Changes the mount that `mount` is a descriptor of (its root). Kernel 5.12.
///
/// # Errors
/// What the kernel says; with [`Reach::Tree`] nothing is changed then.
pub fn set_attributes(
    mount: BorrowedFd<'_>,
    reach: Reach,
    attributes: Attributes,
) -> io::Result<()> {
    let argument = linux_raw_sys::general::mount_attr {
        attr_set: attributes.set,
        attr_clr: attributes.clear,
        propagation: attributes.propagation,
        userns_fd: 0,
    };
    let mut flags = libc::AT_EMPTY_PATH;
    if reach == Reach::Tree {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: `argument` is a mount_attr of the size given, and is only read.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const argument,
            size_of::<linux_raw_sys::general::mount_attr>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
