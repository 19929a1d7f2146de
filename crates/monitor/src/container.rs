//! The container: from nothing to its recorded end.
//!
//! Kept true: `Exited` is said when everything it wrote is in the log and on its way to the clients, its end is in
//! the exit file, and its control group is gone. A daemon that is there syncs the end with its own record, before any
//! client hears of it; without one the exit file is synced.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use onggi_cgroup::{Cgroups, Group, Unified, Which};
use onggi_oci::runtime::{NamespaceKind, Seccomp, Spec};
use onggi_runtime::{Running, Starting, Stdio};
use onggi_sys::process::{self, Ended};

use crate::entry::report;
use crate::exec::{Exec, Request};
use crate::exit::{self, Keep};
use crate::foreign::{self, Foreign};
use crate::log::Log;
use crate::loopback::Loopback;
use crate::monitor::GRACE;
use crate::oom;
use crate::protocol::{Exit, Forward, HeldPorts, Launch, Oom, StdinMode};
use crate::resolver::Resolver;
use crate::runtime::{self, Failure};
use crate::streams::{self, EndsWith, Pace, Scratch, Streams};

/// How far it is.
#[derive(Debug, Default)]
pub(crate) enum Stage {
    #[default]
    New,
    /// Waits to be started; its process makes its surroundings meanwhile.
    Created(Box<Starting>),
    /// As `Created`, by another runtime.
    Made(Box<Running>),
    Running(Box<Running>),
    /// Its process has ended; what it left in its pipes comes.
    Draining {
        group: Box<Group>,
        ended: Ended,
        finished_at: Timestamp,
        at: Instant,
    },
    Exited,
    /// It could not be made or started; nothing of it is left.
    Failed(Failure),
}

/// One container.
#[derive(Debug, Default)]
pub(crate) struct Container {
    pub(crate) stage: Stage,
    pub(crate) streams: Streams,
    pub(crate) log: Option<Log>,
    pub(crate) pid: Option<u32>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) exit: Option<Exit>,
    /// How the exit file is kept, where there is one.
    kept: Option<Keep>,
    id: String,
    exit_file: PathBuf,
    /// Its system call filter, for its execs: as JSON, because it is large and rarely needed.
    seccomp: Option<Box<[u8]>>,
    /// What `with_terminal` needs, once there is a terminal.
    reads_terminal: bool,
    console_size: Option<(u16, u16)>,
    /// Sockets that keep published ports.
    held: Vec<OwnedFd>,
    /// Where it is in a network with names. Like `held` it keeps the network namespace, and must not outlive the process.
    pub(crate) resolver: Option<Resolver>,
    /// What is to be passed on from `[::1]`, until it runs.
    forwards: Vec<Forward>,
    /// Who does it, while it runs.
    pub(crate) loopback: Option<Box<Loopback>>,
    /// The runtime that has it, where that is not ours.
    foreign: Option<Foreign>,
    /// Processes of others whose namespaces it has; they must live until it begins.
    joined: Vec<OwnedFd>,
    /// When it was started, for the kernel's log.
    begun: Option<Instant>,
    /// For the memory killer, while it runs.
    pub(crate) memory: Option<oom::Watch>,
    /// Its output waits: who takes its log on is too far behind.
    pub(crate) held_back: bool,
}

impl Container {
    /// Makes it, up to the moment before its process. The answer has its pid and its network namespace if that is its own.
    pub(crate) fn create(
        &mut self,
        launch: Launch,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(u32, Option<OwnedFd>), Failure> {
        if !matches!(self.stage, Stage::New) {
            return Err(Failure::other("this monitor has a container already"));
        }
        let result = self.try_create(launch, descriptors);
        if let Err(failure) = &result {
            self.foreign = None;
            self.stage = Stage::Failed(failure.clone());
        }
        // The specification was large and is not needed any more.
        onggi_sys::memory::trim();
        result
    }

    fn try_create(
        &mut self,
        launch: Launch,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(u32, Option<OwnedFd>), Failure> {
        let mut descriptors = descriptors.into_iter();
        let init = match launch.init {
            true => Some(
                descriptors
                    .next()
                    .ok_or_else(|| Failure::other("the program for --init is missing"))?,
            ),
            false => None,
        };
        self.joined = descriptors.collect();
        self.exit_file.clone_from(&launch.exit_file);
        let cgroups = Cgroups::probe().map_err(Failure::while_doing("control groups"))?;
        if let Some(path) = &launch.monitor_cgroup {
            join(&cgroups, path)
                .map_err(Failure::while_doing("joining the monitors' control group"))?;
        }
        let log = Log::open(&launch.log)
            .map_err(Failure::while_doing("failed to initialize logging driver"))?;

        let mut ours = None;
        let stdio = if launch.tty {
            Stdio::Console {
                size: launch.console_size,
            }
        } else {
            let stdin = match launch.stdin {
                StdinMode::Closed => None,
                StdinMode::Open => Some(EndsWith::Process),
                StdinMode::Once => Some(EndsWith::Client),
            };
            let ([stdin, stdout, stderr], pipes) =
                streams::pipes(stdin, true, true).map_err(Failure::while_doing("making pipes"))?;
            ours = Some(pipes);
            Stdio::Fds {
                stdin,
                stdout,
                stderr,
            }
        };
        if launch.runtime.is_some() {
            return self.create_foreign(launch, &cgroups, log, stdio, ours, init);
        }
        let user = launch.user.map(runtime::user);
        let rootfs = runtime::rootfs(launch.rootfs);
        let mut request =
            onggi_runtime::Launch::new(&launch.id, &launch.spec, rootfs, stdio, &cgroups);
        request.user = user.as_ref();
        request.init = init;
        let starting = onggi_runtime::begin(request)?;

        // From here on dropping `starting` destroys it.
        let result = match ours {
            Some(ours) => self.streams.with_pipes(ours),
            None => Ok(()),
        };
        result.map_err(Failure::while_doing("setting up streams"))?;
        let namespace = has_own_network(&launch.spec)
            .then(|| starting.namespace(NamespaceKind::Network))
            .transpose();
        let namespace = match namespace {
            Ok(namespace) => namespace,
            // A process that has failed by now has no namespaces any more: why it failed counts.
            Err(error) => return Err(starting.finish().err().unwrap_or(error).into()),
        };
        let seccomp = launch
            .spec
            .linux
            .as_ref()
            .and_then(|linux| linux.seccomp.as_ref());
        if let Some(seccomp) = seccomp {
            let json =
                serde_json::to_vec(seccomp).map_err(Failure::while_doing("keeping the filter"))?;
            self.seccomp = Some(json.into());
        }
        self.reads_terminal = launch.stdin != StdinMode::Closed;
        self.id = launch.id;
        let pid = starting.pid();
        self.pid = Some(pid);
        self.log = Some(log);
        self.stage = Stage::Created(Box::new(starting));
        Ok((pid, namespace))
    }

    /// Has it made by another runtime.
    fn create_foreign(
        &mut self,
        mut launch: Launch,
        cgroups: &Cgroups,
        log: Log,
        stdio: Stdio,
        ours: Option<streams::Ours>,
        init: Option<OwnedFd>,
    ) -> Result<(u32, Option<OwnedFd>), Failure> {
        let program = launch.runtime.take().unwrap_or_default();
        let args = std::mem::take(&mut launch.runtime_args);
        let bundle = launch.exit_file.with_file_name("bundle");
        let foreign = Foreign::new(program, args, &launch.id, bundle)?;
        let foreign = self.foreign.insert(foreign);
        let linux = launch.spec.linux.as_ref();
        let group = linux.and_then(|linux| linux.cgroups_path.clone());
        let own_network = has_own_network(&launch.spec);
        let made = foreign.create(
            launch.spec,
            launch.user.map(runtime::user).as_ref(),
            &runtime::rootfs(launch.rootfs),
            init,
            stdio.into(),
        )?;
        let group = cgroups
            .open(&group.unwrap_or_default())
            .map_err(Failure::while_doing("the runtime's control group"))?;
        let running = Running::adopt(made.pid, group)?;
        let reads = launch.stdin != StdinMode::Closed;
        let result = match (ours, made.master) {
            (Some(ours), _) => self.streams.with_pipes(ours),
            (None, Some(master)) => self.streams.with_terminal(master, reads),
            (None, None) => Ok(()),
        };
        result.map_err(Failure::while_doing("setting up streams"))?;
        if let Some((rows, cols)) = launch.console_size {
            self.streams.resize(rows, cols);
        }
        let namespace = own_network
            .then(|| std::fs::File::open(format!("/proc/{}/ns/net", made.pid)).map(OwnedFd::from))
            .transpose()
            .map_err(Failure::while_doing("the network namespace"))?;
        self.id = launch.id;
        self.pid = Some(made.pid);
        self.log = Some(log);
        self.stage = Stage::Made(Box::new(running));
        Ok((made.pid, namespace))
    }

    /// Its published ports are these now. What comes too late is closed.
    pub(crate) fn hold(&mut self, ports: &[HeldPorts], coming: Vec<OwnedFd>) {
        if matches!(self.stage, Stage::Running(_)) {
            crate::held::settle(&mut self.held, ports, coming);
        }
    }

    /// Runs its process.
    pub(crate) fn start(&mut self, held: Vec<OwnedFd>) -> Result<(u32, Timestamp), Failure> {
        let result = match std::mem::take(&mut self.stage) {
            Stage::Created(starting) => self.try_start(*starting),
            Stage::Made(running) => match &self.foreign {
                Some(foreign) => still_there(&self.joined)
                    .and_then(|()| foreign.start())
                    .map(|()| *running),
                None => Err(Failure::other("the runtime of the container is not known")),
            },
            other => {
                self.stage = other;
                return Err(Failure::other(
                    "the container is not in the state to be started",
                ));
            }
        };
        self.joined.clear();
        match result {
            Ok(running) => {
                self.begun = Some(Instant::now());
                let now = Timestamp::now();
                let pid = running.pid;
                self.memory = oom::Watch::new(&running.group);
                self.stage = Stage::Running(Box::new(running));
                (self.pid, self.started_at, self.held) = (Some(pid), Some(now), held);
                let forwards = std::mem::take(&mut self.forwards);
                self.listen(forwards);
                Ok((pid, now))
            }
            Err(failure) => {
                self.foreign = None;
                self.resolver = None;
                self.streams.process_ended();
                self.stage = Stage::Failed(failure.clone());
                Err(failure)
            }
        }
    }

    fn try_start(&mut self, starting: Starting) -> Result<Running, Failure> {
        let mut created = starting.finish()?;
        still_there(&self.joined)?;
        for warning in &created.warnings {
            report(warning);
        }
        if let Some(master) = created.master.take() {
            self.streams
                .with_terminal(master, self.reads_terminal)
                .map_err(Failure::while_doing("setting up the terminal"))?;
            if let Some((rows, cols)) = self.console_size {
                self.streams.resize(rows, cols);
            }
        }
        Ok(created.start()?)
    }

    /// Passes these ports on from `[::1]`, and no others, as long as it runs.
    pub(crate) fn listen(&mut self, forwards: Vec<Forward>) {
        if !matches!(self.stage, Stage::Running(_)) {
            self.forwards = forwards;
            return;
        }
        if self.loopback.is_none() && !forwards.is_empty() {
            match Loopback::new() {
                Ok(new) => self.loopback = Some(Box::new(new)),
                Err(error) => report(&format!("nothing is published on [::1]: {error}")),
            }
        }
        if let Some(loopback) = &mut self.loopback {
            loopback.settle(forwards, &self.held);
        }
    }

    pub(crate) fn advance_loopback(&mut self) {
        if let Some(loopback) = &mut self.loopback {
            loopback.advance(&self.held);
        }
    }

    /// Nobody will start it.
    pub(crate) fn destroy(&mut self) {
        self.stage = Stage::New; // dropped is destroyed
        self.resolver = None;
        self.foreign = None;
    }

    /// Runs a further process in it.
    pub(crate) fn exec(&self, request: Request) -> Result<Exec, Failure> {
        let Stage::Running(running) = &self.stage else {
            return Err(Failure::other("container is not running"));
        };
        if let Some(foreign) = &self.foreign {
            return Exec::start_foreign(foreign, request);
        }
        let seccomp: Option<Seccomp> = match &self.seccomp {
            Some(json) => Some(
                serde_json::from_slice(json).map_err(Failure::while_doing("reading the filter"))?,
            ),
            None => None,
        };
        Exec::start(running, &self.id, seccomp.as_ref(), request)
    }

    pub(crate) fn signal(&self, signal: i32) {
        if let Stage::Running(running) = &self.stage {
            // One that has ended meanwhile needs no signal.
            let _ = onggi_sys::signal::send(running.pidfd.as_fd(), signal);
        }
    }

    pub(crate) fn resize(&mut self, rows: u16, cols: u16) {
        self.console_size = Some((rows, cols));
        self.streams.resize(rows, cols);
    }

    /// Who holds the container up. Once its process has ended nobody does: what is left is little.
    pub(crate) fn pace(&self) -> Pace {
        match (&self.stage, self.held_back) {
            (Stage::Draining { .. }, _) => Pace::Free,
            (_, true) => Pace::Held,
            (_, false) => Pace::Bounded,
        }
    }

    /// Its process has ended: nothing else of it may run on.
    pub(crate) fn reap(&mut self) {
        let Stage::Running(running) = &self.stage else {
            return;
        };
        let ended = match process::try_wait(running.pidfd.as_fd()) {
            Ok(None) => return,
            Ok(Some(ended)) => ended,
            Err(error) => {
                report(&format!(
                    "the container's process cannot be waited for: {error}"
                ));
                Ended::Exited(255)
            }
        };
        let finished_at = Timestamp::now();
        let Stage::Running(running) = std::mem::take(&mut self.stage) else {
            return;
        };
        let group = Box::new(running.group);
        // With a pid namespace of its own all others are dead already.
        let _ = group.kill();
        self.resolver = None;
        self.loopback = None;
        self.streams.process_ended();
        self.stage = Stage::Draining {
            group,
            ended,
            finished_at,
            at: Instant::now(),
        };
    }

    /// The last process that fell to the memory killer while the container runs, once.
    pub(crate) fn memory_kill(&mut self) -> Option<Oom> {
        let Stage::Running(running) = &self.stage else {
            return None;
        };
        let watch = self
            .memory
            .as_mut()
            .filter(|watch| watch.alarm().is_none())?;
        let kills = running.group.oom_kills().ok()?;
        watch.is_news(kills).then(|| self.victim(&running.group))
    }

    fn victim(&self, group: &Group) -> Oom {
        let since = self.begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        oom::find(group, &self.id, since)
    }

    /// When its streams are closed, whoever holds them.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Draining { at, .. } => Some(*at + GRACE),
            _ => None,
        }
    }

    /// Moves on towards the end; `true`, once: it has exited. `execs_run`: processes of its execs are to be reaped still.
    /// `keep`: how its end is to be recorded.
    pub(crate) fn advance(&mut self, scratch: &mut Scratch, execs_run: bool, keep: Keep) -> bool {
        if matches!(self.stage, Stage::Failed(_) | Stage::Exited) {
            self.streams.end_clients();
            return false;
        }
        let Stage::Draining { at, .. } = &self.stage else {
            return false;
        };
        let late = at.elapsed() >= GRACE;
        if !late && (execs_run || !self.streams.are_drained()) {
            return false;
        }
        self.streams.read_to_end(self.log.as_mut(), scratch);
        self.streams.end_clients();
        let Stage::Draining {
            group,
            ended,
            finished_at,
            ..
        } = std::mem::replace(&mut self.stage, Stage::Exited)
        else {
            return false;
        };
        self.finish(&group, ended, finished_at, keep);
        true
    }

    fn finish(&mut self, group: &Group, ended: Ended, finished_at: Timestamp, keep: Keep) {
        if let Some(log) = &mut self.log {
            log.finish(finished_at);
        }
        self.held.clear();
        let oom_killed = group.oom_kills().is_ok_and(|kills| kills > 0);
        let mut exit = Exit {
            code: ended.code(),
            signal: match ended {
                Ended::Exited(_) => None,
                Ended::Signalled(signal) => Some(signal),
            },
            oom_killed,
            oom: oom_killed.then(|| self.victim(group)),
            finished_at,
            error: None,
        };
        self.foreign = None;
        if let Err(error) = group.remove() {
            let text = onggi_model::chain(&error);
            report(&format!("the control group stays: {text}"));
            exit.error = Some(text);
        }
        match exit::record(&self.exit_file, &exit, keep) {
            Ok(()) => self.kept = Some(keep),
            Err(error) => {
                // Then the daemon, this one or the next, must hear it from us.
                report(&format!("the exit status cannot be recorded: {error}"));
            }
        }
        self.exit = Some(exit);
    }

    /// The daemon that was told is gone, and nobody knows whether it came to keep what it heard. Whether the end is safe.
    pub(crate) fn is_durable(&mut self) -> bool {
        if self.kept == Some(Keep::InKernel) {
            match exit::sync(&self.exit_file) {
                // Not there any more: the daemon has it on record, and needs the file no longer.
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {}
                _ => self.kept = Some(Keep::OnDisk),
            }
        }
        self.kept == Some(Keep::OnDisk)
    }

    /// The last thing: slow where the log is large, and nobody waits for it.
    pub(crate) fn put_log_on_disk(&mut self) {
        if let Some(log) = &mut self.log {
            log.sync();
            if let Some(warning) = log.warning() {
                report(&warning);
            }
        }
    }
}

impl From<Stdio> for foreign::Streams {
    fn from(stdio: Stdio) -> Self {
        match stdio {
            Stdio::Console { size } => Self::Terminal(size),
            Stdio::Fds {
                stdin,
                stdout,
                stderr,
            } => Self::Pipes([stdin, stdout, stderr]),
        }
    }
}

/// Whether those live whose namespaces were joined by their number: then it meant them.
fn still_there(joined: &[OwnedFd]) -> Result<(), Failure> {
    match joined.iter().any(|pidfd| process::has_ended(pidfd.as_fd())) {
        true => Err(Failure::other(
            "the container whose namespaces it was to share has ended meanwhile",
        )),
        false => Ok(()),
    }
}

fn has_own_network(spec: &Spec) -> bool {
    let namespaces = spec.linux.as_ref().map(|linux| linux.namespaces.as_slice());
    namespaces
        .unwrap_or_default()
        .iter()
        .any(|namespace| namespace.kind == NamespaceKind::Network && namespace.path.is_none())
}

/// Moves this process to the monitors' group. Another daemon on this machine may remove the group while it is empty,
/// between our making and our joining it.
fn join(cgroups: &Cgroups, path: &str) -> Result<(), onggi_cgroup::Error> {
    const ATTEMPTS: u32 = 5;
    let gone = [rustix::io::Errno::NOENT, rustix::io::Errno::NODEV].map(|e| e.raw_os_error());
    let mut attempt = 1;
    loop {
        let joined = cgroups
            .ensure(path, Which::All)
            .and_then(|group| group.enter(Unified::MayStay));
        match joined {
            Err(error)
                if attempt < ATTEMPTS && error.errno().is_some_and(|n| gone.contains(&n)) =>
            {
                attempt += 1;
            }
            result => return result,
        }
    }
}
