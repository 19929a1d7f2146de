//! A procfs that is mounted nowhere: what is written or opened through it reaches the kernel, whatever an image or a container
//! has put at /proc (CVE-2019-19921, CVE-2025-52881).

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::Child;
use crate::Error;

impl Child<'_> {
    /// The private procfs, mounted on first use.
    pub(super) fn procfs(&mut self) -> Result<BorrowedFd<'_>, Error> {
        use std::os::fd::AsFd;
        if self.procfs.is_none() {
            self.procfs = Some(open().map_err(Error::internal("a private procfs"))?);
        }
        self.procfs
            .as_ref()
            .map(AsFd::as_fd)
            .ok_or_else(|| Error::Internal("there is no procfs".to_owned()))
    }

    /// Writes `value` to the file `path` of the private procfs.
    pub(super) fn write_proc(&mut self, path: &str, value: &str) -> std::io::Result<()> {
        let procfs = self
            .procfs()
            .map_err(|error| std::io::Error::other(error.to_string()))?;
        let file = rustix::fs::openat2(
            procfs,
            path,
            OFlags::WRONLY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH
                | ResolveFlags::NO_XDEV
                | ResolveFlags::NO_SYMLINKS
                | ResolveFlags::NO_MAGICLINKS,
        )?;
        File::from(file).write_all(value.as_bytes())
    }

    /// Opens the file again that `location` (an `O_PATH` descriptor) is of.
    pub(super) fn reopen(
        &mut self,
        location: BorrowedFd<'_>,
        flags: OFlags,
    ) -> Result<OwnedFd, Error> {
        let path = format!(
            "{}/fd/{}",
            rustix::process::getpid().as_raw_nonzero(),
            location.as_raw_fd()
        );
        let procfs = self.procfs()?;
        rustix::fs::openat(procfs, path, flags | OFlags::CLOEXEC, Mode::empty())
            .map_err(Error::internal("opening a descriptor again"))
    }
}

fn open() -> Result<OwnedFd, rustix::io::Errno> {
    let context = rustix::mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(&context)?;
    rustix::mount::fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )
}
