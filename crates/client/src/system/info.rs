//! `GET /info`.

use crate::{Client, Result};

impl Client {
    /// The daemon, its machine and its configuration, in the daemon's own words and order.
    ///
    /// # Errors
    /// When the daemon cannot be reached.
    pub async fn info(&self) -> Result<serde_json::Value> {
        self.get("/info").send().await?.json().await
    }
}
