//! Making a process with clone3: all namespaces at once, a pidfd, and (cgroup v2) the cgroup it is born into.
//!
//! Not here: what the child does (`runtime`), joining namespaces that exist (`namespace`).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A child process as its parent holds it.
#[derive(Debug)]
pub struct Child {
    /// Its process id as the parent's PID namespace counts; valid until the parent has reaped it.
    pub pid: u32,
    /// The descriptor that names exactly this process, for ever.
    pub pidfd: OwnedFd,
}

/// What [`spawn`] makes beside the process.
#[derive(Debug, Default, Clone, Copy)]
pub struct Options<'a> {
    /// `CLONE_NEW*` flags.
    pub namespaces: u64,
    /// A cgroup v2 directory the child is born into (`CLONE_INTO_CGROUP`, kernel 5.7).
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The child becomes a child of the caller's parent (`CLONE_PARENT`).
    pub sibling: bool,
}

/// Clones the calling process, which must have one thread, and runs `child` in the copy; the copy exits with what it returns.
///
/// Descriptors, memory and signal handlers are copied as by fork(2). Destructors of the caller's values do not run in the child.
///
/// # Errors
/// `EBUSY` when the process has more than one thread (a lock held by another one would stay locked in the child for ever);
/// else what clone3(2) says.
pub fn spawn(options: Options<'_>, child: impl FnOnce() -> i32) -> io::Result<Child> {
    if !single_threaded()? {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    let mut pidfd: libc::c_int = -1;
    let mut flags = options.namespaces | libc::CLONE_PIDFD as u64;
    let mut arguments = linux_raw_sys::general::clone_args {
        flags: 0,
        pidfd: (&raw mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    if let Some(cgroup) = options.cgroup {
        flags |= linux_raw_sys::general::CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.as_raw_fd() as u64;
    }
    if options.sibling {
        flags |= libc::CLONE_PARENT as u64;
        arguments.exit_signal = 0;
    }
    arguments.flags = flags;
    // SAFETY: `arguments` is a valid clone_args of the size given and outlives the call; without CLONE_VM the child has its own
    // copy of memory, and the process has one thread (checked above), so no lock is held by a thread the child lacks.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut arguments,
            size_of::<linux_raw_sys::general::clone_args>(),
        )
    };
    match pid {
        -1 => {
            let error = io::Error::last_os_error();
            // Filters of containers answer ENOSYS, since they cannot look into clone3's arguments (onggi-init meets that).
            if error.raw_os_error() == Some(libc::ENOSYS)
                && options.namespaces == 0
                && options.cgroup.is_none()
                && !options.sibling
            {
                return fork(child);
            }
            Err(error)
        }
        0 => run(child),
        pid => {
            // SAFETY: the kernel has just stored a new descriptor there (CLONE_PIDFD) that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Child {
                pid: pid as u32,
                pidfd,
            })
        }
    }
}

/// Ends the process at once: no destructors, no exit handlers, no flushing.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) takes any value and does not return.
    unsafe { libc::_exit(code) }
}

fn run(child: impl FnOnce() -> i32) -> ! {
    exit_now(std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(101))
}

fn fork(child: impl FnOnce() -> i32) -> io::Result<Child> {
    // SAFETY: the process has one thread, checked by `spawn`.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => run(child),
        pid => {
            let pid = pid as u32;
            Ok(Child {
                pid,
                pidfd: crate::process::pidfd(pid)?,
            })
        }
    }
}

/// Whether the calling process has one thread.
fn single_threaded() -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    // unshare(2): CLONE_THREAD "has no effect" for a process with one thread and fails with EINVAL otherwise.
    // SAFETY: no effect, see above.
    if unsafe { libc::unshare(libc::CLONE_THREAD) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::EINVAL) {
        return Ok(false);
    }
    // Filters of containers refuse unshare. Every thread is a directory, and each directory is a link more (proc(5)).
    Ok(std::fs::metadata("/proc/self/task")?.nlink() <= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_refused() {
        // The test harness runs tests on threads of their own.
        let result = spawn(Options::default(), || 0);
        assert_eq!(
            result.map(|_| ()).map_err(|error| error.raw_os_error()),
            Err(Some(libc::EBUSY))
        );
    }
}
