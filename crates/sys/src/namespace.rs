//! Leaving and entering namespaces, for processes with one thread. Threads that enter a network namespace: `netns`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// setns(2): enters the namespaces `flags` (`CLONE_NEW*`) of `target`, a namespace file or a pidfd (kernel 5.8).
/// `CLONE_NEWPID` moves only children made afterwards; `CLONE_NEWNS` also sets root and working directory to the namespace's root.
///
/// # Errors
/// What the kernel says: `EPERM`, `EINVAL`, `ESRCH` (the process of the pidfd is gone).
pub fn enter(target: BorrowedFd<'_>, flags: u64) -> io::Result<()> {
    // SAFETY: setns touches no memory; a file system state shared with other threads makes the kernel refuse CLONE_NEWNS.
    if unsafe { libc::setns(target.as_raw_fd(), flags as libc::c_int) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// unshare(2) of namespaces (`CLONE_NEW*`).
///
/// # Errors
/// What the kernel says; `EINVAL` for flags that are no namespaces.
pub fn unshare(flags: u64) -> io::Result<()> {
    let known = libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWTIME;
    if flags & !(known as u64) != 0 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: namespaces only (checked): the descriptor table and memory stay as they are.
    if unsafe { libc::unshare(flags as libc::c_int) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The `CLONE_NEW*` flags by their names.
pub mod flag {
    /// Mounts.
    pub const MOUNT: u64 = libc::CLONE_NEWNS as u64;
    /// The view of cgroups.
    pub const CGROUP: u64 = libc::CLONE_NEWCGROUP as u64;
    /// Host and domain name.
    pub const UTS: u64 = libc::CLONE_NEWUTS as u64;
    /// System V IPC and POSIX message queues.
    pub const IPC: u64 = libc::CLONE_NEWIPC as u64;
    /// Users.
    pub const USER: u64 = libc::CLONE_NEWUSER as u64;
    /// Process ids.
    pub const PID: u64 = libc::CLONE_NEWPID as u64;
    /// Network.
    pub const NET: u64 = libc::CLONE_NEWNET as u64;
    /// Boot and monotonic clocks.
    pub const TIME: u64 = libc::CLONE_NEWTIME as u64;
}
