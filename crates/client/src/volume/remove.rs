//! `DELETE /volumes/{name}`.

use crate::{Client, Result};

impl Client {
    /// Removes a volume; with `force` one that is not there is fine.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 when there is none, 409 when containers use it.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        self.delete(&format!("/volumes/{name}"))
            .query_on("force", force)
            .done()
            .await
            .map(drop)
    }
}
