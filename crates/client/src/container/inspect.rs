//! `GET /containers/{id}/json`.

use crate::{Client, Result};

impl Client {
    /// Everything about a container, in the daemon's own words and order.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such container.
    pub async fn container_inspect(&self, id: &str, size: bool) -> Result<serde_json::Value> {
        self.get(&format!("/containers/{id}/json"))
            .query_on("size", size)
            .send()
            .await?
            .json()
            .await
    }
}
