//! Sockets handed over by systemd (sd_listen_fds(3)).

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The first descriptor that is handed over.
const FIRST: RawFd = 3;

/// Takes the sockets that systemd opened for this process, close-on-exec; none the second time, or when they are meant for
/// another process.
pub fn take() -> Vec<OwnedFd> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    if TAKEN.swap(true, Ordering::AcqRel) || number("LISTEN_PID") != Some(std::process::id()) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS")
        .and_then(|n| RawFd::try_from(n).ok())
        .unwrap_or(0);
    (FIRST..FIRST.saturating_add(count))
        .filter_map(claim)
        .collect()
}

/// Makes an inherited descriptor ours; `None` where none is open.
fn claim(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: fcntl(2) with integers; it answers EBADF where the descriptor is not open.
    let open = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == 0;
    // SAFETY: it is open, systemd opened it for this process alone (LISTEN_PID), and `take` hands it out once.
    open.then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}
