//! `/run/docker.sock`: where SDKs, Traefik, Portainer and testcontainers look for an engine.
//!
//! Ours when nobody else answers there: an engine that does keeps it, and a socket that nobody listens on is what
//! a dead engine left behind.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The path that clients of Docker know.
pub(crate) const PATH: &str = "/run/docker.sock";

/// Whether nobody serves the socket at `path`.
pub(crate) fn is_free(path: &Path) -> bool {
    match UnixStream::connect(path) {
        Ok(_) => false,
        Err(error) => matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::ConnectionRefused
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn free_until_somebody_listens_and_after() {
        let path = std::env::temp_dir().join(format!("onggi-docker-{}.sock", std::process::id()));
        assert!(is_free(&path));
        let listener = UnixListener::bind(&path).expect("a socket");
        assert!(!is_free(&path));
        drop(listener);
        assert!(path.exists() && is_free(&path));
        std::fs::remove_file(&path).expect("removed");
    }
}
