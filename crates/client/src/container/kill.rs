//! `POST /containers/{id}/kill`.

use crate::{Client, Result};

impl Client {
    /// Sends a signal; an empty one is the daemon's default, KILL.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when the container does not exist or does not run, or the signal is unknown.
    pub async fn container_kill(&self, id: &str, signal: &str) -> Result<()> {
        self.post(&format!("/containers/{id}/kill"))
            .query_some("signal", Some(signal))
            .done()
            .await
            .map(drop)
    }
}
