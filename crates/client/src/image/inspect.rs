//! `GET /images/{name}/json`.

use crate::{Client, Result};

impl Client {
    /// Everything about an image, in the daemon's own words and order. `platform` is the API's JSON, or empty.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such image.
    pub async fn image_inspect(&self, name: &str, platform: &str) -> Result<serde_json::Value> {
        self.get(&format!("/images/{name}/json"))
            .query_some("platform", Some(platform))
            .send()
            .await?
            .json()
            .await
    }
}
