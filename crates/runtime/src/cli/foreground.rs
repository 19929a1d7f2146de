//! Standing in for a process in the foreground: signals go to it, its terminal is ours, its exit code becomes ours.

use std::io::{Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{Failure, Outcome};

const SIGCHLD: i32 = 17;
const SIGWINCH: i32 = 28;
const SIGURG: i32 = 23;

/// Waits for the process, which must be a child of this one, and returns its exit code. The caller has blocked all signals before
/// the process was made.
pub(super) fn watch(pid: u32, pidfd: BorrowedFd<'_>, master: Option<OwnedFd>) -> Outcome {
    let raw = master.as_ref().map(|_| Raw::new());
    let copies = master.as_ref().map(copies).transpose()?;
    if let Some(master) = &master {
        follow_size(master);
    }
    loop {
        if let Some(ended) = onggi_sys::process::try_wait(pidfd)
            .map_err(Failure::io(format_args!("waiting for process {pid}")))?
        {
            if let Some(output) = copies {
                // All that was written before the end is shown; then the terminal hangs up and the copy ends.
                let _ = output.join();
            }
            drop(raw);
            return Ok(ended.code() as u8);
        }
        match onggi_sys::signal::wait(None).map_err(Failure::io("waiting for signals"))? {
            Some(SIGWINCH) => {
                if let Some(master) = &master {
                    follow_size(master);
                }
            }
            Some(SIGCHLD | SIGURG) | None => {}
            Some(signal) => {
                let _ = onggi_sys::signal::send(pidfd, signal);
            }
        }
    }
}

fn follow_size(master: &OwnedFd) {
    if let Ok((rows, columns)) = onggi_sys::pty::size(rustix::stdio::stdin()) {
        let _ = onggi_sys::pty::resize(master, rows, columns);
    }
}

/// Our own terminal in raw mode for as long as the value lives.
struct Raw {
    before: Option<Termios>,
}

impl Raw {
    fn new() -> Self {
        let before = tcgetattr(rustix::stdio::stdin()).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw);
        }
        Self { before }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Two threads: standard input to the terminal, and the terminal to standard output, whose handle is returned.
fn copies(master: &OwnedFd) -> Result<std::thread::JoinHandle<()>, Failure> {
    let failed = |error| Failure::io("copying the terminal")(error);
    let to = master.try_clone().map_err(failed)?;
    let from = master.try_clone().map_err(failed)?;
    std::thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            let mut to = std::fs::File::from(to);
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut to);
        })
        .map_err(failed)?;
    std::thread::Builder::new()
        .name("output".to_owned())
        .spawn(move || {
            let mut from = std::fs::File::from(from);
            let mut buffer = [0; 8192];
            loop {
                let mut fds = [PollFd::new(&from, PollFlags::IN)];
                if rustix::io::retry_on_intr(|| poll(&mut fds, None)).is_err() {
                    return;
                }
                // EIO: nobody has the other end open any more.
                let Ok(count @ 1..) = from.read(&mut buffer) else {
                    return;
                };
                let mut out = std::io::stdout().lock();
                if out
                    .write_all(&buffer[..count])
                    .and_then(|()| out.flush())
                    .is_err()
                {
                    return;
                }
            }
        })
        .map_err(failed)
}
