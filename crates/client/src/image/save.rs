//! `GET /images/get`.

use crate::{Client, Response, Result};

impl Client {
    /// An archive of images. `platform` is the API's JSON, or empty.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 when there is no such image.
    pub async fn image_save(&self, names: &[String], platform: &str) -> Result<Response> {
        let mut request = self.get("/images/get");
        for name in names {
            request = request.query("names", name);
        }
        request.query_some("platform", Some(platform)).send().await
    }
}
