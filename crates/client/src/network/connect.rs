//! `POST /networks/{id}/connect`.

use onggi_api::network::ConnectRequest;

use crate::{Client, Result};

impl Client {
    /// Connects a container to a network.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 where one of them is not there, 403 where the container cannot be in it.
    pub async fn network_connect(&self, network: &str, request: &ConnectRequest) -> Result<()> {
        self.post(&format!("/networks/{network}/connect"))
            .json(request)?
            .done()
            .await
            .map(drop)
    }
}
