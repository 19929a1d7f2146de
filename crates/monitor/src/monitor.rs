//! The loop: what to wait for, and who is told what has happened. The container's own steps are in `container`.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use onggi_cgroup::MemoryAlarm;
use onggi_dns::View;
use rustix::event::PollFlags;

use crate::connection::{Connection, Said};
use crate::container::{Container, Stage};
use crate::entry::report;
use crate::events::{Interests, Owner, Token};
use crate::exec::{Exec, Request};
use crate::exit::Keep;
use crate::protocol::{ExecState, FromMonitor, Oom, Phase, ToMonitor, VERSION, encode};
use crate::resolver::Resolver;
use crate::runtime::Failure;
use crate::streams::{Client, Pace, Scratch};

/// Docker's: how long a process that has ended may have its streams held open by others.
pub(crate) const GRACE: Duration = Duration::from_secs(2);
/// A monitor that nobody speaks to before it has a container is not needed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Buffers that were not needed for so long are given back.
const IDLE: Duration = Duration::from_secs(1);
/// How often to look whether who takes the log on has caught up.
const LOOK: Duration = Duration::from_millis(50);
/// How long to wait when there is no descriptor for a new connection.
const DEAF: Duration = Duration::from_millis(100);
/// Connections that have not said their role. A further one takes the place of the oldest.
const MOST_PENDING: usize = 64;
/// Warnings that are kept for the next daemon.
const MOST_WARNINGS: usize = 16;

/// All there is.
pub(crate) struct Monitor {
    listener: OwnedFd,
    /// No descriptor was left for a new connection: not before this time again.
    deaf_until: Option<Instant>,
    pending: Vec<Option<Connection>>,
    pub(crate) control: Option<Connection>,
    /// The daemon answers the container's questions for names.
    daemon_resolves: bool,
    pub(crate) container: Container,
    pub(crate) execs: Vec<Option<Exec>>,
    /// Execs whose end no daemon was told.
    untold: Vec<ExecState>,
    warnings: Vec<String>,
    /// What the memory killer did while there was no daemon.
    untold_kill: Option<Oom>,
    pub(crate) scratch: Scratch,
    /// The daemon knows how it ended.
    acknowledged: bool,
    /// Nothing is left to do.
    over: bool,
    born: Instant,
}

impl Monitor {
    pub(crate) fn new(listener: OwnedFd) -> Self {
        Self {
            listener,
            deaf_until: None,
            pending: Vec::new(),
            control: None,
            daemon_resolves: false,
            container: Container::default(),
            execs: Vec::new(),
            untold: Vec::new(),
            warnings: Vec::new(),
            untold_kill: None,
            scratch: Scratch::default(),
            acknowledged: false,
            over: false,
            born: Instant::now(),
        }
    }

    /// Until the container is gone and told about.
    pub(crate) fn run(mut self) {
        let mut events = Vec::new();
        while !self.over {
            events.clear();
            self.interests().wait(&mut events);
            // Output first: an end is told after what came before it.
            for (token, flags) in &events {
                if !matches!(token, Token::Process | Token::ExecProcess(_)) {
                    self.handle(*token, *flags);
                }
            }
            for (token, flags) in &events {
                if matches!(token, Token::Process | Token::ExecProcess(_)) {
                    self.handle(*token, *flags);
                }
            }
            self.advance();
        }
        self.container.put_log_on_disk();
    }

    fn interests(&self) -> Interests<'_> {
        let mut list = Interests::default();
        match self.deaf_until {
            Some(time) if time > Instant::now() => list.until(time),
            _ => list.add(Token::Listener, self.listener.as_fd(), PollFlags::IN),
        }
        for (index, connection) in self.pending.iter().enumerate() {
            if let Some(connection) = connection {
                list.add(
                    Token::Pending(index),
                    connection.socket.as_fd(),
                    PollFlags::IN,
                );
            }
        }
        if let Some(control) = &self.control {
            let out = if control.is_flushed() {
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            list.add(Token::Control, control.socket.as_fd(), PollFlags::IN | out);
        }
        if let Stage::Running(running) = &self.container.stage {
            list.add(Token::Process, running.pidfd.as_fd(), PollFlags::IN);
            if let Some(watch) = &self.container.memory {
                match watch.alarm().map(MemoryAlarm::interest) {
                    Some((fd, flags)) => list.add(Token::Memory, fd, flags),
                    None => watch.wake().into_iter().for_each(|time| list.until(time)),
                }
            }
        }
        let pace = self.container.pace();
        self.container
            .streams
            .interests(Owner::Container, pace, &mut list);
        if pace == Pace::Held {
            list.until(Instant::now() + LOOK);
        }
        for (index, exec) in self.execs.iter().enumerate() {
            let Some(exec) = exec else { continue };
            if exec.runs() {
                list.add(Token::ExecProcess(index), exec.pidfd.as_fd(), PollFlags::IN);
            }
            exec.streams
                .interests(Owner::Exec(index), Pace::Bounded, &mut list);
            if let Some(deadline) = exec.deadline() {
                list.until(deadline);
            }
        }
        if let Some(deadline) = self.container.deadline() {
            list.until(deadline);
        }
        if let Some(resolver) = &self.container.resolver {
            resolver.interests(!self.daemon_resolves, &mut list);
        }
        if let Some(loopback) = &self.container.loopback {
            loopback.interests(&mut list);
        }
        if matches!(self.container.stage, Stage::New) && self.control.is_none() {
            list.until(self.born + PATIENCE);
        }
        if let Some(used) = self.scratch.used {
            list.until(used + IDLE);
        }
        list
    }

    fn handle(&mut self, token: Token, flags: PollFlags) {
        match token {
            Token::Listener => self.accept(),
            Token::Pending(index) => self.introduce(index),
            Token::Control => self.listen(flags),
            Token::Process => self.container.reap(),
            Token::Memory => {
                if let Some(watch) = &mut self.container.memory {
                    watch.ring();
                }
            }
            Token::ExecProcess(index) => self.reap_exec(index),
            Token::Output(Owner::Container, index) => {
                let pace = self.container.pace();
                let Container { streams, log, .. } = &mut self.container;
                streams.read(index, pace, log.as_mut(), &mut self.scratch);
            }
            Token::Output(Owner::Exec(exec), index) => {
                if let Some(Some(exec)) = self.execs.get_mut(exec) {
                    exec.streams
                        .read(index, Pace::Bounded, None, &mut self.scratch);
                }
            }
            Token::Input(Owner::Container) => self.container.streams.input.flush(),
            Token::Input(Owner::Exec(exec)) => {
                if let Some(Some(exec)) = self.execs.get_mut(exec) {
                    exec.streams.input.flush();
                }
            }
            Token::Resolver(what) => {
                if let Some(resolver) = &mut self.container.resolver {
                    resolver.handle(what);
                }
            }
            Token::Loopback => {
                if let Some(loopback) = &mut self.container.loopback {
                    loopback.handle(&mut self.scratch);
                }
            }
            Token::Client(Owner::Container, index) => self.container.streams.serve(index, flags),
            Token::Client(Owner::Exec(exec), index) => {
                if let Some(Some(exec)) = self.execs.get_mut(exec) {
                    exec.streams.serve(index, flags);
                }
            }
        }
    }

    /// What follows from what has happened, once a round.
    fn advance(&mut self) {
        if let Some(log) = &mut self.container.log {
            log.flush();
            self.container.held_back = log.is_ahead();
            if let Some(warning) = log.warning() {
                self.warn(warning);
            }
        }
        if self.scratch.used.is_some_and(|used| used.elapsed() >= IDLE) {
            self.scratch.free();
            if let Some(log) = &mut self.container.log {
                log.shrink();
            }
            onggi_sys::memory::trim();
        }
        if let Some(oom) = self.container.memory_kill() {
            match self.control {
                Some(_) => self.tell(&FromMonitor::OomKilled(oom), Vec::new()),
                None => self.untold_kill = Some(oom),
            }
        }
        if let Some(resolver) = &mut self.container.resolver {
            resolver.advance();
        }
        self.container.advance_loopback();
        self.container.streams.leave_behind();
        let told = self.control.as_ref().is_none_or(Connection::is_flushed);
        for slot in &mut self.execs {
            if slot.as_mut().is_some_and(|exec| {
                exec.streams.leave_behind();
                exec.advance(told, &mut self.scratch)
            }) {
                *slot = None;
            }
        }
        let keep = match self.control {
            Some(_) => Keep::InKernel,
            None => Keep::OnDisk,
        };
        if self.container.advance(
            &mut self.scratch,
            self.execs.iter().flatten().any(Exec::runs),
            keep,
        ) {
            if let Some(warning) = self.container.log.as_mut().and_then(|log| log.warning()) {
                self.warn(warning);
            }
            if let Some(exit) = self.container.exit.clone() {
                self.tell(&FromMonitor::Exited(exit), Vec::new());
            }
        }
        self.over = match self.container.stage {
            Stage::New => self.control.is_none() && self.born.elapsed() >= PATIENCE || self.over,
            Stage::Failed(_) => self.acknowledged || self.control.is_none(),
            Stage::Exited => {
                let told =
                    self.acknowledged || (self.control.is_none() && self.container.is_durable());
                told && !self.container.streams.has_clients()
                    && self.execs.iter().all(Option::is_none)
            }
            Stage::Created(_) | Stage::Made(_) | Stage::Running(_) | Stage::Draining { .. } => {
                self.over
            }
        };
    }

    fn accept(&mut self) {
        loop {
            let connection = match Connection::accept(&self.listener) {
                Ok(Some(connection)) => connection,
                Ok(None) => return,
                Err(_) => {
                    self.deaf_until = Some(Instant::now() + DEAF);
                    return;
                }
            };
            match self.pending.iter().position(Option::is_none) {
                Some(free) => self.pending[free] = Some(connection),
                None if self.pending.len() < MOST_PENDING => self.pending.push(Some(connection)),
                None => {
                    self.pending.remove(0);
                    self.pending.push(Some(connection));
                }
            }
        }
    }

    /// A connection says its role.
    fn introduce(&mut self, index: usize) {
        let Some(slot) = self.pending.get_mut(index) else {
            return;
        };
        let Some(connection) = slot else { return };
        let message = match connection.next() {
            Said::Message(message, _) => message,
            Said::Nothing => return,
            Said::End => {
                *slot = None;
                return;
            }
        };
        let Some(connection) = slot.take() else {
            return;
        };
        match *message {
            ToMonitor::Control { .. } => self.take_control(connection),
            ToMonitor::Attach {
                stdin,
                stdout,
                stderr,
            } => {
                let (socket, rest) = connection.into_raw();
                let mut client = Client::new(socket, stdin, stdout, stderr);
                if let Ok(frame) = encode(&FromMonitor::Attached, 0) {
                    client.send_raw(&frame);
                }
                if stdin {
                    self.container.streams.input.push(&rest);
                }
                self.container.streams.attach(client);
            }
            ToMonitor::Exec {
                id,
                process,
                user,
                stdin,
                stdout,
                stderr,
                console_size,
                detach,
            } => {
                let request = Request {
                    id,
                    process,
                    user,
                    stdin,
                    stdout,
                    stderr,
                    console_size,
                    detach,
                };
                self.exec(connection, request);
            }
            // Not a first message: this is nobody who knows us.
            _ => {}
        }
    }

    fn take_control(&mut self, mut connection: Connection) {
        let mut execs: Vec<ExecState> = self.execs.iter().flatten().map(Exec::state).collect();
        execs.retain(|exec| exec.code.is_none());
        execs.append(&mut self.untold);
        let Container {
            stage,
            exit,
            pid,
            started_at,
            ..
        } = &self.container;
        let (phase, failure) = match stage {
            Stage::New => (Phase::New, None),
            Stage::Created(_) | Stage::Made(_) => (Phase::Created, None),
            Stage::Running(_) => (Phase::Running, None),
            Stage::Draining { .. } | Stage::Exited => (Phase::Exited, None),
            Stage::Failed(Failure { kind, message }) => {
                (Phase::Failed, Some((*kind, message.clone())))
            }
        };
        let state = FromMonitor::State {
            version: VERSION,
            phase,
            pid: *pid,
            started_at: *started_at,
            exit: exit.clone(),
            failure,
            execs,
        };
        let resolver = self.container.resolver.as_ref();
        let descriptors = resolver.map(Resolver::duplicates).unwrap_or_default();
        self.daemon_resolves = false;
        if connection.say(&state, descriptors) {
            self.control = Some(connection);
            for message in std::mem::take(&mut self.warnings) {
                self.tell(&FromMonitor::Warning { message }, Vec::new());
            }
            if let Some(oom) = self.untold_kill.take() {
                self.tell(&FromMonitor::OomKilled(oom), Vec::new());
            }
            // It may have sent more with its first frame.
            self.listen(PollFlags::IN);
        } else {
            self.lose_control();
        }
    }

    /// The control connection can take more, has something to say, or is gone.
    fn listen(&mut self, flags: PollFlags) {
        if flags.contains(PollFlags::OUT)
            && self
                .control
                .as_mut()
                .is_some_and(|control| !control.flush())
        {
            return self.lose_control();
        }
        while let Some(control) = &mut self.control {
            match control.next() {
                Said::Message(message, descriptors) => self.obey(*message, descriptors),
                Said::Nothing => return,
                Said::End => return self.lose_control(),
            }
        }
    }

    /// No daemon: fine, unless the container does not run yet. Nobody would start it.
    pub(crate) fn lose_control(&mut self) {
        self.control = None;
        self.daemon_resolves = false;
        if matches!(
            self.container.stage,
            Stage::New | Stage::Created(_) | Stage::Made(_)
        ) {
            self.container.destroy();
            self.over = true;
        }
    }

    fn obey(&mut self, message: ToMonitor, descriptors: Vec<OwnedFd>) {
        match message {
            ToMonitor::Create(launch) => match self.container.create(*launch, descriptors) {
                Ok((pid, namespace)) => {
                    self.tell(
                        &FromMonitor::Created { pid },
                        namespace.into_iter().collect(),
                    );
                }
                Err(failure) => self.fail(failure),
            },
            ToMonitor::Start => match self.container.start(descriptors) {
                Ok((pid, started_at)) => {
                    self.tell(&FromMonitor::Started { pid, started_at }, Vec::new());
                }
                Err(failure) => self.fail(failure),
            },
            ToMonitor::Signal { signal } => self.container.signal(signal),
            ToMonitor::Resize { rows, cols } => self.container.resize(rows, cols),
            ToMonitor::CloseStdin => self.container.streams.input.end(),
            ToMonitor::ExecSignal { id, signal } => {
                if let Some(exec) = self.running_exec(&id) {
                    // One that has ended meanwhile needs no signal.
                    let _ = onggi_sys::signal::send(exec.pidfd.as_fd(), signal);
                }
            }
            ToMonitor::ExecResize { id, rows, cols } => {
                if let Some(exec) = self.running_exec(&id) {
                    exec.streams.resize(rows, cols);
                }
            }
            ToMonitor::Resolve { view } => self.resolve(*view, descriptors),
            ToMonitor::Listen { ports } => self.container.listen(ports),
            ToMonitor::Hold { ports } => self.container.hold(&ports, descriptors),
            ToMonitor::Acknowledge => {
                self.acknowledged =
                    matches!(self.container.stage, Stage::Exited | Stage::Failed(_));
            }
            ToMonitor::Control { .. } | ToMonitor::Attach { .. } | ToMonitor::Exec { .. } => {
                self.lose_control(); // a role is said once
            }
        }
    }

    /// The daemon answers from now on; what it tells is for when it is gone.
    fn resolve(&mut self, view: View, descriptors: Vec<OwnedFd>) {
        if matches!(
            self.container.stage,
            Stage::Created(_) | Stage::Made(_) | Stage::Running(_)
        ) {
            match &mut self.container.resolver {
                Some(resolver) if descriptors.is_empty() => resolver.set_view(view),
                resolver => *resolver = Resolver::new(view, descriptors),
            }
            self.daemon_resolves = true;
        }
    }

    fn fail(&mut self, failure: Failure) {
        let Failure { kind, message } = failure.clone();
        if matches!(self.container.stage, Stage::Failed(_)) {
            self.container.streams.end_clients();
        }
        self.tell(&FromMonitor::Failed { kind, message }, Vec::new());
    }

    fn running_exec(&mut self, id: &str) -> Option<&mut Exec> {
        self.execs
            .iter_mut()
            .flatten()
            .find(|exec| exec.id == id && exec.runs())
    }

    fn exec(&mut self, connection: Connection, request: Request) {
        let detach = request.detach;
        let (socket, rest) = connection.into_raw();
        let mut client = Client::new(socket, request.stdin, request.stdout, request.stderr);
        client.ending = detach;
        let result = if self.running_exec(&request.id).is_some() {
            Err(Failure::other(format!(
                "exec {} is running already",
                request.id
            )))
        } else {
            self.container.exec(request)
        };
        onggi_sys::memory::trim();
        match result {
            Ok(mut exec) => {
                if let Ok(frame) = encode(&FromMonitor::ExecStarted { pid: exec.pid }, 0) {
                    client.send_raw(&frame);
                }
                if client.stdin() {
                    exec.streams.input.push(&rest);
                }
                if !client.is_over() {
                    exec.attach(client);
                }
                match self.execs.iter().position(Option::is_none) {
                    Some(free) => self.execs[free] = Some(exec),
                    None => self.execs.push(Some(exec)),
                }
            }
            Err(Failure { kind, message }) => {
                if let Ok(frame) = encode(&FromMonitor::Failed { kind, message }, 0) {
                    client.send_raw(&frame); // a new socket takes a frame at once
                }
            }
        }
    }

    fn reap_exec(&mut self, index: usize) {
        let Some(Some(exec)) = self.execs.get_mut(index) else {
            return;
        };
        let Some(code) = exec.reap() else { return };
        let (id, state) = (exec.id.clone(), exec.state());
        if self.control.is_none() {
            self.untold.push(state);
        } else {
            self.tell(&FromMonitor::ExecExited { id, code }, Vec::new());
        }
    }

    fn warn(&mut self, message: String) {
        report(&message);
        if self.control.is_some() {
            self.tell(&FromMonitor::Warning { message }, Vec::new());
        } else if self.warnings.len() < MOST_WARNINGS {
            self.warnings.push(message);
        }
    }

    fn tell(&mut self, message: &FromMonitor, descriptors: Vec<OwnedFd>) {
        if let Some(control) = &mut self.control
            && !control.say(message, descriptors)
        {
            self.lose_control();
        }
    }
}
