//! The table of descriptors as a whole: what a process keeps, what the next program gets.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Marks every descriptor from `first` up close-on-exec (close_range(2), kernel 5.11).
///
/// # Errors
/// What the kernel says.
pub fn cloexec_from(first: u32) -> io::Result<()> {
    close_range(first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes every descriptor but those in `keep`. For a freshly cloned child that never returns to the code which owns the others:
/// dropping one of those owners afterwards closes a number that may belong to something else.
///
/// # Errors
/// What the kernel says.
pub fn close_all_except(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut numbers: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd() as u32).collect();
    numbers.sort_unstable();
    let mut next = 0;
    for number in numbers {
        if number > next {
            close_range(next, number - 1, 0)?;
        }
        next = next.max(number + 1);
    }
    close_range(next, u32::MAX, 0)
}

fn close_range(first: u32, last: u32, flags: u32) -> io::Result<()> {
    // SAFETY: the call touches no memory of ours; what closing descriptors means for their owners is the caller's documented duty.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Makes three descriptors the standard input, output and error of this process. The originals stay open, unless they are numbers 0 to 2.
///
/// # Errors
/// When the table is full.
pub fn install_stdio(fds: [BorrowedFd<'_>; 3]) -> io::Result<()> {
    // Copies above 2 first: an original may itself be numbered 0 to 2 and would be overwritten before its turn.
    let mut copies = Vec::with_capacity(3);
    for fd in fds {
        copies.push(rustix::io::fcntl_dupfd_cloexec(fd, 3)?);
    }
    for (target, copy) in copies.iter().enumerate() {
        // SAFETY: dup2 on two numbers; 0 to 2 are owned by nobody in Rust's sense (std's handles name the numbers only).
        if unsafe { libc::dup2(copy.as_raw_fd(), target as RawFd) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Takes ownership of a descriptor this process has inherited by number, or `None` when it is not open. Marks it close-on-exec.
///
/// Call it once per number, at start, before anything else can have opened descriptors.
pub fn inherited(number: RawFd) -> Option<OwnedFd> {
    if number < 0 {
        return None;
    }
    // SAFETY: F_SETFD on a number; fails with EBADF when it is not open.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return None;
    }
    // SAFETY: the number is open (above) and, by the contract of this function, owned by nobody yet.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Lets the next program inherit `fd` (clears close-on-exec).
///
/// # Errors
/// What fcntl(2) says.
pub fn inheritable(fd: BorrowedFd<'_>) -> io::Result<()> {
    rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
    Ok(())
}

/// Makes `fds` the descriptors `first`, `first + 1`, ... that the next program inherits. What had these numbers is closed: call it
/// last before execve, with nothing else of use below `first + fds.len()`.
///
/// # Errors
/// When the table is full.
pub fn inherit_from(first: RawFd, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let above = first + fds.len() as RawFd;
    let mut copies = Vec::with_capacity(fds.len());
    for fd in fds {
        copies.push(rustix::io::fcntl_dupfd_cloexec(fd, above)?);
    }
    for (target, copy) in (first..).zip(&copies) {
        // SAFETY: dup2 on numbers; the caller has promised that nothing below `above` is in use any more.
        if unsafe { libc::dup2(copy.as_raw_fd(), target) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
