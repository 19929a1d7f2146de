//! `POST /networks/{id}/disconnect`.

use onggi_api::network::DisconnectRequest;

use crate::{Client, Result};

impl Client {
    /// Takes a container out of a network.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 where one of them is not there, 403 where the container is not in it.
    pub async fn network_disconnect(
        &self,
        network: &str,
        request: &DisconnectRequest,
    ) -> Result<()> {
        self.post(&format!("/networks/{network}/disconnect"))
            .json(request)?
            .done()
            .await
            .map(drop)
    }
}
