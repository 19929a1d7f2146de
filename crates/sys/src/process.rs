//! Waiting for children by pidfd, limits, and small facts of the calling process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::{Pid, WaitId, WaitIdOptions};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
}

impl Ended {
    /// The code a shell gives: the exit code, or 128 + signal.
    pub fn code(self) -> i32 {
        match self {
            Ended::Exited(code) => code,
            Ended::Signalled(signal) => 128 + signal,
        }
    }
}

/// Waits until the child ends and reaps it.
///
/// # Errors
/// `ECHILD` when it is not a child of the caller or was reaped before.
pub fn wait(pidfd: BorrowedFd<'_>) -> io::Result<Ended> {
    loop {
        if let Some(ended) = wait_with(pidfd, WaitIdOptions::EXITED)? {
            return Ok(ended);
        }
    }
}

/// Reaps the child if it has ended.
///
/// # Errors
/// `ECHILD` when it is not a child of the caller or was reaped before.
pub fn try_wait(pidfd: BorrowedFd<'_>) -> io::Result<Option<Ended>> {
    wait_with(pidfd, WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
}

fn wait_with(pidfd: BorrowedFd<'_>, options: WaitIdOptions) -> io::Result<Option<Ended>> {
    let status = rustix::io::retry_on_intr(|| {
        rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options)
    })?;
    Ok(status.and_then(|status| {
        if let Some(code) = status.exit_status() {
            Some(Ended::Exited(code))
        } else {
            status.terminating_signal().map(Ended::Signalled)
        }
    }))
}

/// A descriptor of the running process `pid`.
///
/// # Errors
/// `ESRCH` when there is none.
pub fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    Ok(rustix::process::pidfd_open(
        pid,
        rustix::process::PidfdFlags::empty(),
    )?)
}

/// When process `pid` was started, in clock ticks since boot (field 22 of `/proc/PID/stat`): with the pid it names a process.
///
/// # Errors
/// `NotFound` when there is no such process.
pub fn start_time(pid: u32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    // The name in parentheses may hold anything, also ") "; what follows the last one is numbers.
    let (_, rest) = stat.rsplit_once(") ").ok_or_else(invalid)?;
    rest.split(' ')
        .nth(19)
        .and_then(|field| field.parse().ok())
        .ok_or_else(invalid)
}

/// The state letter of process `pid` (`R`, `S`, `Z`, ...).
///
/// # Errors
/// `NotFound` when there is no such process.
pub fn state(pid: u32) -> io::Result<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    stat.rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next())
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// The parent of process `pid`.
///
/// # Errors
/// `NotFound` when there is no such process.
pub fn parent(pid: u32) -> io::Result<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    stat.rsplit_once(") ")
        .and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok())
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Whether the process of `pidfd` has ended.
pub fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut list = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // What cannot be asked about is taken as gone.
    let asked = rustix::io::retry_on_intr(|| poll(&mut list, Some(&now)));
    asked.map_or(true, |ready| ready > 0)
}

/// The number of a resource limit by its POSIX name (`RLIMIT_NOFILE`, also without the prefix, in either case).
pub fn rlimit_number(name: &str) -> Option<u32> {
    let upper = name.to_ascii_uppercase();
    Some(match upper.strip_prefix("RLIMIT_").unwrap_or(&upper) {
        "CPU" => libc::RLIMIT_CPU,
        "FSIZE" => libc::RLIMIT_FSIZE,
        "DATA" => libc::RLIMIT_DATA,
        "STACK" => libc::RLIMIT_STACK,
        "CORE" => libc::RLIMIT_CORE,
        "RSS" => libc::RLIMIT_RSS,
        "NPROC" => libc::RLIMIT_NPROC,
        "NOFILE" => libc::RLIMIT_NOFILE,
        "MEMLOCK" => libc::RLIMIT_MEMLOCK,
        "AS" => libc::RLIMIT_AS,
        "LOCKS" => libc::RLIMIT_LOCKS,
        "SIGPENDING" => libc::RLIMIT_SIGPENDING,
        "MSGQUEUE" => libc::RLIMIT_MSGQUEUE,
        "NICE" => libc::RLIMIT_NICE,
        "RTPRIO" => libc::RLIMIT_RTPRIO,
        "RTTIME" => libc::RLIMIT_RTTIME,
        _ => return None,
    })
}

/// Sets a resource limit of the calling process.
///
/// # Errors
/// `EPERM` when the hard limit would rise without `CAP_SYS_RESOURCE`, `EINVAL` when soft is above hard.
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: `limit` is only read; no old value is asked for.
    if unsafe { libc::prlimit64(0, resource as _, &raw const limit, std::ptr::null_mut()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The (soft, hard) resource limit of the calling process.
///
/// # Errors
/// `EINVAL` for an unknown resource.
pub fn rlimit(resource: u32) -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel fills `limit`; no new value is given.
    if unsafe { libc::prlimit64(0, resource as _, std::ptr::null(), &raw mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((limit.rlim_cur, limit.rlim_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_start_time_is_read() -> io::Result<()> {
        assert!(start_time(std::process::id())? > 0);
        assert!(matches!(state(std::process::id())?, 'R' | 'S'));
        Ok(())
    }

    #[test]
    fn a_child_is_waited_for_by_pidfd() -> io::Result<()> {
        let child = std::process::Command::new("/bin/sh")
            .args(["-c", "exit 7"])
            .spawn()?;
        let pidfd = pidfd(child.id())?;
        assert_eq!(parent(child.id())?, std::process::id());
        assert_eq!(wait(pidfd.as_fd())?, Ended::Exited(7));
        assert!(has_ended(pidfd.as_fd()));
        assert!(!has_ended(super::pidfd(std::process::id())?.as_fd()));
        let child = std::process::Command::new("/bin/sh")
            .args(["-c", "kill -9 $$"])
            .spawn()?;
        let pidfd = super::pidfd(child.id())?;
        assert_eq!(wait(pidfd.as_fd())?.code(), 137);
        Ok(())
    }
}
