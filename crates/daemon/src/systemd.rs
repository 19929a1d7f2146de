//! What we and systemd tell each other: sockets, readiness, and whether the whole machine goes down.

use std::ffi::OsStr;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tracing::warn;

/// There as long as systemd runs the machine (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
/// How long systemd may take to say how it is.
const ANSWER: Duration = Duration::from_secs(5);
/// How much time we ask for at once while we stop, and how often.
const EXTENSION: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_secs(10);

/// The sockets that systemd opened for us (sd_listen_fds(3)).
pub(crate) fn sockets() -> Vec<OwnedFd> {
    onggi_sys::listen_fds::take()
}

/// Tells systemd how we stand (sd_notify(3)); nobody else listens.
pub(crate) fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let sent = std::os::unix::net::UnixDatagram::unbound()
        .and_then(|socket| socket.send_to(state.as_bytes(), Path::new(&path)));
    if let Err(error) = sent {
        warn!("tell systemd {state}: {error}");
    }
}

/// Does something that may take longer than systemd gives a service to stop, and keeps asking for more time meanwhile.
pub(crate) async fn taking_time<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        notify(&format!("EXTEND_TIMEOUT_USEC={}", EXTENSION.as_micros()));
        if let Ok(done) = tokio::time::timeout(EVERY, &mut work).await {
            return done;
        }
    }
}

/// Whether the machine shuts down or restarts, rather than that somebody stops this service. Where systemd does not
/// run the machine or does not answer, it does not.
pub(crate) async fn machine_goes_down() -> bool {
    Path::new(BOOTED).is_dir() && is_stopping(OsStr::new("systemctl")).await
}

/// `systemctl is-system-running` answers `stopping` from the moment that shutdown.target is to be reached.
async fn is_stopping(systemctl: &OsStr) -> bool {
    let mut ask = Command::new(systemctl);
    ask.arg("is-system-running")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    match tokio::time::timeout(ANSWER, ask.output()).await {
        Ok(Ok(output)) => output.stdout.trim_ascii() == b"stopping",
        Ok(Err(error)) => {
            warn!("ask systemd whether the machine goes down: {error}");
            false
        }
        Err(_) => {
            warn!("systemd does not say whether the machine goes down");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn only_a_machine_that_stops_goes_down() {
        let folder = std::env::temp_dir().join(format!("onggi-systemd-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        for (state, code, down) in [
            ("stopping", 1, true),
            ("running", 0, false),
            ("degraded", 1, false),
            ("", 1, false),
        ] {
            let program = folder.join(format!("systemctl-{state}"));
            let script = format!("#!/bin/sh\necho {state}\nexit {code}\n");
            std::fs::write(&program, script).expect("written");
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&program, mode).expect("executable");
            assert_eq!(is_stopping(program.as_os_str()).await, down, "{state:?}");
        }
        assert!(!is_stopping(folder.join("nothing").as_os_str()).await);
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[tokio::test]
    async fn work_is_waited_for() {
        assert_eq!(taking_time(async { 42 }).await, 42);
    }
}
