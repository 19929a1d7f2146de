//! `GET /version`.

use crate::{Client, Result};

impl Client {
    /// The versions of the daemon and its parts.
    ///
    /// # Errors
    /// When the daemon cannot be reached.
    pub async fn server_version(&self) -> Result<onggi_api::system::Version> {
        self.get("/version").send().await?.json().await
    }
}
