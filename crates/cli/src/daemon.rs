//! Starting onggid when its default socket has no listener.
//!
//! Of several CLIs at once the one that gets the lock starts the daemon; the others wait for the lock, and then find the
//! socket answering.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use onggi_client::Endpoint;

use crate::error::{Error, Result, io_text, path_error};
use crate::settings::Environment;

/// How long a daemon may take until it listens.
const LIMIT: Duration = Duration::from_secs(30);

/// Makes sure that somebody listens at `endpoint`; starts onggid when nobody does.
pub(crate) fn ensure(endpoint: &Endpoint, environment: &Environment) -> Result<()> {
    let Endpoint::Unix(socket) = endpoint else {
        return Ok(());
    };
    if answers(socket) {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Error::new(format!(
            "Cannot connect to the Docker daemon at {endpoint}. Is the docker daemon running?\nOnly root can start it: run 'sudo onggid', or any onggi command as root once."
        )));
    }
    let directory = socket.parent().unwrap_or(Path::new("/"));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)
        .map_err(|error| path_error("mkdir", &directory.display().to_string(), &error))?;
    let lock = directory.join("start.lock");
    let lock_file = File::create(&lock)
        .map_err(|error| path_error("open", &lock.display().to_string(), &error))?;
    let deadline = Instant::now() + LIMIT;
    loop {
        use rustix::fs::FlockOperation;
        match rustix::fs::flock(&lock_file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(error) => {
                return Err(path_error(
                    "flock",
                    &lock.display().to_string(),
                    &error.into(),
                ));
            }
        }
        if answers(socket) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::new(format!(
                "another process starts onggid since {} seconds; see {}",
                LIMIT.as_secs(),
                directory.join("onggid.log").display()
            )));
        }
        pause();
    }
    if answers(socket) {
        return Ok(());
    }
    if systemd_starts()? && answers(socket) {
        return Ok(());
    }
    let log = directory.join("onggid.log");
    let mut child = spawn(environment, &log)?;
    loop {
        if answers(socket) {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            // Somebody else's daemon may have won; then ours had to leave.
            if answers(socket) {
                return Ok(());
            }
            return Err(Error::new(format!(
                "onggid ended with {status} before it listened at {endpoint}\n{}",
                tail(&log)
            )));
        }
        if Instant::now() > deadline {
            return Err(Error::new(format!(
                "onggid (pid {}) does not listen at {endpoint} after {} seconds; see {}",
                child.id(),
                LIMIT.as_secs(),
                log.display()
            )));
        }
        pause();
    }
}

/// Where systemd runs the machine and has our unit, the daemon is its business: its log, its limits, its end. Whether
/// it is; an error when systemd will not start it.
fn systemd_starts() -> Result<bool> {
    /// `systemctl` on a unit that it does not have.
    const NO_SUCH_UNIT: i32 = 5;
    if !Path::new("/run/systemd/system").is_dir() {
        return Ok(false);
    }
    let started = Command::new("systemctl")
        .args(["start", "onggi.socket"])
        .stdin(Stdio::null())
        .output();
    let output = match started {
        Ok(output) => output,
        // Not even the program is there.
        Err(_) => return Ok(false),
    };
    match output.status.code() {
        Some(0) => Ok(true),
        Some(NO_SUCH_UNIT) => Ok(false),
        _ => Err(Error::new(format!(
            "Cannot connect to the Docker daemon, and systemd does not start it: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}

fn answers(socket: &Path) -> bool {
    match UnixStream::connect(socket) {
        Ok(_) => true,
        // Somebody listens, but not for us: the client tells that better.
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}

/// A program of ours: beside this one, or in the PATH.
pub(crate) fn program(environment: &Environment, name: &str) -> Option<PathBuf> {
    let executable = std::fs::read_link("/proc/self/exe").ok()?;
    let beside = executable.parent()?.join(name);
    if beside.is_file() {
        return Some(beside);
    }
    environment
        .get("PATH")?
        .split(':')
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.is_file())
}

fn spawn(environment: &Environment, log: &Path) -> Result<Child> {
    let program = program(environment, "onggid").ok_or_else(|| {
        Error::new(
            "Cannot connect to the Docker daemon: nobody listens at the default socket, and onggid is neither beside this program nor in the PATH",
        )
    })?;
    let open = |path: &Path| {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| path_error("open", &path.display().to_string(), &error))
    };
    let (out, err) = (open(log)?, open(log)?);
    // A child of our own takes a session of its own, away from this terminal, and becomes the daemon.
    Command::new("/proc/self/exe")
        .arg(DETACH)
        .arg(&program)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .map_err(|error| path_error("exec", &program.display().to_string(), &error))
}

/// The word before a program to run in a new session.
pub(crate) const DETACH: &str = "__detach";

/// Leaves the terminal's session and becomes `program`; returns only when that fails.
pub(crate) fn detach(program: &str, arguments: &[String]) -> Error {
    use std::os::unix::process::CommandExt as _;
    if let Err(error) = rustix::process::setsid() {
        return path_error("setsid", program, &error.into());
    }
    path_error(
        "exec",
        program,
        &Command::new(program).args(arguments).exec(),
    )
}

/// The last lines of the log, for the error.
fn tail(log: &Path) -> String {
    let text = match std::fs::read(log) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return format!("({}: {})", log.display(), io_text(&error)),
    };
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
