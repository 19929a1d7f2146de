//! `POST /containers/{id}/ports/move`: onggi's alone.

use onggi_api::container::{MovePortsRequest, MovePortsResponse};

use crate::{Client, Result};

impl Client {
    /// Moves published ports to another container; connections that stand go on where they are.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 when there is no such container or port, 409 when one does not run, 400 when the other
    /// cannot have them.
    pub async fn container_move_ports(
        &self,
        from: &str,
        request: &MovePortsRequest,
    ) -> Result<MovePortsResponse> {
        self.post(&format!("/containers/{from}/ports/move"))
            .json(request)?
            .send()
            .await?
            .json()
            .await
    }
}
