//! `GET /networks/{id}/exposure` and `GET /containers/{id}/exposure`: onggi's alone.

use onggi_api::network::Exposure;

use crate::{Client, Result};

impl Client {
    /// Who can reach the ports of all containers of a network.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`] 404 when there is no such network, or the daemon cannot tell.
    pub async fn network_exposure(&self, name: &str) -> Result<Exposure> {
        let path = format!("/networks/{name}/exposure");
        self.get(&path).send().await?.json().await
    }

    /// Who can reach the ports of a container.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 when there is no such container, or the daemon cannot tell; 409 when it does not run.
    pub async fn container_exposure(&self, name: &str) -> Result<Exposure> {
        let path = format!("/containers/{name}/exposure");
        self.get(&path).send().await?.json().await
    }
}
