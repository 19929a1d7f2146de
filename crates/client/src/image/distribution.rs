//! `GET /distribution/{name}/json`.

use crate::{Client, Result};

impl Client {
    /// What the registry says of an image: its descriptor and its platforms. `auth` is the header `X-Registry-Auth`, or
    /// empty.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when the registry has none, refuses or cannot be reached.
    pub async fn image_distribution(&self, name: &str, auth: &str) -> Result<serde_json::Value> {
        let mut request = self.get(&format!("/distribution/{name}/json"));
        if !auth.is_empty() {
            request = request.header("X-Registry-Auth", auth);
        }
        request.send().await?.json().await
    }
}
