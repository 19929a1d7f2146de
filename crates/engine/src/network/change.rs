//! Making, joining, leaving and removing networks, as the API asks for it.

use onggi_api::network::{ConnectRequest, CreateRequest, CreateResponse, DisconnectRequest};

use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Makes a network.
    ///
    /// # Errors
    /// `NotImplemented`.
    pub async fn network_create(&self, _: CreateRequest) -> Result<CreateResponse> {
        Err(missing("POST /networks/create"))
    }

    /// Removes a network.
    ///
    /// # Errors
    /// `NotImplemented`.
    pub async fn network_remove(&self, _: &str) -> Result<()> {
        Err(missing("DELETE /networks/{id}"))
    }

    /// Connects a container to a network.
    ///
    /// # Errors
    /// `NotImplemented`.
    pub async fn network_connect(&self, _: &str, _: ConnectRequest) -> Result<()> {
        Err(missing("POST /networks/{id}/connect"))
    }

    /// Takes a container out of a network.
    ///
    /// # Errors
    /// `NotImplemented`.
    pub async fn network_disconnect(&self, _: &str, _: DisconnectRequest) -> Result<()> {
        Err(missing("POST /networks/{id}/disconnect"))
    }
}

fn missing(endpoint: &str) -> Error {
    Error::not_implemented(format!("{endpoint} is not there yet in onggi"))
}
