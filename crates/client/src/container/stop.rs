//! `POST /containers/{id}/stop`.

use crate::{Client, Result};

impl Client {
    /// Stops a container, with a signal and a number of seconds other than its own if given.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such container, or it cannot be stopped.
    pub async fn container_stop(&self, id: &str, signal: &str, timeout: Option<i64>) -> Result<()> {
        self.post(&format!("/containers/{id}/stop"))
            .query_some("signal", Some(signal))
            .query_some("t", timeout.map(|seconds| seconds.to_string()))
            .done()
            .await
            .map(drop)
    }
}
