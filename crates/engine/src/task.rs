//! The conversation with the monitor of one running container.
//!
//! The daemon binds the monitor's socket and spawns the monitor with the listener as its standard input: from
//! then on everybody, this daemon or the next, talks to it by connecting to that path. One connection is the
//! control connection; each attached client and each exec has one of its own, which after one answer carries
//! the bytes exactly as Docker's API sends them.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use onggi_monitor::protocol::{self, Decoder, FailureKind, FromMonitor, Outgoing, ToMonitor};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::Mutex;

use crate::error::{Error, Result};

/// How long a monitor may take to answer, and to take what it is told: one that is stopped or stuck does neither.
const ANSWER: Duration = Duration::from_secs(30);
const TAKE: Duration = Duration::from_secs(10);

/// A way to tell the monitor things.
pub(crate) struct Task {
    socket: PathBuf,
    control: UnixStream,
    /// One frame at a time.
    sending: Mutex<()>,
    /// The version that the monitor speaks.
    version: AtomicU32,
}

/// A connection that says nothing and ends with the monitor.
pub(crate) struct Witness(UnixStream);

/// What the monitor tells us, in order. One reader.
pub(crate) struct TaskEvents {
    task: Arc<Task>,
    decoder: Decoder,
}

/// A frame and the descriptors that came with it.
pub(crate) struct Event {
    pub(crate) message: FromMonitor,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// The streams of a process: raw bytes from the monitor's answer on.
pub(crate) struct Stream {
    /// What came together with the answer.
    pub(crate) begin: Vec<u8>,
    pub(crate) socket: UnixStream,
}

/// The monitor's answer to what could not be started.
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

/// Starts a monitor for the container whose run-time directory is `directory`. The process is not ours to keep:
/// it outlives the daemon; the returned child is only there to be reaped while we live.
pub(crate) fn spawn(program: BorrowedFd<'_>, directory: &Path) -> Result<tokio::process::Child> {
    let socket = socket_in(directory);
    // Who reaches the socket in it has the container.
    let mut private = std::fs::DirBuilder::new();
    private.recursive(true).mode(0o700);
    private
        .create(directory)
        .map_err(|e| Error::io(format_args!("create {}", directory.display()), e))?;
    match std::fs::remove_file(&socket) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io(format_args!("remove {}", socket.display()), e));
        }
        _ => {}
    }
    let listener =
        bind(&socket).map_err(|e| Error::io(format_args!("listen on {}", socket.display()), e))?;
    let log = std::fs::File::create(directory.join("monitor.log"))
        .map_err(|e| Error::io("create the monitor's log", e))?;
    let program = format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(&program)
    );
    tokio::process::Command::new(program)
        .arg0("onggi-monitor")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(listener))
        .stdout(Stdio::null())
        .stderr(Stdio::from(log))
        .process_group(0)
        .spawn()
        .map_err(|e| Error::io("start onggi-monitor", e))
}

/// The monitor's socket in the run-time directory of its container.
pub(crate) fn socket_in(directory: &Path) -> PathBuf {
    directory.join("monitor.sock")
}

/// Binds and listens. A path may be longer than `sun_path` has room for (unix(7)): then it goes through the
/// descriptor of its directory.
fn bind(socket: &Path) -> std::io::Result<OwnedFd> {
    short_path(socket, |path| {
        Ok(std::os::unix::net::UnixListener::bind(path)?.into())
    })
}

fn short_path<T>(socket: &Path, f: impl FnOnce(&Path) -> std::io::Result<T>) -> std::io::Result<T> {
    const ROOM: usize = 107;
    match (socket.parent(), socket.file_name()) {
        (Some(directory), Some(name)) if socket.as_os_str().len() > ROOM => {
            let directory = std::fs::File::open(directory)?;
            let fd = std::os::fd::AsRawFd::as_raw_fd(&directory);
            f(&Path::new("/proc/self/fd").join(fd.to_string()).join(name))
        }
        _ => f(socket),
    }
}

async fn connect(socket: &Path) -> std::io::Result<UnixStream> {
    // Connecting to a unix socket does not wait for the peer: the backlog takes it.
    let stream = short_path(socket, |path| std::os::unix::net::UnixStream::connect(path))?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

impl Task {
    /// Opens the control connection; the first event is the monitor's state.
    pub(crate) async fn open(directory: &Path) -> Result<(Arc<Self>, TaskEvents)> {
        let socket = socket_in(directory);
        let control = connect(&socket)
            .await
            .map_err(|e| Error::io("connect to the monitor", e))?;
        let task = Arc::new(Self {
            socket,
            control,
            sending: Mutex::default(),
            version: AtomicU32::new(0),
        });
        task.send(
            &ToMonitor::Control {
                version: protocol::VERSION,
            },
            Vec::new(),
        )
        .await?;
        let events = TaskEvents {
            task: task.clone(),
            decoder: Decoder::default(),
        };
        Ok((task, events))
    }

    /// Sends one frame, and descriptors with it.
    pub(crate) async fn send(&self, message: &ToMonitor, descriptors: Vec<OwnedFd>) -> Result<()> {
        let send = async {
            let _turn = self.sending.lock().await;
            send_frame(&self.control, message, descriptors).await
        };
        match tokio::time::timeout(TAKE, send).await {
            Ok(sent) => sent.map_err(|e| Error::io("send to the monitor", e)),
            Err(_) => Err(silent(TAKE)),
        }
    }

    /// Whether the monitor answers questions for names while there is no daemon.
    pub(crate) fn resolves(&self) -> bool {
        self.version.load(Ordering::Relaxed) >= protocol::RESOLVES
    }

    /// Whether the monitor passes on what comes to `[::1]`.
    pub(crate) fn listens(&self) -> bool {
        self.version.load(Ordering::Relaxed) >= protocol::LISTENS
    }

    /// Whether the monitor can be told which ports it holds.
    pub(crate) fn holds(&self) -> bool {
        self.version.load(Ordering::Relaxed) >= protocol::HOLDS
    }

    /// Sends `signal` to the container's process.
    pub(crate) async fn signal(&self, signal: i32) -> Result<()> {
        self.send(&ToMonitor::Signal { signal }, Vec::new()).await
    }

    /// A connection that carries what the process writes, and takes what it reads.
    pub(crate) async fn attach(&self, stdin: bool, stdout: bool, stderr: bool) -> Result<Stream> {
        let hello = ToMonitor::Attach {
            stdin,
            stdout,
            stderr,
        };
        match self.stream(&hello).await? {
            (FromMonitor::Attached, stream) => Ok(stream),
            (other, _) => Err(unexpected("attach", &other)),
        }
    }

    /// Waits until the monitor has done what it was sent before: it answers a connection that came later. Says whether it
    /// has; one that is stopped or stuck does not within `patience`.
    pub(crate) async fn settled(&self, patience: Duration) -> bool {
        let answer = tokio::time::timeout(patience, self.attach(false, false, false)).await;
        answer.is_ok_and(|attached| attached.is_ok())
    }

    /// Starts a process beside the container's; its pid, and the connection that carries its streams.
    pub(crate) async fn exec(&self, exec: &ToMonitor) -> Result<Result<(u32, Stream), Failure>> {
        match self.stream(exec).await? {
            (FromMonitor::ExecStarted { pid }, stream) => Ok(Ok((pid, stream))),
            (FromMonitor::Failed { kind, message }, _) => Ok(Err(Failure { kind, message })),
            (other, _) => Err(unexpected("exec", &other)),
        }
    }

    /// A new connection that opens with `hello`; the one answer, and the bytes after it.
    async fn stream(&self, hello: &ToMonitor) -> Result<(FromMonitor, Stream)> {
        let talk = async {
            let socket = connect(&self.socket).await?;
            send_frame(&socket, hello, Vec::new()).await?;
            let mut decoder = Decoder::default();
            match receive(&socket, &mut decoder).await? {
                Some((answer, _)) => Ok((
                    answer,
                    Stream {
                        begin: decoder.into_rest(),
                        socket,
                    },
                )),
                None => Err(std::io::ErrorKind::UnexpectedEof.into()),
            }
        };
        match tokio::time::timeout(ANSWER, talk).await {
            Ok(heard) => heard.map_err(|e: std::io::Error| Error::io("connect to the monitor", e)),
            Err(_) => Err(silent(ANSWER)),
        }
    }
}

fn silent(time: Duration) -> Error {
    Error::internal(format!(
        "the monitor of the container has not answered for {} seconds",
        time.as_secs()
    ))
}

fn unexpected(what: &str, message: &FromMonitor) -> Error {
    Error::internal(format!("{what}: the monitor answered {message:?}"))
}

async fn send_frame(
    stream: &UnixStream,
    message: &ToMonitor,
    descriptors: Vec<OwnedFd>,
) -> std::io::Result<()> {
    let mut frame = Outgoing::new(message, descriptors)?;
    while !stream
        .async_io(Interest::WRITABLE, || frame.send(stream))
        .await?
    {}
    Ok(())
}

async fn receive(
    stream: &UnixStream,
    decoder: &mut Decoder,
) -> std::io::Result<Option<(FromMonitor, Vec<OwnedFd>)>> {
    loop {
        if let Some(frame) = decoder.next::<FromMonitor>()? {
            return Ok(Some(frame));
        }
        let count = stream
            .async_io(Interest::READABLE, || protocol::receive(stream, decoder))
            .await;
        match count {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
            Err(e) => return Err(e),
        }
    }
}

impl Witness {
    /// Of the monitor in this run-time directory; `None` when there is none.
    pub(crate) async fn of(directory: &Path) -> Option<Self> {
        connect(&socket_in(directory)).await.ok().map(Self)
    }

    /// Until the monitor is gone.
    pub(crate) async fn wait(self) {
        let mut buffer = [0; 64];
        loop {
            if self.0.readable().await.is_err() {
                return;
            }
            match self.0.try_read(&mut buffer) {
                Ok(1..) => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}

impl TaskEvents {
    /// The next event; `None` when the monitor is gone.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>> {
        let frame = receive(&self.task.control, &mut self.decoder)
            .await
            .map_err(|e| Error::io("read from the monitor", e))?;
        if let Some((FromMonitor::State { version, .. }, _)) = &frame {
            self.task.version.store(*version, Ordering::Relaxed);
        }
        Ok(frame.map(|(message, descriptors)| Event {
            message,
            descriptors,
        }))
    }
}
