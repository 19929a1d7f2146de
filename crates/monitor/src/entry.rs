//! Set-up of the process.

use std::process::ExitCode;

use crate::monitor::Monitor;

/// The whole program: a listening unix socket is its descriptor 0; stdout and stderr are the daemon's log or /dev/null.
/// Returns when the container is gone and nobody waits for anything any more.
pub fn main() -> ExitCode {
    // Executed by descriptor, whose number would be the name.
    let _ = rustix::thread::set_name(c"onggi-monitor");
    // The daemon does without huge pages; containers need not.
    let _ = rustix::thread::disable_transparent_huge_pages(false);
    // SIGTERM and its kind are not for us: the container's end is. The runtime gives its children a clean mask.
    onggi_sys::signal::block_all();
    let _ = rustix::process::setsid();
    let Some(listener) = listener() else {
        report("descriptor 0 is no listening socket");
        return ExitCode::from(2);
    };
    Monitor::new(listener).run();
    ExitCode::SUCCESS
}

fn listener() -> Option<std::os::fd::OwnedFd> {
    let inherited = rustix::stdio::stdin();
    if !rustix::net::sockopt::socket_acceptconn(inherited).ok()? {
        return None;
    }
    // Away from number 0, which becomes /dev/null: whatever comes by must not read the socket as stdin.
    let listener = rustix::io::fcntl_dupfd_cloexec(inherited, 3).ok()?;
    rustix::io::ioctl_fionbio(&listener, true).ok()?;
    let null = std::fs::File::open("/dev/null").ok()?;
    rustix::stdio::dup2_stdin(&null).ok()?;
    Some(listener)
}

/// A line for the daemon's log. Nobody may read it: then it is dropped, not waited for.
pub(crate) fn report(message: &str) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stderr = rustix::stdio::stderr();
    let mut list = [PollFd::new(&stderr, PollFlags::OUT)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    if poll(&mut list, Some(&now)).is_ok() && list[0].revents().contains(PollFlags::OUT) {
        let _ = rustix::io::write(stderr, format!("onggi-monitor: {message}\n").as_bytes());
    }
}
