//! `start`: from a record to a running process.
//!
//! Catalogue first, kernel second, reply third: the address is on record before a link exists, and the process
//! runs before anyone is told. If the daemon dies on the way, the monitor destroys what was not started, and the
//! next daemon gives the address back.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use onggi_api::container::{AttachOptions, RemoveOptions};
use onggi_model::ErrorKind;
use onggi_monitor::protocol::{FailureKind, FromMonitor, Launch, RootfsSpec, StdinMode, ToMonitor};
use onggi_network::Endpoint;
use onggi_snapshot::Rootfs;
use tokio::process::Child;
use tracing::{info, warn};

use super::has_names;
use super::record::{Record, Status};
use super::{Changed, Container, Waiting};
use crate::error::{Error, Result};
use crate::task::{self, Task, TaskEvents};
use crate::{Engine, spec};

/// A start that takes longer is given up, so that its container can be removed.
const LONGEST_START: Duration = Duration::from_secs(120);

/// Who starts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A client.
    User,
    /// The restart policy.
    Policy,
}

/// A process that runs.
struct Launched {
    task: Arc<Task>,
    events: TaskEvents,
    child: Child,
    pid: u32,
    started_at: onggi_model::Timestamp,
}

fn marked() -> Error {
    Error::conflict("container is marked for removal and cannot be started")
}

impl Engine {
    /// Starts a container that does not run.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for a paused or vanishing one; `InvalidParameter` where its command cannot be run, in
    /// runc's words; what network, storage and kernel refuse.
    pub async fn container_start(&self, id: &str, detach_keys: Option<&str>) -> Result<Changed> {
        if let Some(keys) = detach_keys {
            crate::detach::Keys::parse(keys)?;
        }
        let container = self.inner.containers.find(id)?;
        let _writer = container.writer.lock().await;
        let record = container.record();
        match record.state.status {
            Status::Running => return Ok(Changed::No),
            Status::Paused => {
                return Err(Error::conflict(
                    "cannot start a paused container, try unpause instead",
                ));
            }
            Status::Removing | Status::Dead | Status::Removed => return Err(marked()),
            _ if container.is_doomed() => return Err(marked()),
            Status::Created | Status::Exited | Status::Restarting => {}
        }
        self.launch(&container, Cause::User).await?;
        Ok(Changed::Yes)
    }

    /// Brings the process up and its record to `running`. The writer is held by the caller.
    pub(crate) async fn launch(&self, container: &Arc<Container>, cause: Cause) -> Result<()> {
        if self.is_leaving() {
            return Err(Error::new(
                onggi_model::ErrorKind::Unavailable,
                "the daemon is shutting down and takes its containers along: none is started",
            ));
        }
        let unhealthy = container.record().unhealthy && cause == Cause::Policy;
        let waiting = container.take_waiting();
        let launched = tokio::time::timeout(LONGEST_START, self.try_launch(container, waiting));
        let launched = launched.await.unwrap_or_else(|_| {
            let seconds = LONGEST_START.as_secs();
            Err((
                128,
                Error::internal(format!(
                    "the container did not come up within {seconds} seconds: something it needs, as a file system that \
                     it mounts, does not answer"
                )),
            ))
        });
        let launched = match launched {
            Ok(launched) => launched,
            Err((code, fault)) => {
                self.not_started(container, code, &fault).await;
                return Err(fault);
            }
        };
        let boot_id = self.inner.boot_id.clone();
        let recorded = self.commit(container, |record| {
            record.started(launched.pid, launched.started_at, boot_id);
            if cause == Cause::User {
                (record.restart_count, record.short_runs) = (0, 0);
            }
        });
        let recorded = recorded.await;
        if let Err(fault) = recorded {
            // What is not on record must not run.
            let _ = launched.task.signal(9).await;
            self.not_started(container, 128, &fault).await;
            return Err(fault);
        }
        container.set_task(Some(launched.task.clone()));
        info!(container = %container.id, pid = launched.pid, "started");
        self.network_events(&container.record(), "connect");
        self.container_event(&container.record(), "start", []);
        if unhealthy {
            let reason = ("reason".to_owned(), "unhealthy".to_owned());
            self.container_event(&container.record(), "restart", [reason]);
        }
        self.ship_log(container);
        let Launched {
            task,
            events,
            child,
            ..
        } = launched;
        super::watch_exit(self.clone(), container.clone(), task, events, Some(child));
        self.watch_health(container);
        Ok(())
    }

    async fn try_launch(
        &self,
        container: &Arc<Container>,
        waiting: Vec<Waiting>,
    ) -> Result<Launched, (i32, Error)> {
        let general = |fault: Error| (128, fault);
        self.share_names(container).await.map_err(general)?;
        let endpoints = self.reserve_network(container).await.map_err(general)?;
        // The disk and the kernel at the same time: what is made holds nothing of the network yet.
        let (recorded, made) = tokio::join!(
            self.record_network(container, &endpoints),
            self.make(container, &endpoints),
        );
        let (task, mut events, child, netns) = made?;
        recorded.map_err(general)?;
        let own = netns.as_ref().map(OwnedFd::try_clone).transpose();
        let own = own.map_err(|e| general(Error::io("share the network namespace", e)))?;
        let held = self
            .attach_network(&endpoints, netns)
            .await
            .map_err(general)?;
        if let Some(netns) = own.filter(|_| endpoints.iter().any(has_names)) {
            self.know_names(&container.record(), &endpoints);
            let opened = self.open_resolver(&container.id, &task, netns).await;
            opened.map_err(general)?;
        }
        for Waiting { options, stream } in waiting {
            let AttachOptions {
                stdin,
                stdout,
                stderr,
                ..
            } = options;
            let attached = task.attach(stdin, stdout, stderr).await.map_err(general)?;
            // A client that left meanwhile needs none.
            let _ = stream.send(attached);
        }
        let record = container.record();
        self.tell_loopback(&record, &endpoints, &task)
            .await
            .map_err(general)?;
        task.send(&ToMonitor::Start, held).await.map_err(general)?;
        let (pid, started_at) = expect_started(&mut events).await?;
        Ok(Launched {
            task,
            events,
            child,
            pid,
            started_at,
        })
    }

    /// A monitor with the container, up to the moment before its process; and its network namespace, where it has one.
    async fn make(
        &self,
        container: &Arc<Container>,
        endpoints: &[Endpoint],
    ) -> Result<(Arc<Task>, TaskEvents, Child, Option<OwnedFd>), (i32, Error)> {
        let general = |fault: Error| (128, fault);
        let record = container.record();
        self.write_files(&record, endpoints).map_err(general)?;
        self.mount_volumes(container).await.map_err(general)?;
        let launch = self.launch_document(&record).map_err(general)?;
        let directory = self.exec_directory(&record.id);
        let program = self.inner.programs.monitor.as_fd();
        let child = task::spawn(program, &directory).map_err(general)?;
        let (task, mut events) = Task::open(&directory).await.map_err(general)?;
        expect_state(&mut events).await.map_err(general)?;
        // Held until its process is about to begin: who was there when the document was written is there still.
        let joined = spec::namespaces::joined(self, &record, &launch.spec).map_err(general)?;
        let mut descriptors = Vec::new();
        if launch.init {
            let init = self.inner.programs.init.try_clone();
            descriptors.push(init.map_err(|e| general(Error::io("share onggi-init", e)))?);
        }
        descriptors.extend(joined);
        task.send(&ToMonitor::Create(Box::new(launch)), descriptors)
            .await
            .map_err(general)?;
        let netns = expect_created(&mut events).await?;
        Ok((task, events, child, netns))
    }

    /// Everything the monitor needs to know.
    fn launch_document(&self, record: &Record) -> Result<Launch> {
        // What is gone with the container, or packed before, need not reach the disk.
        let volatile = record.host_config.auto_remove || record.is_step;
        let rootfs = match self.inner.snapshots.rootfs(&record.id)? {
            Rootfs::Directory(directory) => RootfsSpec::Directory(directory),
            Rootfs::Overlay { lower, upper, work } => {
                if volatile {
                    // The mark that the kernel leaves against a second mount, in case the machine stopped in between:
                    // then the container was removed at boot.
                    let _ = std::fs::remove_dir_all(work.join("work").join("incompat"));
                }
                RootfsSpec::Overlay {
                    lower,
                    upper,
                    work,
                    volatile,
                }
            }
        };
        let config = &record.config;
        let stdin = match (config.open_stdin, config.stdin_once) {
            (false, _) => StdinMode::Closed,
            (true, false) => StdinMode::Open,
            (true, true) => StdinMode::Once,
        };
        let runtime = self.live().runtime(&record.host_config.runtime);
        Ok(Launch {
            id: record.id.to_string(),
            spec: spec::build(self, record)?,
            rootfs,
            user: Some(spec::user(self, record)?),
            tty: config.tty,
            console_size: window(record.host_config.console_size),
            stdin,
            init: self.wants_init(record),
            log: self.log(record)?.record,
            exit_file: self.exit_file(&record.id),
            monitor_cgroup: Some(crate::MONITORS_CGROUP.to_owned()),
            runtime: Some(runtime.path).filter(|path| !path.as_os_str().is_empty()),
            runtime_args: runtime.args,
        })
    }

    /// The start failed: the record says why, the address is given back, nothing is left.
    async fn not_started(&self, container: &Arc<Container>, code: i32, fault: &Error) {
        self.release_network(container).await;
        self.unmount_volumes(container).await;
        let _ = std::fs::remove_dir_all(self.exec_directory(&container.id));
        let _ = std::fs::remove_file(self.exit_file(&container.id));
        let committed = self
            .commit(container, |record| {
                record.state.exit_code = code;
                record.state.error = fault.to_string();
                if record.state.status == Status::Restarting {
                    record.state.status = Status::Exited;
                }
            })
            .await;
        if let Err(fault) = committed {
            warn!(container = %container.id, "{fault}");
        }
        if container.record().host_config.auto_remove {
            let engine = self.clone();
            let container = container.clone();
            // The caller holds the writer; removal takes it.
            tokio::spawn(async move {
                let options = RemoveOptions {
                    volumes: true,
                    ..RemoveOptions::default()
                };
                if let Err(fault) = engine.remove(&container, options).await {
                    warn!(container = %container.id, "automatic removal failed: {fault}");
                }
            });
        }
    }
}

async fn next(events: &mut TaskEvents) -> Result<task::Event> {
    match events.next().await? {
        Some(event) => Ok(event),
        None => Err(Error::internal(
            "the monitor ended while it started the container",
        )),
    }
}

async fn expect_state(events: &mut TaskEvents) -> Result<()> {
    match next(events).await?.message {
        FromMonitor::State { .. } => Ok(()),
        other => Err(Error::internal(format!("the monitor answered {other:?}"))),
    }
}

async fn expect_created(events: &mut TaskEvents) -> Result<Option<OwnedFd>, (i32, Error)> {
    let mut event = next(events).await.map_err(|fault| (128, fault))?;
    match event.message {
        FromMonitor::Created { .. } => Ok(event.descriptors.pop()),
        FromMonitor::Failed { kind, message } => Err(failure(Process::First, kind, &message)),
        other => Err((
            128,
            Error::internal(format!("the monitor answered {other:?}")),
        )),
    }
}

async fn expect_started(
    events: &mut TaskEvents,
) -> Result<(u32, onggi_model::Timestamp), (i32, Error)> {
    match next(events).await.map_err(|fault| (128, fault))?.message {
        FromMonitor::Started { pid, started_at } => Ok((pid, started_at.into())),
        FromMonitor::Failed { kind, message } => Err(failure(Process::First, kind, &message)),
        other => Err((
            128,
            Error::internal(format!("the monitor answered {other:?}")),
        )),
    }
}

/// Rows and columns of a terminal; none where a client left them open.
pub(crate) fn window([rows, cols]: [u32; 2]) -> Option<(u16, u16)> {
    let size = (u16::try_from(rows).ok()?, u16::try_from(cols).ok()?);
    (size.0 > 0 && size.1 > 0).then_some(size)
}

/// What could not be started: the words before the reason differ, and clients know both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// A container's own.
    First,
    /// One beside it.
    Exec,
}

/// Exit code and error of a process that could not be started; the texts are runc's and containerd's, because
/// clients read 126 and 127 out of them.
pub(crate) fn failure(process: Process, kind: FailureKind, message: &str) -> (i32, Error) {
    let other = match process {
        Process::First => 128,
        Process::Exec => 126,
    };
    let (code, kind) = match kind {
        FailureKind::CommandNotFound => (127, ErrorKind::InvalidParameter),
        FailureKind::NotExecutable => (126, ErrorKind::InvalidParameter),
        FailureKind::MissingSource => (other, ErrorKind::InvalidParameter),
        // Docker looks users up itself, before the runtime.
        FailureKind::InvalidUser => return (other, Error::internal(message)),
        FailureKind::Other => (other, ErrorKind::Internal),
    };
    let before = match process {
        Process::First => {
            "failed to create task for container: failed to create shim task: OCI runtime create failed: \
             onggi-runtime create failed: unable to start container process: error during container init"
        }
        Process::Exec => "OCI runtime exec failed: exec failed: unable to start container process",
    };
    (code, Error::new(kind, format!("{before}: {message}")))
}
