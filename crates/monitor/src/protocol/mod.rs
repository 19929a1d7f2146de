//! What daemon and monitor say to each other: the messages, and nothing about sockets (those are in `frame`).
//!
//! Every connection to a monitor opens with one frame that says its role ([`ToMonitor::Control`], [`ToMonitor::Attach`]
//! or [`ToMonitor::Exec`]). A control connection stays framed both ways. Attach and exec connections carry one frame
//! back ([`FromMonitor::Attached`], [`FromMonitor::ExecStarted`] or [`FromMonitor::Failed`]) and are raw bytes
//! from then on: out, what Docker's API sends (a terminal raw, else the 8-byte stream frames); in, stdin.
//!
//! Forever true: a message or a field is added, never changed; a field that is added has a default. A newer daemon
//! meets older monitors.

mod frame; // frames, descriptors

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use jiff::Timestamp;
use onggi_dns::View;
use onggi_logs::LogSpec;
use onggi_model::Protocol;
use onggi_oci::runtime::{Process, Spec};
use serde::{Deserialize, Serialize};

pub use frame::{Decoder, Error, MAX_PAYLOAD, Message, Outgoing, encode, receive};

/// What [`ToMonitor::Control`] says today.
pub const VERSION: u32 = 4;
/// The first version that knows [`ToMonitor::Resolve`].
pub const RESOLVES: u32 = 2;
/// The first version that knows [`ToMonitor::Listen`].
pub const LISTENS: u32 = 3;
/// The first version that knows [`ToMonitor::Hold`].
pub const HOLDS: u32 = 4;

/// From the daemon.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToMonitor {
    /// First frame: this connection steers. A newer control connection takes the place of an older one, which is closed.
    /// The answer is [`FromMonitor::State`].
    Control {
        /// [`VERSION`] of the daemon.
        version: u32,
    },
    /// First frame: this connection carries the container's streams, from now on (what was written before is in the
    /// log). Allowed before `Start`. It ends when the container has exited and all is drained. A peer that reads slowly
    /// slows the container down; nothing is dropped.
    /// `SHUT_WR` by the peer is the end of stdin where stdin is [`StdinMode::Once`]; a peer that vanishes is not.
    Attach {
        /// Bytes from this connection go to the container's stdin.
        stdin: bool,
        /// Send stdout.
        stdout: bool,
        /// Send stderr.
        stderr: bool,
    },
    /// First frame: run one more process. Streams as with `Attach`; `SHUT_WR` is the end of its stdin.
    /// When the peer vanishes the process goes on and its output is thrown away.
    Exec {
        /// The daemon's name for it.
        id: String,
        /// What to run; `terminal` decides about a pty.
        process: Box<Process>,
        /// Resolved inside the container's root; `None`: by `process.user`.
        user: Option<UserSpec>,
        /// Bytes from this connection go to its stdin; else stdin is /dev/null.
        stdin: bool,
        /// Send stdout.
        stdout: bool,
        /// Send stderr.
        stderr: bool,
        /// Rows and columns of its terminal.
        console_size: Option<(u16, u16)>,
        /// No streams: the connection is closed after `ExecStarted`.
        detach: bool,
    },

    /// Make the container. Descriptors: the onggi-init program, if `init`; then pidfds of processes that the document names
    /// by `/proc/PID`: has one of them ended, its number may mean another, and the container is not started.
    /// Answer: `Created` or `Failed`.
    Create(Box<Launch>),
    /// Run the container's process. Descriptors: sockets that hold published ports, any number; they stay
    /// open until the container has exited. Answer: `Started` or `Failed`.
    Start,
    /// Send a signal to the container's process.
    Signal {
        /// The number.
        signal: i32,
    },
    /// The size of the container's terminal.
    Resize {
        /// Lines.
        rows: u16,
        /// Characters a line.
        cols: u16,
    },
    /// No more stdin, whatever its mode: what the daemon says when the client of a [`StdinMode::Once`] container is gone.
    CloseStdin,
    /// Send a signal to a process of `Exec`.
    ExecSignal {
        /// Its name.
        id: String,
        /// The number.
        signal: i32,
    },
    /// The size of an exec's terminal.
    ExecResize {
        /// Its name.
        id: String,
        /// Lines.
        rows: u16,
        /// Characters a line.
        cols: u16,
    },
    /// From [`RESOLVES`] on. This daemon answers the container's questions for names, until this connection ends; then the
    /// monitor does, as `view` says. Descriptors, the first time: the UDP socket, the TCP listener and the container's
    /// network namespace. No answer.
    Resolve {
        /// What the container sees.
        view: Box<View>,
    },
    /// From [`LISTENS`] on. Published ports of which the monitor passes on what comes to `[::1]` of the host; those it has
    /// been told before and that are not here are closed, for new connections. Before `Start`: from then on. No answer.
    Listen {
        /// All of them.
        ports: Vec<Forward>,
    },
    /// From [`HOLDS`] on. The published ports of a running container: sockets of `Start` and of here that are bound to others
    /// are closed. Descriptors: sockets for ports that came to it. No answer.
    Hold {
        /// All of them.
        ports: Vec<HeldPorts>,
    },
    /// The exit status (or the failure) is safe with the daemon: the monitor may go.
    Acknowledge,
}

/// To the daemon.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromMonitor {
    /// Answer to `Control`: all there is to know. Descriptors: those of `Resolve`, where it has been said; whoever takes
    /// them answers, and says `Resolve`, until when the monitor does.
    State {
        /// [`VERSION`] of the monitor.
        version: u32,
        /// How far the container is.
        phase: Phase,
        /// The container's process, from `Created` on.
        pid: Option<u32>,
        /// When it was started.
        started_at: Option<Timestamp>,
        /// How it ended, in [`Phase::Exited`].
        exit: Option<Exit>,
        /// Why it never ran, in [`Phase::Failed`].
        failure: Option<(FailureKind, String)>,
        /// Those that run, and those whose end no daemon was told yet.
        execs: Vec<ExecState>,
    },
    /// The container is made and waits for `Start`. Descriptors: its network namespace, if it has one of its own.
    Created {
        /// The container's process, as the monitor sees it.
        pid: u32,
    },
    /// The container's process runs.
    Started {
        /// The container's process, as the monitor sees it.
        pid: u32,
        /// When.
        started_at: Timestamp,
    },
    /// It did not work. On the control connection: after `Create` or `Start`, the container is gone and the monitor goes after
    /// `Acknowledge`. On an attach or exec connection: the last thing said.
    Failed {
        /// What the exit code is made of.
        kind: FailureKind,
        /// For the user, causes joined by `: `.
        message: String,
    },
    /// Answer to `Attach`.
    Attached,
    /// Answer to `Exec`.
    ExecStarted {
        /// Its process.
        pid: u32,
    },
    /// On the control connection: the container has exited, its streams are drained, its log and `exit_file` are on disk.
    Exited(Exit),
    /// On the control connection, always before the exec's stream ends.
    ExecExited {
        /// Its name.
        id: String,
        /// 128+n for signals.
        code: i32,
    },
    /// On the control connection: the kernel's memory killer took a process of the container. Said again for each further
    /// time; of several at once, or while no daemon is there, once.
    OomKilled(Oom),
    /// On the control connection: something a person should know and the container survives (the log cannot be written).
    Warning {
        /// For the daemon's log.
        message: String,
    },
}

/// What a container is made from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Launch {
    /// The container's id.
    pub id: String,
    /// The OCI document.
    pub spec: Spec,
    /// What becomes `/`.
    pub rootfs: RootfsSpec,
    /// Resolved inside the root; `None`: by `spec.process.user`.
    #[serde(default)]
    pub user: Option<UserSpec>,
    /// A pty instead of pipes.
    #[serde(default)]
    pub tty: bool,
    /// Rows and columns of the pty.
    #[serde(default)]
    pub console_size: Option<(u16, u16)>,
    /// What stdin is.
    #[serde(default)]
    pub stdin: StdinMode,
    /// onggi-init is pid 1; its program comes as a descriptor.
    #[serde(default)]
    pub init: bool,
    /// Where the output is kept.
    pub log: LogSpec,
    /// Where the exit status is kept: [`Exit`] as JSON, written whole or not at all.
    pub exit_file: PathBuf,
    /// Another OCI runtime to use.
    #[serde(default)]
    pub runtime: Option<PathBuf>,
    /// Its arguments before the command.
    #[serde(default)]
    pub runtime_args: Vec<String>,
    /// The control group the monitor itself moves to; the daemon has made it.
    #[serde(default)]
    pub monitor_cgroup: Option<String>,
}

/// The root file system, mounted only inside the container's mount namespace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RootfsSpec {
    /// A directory, used as it is.
    Directory(PathBuf),
    /// An overlay.
    Overlay {
        /// The top-most first.
        lower: Vec<PathBuf>,
        /// Takes the changes.
        upper: PathBuf,
        /// The overlay's own; same file system as `upper`.
        work: PathBuf,
        /// Never sync: for containers whose changes die with them.
        volatile: bool,
    },
}

/// A user by names or numbers, resolved with the container's own passwd and group files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSpec {
    /// `name`, `uid`, `name:group`, `uid:gid` or nothing.
    pub user: String,
    /// Supplementary groups.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// A run of published ports, and where the first of them leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// tcp or udp.
    pub protocol: Protocol,
    /// The host's first port.
    pub port: u16,
    /// How many there are, each next to the one before, on both sides.
    pub length: u16,
    /// The container's address and first port.
    pub to: SocketAddr,
}

/// Ports of the host that a monitor holds, at one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPorts {
    /// Their transport.
    pub protocol: Protocol,
    /// The host's address; 0.0.0.0 and :: for all of a family.
    pub ip: IpAddr,
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// What the container's stdin is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StdinMode {
    /// /dev/null.
    #[default]
    Closed,
    /// A pipe that stays open while attached clients come and go.
    Open,
    /// A pipe that ends with the first client's stdin.
    Once,
}

/// How far a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Nothing yet.
    New,
    /// Made, waits for `Start`; destroyed if the daemon hangs up now.
    Created,
    /// Runs.
    Running,
    /// Its process has ended; [`FromMonitor::State`] has `exit` as soon as all is drained.
    Exited,
    /// It could not be made or started.
    Failed,
}

/// How the container ended; also the content of the exit file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// 128+n for signals.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The kernel's memory killer took one of its processes.
    pub oom_killed: bool,
    /// What is known of that.
    #[serde(default)]
    pub oom: Option<Oom>,
    /// When.
    pub finished_at: Timestamp,
    /// What went wrong beside it.
    pub error: Option<String>,
}

/// What the kernel's memory killer did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oom {
    /// Bytes the container may take.
    pub limit: Option<u64>,
    /// The most it took, in bytes.
    pub peak: Option<u64>,
    /// Name of the last process that was killed, as the kernel's log has it.
    pub victim: Option<String>,
    /// Its number on the host.
    pub pid: Option<u32>,
    /// Whose memory ran out.
    pub scope: Scope,
}

/// Whose memory ran out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// The kernel's log does not tell, or may not be read.
    #[default]
    Unknown,
    /// The container's.
    Container,
    /// That of a control group above it.
    Parent,
    /// The machine's.
    Machine,
}

impl Scope {
    /// Its name; empty for what is not known.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Container => "container",
            Self::Parent => "parent",
            Self::Machine => "machine",
        }
    }
}

/// An exec, for a daemon that was away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecState {
    /// The daemon's name for it.
    pub id: String,
    /// Its process.
    pub pid: u32,
    /// 128+n for signals; `None` while it runs.
    pub code: Option<i32>,
}

/// What the daemon has to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// Exit code 127.
    CommandNotFound,
    /// Exit code 126.
    NotExecutable,
    /// The user or group is not in the container.
    InvalidUser,
    /// A bind source does not exist.
    MissingSource,
    /// Anything else: exit code 128 at start, 125 to the user of `run`.
    Other,
}
