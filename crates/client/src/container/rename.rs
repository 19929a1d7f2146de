//! `POST /containers/{id}/rename`.

use crate::{Client, Result};

impl Client {
    /// Gives a container another name.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 when there is none, 409 when the name is taken.
    pub async fn container_rename(&self, id: &str, name: &str) -> Result<()> {
        self.post(&format!("/containers/{id}/rename"))
            .query("name", name)
            .done()
            .await
            .map(drop)
    }
}
