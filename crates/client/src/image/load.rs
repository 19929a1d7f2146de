//! `POST /images/load`.

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc::Receiver;

use crate::{Client, Response, Result};

impl Client {
    /// Reads images from a tar stream. The answer is a stream of messages when its type is JSON, else plain text.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when the daemon cannot read it.
    pub async fn image_load(
        &self,
        body: Receiver<io::Result<Bytes>>,
        quiet: bool,
        platform: &str,
    ) -> Result<Response> {
        self.post("/images/load")
            .query_some("platform", Some(platform))
            .query("quiet", if quiet { "1" } else { "0" })
            .stream("application/x-tar", body)
            .send()
            .await
    }
}
