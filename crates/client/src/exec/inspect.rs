//! `GET /exec/{id}/json`.

use onggi_api::exec::Inspect;

use crate::{Client, Result};

impl Client {
    /// Where a process stands.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is none, or its container ended.
    pub async fn exec_inspect(&self, id: &str) -> Result<Inspect> {
        self.get(&format!("/exec/{id}/json"))
            .send()
            .await?
            .json()
            .await
    }
}
