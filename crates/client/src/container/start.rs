//! `POST /containers/{id}/start`.

use crate::{Client, Result};

impl Client {
    /// Starts a container; one that runs already is fine.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such container, or its process cannot be started.
    pub async fn container_start(&self, id: &str) -> Result<()> {
        self.post(&format!("/containers/{id}/start"))
            .done()
            .await
            .map(drop)
    }
}
