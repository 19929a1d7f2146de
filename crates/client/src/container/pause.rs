//! `POST /containers/{id}/pause` and `.../unpause`.

use crate::{Client, Result};

impl Client {
    /// Freezes a container.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such container, or it does not run.
    pub async fn container_pause(&self, id: &str) -> Result<()> {
        let request = self.post(&format!("/containers/{id}/pause"));
        request.done().await.map(drop)
    }

    /// Lets a frozen container go on.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such container, or it is not paused.
    pub async fn container_unpause(&self, id: &str) -> Result<()> {
        let request = self.post(&format!("/containers/{id}/unpause"));
        request.done().await.map(drop)
    }
}
