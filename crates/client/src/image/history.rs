//! `GET /images/{name}/history`.

use onggi_api::image::HistoryItem;

use crate::{Client, Result};

impl Client {
    /// The steps an image was made by, the newest first. `platform` is the API's JSON, or empty.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such image.
    pub async fn image_history(&self, name: &str, platform: &str) -> Result<Vec<HistoryItem>> {
        self.get(&format!("/images/{name}/history"))
            .query_some("platform", Some(platform))
            .send()
            .await?
            .json()
            .await
    }
}
