//! What bind mounts bind, opened on the host before anything else: a detached copy of the mount, so that no path is looked up
//! again later. Also our null device for masks.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use onggi_sys::namespace::flag;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use super::Container;
use super::mounts::failed;
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

pub(crate) fn source(mount: &MountPlan) -> Result<Option<OwnedFd>, Error> {
    let MountKind::Bind { recursive } = mount.kind else {
        return Ok(None);
    };
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = match (&mount.subpath, elsewhere(&mount.source)) {
        (None, None) => rustix::mount::open_tree(CWD, &mount.source, flags),
        (None, Some((pid, path))) => in_mount_namespace(pid, path, flags),
        (Some(subpath), _) => {
            let root = rustix::fs::open(
                &mount.source,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            );
            let root = root.map_err(|error| failed(mount, reason(&error)))?;
            return beneath(mount, root.as_fd(), subpath, flags).map(Some);
        }
    };
    match tree {
        Ok(tree) => Ok(Some(tree)),
        Err(Errno::NOENT) => Err(Error::MissingMountSource {
            path: mount.source.clone(),
            destination: mount.destination.clone(),
        }),
        Err(error) => Err(failed(mount, reason(&error))),
    }
}

/// Whether a source lies in the mount namespace of another process.
pub(crate) fn is_elsewhere(source: &str) -> bool {
    elsewhere(source).is_some()
}

/// `/proc/PID/root/PATH` lies in the mount namespace of a process.
fn elsewhere(source: &str) -> Option<(&str, &str)> {
    let (pid, path) = source.strip_prefix("/proc/")?.split_once("/root/")?;
    pid.parse::<u32>().ok().map(|_| (pid, path))
}

/// A mount can only be copied from within its own namespace (open_tree(2)): there and back. No link of the other's files is
/// followed.
fn in_mount_namespace(pid: &str, path: &str, flags: OpenTreeFlags) -> Result<OwnedFd, Errno> {
    let enter = |namespace: &OwnedFd| {
        onggi_sys::namespace::enter(namespace.as_fd(), flag::MOUNT)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
    };
    let open =
        |name: String| rustix::fs::open(name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let other = open(format!("/proc/{pid}/ns/mnt"))?;
    let own = open("/proc/self/ns/mnt".to_owned())?;
    enter(&other)?;
    let copy = || {
        let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let place = rustix::fs::openat2(
            root,
            path,
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS,
        )?;
        rustix::mount::open_tree(place, "", flags | OpenTreeFlags::AT_EMPTY_PATH)
    };
    let copied = copy();
    enter(&own)?;
    copied
}

/// What is at `subpath` below `root`, cloned with `flags`. Whoever runs with the same volume may be swapping links in the
/// path: the kernel resolves it once, never out of `root`, and from there on it is a descriptor.
fn beneath(
    mount: &MountPlan,
    root: BorrowedFd<'_>,
    subpath: &str,
    flags: OpenTreeFlags,
) -> Result<OwnedFd, Error> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut found = Err(Errno::AGAIN);
    // EAGAIN: a rename ran beside a "..", and the kernel cannot be sure.
    for _ in 0..128 {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        found = rustix::fs::openat2(root, subpath, flags, Mode::empty(), resolve);
        if !matches!(found, Err(Errno::AGAIN)) {
            break;
        }
    }
    let found = found.map_err(|error| {
        failed(
            mount,
            match error {
                Errno::XDEV => "path concatenation escapes the base directory".to_owned(),
                error => format!("cannot access path {subpath}: {}", reason(&error)),
            },
        )
    })?;
    let flags = flags | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(found, "", flags).map_err(|error| failed(mount, reason(&error)))
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
