//! The child's side: from a freshly cloned process to the user's program, as lists of named steps ([`steps`]), one file a step.
//!
//! Everything the steps need was parsed before the clone ([`crate::plan`]). A step that fails ends the child; its error crosses
//! the socket. Also here: [`main`], the small pid 1 of `--init`.

mod cgroups; // /sys/fs/cgroup of the container
mod console; // a terminal out of the container's devpts
mod credentials; // ids, capabilities, no_new_privs, the early filter
mod cwd; // working directory
mod devices; // /dev
mod enter; // exec: into the namespaces of a running container
mod execute; // wait for the start, then execve
mod hidden; // masked and read-only paths
mod isolate; // nothing of the parent but what is meant for the child
mod limits; // rlimits and the OOM score
pub(crate) mod mounts; // the mounts of the specification
mod names; // host name, domain name, kernel parameters
mod namespaces; // joining by path, loopback, propagation
mod pivot; // into the new root
mod procfs; // a private procfs for what must reach the real one
mod reaper; // onggi-init
pub(crate) mod rootfs; // the root file system
pub(crate) mod sources; // what bind mounts bind, opened on the host
mod steps; // the lists
mod streams; // ownership of stdin, stdout, stderr
mod user; // names to numbers, HOME

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use onggi_cgroup::{Group, JoinPath, Unified};

pub use reaper::main;

use crate::Error;
use crate::launch::Rootfs;
use crate::plan::{Plan, ProcessPlan};
use crate::root::Root;
use crate::sync::{FromChild, Sync};
use crate::user::Credentials;

/// A step: a name for error texts, and what it does.
pub(crate) struct Step<F> {
    name: &'static str,
    run: F,
}

type OfContainer = Step<fn(&mut Container<'_>) -> Result<(), Error>>;
type OfVisitor = Step<fn(&mut Visitor<'_>) -> Result<(), Error>>;
type OfChild = Step<fn(&mut Child<'_>) -> Result<(), Error>>;

/// What the child is given to begin with; all of it lies in memory copied from the parent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) id: &'a str,
    pub(crate) process: &'a ProcessPlan,
    pub(crate) sync: &'a Sync,
    pub(crate) streams: Streams<'a>,
    /// `onggi-init`.
    pub(crate) program: Option<BorrowedFd<'a>>,
    /// The named pipe that says "start"; without it the parent does.
    pub(crate) fifo: Option<BorrowedFd<'a>>,
    pub(crate) preserved: &'a [OwnedFd],
    pub(crate) die_with_parent: bool,
}

/// The control groups that the child belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Home<'a> {
    pub(crate) group: &'a Group,
    pub(crate) unified: Unified,
}

/// Standard streams as the child gets them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Streams<'a> {
    Fds([BorrowedFd<'a>; 3]),
    Console(Option<(u16, u16)>),
}

/// A process on its way, first of a container or one of exec.
pub(crate) struct Child<'a> {
    given: Given<'a>,
    home: Home<'a>,
    /// A procfs of this PID namespace that is mounted nowhere.
    procfs: Option<OwnedFd>,
    /// The root the process will have.
    root: Option<Root>,
    master: Option<OwnedFd>,
    slave: Option<OwnedFd>,
    credentials: Option<Credentials>,
    environment: Vec<String>,
    /// Path of the program inside the container.
    path: String,
    /// Nobody hears what this process says on the socket any more: its creator has left.
    alone: bool,
    warnings: Vec<String>,
}

/// A container on its way.
pub(crate) struct Container<'a> {
    child: Child<'a>,
    plan: &'a Plan,
    rootfs: &'a Rootfs,
    joins: &'a [(u64, OwnedFd)],
    cgroup_paths: &'a [JoinPath],
    /// Opened sources of the bind mounts, by the mount's index.
    sources: Vec<Option<OwnedFd>>,
    /// The null device for masks: the container's own, the host's where `/dev` is bound from there.
    null: Option<OwnedFd>,
    /// Mounts that become read-only once everything below them is made.
    readonly_later: Vec<OwnedFd>,
}

/// A further process on its way into a running container.
pub(crate) struct Visitor<'a> {
    child: Child<'a>,
    /// Some process of the container.
    target: BorrowedFd<'a>,
}

impl<'a> Child<'a> {
    fn new(given: Given<'a>, home: Home<'a>) -> Self {
        Self {
            given,
            home,
            procfs: None,
            root: None,
            master: None,
            slave: None,
            credentials: None,
            environment: given.process.env.clone(),
            path: String::new(),
            alone: false,
            warnings: Vec::new(),
        }
    }

    fn root(&self) -> Result<&Root, Error> {
        self.root
            .as_ref()
            .ok_or_else(|| Error::Internal("there is no root yet".to_owned()))
    }

    fn credentials(&self) -> Result<&Credentials, Error> {
        self.credentials
            .as_ref()
            .ok_or_else(|| Error::Internal("the user is not resolved yet".to_owned()))
    }

    /// The descriptors that stay open.
    fn kept(&self) -> Vec<BorrowedFd<'_>> {
        let mut kept = vec![self.given.sync.descriptor()];
        kept.extend(self.given.program);
        kept.extend(self.given.fifo);
        kept.extend(self.given.preserved.iter().map(AsFd::as_fd));
        kept
    }
}

fn go<F: Copy>(
    steps: &[Step<F>],
    mut call: impl FnMut(F) -> Result<(), Error>,
) -> Result<(), Error> {
    for step in steps {
        call(step.run).map_err(|error| match error {
            Error::Internal(text) => Error::Internal(format!("{}: {text}", step.name)),
            other => other,
        })?;
    }
    Ok(())
}

/// What the child of `create` does. Returns only on failure, with its exit code.
pub(crate) fn container(
    given: Given<'_>,
    home: Home<'_>,
    plan: &Plan,
    rootfs: &Rootfs,
    joins: &[(u64, OwnedFd)],
    cgroup_paths: &[JoinPath],
) -> i32 {
    let mut container = Container {
        child: Child::new(given, home),
        plan,
        rootfs,
        joins,
        cgroup_paths,
        sources: Vec::new(),
        null: None,
        readonly_later: Vec::new(),
    };
    let result = go(steps::CONTAINER, |run| run(&mut container))
        .and_then(|()| go(steps::PROCESS, |run| run(&mut container.child)));
    fail(&container.child, result)
}

/// What the child of `exec` does. Returns only on failure, with its exit code.
pub(crate) fn visitor(given: Given<'_>, home: Home<'_>, target: BorrowedFd<'_>) -> i32 {
    let mut visitor = Visitor {
        child: Child::new(given, home),
        target,
    };
    let result = go(steps::VISITOR, |run| run(&mut visitor))
        .and_then(|()| go(steps::PROCESS, |run| run(&mut visitor.child)));
    fail(&visitor.child, result)
}

fn fail(child: &Child<'_>, result: Result<(), Error>) -> i32 {
    let Err(error) = result else {
        return 0;
    };
    let code = error.exit_code().unwrap_or(125);
    let text = error.to_string();
    if child.alone
        || child
            .given
            .sync
            .tell(FromChild::Failed(error), &[])
            .is_err()
    {
        // Whoever reads the process's own output is told.
        let _ = rustix::io::write(rustix::stdio::stderr(), format!("{text}\n").as_bytes());
    }
    i32::from(code)
}
