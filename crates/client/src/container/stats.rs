//! `GET /containers/{id}/stats`.

use crate::{Client, Result, Values};

impl Client {
    /// What a container uses: one document a second, or one.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such container.
    pub async fn container_stats(&self, id: &str, stream: bool) -> Result<Values> {
        let stream = if stream { "1" } else { "0" };
        let request = self
            .get(&format!("/containers/{id}/stats"))
            .query("stream", stream);
        Ok(request.send().await?.values())
    }
}
