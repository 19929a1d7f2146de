//! `POST /containers/{id}/exec`.

use onggi_api::IdResponse;
use onggi_api::exec::CreateRequest;

use crate::{Client, Result};

impl Client {
    /// Prepares a process in a container; gives its id.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 when there is no such container, 409 when it does not run.
    pub async fn exec_create(&self, container: &str, request: &CreateRequest) -> Result<String> {
        let answer: IdResponse = self
            .post(&format!("/containers/{container}/exec"))
            .json(request)?
            .send()
            .await?
            .json()
            .await?;
        Ok(answer.id)
    }
}
