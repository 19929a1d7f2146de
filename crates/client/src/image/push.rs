//! `POST /images/{name}/push`.

use crate::{Client, Result, Values};

impl Client {
    /// Pushes an image; gives the messages of its progress. Without a tag all tags of the repository go. `platform` is
    /// the API's JSON, or empty; `auth` the login as the header wants it.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when the registry refuses or cannot be reached.
    pub async fn image_push(
        &self,
        name: &str,
        tag: &str,
        platform: &str,
        auth: &str,
    ) -> Result<Values> {
        // Docker's daemon wants the header even of those who have no login.
        let auth = if auth.is_empty() { "e30=" } else { auth };
        let request = self
            .post(&format!("/images/{name}/push"))
            .query_some("platform", Some(platform))
            .query_some("tag", Some(tag))
            .header("X-Registry-Auth", auth);
        Ok(request.send().await?.values())
    }
}
