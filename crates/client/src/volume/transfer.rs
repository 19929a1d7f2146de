//! `/volumes/{name}/export`, `import` and `rename`: onggi's alone.

use std::io;

use bytes::Bytes;
use onggi_api::volume::Volume;
use tokio::sync::mpsc::Receiver;

use crate::{Client, Response, Result};

impl Client {
    /// Everything in a volume as a tar.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 when there is none.
    pub async fn volume_export(&self, name: &str) -> Result<Response> {
        self.get(&format!("/volumes/{name}/export")).send().await
    }

    /// Makes the content of an empty or new volume from a tar.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 409 when it is not empty, 400 when the tar cannot be unpacked.
    pub async fn volume_import(
        &self,
        name: &str,
        tar: Receiver<io::Result<Bytes>>,
    ) -> Result<Volume> {
        self.post(&format!("/volumes/{name}/import"))
            .stream("application/x-tar", tar)
            .send()
            .await?
            .json()
            .await
    }

    /// Gives a volume another name.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 when there is none, 409 when it is in use or the name is taken.
    pub async fn volume_rename(&self, name: &str, to: &str) -> Result<()> {
        self.post(&format!("/volumes/{name}/rename"))
            .query("name", to)
            .done()
            .await
            .map(drop)
    }
}
