//! The parent's side: make the control groups, clone the child, hear that it is ready, let it go.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use onggi_cgroup::{Cgroups, Group, Unified};
use onggi_oci::runtime::{NamespaceKind, Resources};
use onggi_sys::clone::Child;
use onggi_sys::namespace::flag;
use onggi_sys::process::Ended;
use rustix::io::Errno;

use crate::Error;
use crate::error::reason;
use crate::init::{self, Given, Home, Streams};
use crate::launch::{Gate, Launch, Stdio};
use crate::plan::Plan;
use crate::sync::{FromChild, FromParent, Sync};

/// A container whose process exists and is still making its surroundings. Dropped, it is destroyed.
#[derive(Debug)]
pub struct Starting {
    held: Held,
}

/// A container that is made but for its program. Dropped, it is destroyed, unless [`Created::leave`] was called.
#[derive(Debug)]
pub struct Created {
    /// The master of its terminal, if it was launched with one.
    pub master: Option<OwnedFd>,
    /// What this machine could not do as asked.
    pub warnings: Vec<String>,
    held: Held,
}

/// A container whose program runs (or has ended, and waits to be reaped by its creator).
#[derive(Debug)]
pub struct Running {
    /// Process id on the host of its first process.
    pub pid: u32,
    /// That process.
    pub pidfd: OwnedFd,
    /// Its control group.
    pub group: Group,
}

/// Child, group and socket, until they are passed on.
#[derive(Debug)]
struct Held {
    parts: Option<(Child, Group, Sync)>,
    warnings: Vec<String>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((child, group, _)) = self.parts.take() {
            destroy(&child, &group);
        }
    }
}

/// Kills and reaps a child that nobody shall see, and removes its group.
fn destroy(child: &Child, group: &Group) {
    let _ = onggi_sys::signal::send(child.pidfd.as_fd(), 9);
    let _ = onggi_sys::process::wait(child.pidfd.as_fd());
    let _ = group.kill();
    let _ = group.remove();
}

/// Makes a container up to the point where its program could run. Only for processes with one thread.
///
/// # Errors
/// Everything in [`Error`]; nothing is left behind then.
pub fn create(launch: Launch<'_>) -> Result<Created, Error> {
    begin(launch)?.finish()
}

/// The first half of [`create`]: the process and its namespaces exist, it enters its control groups and goes on by itself.
///
/// # Errors
/// As [`create`], but for what fails inside the container.
pub fn begin(launch: Launch<'_>) -> Result<Starting, Error> {
    let plan = Plan::new(launch.id, launch.spec, launch.user)?;
    let joins = plan
        .joins
        .iter()
        .map(|(kind, path)| Ok((*kind, open_namespace(path)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    let group = make_group(
        launch.cgroups,
        &plan,
        launch
            .spec
            .linux
            .as_ref()
            .and_then(|l| l.resources.as_ref()),
    )?;
    let result = spawn(launch, &plan, &joins, &group);
    match result {
        Ok((child, sync)) => {
            let warnings = group.warnings().to_vec();
            Ok(Starting {
                held: Held {
                    parts: Some((child, group, sync)),
                    warnings,
                },
            })
        }
        Err(error) => {
            let _ = group.remove();
            Err(error)
        }
    }
}

fn make_group(
    cgroups: &Cgroups,
    plan: &Plan,
    resources: Option<&Resources>,
) -> Result<Group, Error> {
    cgroups
        .create(&plan.cgroup, resources.unwrap_or(&Resources::default()))
        .map_err(Error::cgroup)
}

fn open_namespace(path: &str) -> Result<OwnedFd, Error> {
    File::open(path)
        .map(OwnedFd::from)
        .map_err(|error| Error::Namespace(format!("{path}: {}", reason(&error))))
}

fn spawn(
    launch: Launch<'_>,
    plan: &Plan,
    joins: &[(u64, OwnedFd)],
    group: &Group,
) -> Result<(Child, Sync), Error> {
    let fifo = match launch.gate {
        Gate::Parent => None,
        Gate::Fifo(fifo) => Some(fifo),
    };
    let (parent, child) = Ends::new(launch.preserved.len(), launch.init, fifo)?;
    let paths = group.join_paths();
    let given = Given {
        id: launch.id,
        process: &plan.process,
        sync: &child.sync,
        streams: streams(&launch.stdio),
        program: child.program.as_ref().map(AsFd::as_fd),
        fifo: child.fifo.as_ref().map(AsFd::as_fd),
        preserved: &launch.preserved,
        die_with_parent: launch.die_with_parent,
    };
    let target = plan.join_pid.as_deref().map(open_namespace).transpose()?;
    let made = in_pid_namespace(target.as_ref().map(AsFd::as_fd), || {
        spawn_into(group, plan.clone, |home| {
            init::container(given, home, plan, &launch.rootfs, joins, &paths)
        })
    })?;
    // The child's ends and streams are closed here, when `launch` and `child` go: so its end is seen.
    Ok((made, parent))
}

/// What a child and its parent hold of the sync socket, and what else the child is handed.
pub(crate) struct Ends {
    pub(crate) sync: Sync,
    pub(crate) program: Option<OwnedFd>,
    pub(crate) fifo: Option<OwnedFd>,
}

impl Ends {
    /// The parent's socket and the child's things, the latter numbered above what the child shall inherit.
    pub(crate) fn new(
        preserved: usize,
        program: Option<OwnedFd>,
        fifo: Option<OwnedFd>,
    ) -> Result<(Sync, Self), Error> {
        let failed = Error::internal("preparing descriptors");
        let make = || -> std::io::Result<(Sync, Self)> {
            let (parent, child) = crate::sync::pair()?;
            let above = |fd: OwnedFd| -> std::io::Result<OwnedFd> {
                Ok(rustix::io::fcntl_dupfd_cloexec(&fd, 3 + preserved as i32)?)
            };
            let ends = Self {
                sync: child.map(above)?,
                program: program.map(above).transpose()?,
                fifo: fifo.map(above).transpose()?,
            };
            Ok((parent, ends))
        };
        make().map_err(failed)
    }
}

pub(crate) fn streams(stdio: &Stdio) -> Streams<'_> {
    match stdio {
        Stdio::Fds {
            stdin,
            stdout,
            stderr,
        } => Streams::Fds([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]),
        Stdio::Console { size } => Streams::Console(*size),
    }
}

/// Runs `work` with children being born into the PID namespace `target`.
pub(crate) fn in_pid_namespace<T>(
    target: Option<BorrowedFd<'_>>,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let Some(target) = target else {
        return work();
    };
    let own = open_namespace("/proc/self/ns/pid")?;
    onggi_sys::namespace::enter(target, flag::PID).map_err(|error| {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::SRCH) => Error::Gone("the container is not running".to_owned()),
            _ => Error::namespace("entering the PID namespace")(error),
        }
    })?;
    let result = work();
    onggi_sys::namespace::enter(own.as_fd(), flag::PID)
        .map_err(Error::namespace("leaving the PID namespace"))?;
    result
}

/// Clones, in a v2 hierarchy right into the group; the others the child enters by itself.
pub(crate) fn spawn_into(
    group: &Group,
    namespaces: u64,
    child: impl Fn(Home<'_>) -> i32,
) -> Result<Child, Error> {
    let mut options = onggi_sys::clone::Options {
        namespaces,
        cgroup: group.directory(),
        sibling: false,
    };
    let unified = match options.cgroup {
        Some(_) => Unified::Born,
        None => Unified::Move,
    };
    let mut result = onggi_sys::clone::spawn(options, || child(Home { group, unified }));
    if let Err(error) = &result
        && options.cgroup.is_some()
        && matches!(
            error.raw_os_error().map(Errno::from_raw_os_error),
            // Threaded groups, groups with controllers for their children, kernels before 5.7.
            Some(Errno::OPNOTSUPP | Errno::BUSY | Errno::INVAL)
        )
    {
        options.cgroup = None;
        let unified = Unified::Move;
        result = onggi_sys::clone::spawn(options, || child(Home { group, unified }));
    }
    result.map_err(
        |error| match error.raw_os_error().map(Errno::from_raw_os_error) {
            // pid_namespaces(7): a PID namespace whose first process has ended takes no more.
            Some(Errno::NOMEM) if namespaces == 0 => {
                Error::Gone("the container is not running".to_owned())
            }
            _ => Error::namespace("making a process")(error),
        },
    )
}

impl Starting {
    /// Process id on the host of the container's first process.
    pub fn pid(&self) -> u32 {
        self.held.pid()
    }

    /// One of the namespaces of the container; the network namespace is complete from the beginning.
    ///
    /// # Errors
    /// [`Error::Gone`] when the process has ended.
    pub fn namespace(&self, kind: NamespaceKind) -> Result<OwnedFd, Error> {
        self.held.namespace(kind)
    }

    /// Waits until the container is made.
    ///
    /// # Errors
    /// What failed inside; nothing is left behind then.
    pub fn finish(mut self) -> Result<Created, Error> {
        let (master, warnings) = match &self.held.parts {
            Some((child, _, sync)) => hear_ready(child, sync)?,
            None => return Err(gone()),
        };
        let mut all = std::mem::take(&mut self.held.warnings);
        all.extend(warnings);
        Ok(Created {
            master,
            warnings: all,
            held: self.held,
        })
    }
}

fn gone() -> Error {
    Error::Gone("the container is not there any more".to_owned())
}

/// Waits for the child's first word.
pub(crate) fn hear_ready(
    child: &Child,
    sync: &Sync,
) -> Result<(Option<OwnedFd>, Vec<String>), Error> {
    let mut fds = Vec::new();
    match sync
        .hear(&mut fds)
        .map_err(Error::internal("hearing the container's process"))?
    {
        Some(FromChild::Ready { warnings }) => Ok((fds.pop(), warnings)),
        Some(FromChild::Failed(error)) => Err(error),
        None => Err(silent(child)),
    }
}

/// The child went away without a word: how it ended is all there is to tell.
fn silent(child: &Child) -> Error {
    let _ = onggi_sys::signal::send(child.pidfd.as_fd(), 9);
    match onggi_sys::process::wait(child.pidfd.as_fd()) {
        Ok(Ended::Exited(code)) => Error::Gone(format!(
            "the container's process ended early with code {code}"
        )),
        Ok(Ended::Signalled(signal)) => Error::Gone(format!(
            "the container's process was killed by signal {signal} before it ran (a memory limit that is too low does that)"
        )),
        Err(_) => Error::Gone("the container's process ended early".to_owned()),
    }
}

/// Tells the child to execute, and waits until it has: its end of the socket closes by that.
pub(crate) fn let_go(child: &Child, sync: &Sync) -> Result<(), Error> {
    if sync.order(FromParent::Start).is_err() {
        return Err(silent(child));
    }
    let heard = sync
        .hear(&mut Vec::new())
        .map_err(Error::internal("hearing the container's process"))?;
    match heard {
        None => Ok(()),
        Some(FromChild::Failed(error)) => Err(error),
        Some(FromChild::Ready { .. }) => Err(Error::Internal(
            "the container's process spoke out of turn".to_owned(),
        )),
    }
}

impl Held {
    fn pid(&self) -> u32 {
        self.parts.as_ref().map_or(0, |(child, ..)| child.pid)
    }

    fn namespace(&self, kind: NamespaceKind) -> Result<OwnedFd, Error> {
        let Some((child, ..)) = &self.parts else {
            return Err(gone());
        };
        // The child is not reaped before this value goes: the pid cannot be another's.
        namespace_of(child.pid, kind)
    }
}

/// A namespace of a process by its pid, which the caller knows to be this process's.
pub(crate) fn namespace_of(pid: u32, kind: NamespaceKind) -> Result<OwnedFd, Error> {
    let name = match kind {
        NamespaceKind::Pid => "pid",
        NamespaceKind::Network => "net",
        NamespaceKind::Mount => "mnt",
        NamespaceKind::Ipc => "ipc",
        NamespaceKind::Uts => "uts",
        NamespaceKind::User => "user",
        NamespaceKind::Cgroup => "cgroup",
        NamespaceKind::Time => "time",
    };
    open_namespace(&format!("/proc/{pid}/ns/{name}"))
}

impl Created {
    /// Process id on the host of the container's first process.
    pub fn pid(&self) -> u32 {
        self.held.pid()
    }

    /// That process, for waiting with poll(2): it can end before it is started.
    ///
    /// # Errors
    /// None in practice: the container is there until this value is passed on.
    pub fn pidfd(&self) -> Result<BorrowedFd<'_>, Error> {
        self.held
            .parts
            .as_ref()
            .map(|(child, ..)| child.pidfd.as_fd())
            .ok_or_else(gone)
    }

    /// Its control group.
    pub fn group(&self) -> Option<&Group> {
        self.held.parts.as_ref().map(|(_, group, _)| group)
    }

    /// One of its namespaces.
    ///
    /// # Errors
    /// [`Error::Gone`] when the process has ended.
    pub fn namespace(&self, kind: NamespaceKind) -> Result<OwnedFd, Error> {
        self.held.namespace(kind)
    }

    /// Lets the program run; returns once it has been executed.
    ///
    /// # Errors
    /// [`Error::CommandNotExecutable`] and the like when execve failed; nothing is left behind then.
    pub fn start(mut self) -> Result<Running, Error> {
        match &self.held.parts {
            Some((child, _, sync)) => let_go(child, sync)?,
            None => return Err(gone()),
        }
        self.pass_on()
    }

    /// Leaves the container as it is, waiting at its named pipe ([`Gate::Fifo`]): the caller may end.
    ///
    /// # Errors
    /// None in practice, as for [`Created::pidfd`].
    pub fn leave(mut self) -> Result<Running, Error> {
        self.pass_on()
    }

    fn pass_on(&mut self) -> Result<Running, Error> {
        let (child, group, _) = self.held.parts.take().ok_or_else(gone)?;
        Ok(Running {
            pid: child.pid,
            pidfd: child.pidfd,
            group,
        })
    }

    /// Kills and reaps what was made and removes its control group, as dropping the value does.
    pub fn destroy(self) {
        drop(self);
    }
}

impl Running {
    /// A container that someone else created: its first process and its control group.
    ///
    /// # Errors
    /// [`Error::Gone`] when there is no such process.
    pub fn adopt(pid: u32, group: Group) -> Result<Self, Error> {
        let pidfd = onggi_sys::process::pidfd(pid)
            .map_err(|_| Error::Gone("the container is not running".to_owned()))?;
        Ok(Self { pid, pidfd, group })
    }

    /// Reaps its first process once it has ended; for the creator.
    ///
    /// # Errors
    /// [`Error::Gone`] when the caller is not its parent or has reaped it before.
    pub fn wait(&self) -> Result<Ended, Error> {
        onggi_sys::process::wait(self.pidfd.as_fd()).map_err(|error| Error::Gone(reason(&error)))
    }
}
