//! `POST /images/create?fromImage=`.

use crate::{Client, Result, Values};

/// An image to pull.
#[derive(Debug, Clone, Default)]
pub struct Pull {
    /// Its name without tag, as users write it.
    pub name: String,
    /// Its tag or digest; empty for all tags.
    pub tag: String,
    /// Its platform; empty for the daemon's own.
    pub platform: String,
    /// The login, as the header wants it; empty for none.
    pub auth: String,
}

impl Client {
    /// Pulls an image; gives the messages of its progress.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when the registry refuses or cannot be reached.
    pub async fn image_pull(&self, pull: &Pull) -> Result<Values> {
        let mut request = self
            .post("/images/create")
            .query("fromImage", &pull.name)
            .query_some("platform", Some(pull.platform.to_lowercase()))
            .query_some("tag", Some(pull.tag.as_str()));
        if !pull.auth.is_empty() {
            request = request.header("X-Registry-Auth", &pull.auth);
        }
        Ok(request.send().await?.values())
    }
}
