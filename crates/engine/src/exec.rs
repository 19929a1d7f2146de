//! `exec`: processes beside a container's own.
//!
//! An exec is made, started once, and remembered until its container ends. The monitor runs it; its bytes take
//! the same way as an attach. Execs live in memory: the monitor tells a new daemon which of them run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use onggi_api::IdResponse;
use onggi_api::exec::{CreateRequest, Inspect, ProcessConfig, StartRequest};
use onggi_model::ContainerId;
use onggi_monitor::protocol::{ExecState, ToMonitor, UserSpec};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::container::{Container, Status};
use crate::detach::{Keys, Watch};
use crate::error::{Error, Result};
use crate::spec::process::{directory, environment};
use crate::spec::security;
use crate::task::Stream;
use crate::{Engine, container};

/// How long one that has ended can be asked about.
const KEPT: Duration = Duration::from_secs(300);
/// How long a terminal's size waits for the process, as with dockerd.
const READY: Duration = Duration::from_secs(10);
/// How many that have ended can be asked about.
const MOST_ENDED: usize = 1000;

/// All execs of all containers.
#[derive(Default)]
pub(crate) struct Execs {
    by_id: Mutex<HashMap<String, Arc<Exec>>>,
}

struct Exec {
    id: String,
    container: ContainerId,
    request: CreateRequest,
    progress: watch::Sender<Progress>,
    made: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    started: bool,
    running: bool,
    pid: u32,
    code: Option<i32>,
    ended: Option<Instant>,
}

impl Progress {
    /// It has ended, or never began.
    fn end(&mut self, code: i32) {
        self.running = false;
        self.code.get_or_insert(code);
        self.ended.get_or_insert_with(Instant::now);
    }
}

/// An exec that runs, its streams ready to be tied to a client.
pub struct ExecSession {
    /// Whether the bytes are a terminal's; else they come in frames.
    pub tty: bool,
    engine: Engine,
    exec: Arc<Exec>,
    /// None where the client wants no streams.
    stream: Option<Stream>,
    keys: Keys,
}

/// An exec that is about to be started: it counts as running, and nobody else can start it. Dropped without a start, it
/// can be started again.
pub struct ExecClaim {
    engine: Engine,
    exec: Arc<Exec>,
    begun: bool,
}

impl Execs {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Exec>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Result<Arc<Exec>> {
        self.all()
            .get(id)
            .cloned()
            .ok_or_else(|| Error::not_found(format!("No such exec instance: {id}")))
    }

    /// Forgets those that ended long ago or were made long ago and never started, and the oldest where there are many.
    fn sweep(&self) {
        let mut all = self.all();
        let mut ended = Vec::new();
        all.retain(|id, exec| {
            let progress = exec.progress.borrow();
            let idle_since = match (progress.ended, progress.started) {
                (Some(ended), _) => ended,
                (None, false) => exec.made,
                (None, true) => return true,
            };
            let kept = idle_since.elapsed() < KEPT;
            if kept {
                ended.push((idle_since, id.clone()));
            }
            kept
        });
        if ended.len() > MOST_ENDED {
            ended.sort();
            for (_, id) in &ended[..ended.len() - MOST_ENDED] {
                all.remove(id);
            }
        }
    }

    /// The container is gone, and its execs with it.
    pub(crate) fn forget(&self, container: &ContainerId) {
        self.all().retain(|_, exec| exec.container != *container);
    }

    /// The execs of a container, as `inspect` lists them.
    pub(crate) fn of(&self, container: &ContainerId) -> Vec<String> {
        let all = self.all();
        let mut ids: Vec<_> = all
            .values()
            .filter(|exec| exec.container == *container && exec.progress.borrow().running)
            .map(|exec| exec.id.clone())
            .collect();
        ids.sort();
        ids
    }
}

impl ExecClaim {
    /// Runs it.
    ///
    /// # Errors
    /// `Conflict` where its container stopped; `InvalidParameter` where the command cannot be run.
    pub async fn start(mut self, start: StartRequest) -> Result<ExecSession> {
        let (engine, exec) = (self.engine.clone(), self.exec.clone());
        let container = engine.running(exec.container.as_str())?;
        // Parsed before, when it was made.
        let keys = Keys::parse(&exec.request.detach_keys)?;
        self.begun = true;
        let begun = engine.exec_begin(&exec, &container, &start).await;
        let (pid, stream) = match begun {
            Ok(running) => running,
            Err((code, fault)) => {
                exec.progress.send_modify(|progress| progress.end(code));
                return Err(fault);
            }
        };
        exec.progress.send_modify(|progress| {
            progress.pid = pid;
            progress.running = progress.code.is_none();
        });
        engine.exec_event(
            &container,
            &exec,
            &format!("exec_start: {}", words(&exec.request)),
            [],
        );
        Ok(ExecSession {
            tty: exec.request.tty,
            engine,
            stream: (!start.detach).then_some(stream),
            exec,
            keys,
        })
    }
}

impl Drop for ExecClaim {
    fn drop(&mut self) {
        if !self.begun {
            self.exec.progress.send_modify(|progress| {
                (progress.started, progress.running) = (false, false);
            });
        }
    }
}

impl Engine {
    /// Prepares a process; nothing runs.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where the container does not run; `InvalidParameter` for an empty command or bad keys.
    pub async fn exec_create(&self, container: &str, request: CreateRequest) -> Result<IdResponse> {
        let container = self.running(container)?;
        if request.cmd.as_ref().is_none_or(Vec::is_empty) {
            return Err(Error::invalid("No exec command specified"));
        }
        Keys::parse(&request.detach_keys)?;
        let id = ContainerId::random()
            .map_err(|e| Error::io("random bytes", e))?
            .to_string();
        let exec = Exec {
            id: id.clone(),
            container: container.id.clone(),
            request,
            progress: watch::Sender::default(),
            made: Instant::now(),
        };
        self.inner.execs.sweep();
        self.exec_event(
            &container,
            &exec,
            &format!("exec_create: {}", words(&exec.request)),
            [],
        );
        self.inner.execs.all().insert(id.clone(), Arc::new(exec));
        Ok(IdResponse { id })
    }

    /// Runs it.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it ran already or its container stopped; `InvalidParameter` where the command
    /// cannot be run.
    pub async fn exec_start(&self, id: &str, start: StartRequest) -> Result<ExecSession> {
        self.exec_claim(id)?.start(start).await
    }

    /// Takes the one start that an exec has.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it ran already or its container stopped.
    pub fn exec_claim(&self, id: &str) -> Result<ExecClaim> {
        let exec = self.inner.execs.find(id)?;
        self.running(exec.container.as_str())?;
        let claimed = exec.progress.send_if_modified(|progress| {
            let first = !progress.started;
            progress.started = true;
            progress.running |= first;
            first
        });
        if !claimed {
            return Err(Error::conflict(format!(
                "exec {id} has already been started"
            )));
        }
        Ok(ExecClaim {
            engine: self.clone(),
            exec,
            begun: false,
        })
    }

    /// Has the monitor run it; what fails comes with the exit code it is known by.
    async fn exec_begin(
        &self,
        exec: &Exec,
        container: &Arc<Container>,
        start: &StartRequest,
    ) -> Result<(u32, Stream), (i32, Error)> {
        const CANNOT: i32 = 126;
        let cannot = |fault: Error| (CANNOT, fault);
        let frame = self.exec_frame(exec, container, start).map_err(cannot)?;
        let task = container
            .task()
            .ok_or_else(|| cannot(not_running(container)))?;
        match task.exec(&frame).await {
            Ok(Ok(running)) => Ok(running),
            Ok(Err(failure)) if ENDED.iter().any(|text| failure.message.ends_with(text)) => {
                Err(cannot(not_running(container)))
            }
            Ok(Err(failure)) => Err(container::failure(
                container::Process::Exec,
                failure.kind,
                &failure.message,
            )),
            Err(_) if ends(container).await => Err(cannot(not_running(container))),
            Err(fault) => Err(cannot(self.with_reason(container, fault).await)),
        }
    }

    /// How it stands.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn exec_inspect(&self, id: &str) -> Result<Inspect> {
        let exec = self.inner.execs.find(id)?;
        let progress = *exec.progress.borrow();
        let request = &exec.request;
        let mut words = request.cmd.iter().flatten().cloned();
        Ok(Inspect {
            id: exec.id.clone(),
            running: progress.running,
            exit_code: progress.code,
            process_config: ProcessConfig {
                tty: request.tty,
                entrypoint: words.next().unwrap_or_default(),
                arguments: words.collect(),
                privileged: Some(request.privileged),
                user: request.user.clone(),
            },
            open_stdin: request.attach_stdin,
            open_stderr: request.attach_stderr,
            open_stdout: request.attach_stdout,
            can_remove: false,
            container_id: exec.container.to_string(),
            detach_keys: request.detach_keys.clone(),
            pid: progress.pid,
        })
    }

    /// The size of its terminal.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it does not run.
    pub async fn exec_resize(&self, id: &str, rows: u16, cols: u16) -> Result<()> {
        let exec = self.inner.execs.find(id)?;
        let container = self.inner.containers.find(exec.container.as_str())?;
        // A client sizes the terminal as soon as it has asked for the start.
        let mut progress = exec.progress.subscribe();
        let settled = progress.wait_for(|progress| !progress.running || progress.pid != 0);
        let _ = tokio::time::timeout(READY, settled).await;
        match container.task() {
            Some(task) if exec.progress.borrow().running => {
                task.send(
                    &ToMonitor::ExecResize {
                        id: id.to_owned(),
                        rows,
                        cols,
                    },
                    Vec::new(),
                )
                .await
            }
            _ => Err(Error::conflict(format!("exec {id} is not running"))),
        }
    }

    /// The monitor says that one ended.
    pub(crate) fn exec_exited(&self, id: &str, code: i32) {
        let Ok(exec) = self.inner.execs.find(id) else {
            return;
        };
        exec.progress.send_modify(|progress| progress.end(code));
        if let Ok(container) = self.inner.containers.find(exec.container.as_str()) {
            self.exec_event(
                &container,
                &exec,
                "exec_die",
                [("exitCode", code.to_string())],
            );
        }
    }

    /// Takes up the execs that a monitor kept while no daemon was there.
    pub(crate) fn execs_found(&self, container: &ContainerId, states: &[ExecState]) {
        for state in states {
            let progress = Progress {
                started: true,
                running: state.code.is_none(),
                pid: state.pid,
                code: state.code,
                ended: state.code.map(|_| Instant::now()),
            };
            let exec = Exec {
                id: state.id.clone(),
                container: container.clone(),
                request: CreateRequest::default(),
                progress: watch::Sender::new(progress),
                made: Instant::now(),
            };
            self.inner
                .execs
                .all()
                .insert(state.id.clone(), Arc::new(exec));
        }
    }

    /// Those of a container that ended have ended with it, killed.
    pub(crate) fn execs_ended(&self, container: &ContainerId) {
        let all = self.inner.execs.all();
        for exec in all.values().filter(|exec| exec.container == *container) {
            exec.progress.send_if_modified(|progress| {
                let running = progress.started && progress.code.is_none();
                if running {
                    progress.end(137);
                }
                running
            });
        }
    }

    /// Forgets an exec that nobody will ask for.
    pub(crate) fn forget_exec(&self, id: &str) {
        self.inner.execs.all().remove(id);
    }

    /// Kills an exec, and waits a little until it is gone.
    pub(crate) async fn kill_exec(&self, container: &Container, id: &str) {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
        let (Some(task), Ok(exec)) = (container.task(), self.inner.execs.find(id)) else {
            return;
        };
        let kill = ToMonitor::ExecSignal {
            id: id.to_owned(),
            signal: onggi_model::Signal::KILL.number(),
        };
        // A monitor that is gone took its execs with it.
        let _ = task.send(&kill, Vec::new()).await;
        let mut progress = exec.progress.subscribe();
        let ended = progress.wait_for(|progress| progress.code.is_some());
        let _ = tokio::time::timeout(PATIENCE, ended).await;
    }

    fn running(&self, reference: &str) -> Result<Arc<Container>> {
        let container = self.inner.containers.find(reference)?;
        match container.record().state.status {
            Status::Running => Ok(container),
            Status::Paused => Err(Error::conflict(format!(
                "container {} is paused, unpause the container before exec",
                container.id
            ))),
            Status::Restarting => Err(Error::conflict(format!(
                "container {} is restarting, wait until the container is running",
                container.id
            ))),
            _ => Err(not_running(&container)),
        }
    }

    fn exec_frame(
        &self,
        exec: &Exec,
        container: &Container,
        start: &StartRequest,
    ) -> Result<ToMonitor> {
        let record = container.record();
        let request = &exec.request;
        let mut host = record.host_config.clone();
        host.privileged |= request.privileged;
        let mut process = crate::spec::process::process(&record)?;
        process.terminal = request.tty;
        process.args = request.cmd.clone().unwrap_or_default();
        let extra = request.env.as_deref().unwrap_or_default();
        process.env = environment(&record.config, request.tty, &record.config.hostname, extra);
        process.cwd = directory(match request.working_dir.as_str() {
            "" => &record.config.working_dir,
            own => own,
        });
        process.capabilities = Some(security::capabilities(&host)?);
        let user = match request.user.as_str() {
            "" => record.config.user.clone(),
            user => user.to_owned(),
        };
        let size = start.console_size.or(request.console_size);
        Ok(ToMonitor::Exec {
            id: exec.id.clone(),
            process: Box::new(process),
            user: Some(UserSpec {
                user,
                groups: record.host_config.group_add.clone().unwrap_or_default(),
            }),
            stdin: request.attach_stdin,
            stdout: request.attach_stdout,
            stderr: request.attach_stderr,
            console_size: size.and_then(container::window),
            detach: start.detach,
        })
    }

    fn exec_event<const N: usize>(
        &self,
        container: &Container,
        exec: &Exec,
        action: &str,
        more: [(&str, String); N],
    ) {
        let more = more.map(|(name, value)| (name.to_owned(), value));
        let attributes = [("execID".to_owned(), exec.id.clone())]
            .into_iter()
            .chain(more);
        self.container_event(&container.record(), action, attributes);
    }
}

impl ExecSession {
    /// Carries bytes between `client` and the process until one of them is done. Before the client's stream ends
    /// because the process did, `inspect` knows the exit code.
    pub async fn run(self, client: impl AsyncRead + AsyncWrite + Send + Unpin) {
        let Some(stream) = self.stream else { return };
        let watch = (self.tty && self.exec.request.attach_stdin).then(|| Watch::new(self.keys));
        // The monitor has sent the code before it closed the stream, on another connection: it is here or on its way,
        // or the container ended and every exec with it.
        let mut progress = self.exec.progress.subscribe();
        let settled = async move {
            // An error means that nobody can set it any more.
            let _ = progress.wait_for(|progress| progress.code.is_some()).await;
        };
        let ended = container::relay(client, stream, watch, settled).await;
        if ended == container::Ended::Detached
            && let Ok(container) = self
                .engine
                .inner
                .containers
                .find(self.exec.container.as_str())
        {
            self.engine
                .exec_event(&container, &self.exec, "exec_detach", []);
        }
    }

    /// Whether the client wants no streams: there is nothing to run.
    pub fn is_detached(&self) -> bool {
        self.stream.is_none()
    }
}

/// What the monitor and runtimes say of a container that has just ended.
const ENDED: [&str; 2] = ["container is not running", "stopped container"];
/// How long the news that a container has ended may take.
const NEWS: Duration = Duration::from_secs(1);

/// Whether a container whose monitor does not answer has ended, which may be about to be known.
async fn ends(container: &Container) -> bool {
    let mut records = container.subscribe();
    let ended = records.wait_for(|record| !record.state.is_running());
    matches!(tokio::time::timeout(NEWS, ended).await, Ok(Ok(_)))
}

fn not_running(container: &Container) -> Error {
    Error::conflict(format!("container {} is not running", container.id))
}

fn words(request: &CreateRequest) -> String {
    request.cmd.as_deref().unwrap_or_default().join(" ")
}
