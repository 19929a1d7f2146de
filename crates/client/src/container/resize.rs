//! `POST /containers/{id}/resize`.

use crate::{Client, Result};

impl Client {
    /// Tells the container's terminal its size.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when the container does not run.
    pub async fn container_resize(&self, id: &str, rows: u16, columns: u16) -> Result<()> {
        self.post(&format!("/containers/{id}/resize"))
            .query("h", rows.to_string())
            .query("w", columns.to_string())
            .done()
            .await
            .map(drop)
    }
}
