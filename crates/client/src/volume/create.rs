//! `POST /volumes/create`.

use onggi_api::volume::{CreateRequest, Volume};

use crate::{Client, Result};

impl Client {
    /// Makes a volume, or finds the one of this name.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] for names, drivers and options that cannot be.
    pub async fn volume_create(&self, request: &CreateRequest) -> Result<Volume> {
        self.post("/volumes/create")
            .json(request)?
            .send()
            .await?
            .json()
            .await
    }
}
