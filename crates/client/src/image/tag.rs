//! `POST /images/{name}/tag`.

use crate::{Client, Result};

impl Client {
    /// Gives an image a further name.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such image.
    pub async fn image_tag(&self, source: &str, repository: &str, tag: &str) -> Result<()> {
        self.post(&format!("/images/{source}/tag"))
            .query("repo", repository)
            .query_some("tag", Some(tag))
            .done()
            .await
            .map(drop)
    }
}
