//! `GET /containers/{id}/top`.

use onggi_api::container::TopResponse;

use crate::{Client, Result};

impl Client {
    /// The processes of a container, as ps(1) of the daemon's machine prints them with these arguments.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] when there is no such container, it does not run, or `ps` refuses.
    pub async fn container_top(&self, id: &str, arguments: &str) -> Result<TopResponse> {
        self.get(&format!("/containers/{id}/top"))
            .query_some("ps_args", Some(arguments))
            .send()
            .await?
            .json()
            .await
    }
}
