//! Owner, mode, extended attributes and time of files: read by what holds them open, or by name in an open directory for
//! links and devices.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, chmod, chownat,
    fchmod, fchown, fgetxattr, flistxattr, fsetxattr, futimens, lgetxattr, llistxattr, lsetxattr,
    openat, utimensat,
};
use rustix::io::Errno;

/// What extended attributes and their names may take; the kernel's limit for either.
const MOST: usize = 64 << 10;

/// Extended attributes: names and values, sorted.
pub(crate) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// A file, open or by name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    Open(BorrowedFd<'a>),
    Name(BorrowedFd<'a>, &'a [u8]),
}

/// What a file gets.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    pub(crate) owner: (u32, u32),
    /// `None` for symbolic links, which have none.
    pub(crate) mode: Option<u32>,
    pub(crate) time: Timestamps,
    pub(crate) xattrs: Xattrs,
}

impl Attributes {
    pub(crate) fn write(&self, place: Place<'_>) -> Result<(), Errno> {
        let owner = (
            Some(Uid::from_raw(self.owner.0)),
            Some(Gid::from_raw(self.owner.1)),
        );
        match place {
            Place::Open(file) => fchown(file, owner.0, owner.1)?,
            Place::Name(at, name) => {
                chownat(at, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?
            }
        }
        // Behind chown, which takes set-user-id bits and capabilities away.
        if let Some(mode) = self.mode.map(Mode::from_raw_mode) {
            match place {
                Place::Open(file) => fchmod(file, mode)?,
                Place::Name(at, name) => {
                    // By name chmod would follow a link that has come into its place.
                    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let made = openat(at, name, flags, Mode::empty())?;
                    chmod(format!("/proc/self/fd/{}", made.as_raw_fd()), mode)?;
                }
            }
        }
        for (key, value) in &self.xattrs {
            set(place, key, value)?;
        }
        match place {
            Place::Open(file) => futimens(file, &self.time),
            Place::Name(at, name) => utimensat(at, name, &self.time, AtFlags::SYMLINK_NOFOLLOW),
        }
    }
}

/// The times of a file: when it was changed, for both.
pub(crate) fn times(status: &Stat) -> Timestamps {
    let time = Timespec {
        tv_sec: status.st_mtime,
        tv_nsec: i64::try_from(status.st_mtime_nsec).unwrap_or(0),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// A file system that cannot keep one loses it, as everywhere.
fn set(place: Place<'_>, key: &[u8], value: &[u8]) -> Result<(), Errno> {
    let done = match place {
        Place::Open(file) => fsetxattr(file, key, value, XattrFlags::empty()),
        Place::Name(at, name) => lsetxattr(way(at, name), key, value, XattrFlags::empty()),
    };
    match done {
        Err(Errno::NOTSUP | Errno::PERM) => Ok(()),
        other => other,
    }
}

/// The extended attributes of a file, but for those of overlayfs and of the host's SELinux policy.
pub(crate) fn xattrs(place: Place<'_>) -> Result<Xattrs, Errno> {
    let mut names = vec![0; 256];
    let length = loop {
        let listed = match place {
            Place::Open(file) => flistxattr(file, names.as_mut_slice()),
            Place::Name(at, name) => llistxattr(way(at, name), names.as_mut_slice()),
        };
        match listed {
            Ok(length) => break length,
            Err(Errno::RANGE) if names.len() < MOST => names.resize(MOST, 0),
            Err(Errno::NOTSUP) => break 0,
            Err(errno) => return Err(errno),
        }
    };
    let mut found = Vec::new();
    let names = names[..length].split(|byte| *byte == 0);
    for key in names.filter(|key| !key.is_empty()) {
        let is_others = key.starts_with(b"trusted.overlay.")
            || key.starts_with(b"user.overlay.")
            || key == b"security.selinux";
        if is_others {
            continue;
        }
        let mut value = vec![0; MOST];
        let read = match place {
            Place::Open(file) => fgetxattr(file, key, value.as_mut_slice()),
            Place::Name(at, name) => lgetxattr(way(at, name), key, value.as_mut_slice()),
        };
        match read {
            Ok(length) => {
                value.truncate(length);
                found.push((key.to_vec(), value));
            }
            Err(Errno::NODATA | Errno::NOTSUP) => {}
            Err(errno) => return Err(errno),
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// There is no call by descriptor for links and devices; this path leads to our own open directory.
fn way(at: BorrowedFd<'_>, name: &[u8]) -> PathBuf {
    let directory = format!("/proc/self/fd/{}", at.as_raw_fd());
    Path::new(&directory).join(OsStr::from_bytes(name))
}
