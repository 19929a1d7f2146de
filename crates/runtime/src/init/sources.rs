//! What bind mounts bind, opened on the host before anything else: a detached copy of the mount, so that no path is looked up
//! again later. Also our null device for masks.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use super::Container;
use crate::Error;
use crate::error::reason;
use crate::plan::{MountKind, MountPlan};

pub(super) fn open(container: &mut Container<'_>) -> Result<(), Error> {
    container.sources = container
        .plan
        .mounts
        .iter()
        .map(source)
        .collect::<Result<_, _>>()?;
    container.null = Some(null()?);
    Ok(())
}

fn source(mount: &MountPlan) -> Result<Option<OwnedFd>, Error> {
    let MountKind::Bind { recursive } = mount.kind else {
        return Ok(None);
    };
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    match rustix::mount::open_tree(CWD, &mount.source, flags) {
        Ok(tree) => Ok(Some(tree)),
        Err(Errno::NOENT) => Err(Error::MissingMountSource {
            path: mount.source.clone(),
            destination: mount.destination.clone(),
        }),
        Err(error) => Err(Error::Mount {
            from: mount.source.clone(),
            destination: mount.destination.clone(),
            text: reason(&error),
        }),
    }
}

/// The host's null device, known by its number and not by its name (CVE-2025-31133).
fn null() -> Result<OwnedFd, Error> {
    let null = rustix::fs::open(
        "/dev/null",
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(Error::internal("/dev/null"))?;
    if !is_device(&null, 1, 3)? {
        return Err(Error::Internal(
            "/dev/null of the host is not the null device".to_owned(),
        ));
    }
    Ok(null)
}

/// Whether `file` is the character device with these numbers.
pub(super) fn is_device(
    file: impl std::os::fd::AsFd,
    major: u32,
    minor: u32,
) -> Result<bool, Error> {
    let stat = rustix::fs::statat(file, "", AtFlags::EMPTY_PATH)
        .map_err(Error::internal("stat of a device"))?;
    Ok(
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && rustix::fs::major(stat.st_rdev) == major
            && rustix::fs::minor(stat.st_rdev) == minor,
    )
}
