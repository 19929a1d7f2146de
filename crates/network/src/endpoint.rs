//! A container's place in a network.

use std::net::{IpAddr, Ipv4Addr};

use onggi_model::ports::PortError;
use onggi_model::{ContainerId, HostBinding, Port};
use onggi_store::Record;
use serde::{Deserialize, Serialize};

use crate::mac::Mac;

/// What a container wants of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointRequest {
    /// The network, by name or id.
    pub network: String,
    /// The container's name, for error texts.
    pub name: String,
    /// This address and no other.
    pub ip: Option<Ipv4Addr>,
    /// This hardware address; random if absent.
    pub mac: Option<Mac>,
    /// The ports to publish.
    pub ports: Vec<PublishRequest>,
}

/// A port to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishRequest {
    /// The container's port.
    pub port: Port,
    /// Where on the host.
    pub host: HostBinding,
}

impl PublishRequest {
    /// Reads the two texts of the API's `PortBinding`.
    ///
    /// # Errors
    /// Of kind `InvalidParameter`.
    pub fn new(port: Port, host_ip: &str, host_port: &str) -> Result<Self, PortError> {
        Ok(Self {
            port,
            host: HostBinding::parse(host_ip, host_port)?,
        })
    }
}

/// A published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The container's port.
    pub port: Port,
    /// The host's address; 0.0.0.0 for all.
    pub host_ip: IpAddr,
    /// The host's port.
    pub host_port: u16,
}

/// An endpoint: what a container has in a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The container.
    pub container: ContainerId,
    /// The network's name.
    pub network: String,
    /// The network's id.
    pub network_id: String,
    /// The endpoint's own id, 64 hex digits.
    pub endpoint_id: String,
    /// The container's address.
    pub ipv4: Ipv4Addr,
    /// The length of the subnet's prefix.
    pub prefix: u8,
    /// The host's address in the subnet: the default route.
    pub gateway: Ipv4Addr,
    /// The container's hardware address.
    pub mac: Mac,
    /// What is published where.
    pub ports: Vec<Published>,
}

impl Record for Endpoint {
    const TABLE: &'static str = "network/endpoints";
}

impl Endpoint {
    /// The name of the host's end of its link.
    pub(crate) fn host_link(&self) -> String {
        format!(
            "veth{}",
            self.endpoint_id.get(..7).unwrap_or(&self.endpoint_id)
        )
    }
}
