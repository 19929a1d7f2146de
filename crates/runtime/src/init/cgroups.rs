//! Control groups as the container sees them: its own namespace of them, and `/sys/fs/cgroup`.

use std::os::fd::{AsFd, OwnedFd};

use onggi_sys::mount::{self as attr, Attributes, Reach, set_attributes};
use onggi_sys::namespace::flag;
use rustix::fs::{CWD, Mode};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use super::Container;
use super::mounts::{detached, dress, failed, place, put};
use crate::Error;
use crate::error::reason;
use crate::options::Options;
use crate::plan::MountPlan;
use crate::root::{Links, Target};

/// Its own view of them. The root of a new cgroup namespace is the group of who makes it, so the clone could not.
pub(super) fn separate(container: &mut Container<'_>) -> Result<(), Error> {
    if container.plan.new_cgroup {
        onggi_sys::namespace::unshare(flag::CGROUP)
            .map_err(Error::namespace("making a cgroup namespace"))?;
    }
    Ok(())
}

/// Mounts `/sys/fs/cgroup`: v2 itself, or a tmpfs with one directory a hierarchy.
pub(super) fn mount(container: &mut Container<'_>, at: usize) -> Result<(), Error> {
    let plan = container.plan;
    let mount = &plan.mounts[at];
    let root = container.child.root()?;
    let place = place(root, mount, Target::Directory, Links::Follow)?;
    let own_view = plan.new_cgroup || plan.separate(flag::CGROUP);
    if let [only] = container.cgroup_paths
        && only.name.is_empty()
    {
        let made = detached(only.kind, mount, &mount.options)?;
        dress(made.as_fd(), mount)?;
        return put(&made, &place).map_err(|error| failed(mount, reason(&error)));
    }
    let tmpfs = tmpfs(mount)?;
    put(&tmpfs, &place).map_err(|error| failed(mount, reason(&error)))?;
    for hierarchy in container.cgroup_paths {
        let made = if own_view {
            let options = Options {
                data: hierarchy
                    .data
                    .split(',')
                    .filter(|word| !word.is_empty())
                    .map(|word| match word.split_once('=') {
                        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                        None => (word.to_owned(), None),
                    })
                    .collect(),
                ..mount.options.clone()
            };
            detached(hierarchy.kind, mount, &options)?
        } else {
            rustix::mount::open_tree(
                CWD,
                &hierarchy.path,
                OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
            )
            .map_err(|error| {
                failed(
                    mount,
                    format!("{}: {}", hierarchy.path.display(), reason(&error)),
                )
            })?
        };
        dress(made.as_fd(), mount)?;
        let subdirectory =
            directory(&tmpfs, &hierarchy.name).map_err(|error| failed(mount, reason(&error)))?;
        put(&made, &subdirectory).map_err(|error| failed(mount, reason(&error)))?;
        for alias in &hierarchy.aliases {
            match rustix::fs::symlinkat(&hierarchy.name, &tmpfs, alias) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(failed(mount, reason(&error))),
            }
        }
    }
    if mount.options.one.set & attr::RDONLY != 0 {
        let readonly = Attributes {
            set: attr::RDONLY,
            ..Attributes::default()
        };
        set_attributes(tmpfs.as_fd(), Reach::One, readonly)
            .map_err(|error| failed(mount, reason(&error)))?;
    }
    Ok(())
}

fn tmpfs(mount: &MountPlan) -> Result<OwnedFd, Error> {
    let options = Options {
        data: vec![("mode".to_owned(), Some("755".to_owned()))],
        ..Options::default()
    };
    let tmpfs = detached("tmpfs", mount, &options)?;
    let attributes = Attributes {
        set: attr::NOSUID | attr::NODEV | attr::NOEXEC,
        ..Attributes::default()
    };
    set_attributes(tmpfs.as_fd(), Reach::One, attributes)
        .map_err(|error| failed(mount, reason(&error)))?;
    Ok(tmpfs)
}

fn directory(parent: &OwnedFd, name: &str) -> std::io::Result<OwnedFd> {
    use rustix::fs::OFlags;
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
    Ok(rustix::fs::openat(
        parent,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}
