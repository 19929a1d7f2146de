//! `GET /containers/{id}/export`.

use crate::{Client, Response, Result};

impl Client {
    /// The root file system of a container as a tar.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 when there is none.
    pub async fn container_export(&self, id: &str) -> Result<Response> {
        self.get(&format!("/containers/{id}/export")).send().await
    }
}
