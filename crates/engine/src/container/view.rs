//! The files of a container as it sees them, from outside of it: one descriptor of its root.
//!
//! Of a running container that is `/proc/PID/root`, with everything that is mounted there. Of a stopped one it is an
//! overlay of our own with its binds, in a mount namespace that nobody else is in and that ends with the view: for
//! reading, the writable layer is the topmost lower one and nothing can be changed; for writing, it is mounted as it
//! is when the container runs, and the caller holds the container's writer, so that a start waits.
//!
//! Not here: what is done with the files (`archive`, `export`).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onggi_model::{ErrorKind, Fault as _};
use onggi_oci::runtime::Mount;
use onggi_snapshot::Rootfs;
use onggi_sys::mount::{Attributes, Reach, set_attributes};
use onggi_sys::namespace;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags,
};
use tokio::sync::watch;

use super::place;
use super::{Container, Record};
use crate::error::{Error, Result};
use crate::{Engine, spec};

/// Between the end of a process and the record of it, at most.
const TOLD: Duration = Duration::from_secs(10);

/// The files of a container.
#[derive(Debug)]
pub(crate) struct View {
    // Closed in this order: the namespace takes its mounts along.
    root: OwnedFd,
    _namespace: Option<OwnedFd>,
}

/// What a view is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// What a view of a container that does not run is made of.
#[derive(Clone, Debug)]
pub(crate) struct Stopped {
    rootfs: Rootfs,
    /// A directory of ours, which the root covers in the view's namespace.
    place: PathBuf,
    binds: Vec<Mount>,
    readonly: bool,
    /// What is written need not reach the disk: it is packed, or thrown away.
    volatile: bool,
}

impl View {
    /// The root directory.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Of a running container, through its first process.
    pub(crate) fn running(record: &Record) -> Result<View> {
        let process = process(record)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(&process, "root", flags, Mode::empty())
            .map_err(|errno| entering(record, "open the container's root", errno))?;
        Ok(View {
            root,
            _namespace: None,
        })
    }

    /// The root file system alone of a running container, without what is mounted in it.
    pub(crate) fn running_root(record: &Record) -> Result<View> {
        let process = process(record)?;
        let target = rustix::fs::openat(
            &process,
            "ns/mnt",
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|errno| entering(record, "open the container's mounts", errno))?;
        let root = apart(move || {
            // A copy of the mount that is the namespace's root, attached nowhere. It takes being inside to make one.
            namespace::enter(target.as_fd(), namespace::flag::MOUNT)?;
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            Ok(rustix::mount::open_tree(CWD, "/", flags)?)
        })
        .map_err(|e| Error::io("copy the container's root mount", e))?;
        Ok(View {
            root,
            _namespace: None,
        })
    }

    /// Of a container that does not run.
    pub(crate) fn stopped(stopped: Stopped, access: Access) -> Result<View> {
        match View::mounted(stopped.clone(), access) {
            // A place to mount something onto is missing: it is made as a start makes it.
            Err(error) if access == Access::Read && error.kind() == io::ErrorKind::NotFound => {
                View::mounted(stopped.clone(), Access::Write)
                    .and_then(|_| View::mounted(stopped, Access::Read))
            }
            other => other,
        }
        .map_err(|e| Error::io("mount the container's files", e))
    }

    /// The read-only layers below `rootfs` alone.
    pub(crate) fn below(stopped: Stopped) -> Result<View> {
        let Rootfs::Overlay { lower, work, .. } = stopped.rootfs else {
            return Err(no_record());
        };
        let (below, top) = match lower.as_slice() {
            [only] => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let root = rustix::fs::open(only, flags, Mode::empty())
                    .map_err(|e| Error::io("open the image's files", e))?;
                return Ok(View {
                    root,
                    _namespace: None,
                });
            }
            [top, below @ ..] => (below.to_vec(), top.clone()),
            [] => return Err(Error::internal("an overlay needs a lower layer")),
        };
        let stopped = Stopped {
            rootfs: Rootfs::Overlay {
                lower: below,
                upper: top,
                work,
            },
            binds: Vec::new(),
            ..stopped
        };
        View::mounted(stopped, Access::Read).map_err(|e| Error::io("mount the image's files", e))
    }

    fn mounted(stopped: Stopped, access: Access) -> io::Result<View> {
        apart(move || {
            let root = stopped.mount(access)?;
            for bind in &stopped.binds {
                attach(root.as_fd(), bind, access).map_err(|error| {
                    io::Error::new(error.kind(), format!("{}: {error}", bind.destination))
                })?;
            }
            if stopped.readonly || access == Access::Read {
                set_attributes(root.as_fd(), Reach::One, READ_ONLY)?;
            }
            let namespace = File::open("/proc/thread-self/ns/mnt")?;
            Ok(View {
                root,
                _namespace: Some(namespace.into()),
            })
        })
    }
}

impl Stopped {
    /// A root alone.
    pub(crate) fn of(rootfs: Rootfs, place: PathBuf) -> Stopped {
        Stopped {
            rootfs,
            place,
            binds: Vec::new(),
            readonly: false,
            volatile: false,
        }
    }

    /// The same, for what need not reach the disk: without the sync of all that is written when the view ends.
    pub(crate) fn volatile(self) -> Stopped {
        Stopped {
            volatile: true,
            ..self
        }
    }

    /// Mounts the root over our place; a descriptor of it.
    fn mount(&self, access: Access) -> io::Result<OwnedFd> {
        match &self.rootfs {
            Rootfs::Directory(path) => {
                let flags = OpenTreeFlags::OPEN_TREE_CLONE
                    | OpenTreeFlags::OPEN_TREE_CLOEXEC
                    | OpenTreeFlags::AT_RECURSIVE;
                let tree = rustix::mount::open_tree(CWD, path, flags)?;
                let empty = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
                rustix::mount::move_mount(&tree, "", CWD, &self.place, empty)?;
            }
            Rootfs::Overlay { lower, upper, work } => {
                let (lower, own): (Vec<&Path>, &[&Path]) = match access {
                    Access::Read => {
                        let all = std::iter::once(upper).chain(lower);
                        (all.map(PathBuf::as_path).collect(), &[])
                    }
                    Access::Write => (
                        lower.iter().map(PathBuf::as_path).collect(),
                        &[upper.as_path(), work.as_path()],
                    ),
                };
                self.overlay(&lower, own)?;
            }
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(&self.place, flags, Mode::empty())?)
    }

    /// By mount(2), which every kernel has. Layers are named by their descriptors, relative to the directory of
    /// those: the page that the options must fit in takes 500 of them.
    fn overlay(&self, lower: &[&Path], own: &[&Path]) -> io::Result<()> {
        let mut held: Vec<OwnedFd> = Vec::new();
        for path in lower.iter().chain(own) {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            held.push(rustix::fs::open(*path, flags, Mode::empty())?);
        }
        let names: Vec<String> = held.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
        let (lower, own) = names.split_at(lower.len());
        let mut data = format!("lowerdir={},index=off", lower.join(":"));
        if let [upper, work] = own {
            data.push_str(&format!(",upperdir={upper},workdir={work}"));
        }
        // This thread's own working directory: it shares none since it left the namespace.
        rustix::process::chdir("/proc/self/fd")?;
        let mount = |data: String| -> io::Result<()> {
            let data = std::ffi::CString::new(data)?;
            let flags = MountFlags::empty();
            Ok(rustix::mount::mount(
                "overlay",
                &self.place,
                "overlay",
                flags,
                data.as_c_str(),
            )?)
        };
        match self.volatile && !own.is_empty() {
            // Before 5.10 no kernel knows the word.
            true => mount(format!("{data},volatile")).or_else(|_| mount(data))?,
            false => mount(data)?,
        }
        rustix::process::chdir("/")?;
        Ok(())
    }
}

const READ_ONLY: Attributes = Attributes {
    set: onggi_sys::mount::RDONLY,
    clear: 0,
    propagation: 0,
};

/// Binds one mount of the container below `root`. A source that is not there is left out: so is its target then.
fn attach(root: BorrowedFd<'_>, bind: &Mount, access: Access) -> io::Result<()> {
    let has = |name: &str| bind.options.iter().any(|option| option == name);
    let tree = match source(bind) {
        Ok(tree) => tree,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if access == Access::Read || has("ro") || has("rro") {
        let reach = match access == Access::Read || has("rro") {
            true => Reach::Tree,
            false => Reach::One,
        };
        set_attributes(tree.as_fd(), reach, READ_ONLY)?;
    }
    let directory = place::is_directory(tree.as_fd())?;
    let destination = bind.destination.as_bytes();
    let target = match place::open(root, destination, OFlags::PATH) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && access == Access::Write => {
            place::make(root, destination, directory)?;
            place::open(root, destination, OFlags::PATH)?
        }
        other => other?,
    };
    if place::is_directory(target.as_fd())? != directory {
        return Err(Errno::NOTDIR.into());
    }
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(&tree, "", &target, "", flags)?;
    Ok(())
}

/// What a mount shows, attached nowhere: a copy of a place on the host, or the layers of an image.
fn source(mount: &Mount) -> io::Result<OwnedFd> {
    let values = |key: &'static str| {
        let options = mount.options.iter();
        options.filter_map(move |option| option.strip_prefix(key)?.strip_prefix('='))
    };
    if mount.kind.as_deref() == Some("overlay") {
        let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        for layer in values("lowerdir+") {
            rustix::mount::fsconfig_set_string(&context, "lowerdir+", layer)?;
        }
        rustix::mount::fsconfig_create(&context)?;
        let flags = FsMountFlags::FSMOUNT_CLOEXEC;
        let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY;
        return Ok(rustix::mount::fsmount(&context, flags, read_only)?);
    }
    let path = mount.source.as_deref().unwrap_or_default();
    let from = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let from = match values("subpath").next() {
        None => from,
        // Others may be swapping links in a volume.
        Some(below) => {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            rustix::fs::openat2(&from, below, flags, Mode::empty(), resolve)?
        }
    };
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if mount.options.iter().any(|option| option == "rbind") {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(rustix::mount::open_tree(&from, "", flags)?)
}

/// Runs `work` on a thread of its own, in a mount namespace of its own that no mount leaves. What it gives back may
/// keep that namespace; nobody switches back to use a thread again.
pub(crate) fn apart<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let run = move || {
        let host = File::open("/proc/thread-self/ns/mnt")?;
        namespace::unshare(namespace::flag::MOUNT)?;
        let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", slave)?;
        let result = work();
        // The end of a thread is not waited for: without this the namespace could outlive the view.
        namespace::enter(host.as_fd(), namespace::flag::MOUNT)?;
        result
    };
    let thread = std::thread::Builder::new()
        .name("files".to_owned())
        .stack_size(512 * 1024)
        .spawn(run)?;
    thread
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the thread that mounts panicked")))
}

/// The directory of a container's first process in `/proc`: it stays that process's when the number is used again.
/// `Conflict` where the process has ended and the record does not tell it yet.
pub(crate) fn process(record: &Record) -> Result<OwnedFd> {
    let gone = || Error::conflict(format!("container {} is not running", record.id));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let process = rustix::fs::open(format!("/proc/{}", record.state.pid), flags, Mode::empty())
        .map_err(|_| gone())?;
    let groups = rustix::fs::openat(
        &process,
        "cgroup",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|_| gone())?;
    let text = io::read_to_string(File::from(groups)).map_err(|_| gone())?;
    match text.contains(record.id.as_str()) {
        true => Ok(process),
        false => Err(gone()),
    }
}

/// A process that has ended, but is not buried, has a directory in `/proc` and nothing behind it.
fn entering(record: &Record, what: &str, errno: Errno) -> Error {
    match errno {
        Errno::NOENT | Errno::SRCH => {
            Error::conflict(format!("container {} is not running", record.id))
        }
        errno => Error::io(what, errno),
    }
}

/// Why there is nothing to compare.
pub(crate) fn no_record() -> Error {
    Error::not_implemented(
        "the storage driver keeps no record of what a container changes; start the daemon with --storage-driver overlay2",
    )
}

impl Engine {
    /// What a view of the container is made of while it does not run.
    pub(crate) fn stopped(&self, record: &Record) -> Result<Stopped> {
        Ok(Stopped {
            rootfs: self.inner.snapshots.rootfs(&record.id)?,
            place: self.inner.snapshots.container_path(&record.id),
            binds: spec::mounts::kept(self, record),
            readonly: record.host_config.readonly_rootfs,
            volatile: false,
        })
    }

    /// A view of a container that does not run, with its volumes: one that has to be mounted is, as long as it takes.
    fn stopped_view(&self, record: &Record, access: Access) -> Result<View> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let user = format!("files-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let volumes = &self.inner.volumes;
        let mut mounted = Ok(());
        for (_, volume) in record.volumes() {
            mounted = mounted.and_then(|()| volumes.mount(&volume.name, &user));
        }
        let view = mounted
            .map_err(|fault| Error::of(&fault))
            .and_then(|()| View::stopped(self.stopped(record)?, access));
        for (_, volume) in record.volumes() {
            // The view has a mount of its own.
            if let Err(fault) = volumes.unmount(&volume.name, &user) {
                tracing::warn!("{}", onggi_model::chain(&fault));
            }
        }
        view
    }

    /// The files of a container, to read.
    pub(crate) async fn view(&self, container: &Container) -> Result<View> {
        let stopped = |engine: &Engine, record: &Record| engine.stopped_view(record, Access::Read);
        self.seen(container, View::running, stopped).await
    }

    /// The root file system of a container, to read, without what is mounted in it.
    pub(crate) async fn root_view(&self, container: &Container) -> Result<View> {
        let stopped = |engine: &Engine, record: &Record| {
            let stopped = Stopped {
                binds: Vec::new(),
                ..engine.stopped(record)?
            };
            View::stopped(stopped, Access::Read)
        };
        self.seen(container, View::running_root, stopped).await
    }

    /// The files of a container, to write to. One that does not run is not started as long as the guard lives: it
    /// outlives the view.
    pub(crate) async fn writable_view<'a>(
        &self,
        container: &'a Container,
    ) -> Result<(View, Option<tokio::sync::MutexGuard<'a, ()>>)> {
        let mut records = container.subscribe();
        loop {
            let writer = container.writer.lock().await;
            let record = records.borrow_and_update().clone();
            let running = record.state.is_running();
            let (engine, of) = (self.clone(), record);
            let view = onggi_rt::blocking("open a container's files", move || match running {
                true => View::running(&of),
                false => engine.stopped_view(&of, Access::Write),
            });
            match view.await? {
                // Whoever records the end needs the writer.
                Err(error) if running && has_ended(&error) => {
                    drop(writer);
                    told(&mut records, error).await?;
                }
                view => return Ok((view?, (!running).then_some(writer))),
            }
        }
    }

    /// One of two ways to see the files, by whether the container runs.
    async fn seen(
        &self,
        container: &Container,
        running: fn(&Record) -> Result<View>,
        stopped: fn(&Engine, &Record) -> Result<View>,
    ) -> Result<View> {
        let mut records = container.subscribe();
        loop {
            let record = records.borrow_and_update().clone();
            let runs = record.state.is_running();
            let engine = self.clone();
            let view = onggi_rt::blocking("open a container's files", move || match runs {
                true => running(&record),
                false => stopped(&engine, &record),
            });
            match view.await? {
                Err(error) if runs && has_ended(&error) => told(&mut records, error).await?,
                view => return view,
            }
        }
    }
}

/// Whether a process has ended that the record says is there.
fn has_ended(error: &Error) -> bool {
    error.kind() == ErrorKind::Conflict
}

/// Waits until the record tells the end: the monitor is about to. One that does not is dead, and killed for it.
async fn told(records: &mut watch::Receiver<Arc<Record>>, error: Error) -> Result<()> {
    match tokio::time::timeout(TOLD, records.changed()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(error),
    }
}
