//! The mounts of the specification, in order: each is made detached and put at a descriptor of its place inside the root.

use std::os::fd::{AsFd, OwnedFd};

use onggi_sys::mount::{self as attr, Attributes, Reach, set_attributes};
use rustix::fs::{FileType, FsWord};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags};

use super::{Container, cgroups};
use crate::Error;
use crate::error::reason;
use crate::options::Options;
use crate::plan::{MountKind, MountPlan};
use crate::root::{Links, Root, Target, kind_of};

/// `PROC_SUPER_MAGIC`
pub(super) const PROC_MAGIC: FsWord = 0x9fa0;

/// Files of procfs that may be covered, as those that lxcfs brings; anything else there would fool who reads it.
const PROC_COVERS: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

pub(super) fn all(container: &mut Container<'_>) -> Result<(), Error> {
    let plan = container.plan;
    for (at, mount) in plan.mounts.iter().enumerate() {
        match &mount.kind {
            MountKind::Bind { .. } => {
                let tree = container.sources.get_mut(at).and_then(Option::take);
                let tree =
                    tree.ok_or_else(|| Error::Internal("a source was not opened".to_owned()))?;
                bind(container.child.root()?, mount, tree)?;
            }
            MountKind::Cgroup => cgroups::mount(container, at)?,
            MountKind::Type(kind) => typed(container, mount, kind)?,
        }
    }
    Ok(())
}

fn bind(root: &Root, mount: &MountPlan, tree: OwnedFd) -> Result<(), Error> {
    let kind = kind_of(&tree).map_err(|error| failed(mount, reason(&error)))?;
    let target = match kind {
        FileType::Directory => Target::Directory,
        _ => Target::File,
    };
    let place = place(root, mount, target, Links::Follow)?;
    guard_procfs(&place, mount, Some(&tree))?;
    dress(tree.as_fd(), mount)?;
    put(&tree, &place).map_err(|error| failed(mount, reason(&error)))
}

fn typed(container: &mut Container<'_>, mount: &MountPlan, kind: &str) -> Result<(), Error> {
    let root = container.child.root()?;
    // An image whose /proc, /sys or /dev is a link could turn later writes elsewhere (CVE-2023-27561).
    let links = match kind {
        "proc" | "sysfs" | "devpts" | "mqueue" => Links::Refuse,
        _ if mount.destination == "/dev" => Links::Refuse,
        _ => Links::Follow,
    };
    let existing = root
        .locate(&mount.destination, links)
        .ok()
        .and_then(|place| rustix::fs::statat(&place, "", rustix::fs::AtFlags::EMPTY_PATH).ok());
    let place = place(root, mount, Target::Directory, links)?;
    if kind != "proc" || mount.destination != "/proc" {
        guard_procfs(&place, mount, None)?;
    }
    let mut options = mount.options.clone();
    if kind == "tmpfs"
        && let Some(stat) = existing
        && !options.data.iter().any(|(key, _)| key == "mode")
    {
        // As other runtimes do: what covers a directory has its permissions.
        let mode = format!("{:o}", stat.st_mode & 0o7777);
        options.data.push(("mode".to_owned(), Some(mode)));
    }
    // Nodes and mount points are still to be made below a tmpfs: read-only comes at the end.
    let later = kind == "tmpfs" && options.one.set & attr::RDONLY != 0;
    if later {
        options.one.set &= !attr::RDONLY;
    }
    let made = detached(kind, mount, &options)?;
    dress_with(made.as_fd(), mount, &options)?;
    put(&made, &place).map_err(|error| failed(mount, reason(&error)))?;
    if later {
        container.readonly_later.push(made);
    }
    Ok(())
}

/// A file system that is mounted nowhere yet.
pub(crate) fn detached(kind: &str, mount: &MountPlan, options: &Options) -> Result<OwnedFd, Error> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|error| {
        failed(
            mount,
            match error {
                Errno::NODEV => format!("file system type {kind:?} is not known to the kernel"),
                error => reason(&error),
            },
        )
    })?;
    let complain =
        |error: Errno| failed(mount, complaint(&context).unwrap_or_else(|| reason(&error)));
    if !mount.source.is_empty() {
        rustix::mount::fsconfig_set_string(&context, "source", &mount.source).map_err(complain)?;
    }
    for (key, value) in &options.data {
        match value {
            Some(value) => rustix::mount::fsconfig_set_string(&context, key, value),
            None => rustix::mount::fsconfig_set_flag(&context, key),
        }
        .map_err(complain)?;
    }
    rustix::mount::fsconfig_create(&context).map_err(complain)?;
    rustix::mount::fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
    .map_err(complain)
}

/// What the kernel wrote about the last failure of a context, without its level letter.
pub(super) fn complaint(context: &OwnedFd) -> Option<String> {
    let mut buffer = [0; 512];
    let mut last = None;
    while let Ok(count @ 1..) = rustix::io::read(context, &mut buffer) {
        let line = String::from_utf8_lossy(&buffer[..count]);
        if let Some(text) = line.strip_prefix("e ") {
            last = Some(text.trim().to_owned());
        }
    }
    last
}

/// The descriptor of where a mount goes; made if missing.
pub(super) fn place(
    root: &Root,
    mount: &MountPlan,
    target: Target,
    links: Links,
) -> Result<OwnedFd, Error> {
    root.ensure(&mount.destination, target, links).map_err(|error| {
        let errno = error.raw_os_error().map(Errno::from_raw_os_error);
        failed(
            mount,
            match errno {
                Some(Errno::LOOP) if links == Links::Refuse => {
                    "it must be mounted on an ordinary directory, not on a link".to_owned()
                }
                Some(Errno::NOTDIR | Errno::ISDIR) => format!(
                    "{}: are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type",
                    reason(&error)
                ),
                _ => reason(&error),
            },
        )
    })
}

/// Nothing but procfs itself may cover procfs: what reads or writes there would be fooled (CVE-2019-16884).
fn guard_procfs(place: &OwnedFd, mount: &MountPlan, tree: Option<&OwnedFd>) -> Result<(), Error> {
    let is_proc =
        |file: &OwnedFd| rustix::fs::fstatfs(file).is_ok_and(|fs| fs.f_type == PROC_MAGIC);
    let inside =
        is_proc(place) || mount.destination == "/proc" || mount.destination.starts_with("/proc/");
    if !inside || PROC_COVERS.contains(&mount.destination.as_str()) || tree.is_some_and(is_proc) {
        return Ok(());
    }
    Err(failed(
        mount,
        "it cannot be mounted because it is inside /proc".to_owned(),
    ))
}

/// Attributes and propagation of the options.
pub(super) fn dress(made: std::os::fd::BorrowedFd<'_>, mount: &MountPlan) -> Result<(), Error> {
    dress_with(made, mount, &mount.options)
}

fn dress_with(
    made: std::os::fd::BorrowedFd<'_>,
    mount: &MountPlan,
    options: &Options,
) -> Result<(), Error> {
    let apply = |reach, attributes| {
        set_attributes(made, reach, attributes).map_err(|error| failed(mount, reason(&error)))
    };
    if let Some((propagation, reach)) = options.propagation {
        let attributes = Attributes {
            propagation: propagation.bits(),
            ..Attributes::default()
        };
        apply(reach, attributes)?;
    }
    for (change, reach) in [(options.one, Reach::One), (options.tree, Reach::Tree)] {
        if !change.is_empty() {
            let attributes = Attributes {
                set: change.set,
                clear: change.clear,
                propagation: 0,
            };
            apply(reach, attributes)?;
        }
    }
    Ok(())
}

/// Attaches a detached mount at a place, both by descriptor.
pub(crate) fn put(made: impl AsFd, place: impl AsFd) -> Result<(), Errno> {
    rustix::mount::move_mount(
        made,
        "",
        place,
        "",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )
}

/// Read-only, now that everything below is made: the mounts that were put off, and the root.
pub(super) fn seal(container: &mut Container<'_>) -> Result<(), Error> {
    let readonly = Attributes {
        set: attr::RDONLY,
        ..Attributes::default()
    };
    for mount in container.readonly_later.drain(..) {
        set_attributes(mount.as_fd(), Reach::One, readonly)
            .map_err(Error::rootfs("making a mount read-only"))?;
    }
    if container.plan.readonly_root {
        set_attributes(container.child.root()?.descriptor(), Reach::One, readonly)
            .map_err(Error::rootfs("making the root read-only"))?;
    }
    Ok(())
}

pub(super) fn failed(mount: &MountPlan, text: String) -> Error {
    let from = match &mount.kind {
        MountKind::Type(kind) if mount.source.is_empty() => kind.clone(),
        _ => mount.source.clone(),
    };
    Error::Mount {
        from,
        destination: mount.destination.clone(),
        text,
    }
}
