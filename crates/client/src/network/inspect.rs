//! `GET /networks/{id}`.

use crate::{Client, Result};

impl Client {
    /// Everything about a network, in the daemon's own words; `verbose`: with the services of a swarm in it.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] 404 when there is none.
    pub async fn network_inspect(&self, name: &str, verbose: bool) -> Result<serde_json::Value> {
        self.get(&format!("/networks/{name}"))
            .query_on("verbose", verbose)
            .send()
            .await?
            .json()
            .await
    }
}
