//! Networks, and a container's place in them.

mod connect; // into a network and out of it
mod create; // a network to make
mod endpoint; // a container's place
mod exposure; // who can reach ports
mod inspect; // a network and who is in it
mod ipam; // where addresses come from

pub use connect::{ConnectRequest, DisconnectRequest};
pub use create::{CreateRequest, CreateResponse};
pub use endpoint::{EndpointIpamConfig, EndpointSettings};
pub use exposure::{ExposedPort, ExposedTo, Exposure};
pub use inspect::{EndpointResource, Inspect, Service, Status, Task};
pub use ipam::{Ipam, IpamConfig, IpamStatus, SubnetStatus};

use std::collections::BTreeMap;

use crate::go::document;

document! {
    /// A network as it was made.
    pub struct Network {
        pub name: String => "Name";
        pub id: String => "Id";
        /// RFC 3339.
        pub created: String => "Created";
        pub scope: String => "Scope";
        pub driver: String => "Driver";
        pub enable_ipv4: bool => "EnableIPv4";
        pub enable_ipv6: bool => "EnableIPv6";
        pub ipam: Ipam => "IPAM";
        pub internal: bool => "Internal";
        pub attachable: bool => "Attachable";
        pub ingress: bool => "Ingress";
        pub config_from: ConfigReference => "ConfigFrom";
        pub config_only: bool => "ConfigOnly";
        pub options: BTreeMap<String, String> => "Options";
        pub labels: BTreeMap<String, String> => "Labels";
        /// Overlay networks only.
        pub peers: Option<Vec<Peer>> => "Peers" @omitempty;
    }
}

document! {
    /// A node of an overlay network.
    pub struct Peer {
        /// The node's id.
        pub name: String => "Name";
        pub ip: String => "IP";
    }
}

document! {
    /// A network in a list. The containers in it come with [`Inspect`] only.
    pub struct Summary {
        pub network: Network => "" @flatten;
    }
}

document! {
    /// The network whose configuration is used.
    pub struct ConfigReference {
        pub network: String => "Network";
    }
}

document! {
    /// What a prune removed.
    pub struct PruneReport {
        /// Names.
        pub networks_deleted: Option<Vec<String>> => "NetworksDeleted";
    }
}
