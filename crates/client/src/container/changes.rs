//! `GET /containers/{id}/changes`.

use onggi_api::container::FilesystemChange;

use crate::{Client, Result};

impl Client {
    /// What a container changed in its root file system.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 when there is none.
    pub async fn container_changes(&self, id: &str) -> Result<Vec<FilesystemChange>> {
        let request = self.get(&format!("/containers/{id}/changes"));
        let changes: Option<Vec<FilesystemChange>> = request.send().await?.json().await?;
        Ok(changes.unwrap_or_default())
    }
}
