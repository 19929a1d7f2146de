//! `DELETE /networks/{id}`.

use crate::{Client, Result};

impl Client {
    /// Removes a network.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 when there is none, 403 when containers are in it.
    pub async fn network_remove(&self, name: &str) -> Result<()> {
        self.delete(&format!("/networks/{name}"))
            .done()
            .await
            .map(drop)
    }
}
