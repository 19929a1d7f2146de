//! `POST /containers/{id}/update`.

use onggi_api::container::{UpdateRequest, UpdateResponse};

use crate::{Client, Result};

impl Client {
    /// Changes limits and restart policy of a container.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such container, or it cannot be changed so.
    pub async fn container_update(
        &self,
        id: &str,
        update: &UpdateRequest,
    ) -> Result<UpdateResponse> {
        self.post(&format!("/containers/{id}/update"))
            .json(update)?
            .send()
            .await?
            .json()
            .await
    }
}
