//! `POST /containers/{id}/restart`.

use crate::{Client, Result};

impl Client {
    /// Restarts a container, with a signal and a number of seconds other than its own if given.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such container, or it cannot be restarted.
    pub async fn container_restart(
        &self,
        id: &str,
        signal: &str,
        timeout: Option<i64>,
    ) -> Result<()> {
        self.post(&format!("/containers/{id}/restart"))
            .query_some("signal", Some(signal))
            .query_some("t", timeout.map(|seconds| seconds.to_string()))
            .done()
            .await
            .map(drop)
    }
}
