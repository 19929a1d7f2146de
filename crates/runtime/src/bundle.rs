//! A bundle for another OCI runtime: the root mounted in this process' mount namespace only, the document on disk, and in it
//! what that runtime leaves to its caller (ids instead of names, `HOME`).

use std::os::fd::OwnedFd;
use std::path::Path;

use onggi_oci::runtime::{Mount, Process, Spec};
use onggi_sys::namespace::flag;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::mount::{MountPropagationFlags, UnmountFlags};

use crate::error::reason;
use crate::init::{mounts, rootfs, sources};
use crate::plan::MountKind;
use crate::root::{Root, kind_of};
use crate::{Error, Rootfs, UserSpec, user};

/// Writes `config.json` into the existing directory `bundle` and mounts the root beside it, as `rootfs`. The calling process
/// gets a mount namespace of its own: nobody else sees that mount. Only for processes with one thread.
///
/// # Errors
/// What the kernel says, and a user that the container does not know.
pub fn prepare(
    bundle: &Path,
    mut spec: Spec,
    user: Option<&UserSpec>,
    rootfs: &Rootfs,
) -> Result<(), Error> {
    onggi_sys::namespace::unshare(flag::MOUNT)
        .map_err(Error::namespace("separating the monitor's mounts"))?;
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", slave).map_err(Error::rootfs("propagation of /"))?;
    let place = bundle.join("rootfs");
    std::fs::create_dir_all(&place).map_err(Error::internal("the bundle"))?;
    rootfs::mount_at(rootfs, &place)?;
    for (at, mount) in spec.mounts.iter_mut().enumerate() {
        if is_ours(mount) {
            stand_in(mount, &bundle.join(format!("{SOURCE}{at}")))?;
        }
    }
    if let Some(process) = &mut spec.process {
        settle(bundle, process, user)?;
    }
    let text = serde_json::to_vec(&spec).map_err(Error::internal("config.json"))?;
    std::fs::write(bundle.join("config.json"), text).map_err(Error::internal("config.json"))
}

/// How sources that are mounted here begin.
const SOURCE: &str = "source-";

/// Whether a mount is in words that only our own runtime knows: a path below a source, layers one by one, a place in the
/// mount namespace of another process.
fn is_ours(mount: &Mount) -> bool {
    let mut words = mount.options.iter();
    words.any(|word| word.starts_with("subpath=") || word.starts_with("lowerdir+="))
        || mount.source.as_deref().is_some_and(sources::is_elsewhere)
}

/// Mounts it at `place`, in this process' namespace, and leaves a plain bind to the other runtime.
fn stand_in(mount: &mut Mount, place: &Path) -> Result<(), Error> {
    let plan = crate::plan::mount(mount)?;
    let tree = match (sources::source(&plan)?, &plan.kind) {
        (Some(tree), _) => tree,
        (None, MountKind::Type(kind)) => mounts::detached(kind, &plan, &plan.options)?,
        (None, _) => return Ok(()),
    };
    let made = match kind_of(&tree).map_err(Error::internal("stat of a source"))? {
        FileType::Directory => std::fs::create_dir(place),
        _ => std::fs::File::create(place).map(drop),
    };
    made.map_err(Error::internal("the bundle"))?;
    let target = rustix::fs::open(place, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(Error::internal("the bundle"))?;
    mounts::put(&tree, &target).map_err(Error::rootfs("attaching a source"))?;
    mount.kind = Some("bind".to_owned());
    mount.source = Some(place.display().to_string());
    mount.options.retain(|word| {
        !word.starts_with("subpath=") && !word.starts_with("lowerdir+=") && word != "bind"
    });
    if !mount.options.iter().any(|word| word == "rbind") {
        mount.options.insert(0, "rbind".to_owned());
    }
    Ok(())
}

/// Puts numbers in the place of names, by the container's own files, and sets `HOME` if it is not set.
///
/// # Errors
/// [`Error::User`] for a user or group that the container does not know.
pub fn settle(bundle: &Path, process: &mut Process, user: Option<&UserSpec>) -> Result<(), Error> {
    let root = Root::new(open(&bundle.join("rootfs"))?);
    let home = match user {
        None => user::home(&root, process.user.uid),
        Some(spec) => {
            let found = user::resolve(&root, spec)?;
            process.user.uid = found.uid;
            process.user.gid = found.gid;
            process.user.additional_gids = found.groups;
            found.home
        }
    };
    let is_set = |entry: &String| entry.starts_with("HOME=") && entry.len() > "HOME=".len();
    if !process.env.iter().any(is_set) {
        process.env.retain(|entry| !entry.starts_with("HOME="));
        process.env.push(format!("HOME={home}"));
    }
    Ok(())
}

/// Unmounts the root and removes the bundle.
pub fn remove(bundle: &Path) {
    // What is in use by another runtime's process goes with that process.
    let _ = rustix::mount::unmount(bundle.join("rootfs"), UnmountFlags::DETACH);
    // Not recursive: should the root still be there, it is not ours to empty.
    let _ = std::fs::remove_dir(bundle.join("rootfs"));
    for entry in std::fs::read_dir(bundle).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(SOURCE) {
            let _ = rustix::mount::unmount(entry.path(), UnmountFlags::DETACH);
            let _ = std::fs::remove_dir(entry.path());
        }
        if entry.file_type().is_ok_and(|kind| !kind.is_dir()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    let _ = std::fs::remove_dir_all(bundle.join("state"));
    let _ = std::fs::remove_dir(bundle);
}

fn open(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
        .map_err(|error| Error::Rootfs(format!("{}: {}", path.display(), reason(&error))))
}
