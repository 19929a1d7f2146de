//! `DELETE /containers/{id}`.

use crate::{Client, Result};

/// What goes with a container.
#[derive(Debug, Clone, Copy, Default)]
pub struct Remove {
    /// Kill it if it runs.
    pub force: bool,
    /// Its anonymous volumes, too.
    pub volumes: bool,
    /// Not the container but the link of this name.
    pub link: bool,
}

impl Client {
    /// Removes a container.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 when there is none, 409 when it runs.
    pub async fn container_remove(&self, id: &str, remove: Remove) -> Result<()> {
        self.delete(&format!("/containers/{id}"))
            .query_on("force", remove.force)
            .query_on("link", remove.link)
            .query_on("v", remove.volumes)
            .done()
            .await
            .map(drop)
    }
}
