//! Work inside a network namespace: always on a fresh thread that dies afterwards. Nobody switches back: a thread that
//! failed to return would serve the next caller in the wrong namespace.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// Runs `work` on a new thread that has entered the network namespace `namespace`, and returns what it returned.
///
/// # Errors
/// When the thread cannot be made, or cannot enter (`EPERM`, `EINVAL`); `work` has not run then. A panic in `work` goes on in the caller.
pub fn in_namespace<T: Send>(
    namespace: BorrowedFd<'_>,
    work: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    on_fresh_thread(|| {
        rustix::thread::move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?;
        Ok(work())
    })
}

/// Makes a new, empty network namespace and returns the descriptor that keeps it alive.
///
/// # Errors
/// When the thread cannot be made, or the kernel refuses (`EPERM`, `ENOSPC`).
pub fn fresh() -> io::Result<OwnedFd> {
    on_fresh_thread(|| {
        unshare_net()?;
        current()
    })
}

/// The network namespace of the calling thread.
///
/// # Errors
/// When /proc is not mounted.
pub fn current() -> io::Result<OwnedFd> {
    Ok(std::fs::File::open("/proc/thread-self/ns/net")?.into())
}

fn unshare_net() -> io::Result<()> {
    // SAFETY: only the network namespace of this thread changes; no descriptor, memory or file system state is unshared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
    Ok(())
}

fn on_fresh_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("netns".to_owned())
            .spawn_scoped(scope, work)?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
