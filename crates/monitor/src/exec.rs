//! Further processes in the container.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use onggi_oci::runtime::{Process, Seccomp};
use onggi_runtime::{ExecLaunch, Running, Stdio};
use onggi_sys::process;

use crate::foreign::Foreign;
use crate::monitor::GRACE;
use crate::protocol::{ExecState, UserSpec};
use crate::runtime::{self, Failure};
use crate::streams::{self, Client, EndsWith, Scratch, Streams};

/// What is asked for.
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) process: Box<Process>,
    pub(crate) user: Option<UserSpec>,
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
    pub(crate) console_size: Option<(u16, u16)>,
    pub(crate) detach: bool,
}

/// A process in the container.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) id: String,
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) streams: Streams,
    ended: Option<Ended>,
}

#[derive(Debug)]
struct Ended {
    code: i32,
    at: Instant,
}

impl Exec {
    /// Runs it; its streams have no client yet.
    pub(crate) fn start(
        container: &Running,
        container_id: &str,
        seccomp: Option<&Seccomp>,
        mut request: Request,
    ) -> Result<Self, Failure> {
        let (stdio, ours) = stdio(&mut request)?;
        let user = request.user.map(runtime::user);
        let execed = onggi_runtime::exec(
            container,
            ExecLaunch {
                id: container_id,
                process: &request.process,
                user: user.as_ref(),
                stdio,
                seccomp,
                die_with_parent: true,
                preserved: Vec::new(),
            },
        )?;
        Self::watch(
            request.id,
            execed.pid,
            execed.pidfd,
            request.stdin,
            execed.master,
            ours,
        )
    }

    /// Runs it with the runtime that has the container.
    pub(crate) fn start_foreign(foreign: &Foreign, mut request: Request) -> Result<Self, Failure> {
        let (stdio, ours) = stdio(&mut request)?;
        let user = request.user.map(runtime::user);
        let made = foreign.exec(*request.process, user.as_ref(), stdio.into())?;
        let pidfd = process::pidfd(made.pid).map_err(Failure::while_doing("the process"))?;
        Self::watch(
            request.id,
            made.pid,
            pidfd,
            request.stdin,
            made.master,
            ours,
        )
    }

    fn watch(
        id: String,
        pid: u32,
        pidfd: OwnedFd,
        stdin: bool,
        master: Option<OwnedFd>,
        ours: Option<streams::Ours>,
    ) -> Result<Self, Failure> {
        let mut streams = Streams::default();
        let result = match (master, ours) {
            (Some(master), _) => streams.with_terminal(master, stdin),
            (None, Some(ours)) => streams.with_pipes(ours),
            (None, None) => Ok(()),
        };
        if let Err(errno) = result {
            // It cannot be watched over: it does not stay.
            let _ = onggi_sys::signal::send(pidfd.as_fd(), 9);
            let _ = process::wait(pidfd.as_fd());
            return Err(Failure::while_doing("setting up streams")(errno));
        }
        Ok(Self {
            id,
            pid,
            pidfd,
            streams,
            ended: None,
        })
    }

    pub(crate) fn attach(&mut self, client: Client) {
        self.streams.attach(client);
    }

    pub(crate) fn state(&self) -> ExecState {
        let code = self.ended.as_ref().map(|ended| ended.code);
        ExecState {
            id: self.id.clone(),
            pid: self.pid,
            code,
        }
    }

    pub(crate) fn runs(&self) -> bool {
        self.ended.is_none()
    }

    /// Its exit code, the first time that it is known.
    pub(crate) fn reap(&mut self) -> Option<i32> {
        if self.ended.is_some() {
            return None;
        }
        let code = match process::try_wait(self.pidfd.as_fd()) {
            Ok(None) => return None,
            Ok(Some(ended)) => ended.code(),
            Err(_) => 255, // someone else's child: cannot be
        };
        self.ended = Some(Ended {
            code,
            at: Instant::now(),
        });
        self.streams.process_ended();
        Some(code)
    }

    /// When its streams are closed, whoever holds them.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let ended = self.ended.as_ref()?;
        (!self.streams.are_drained()).then(|| ended.at + GRACE)
    }

    /// Moves on towards the end; `true`: nothing is left of it. `told`: the daemon knows the exit code, if there is a daemon.
    pub(crate) fn advance(&mut self, told: bool, scratch: &mut Scratch) -> bool {
        if self.runs() {
            return false;
        }
        if self
            .deadline()
            .is_some_and(|deadline| deadline <= Instant::now())
        {
            self.streams.read_to_end(None, scratch);
        }
        if self.streams.are_drained() && told {
            self.streams.end_clients();
            return !self.streams.has_clients();
        }
        false
    }
}

/// Its streams: the process' ends, and ours.
fn stdio(request: &mut Request) -> Result<(Stdio, Option<streams::Ours>), Failure> {
    if request.detach {
        (request.stdin, request.stdout, request.stderr) = (false, false, false);
    }
    let mut ours = None;
    let stdio = if request.process.terminal {
        Stdio::Console {
            size: request.console_size,
        }
    } else {
        let stdin = request.stdin.then_some(EndsWith::Connection);
        let ([stdin, stdout, stderr], pipes) =
            streams::pipes(stdin, request.stdout, request.stderr)
                .map_err(Failure::while_doing("making pipes"))?;
        ours = Some(pipes);
        Stdio::Fds {
            stdin,
            stdout,
            stderr,
        }
    };
    Ok((stdio, ours))
}
