//! The parent's side of exec: a further process in a running container.

use std::os::fd::{AsFd, OwnedFd};

use onggi_oci::runtime::{Process, Seccomp};
use onggi_sys::clone::Child;

use crate::Error;
use crate::create::{self, Ends, Running};
use crate::init::{self, Given};
use crate::launch::{Stdio, UserSpec};
use crate::plan::{self, ProcessPlan};

/// Everything `exec` needs beside the container.
#[derive(Debug)]
pub struct ExecLaunch<'a> {
    /// The container's id, for the keyring.
    pub id: &'a str,
    /// What to run, and what it may do.
    pub process: &'a Process,
    /// Who it runs as; `None` takes the numbers of `process.user`.
    pub user: Option<&'a UserSpec>,
    /// Its streams.
    pub stdio: Stdio,
    /// The container's system call filter.
    pub seccomp: Option<&'a Seccomp>,
    /// Whether it is killed when the calling process ends.
    pub die_with_parent: bool,
    /// Descriptors it inherits as 3, 4, ...
    pub preserved: Vec<OwnedFd>,
}

/// A process that runs beside a container's first one; a child of the caller, who reaps it.
#[derive(Debug)]
pub struct Execed {
    /// Process id on the host.
    pub pid: u32,
    /// That process.
    pub pidfd: OwnedFd,
    /// The master of its terminal, if it has one.
    pub master: Option<OwnedFd>,
    /// What this machine could not do as asked.
    pub warnings: Vec<String>,
}

/// Runs a further process in the container of `target`: in its namespaces and control group. Only for processes with one thread.
///
/// # Errors
/// [`Error::Gone`] when the container is not running, else as for `create`; no process is left behind then.
pub fn exec(target: &Running, launch: ExecLaunch<'_>) -> Result<Execed, Error> {
    let filter = launch.seccomp.map(plan::compile).transpose()?;
    let process = ProcessPlan::new(launch.process, launch.user, filter)?;
    let (parent, ends) = Ends::new(launch.preserved.len(), None, None)?;
    let given = Given {
        id: launch.id,
        process: &process,
        sync: &ends.sync,
        streams: create::streams(&launch.stdio),
        program: None,
        fifo: None,
        preserved: &launch.preserved,
        die_with_parent: launch.die_with_parent,
    };
    let pidfd = target.pidfd.as_fd();
    let child = create::in_pid_namespace(Some(pidfd), || {
        create::spawn_into(&target.group, 0, |home| init::visitor(given, home, pidfd))
    })?;
    drop(ends);
    drop(launch.stdio);
    let result = create::hear_ready(&child, &parent)
        .and_then(|ready| create::let_go(&child, &parent).map(|()| ready));
    match result {
        Ok((master, warnings)) => {
            let Child { pid, pidfd } = child;
            Ok(Execed {
                pid,
                pidfd,
                master,
                warnings,
            })
        }
        Err(error) => {
            let _ = onggi_sys::signal::send(child.pidfd.as_fd(), 9);
            let _ = onggi_sys::process::wait(child.pidfd.as_fd());
            Err(error)
        }
    }
}
