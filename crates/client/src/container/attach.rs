//! `POST /containers/{id}/attach`.

use crate::{Client, Hijacked, Result};

/// What to attach to.
#[derive(Debug, Clone, Default)]
pub struct Attach {
    /// Send standard input.
    pub stdin: bool,
    /// Receive standard output.
    pub stdout: bool,
    /// Receive standard error.
    pub stderr: bool,
    /// The keys that detach; empty for the daemon's default.
    pub detach_keys: String,
}

impl Client {
    /// Takes a connection to the container's streams.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such container, or it is paused.
    pub async fn container_attach(&self, id: &str, attach: &Attach) -> Result<Hijacked> {
        self.post(&format!("/containers/{id}/attach"))
            .query_some("detachKeys", Some(attach.detach_keys.as_str()))
            .query_on("stderr", attach.stderr)
            .query_on("stdin", attach.stdin)
            .query_on("stdout", attach.stdout)
            .query_on("stream", true)
            .hijack()
            .await
    }
}
