//! `create` and `run`.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use onggi_cgroup::Cgroups;
use onggi_model::Timestamp;
use onggi_oci::runtime::{Process, Spec};
use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::args::Flag;
use super::store::{self, Place, Record};
use super::{Call, Failure, Outcome, foreground, manage};
use crate::{Created, Gate, Launch, Rootfs, Running, Stdio};

const BUNDLE: Flag = Flag::value(
    "bundle",
    Some('b'),
    "directory of the bundle (default: the current one)",
);
const CONSOLE: Flag = Flag::value(
    "console-socket",
    None,
    "unix socket that gets the terminal's master",
);
const PID_FILE: Flag = Flag::value("pid-file", None, "file for the process id");
const NO_PIVOT: Flag = Flag::switch(
    "no-pivot",
    None,
    "refused: the root is always changed by pivot_root",
);
const NO_KEYRING: Flag = Flag::switch(
    "no-new-keyring",
    None,
    "refused: every container has a session keyring of its own",
);
const PRESERVE: Flag = Flag::value(
    "preserve-fds",
    None,
    "how many descriptors from 3 on the process inherits",
);

pub(super) const CREATE_FLAGS: &[Flag] =
    &[BUNDLE, CONSOLE, PID_FILE, NO_PIVOT, NO_KEYRING, PRESERVE];
pub(super) const RUN_FLAGS: &[Flag] = &[
    BUNDLE,
    CONSOLE,
    PID_FILE,
    NO_PIVOT,
    NO_KEYRING,
    PRESERVE,
    Flag::switch("detach", Some('d'), "do not wait for the process"),
    Flag::switch("keep", None, "keep the container's state when it has ended"),
];

/// Who looks after the terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Terminal {
    /// Someone behind `--console-socket`.
    Socket,
    /// This process.
    Own,
}

struct Made {
    place: Place,
    running: Running,
    master: Option<OwnedFd>,
}

pub(super) fn create(call: &Call) -> Outcome {
    make(call, Terminal::Socket).map(|_| 0)
}

pub(super) fn run(call: &Call) -> Outcome {
    let detach = call.given.on("detach");
    let socket = detach || call.given.value("console-socket").is_some();
    if !detach {
        // Before there is a process that could be signalled through us.
        onggi_sys::signal::block_all();
    }
    let made = make(
        call,
        if socket {
            Terminal::Socket
        } else {
            Terminal::Own
        },
    )?;
    let Made {
        place,
        running,
        master,
    } = made;
    let started = manage::open_gate(&place, &running);
    if started.is_err() || !detach {
        let code =
            started.and_then(|()| foreground::watch(running.pid, running.pidfd.as_fd(), master));
        let _ = running.group.kill();
        let _ = running.group.remove();
        if !call.given.on("keep") || code.is_err() {
            place.remove()?;
        }
        return code;
    }
    Ok(0)
}

/// The one id a command takes.
pub(super) fn only_id(call: &Call) -> Result<&str, Failure> {
    match &call.given.words[..] {
        [id] => Ok(id),
        words => Err(Failure::Text(format!(
            "\"container-id\" is the only argument, and {} were given",
            words.len()
        ))),
    }
}

fn make(call: &Call, terminal: Terminal) -> Result<Made, Failure> {
    let place = Place::new(&call.root, only_id(call)?)?;
    for flag in ["no-pivot", "no-new-keyring"] {
        if call.given.on(flag) {
            return Err(Failure::Text(format!("--{flag} is not supported")));
        }
    }
    let bundle = std::path::absolute(call.given.value("bundle").unwrap_or("."))
        .map_err(Failure::io("the bundle"))?;
    // Paths of the caller first, then the bundle becomes the working directory, which relative mount sources are meant from.
    let pid_file = absolute(call.given.value("pid-file"))?;
    let console = absolute(call.given.value("console-socket"))?;
    let preserved = preserved(call.given.value("preserve-fds"))?;
    std::env::set_current_dir(&bundle).map_err(Failure::io(bundle.display()))?;
    let spec: Spec = store::read(&bundle.join("config.json"))?;
    let rootfs = rootfs(&spec, &bundle)?;
    let wants_terminal = spec
        .process
        .as_ref()
        .is_some_and(|process| process.terminal);
    let socket = connect(console.as_deref(), wants_terminal, terminal)?;
    place.make()?;
    let made = launch(&place, &spec, &rootfs, &bundle, preserved).and_then(|mut created| {
        if let Some(socket) = &socket
            && let Some(master) = created.master.take()
        {
            send_master(socket, &master)?;
        }
        if let Some(path) = &pid_file {
            store::write_whole(path, created.pid().to_string().as_bytes())
                .map_err(Failure::io(path.display()))?;
        }
        let master = created.master.take();
        Ok((created.leave()?, master))
    });
    match made {
        Ok((running, master)) => Ok(Made {
            place,
            running,
            master,
        }),
        Err(failure) => {
            let _ = place.remove();
            Err(failure)
        }
    }
}

fn launch(
    place: &Place,
    spec: &Spec,
    rootfs: &Path,
    bundle: &Path,
    preserved: Vec<OwnedFd>,
) -> Result<Created, Failure> {
    let cgroups = Cgroups::probe().map_err(|error| Failure::Text(onggi_model::chain(&error)))?;
    let fifo = place.fifo();
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o622), 0)
        .map_err(|error| Failure::io(fifo.display())(error.into()))?;
    // Whatever our umask is: the process opens it as its own user.
    rustix::fs::chmod(&fifo, Mode::from_raw_mode(0o622))
        .map_err(|error| Failure::io(fifo.display())(error.into()))?;
    let gate = rustix::fs::open(&fifo, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Failure::io(fifo.display())(error.into()))?;
    let process = spec.process.as_ref();
    let stdio = if process.is_some_and(|process| process.terminal) {
        Stdio::Console {
            size: process.and_then(size),
        }
    } else {
        inherited_streams()?
    };
    let mut launch = Launch::new(
        &place.id,
        spec,
        Rootfs::Directory(rootfs.to_owned()),
        stdio,
        &cgroups,
    );
    launch.die_with_parent = false;
    launch.gate = Gate::Fifo(gate);
    launch.preserved = preserved;
    let created = crate::create(launch)?;
    for warning in &created.warnings {
        let _ = writeln!(std::io::stderr(), "level=warning msg={warning:?}");
    }
    let record = Record {
        id: place.id.clone(),
        pid: created.pid(),
        start_time: onggi_sys::process::start_time(created.pid())
            .map_err(Failure::io("the start time of the process"))?,
        boot_id: store::boot_id(),
        bundle: bundle.display().to_string(),
        rootfs: rootfs.display().to_string(),
        created: Timestamp::now().to_string(),
        cgroup: created
            .group()
            .map(|group| group.path().to_owned())
            .unwrap_or_default(),
        spec: spec.clone(),
    };
    place.save(&record)?;
    Ok(created)
}

fn absolute(path: Option<&str>) -> Result<Option<PathBuf>, Failure> {
    path.filter(|path| !path.is_empty())
        .map(std::path::absolute)
        .transpose()
        .map_err(Failure::io("a path"))
}

fn rootfs(spec: &Spec, bundle: &Path) -> Result<PathBuf, Failure> {
    let path = spec
        .root
        .as_ref()
        .map(|root| root.path.as_str())
        .unwrap_or_default();
    if path.is_empty() {
        return Err(Failure::Text(
            "the configuration has no root path".to_owned(),
        ));
    }
    let path = bundle.join(path);
    if !path.is_dir() {
        return Err(Failure::Text(format!(
            "invalid rootfs: {} is not a directory",
            path.display()
        )));
    }
    Ok(path)
}

/// The window size of a process's terminal.
pub(super) fn size(process: &Process) -> Option<(u16, u16)> {
    let size = process.console_size?;
    Some((
        u16::try_from(size.height).ok()?,
        u16::try_from(size.width).ok()?,
    ))
}

/// Copies of this program's own standard streams.
pub(super) fn inherited_streams() -> Result<Stdio, Failure> {
    let copy = |fd: std::os::fd::BorrowedFd<'_>| {
        fd.try_clone_to_owned()
            .map_err(Failure::io("standard streams"))
    };
    Ok(Stdio::Fds {
        stdin: copy(rustix::stdio::stdin())?,
        stdout: copy(rustix::stdio::stdout())?,
        stderr: copy(rustix::stdio::stderr())?,
    })
}

/// The descriptors of `--preserve-fds N`: 3 to 2 + N.
pub(super) fn preserved(count: Option<&str>) -> Result<Vec<OwnedFd>, Failure> {
    let count: i32 = match count {
        None => return Ok(Vec::new()),
        Some(text) => text
            .parse()
            .ok()
            .filter(|count| (0..=1024).contains(count))
            .ok_or_else(|| Failure::Text(format!("--preserve-fds {text:?} is not a count")))?,
    };
    (3..3 + count)
        .map(|number| {
            onggi_sys::fd::inherited(number).ok_or_else(|| {
                Failure::Text(format!("--preserve-fds: descriptor {number} is not open"))
            })
        })
        .collect()
}

/// The socket for the terminal's master: demanded exactly when there is a terminal that nobody here looks after.
fn connect(
    path: Option<&Path>,
    wants_terminal: bool,
    terminal: Terminal,
) -> Result<Option<UnixStream>, Failure> {
    match (path, wants_terminal) {
        (Some(path), true) => UnixStream::connect(path)
            .map(Some)
            .map_err(Failure::io(path.display())),
        (Some(_), false) => Err(Failure::Text(
            "cannot use console socket if the process has no terminal".to_owned(),
        )),
        (None, true) if terminal == Terminal::Socket => Err(Failure::Text(
            "cannot allocate tty without --console-socket when not in the foreground".to_owned(),
        )),
        (None, _) => Ok(None),
    }
}

/// As runc sends it: one message, the descriptor attached to a name.
fn send_master(socket: &UnixStream, master: &OwnedFd) -> Result<(), Failure> {
    onggi_sys::scm::send_with_fds(socket, b"/dev/ptmx", &[master.as_fd()])
        .map(drop)
        .map_err(Failure::io("sending the terminal"))
}
