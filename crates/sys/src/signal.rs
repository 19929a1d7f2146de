//! Signals of the calling process: back to defaults, blocked and waited for, sent.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// The kernel's `struct sigaction`, all zero: SIG_DFL without flags. The order of its fields differs between architectures, which
/// does not matter for zeros.
#[repr(C)]
#[derive(Default)]
struct KernelAction {
    words: [u64; 4],
}

/// Sets every signal to its default action and blocks none, as a new program expects it.
pub fn reset() {
    // Not by signal(3): glibc hides two numbers for itself, and one that a parent ignores would stay ignored.
    let default = KernelAction::default();
    for signal in 1..=64 {
        // SAFETY: a valid action of the kernel's layout is read; none is written back. KILL and STOP are refused, which is right.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                &raw const default,
                std::ptr::null_mut::<KernelAction>(),
                size_of::<u64>(),
            )
        };
    }
    // SAFETY: an initialised empty set is what sigprocmask reads; no old set is asked for.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

fn full_set() -> libc::sigset_t {
    // SAFETY: sigfillset initialises the set it is given.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        set
    }
}

/// Blocks every signal that can be blocked; they wait for [`wait`].
pub fn block_all() {
    let set = full_set();
    // SAFETY: reads an initialised set; no old set is asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
}

/// Waits for the next blocked signal and returns its number; `None` when the time is over.
///
/// # Errors
/// What sigtimedwait(2) says, but `EINTR`, which is waited out.
pub fn wait(limit: Option<Duration>) -> io::Result<Option<i32>> {
    let set = full_set();
    loop {
        let result = match limit {
            // SAFETY: an initialised set; no information is asked for.
            None => unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) },
            Some(limit) => {
                let time = libc::timespec {
                    tv_sec: limit.as_secs() as libc::time_t,
                    tv_nsec: libc::c_long::from(limit.subsec_nanos()),
                };
                // SAFETY: as above, with a time that outlives the call.
                unsafe { libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const time) }
            }
        };
        if result >= 0 {
            return Ok(Some(result));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EAGAIN) => return Ok(None),
            _ => return Err(error),
        }
    }
}

/// kill(2): sends `signal` to a process (`pid` above 0), a group (below), or all one may (-1); 0 only checks.
///
/// # Errors
/// `ESRCH`, `EPERM`, `EINVAL`.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: numbers only.
    if unsafe { libc::kill(pid, signal) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Sends `signal` (any number, also a real-time one; 0 only checks) to the process `pidfd` names.
///
/// # Errors
/// `ESRCH` when it has been reaped, `EPERM`, `EINVAL`.
pub fn send(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: numbers only; a null siginfo is allowed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
