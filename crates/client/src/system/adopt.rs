//! `POST /system/adopt`, an endpoint of onggi's own.

use crate::{Client, Response, Result};

impl Client {
    /// Takes over what a stopped dockerd left in its data root, a directory on the daemon's machine. The answer is a
    /// stream of messages, each with one thing as `aux`.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] for what is no such directory, or in use; and for a daemon that is not onggid.
    pub async fn system_adopt(&self, path: &str) -> Result<Response> {
        self.post("/system/adopt").query("path", path).send().await
    }
}
