//! A network and who is in it.

use std::collections::BTreeMap;

use super::{IpamStatus, Network};
use crate::go::document;

document! {
    /// A network and who is in it.
    pub struct Inspect {
        pub network: Network => "" @flatten;
        /// By container id.
        pub containers: BTreeMap<String, EndpointResource> => "Containers";
        /// By name; networks of a swarm only.
        pub services: Option<BTreeMap<String, Service>> => "Services" @omitempty;
        /// How many addresses are taken; since 1.52.
        pub status: Option<Status> => "Status" @omitempty;
    }
}

document! {
    /// A container in a network.
    pub struct EndpointResource {
        pub name: String => "Name";
        pub endpoint_id: String => "EndpointID";
        pub mac_address: String => "MacAddress";
        /// With prefix length.
        pub ipv4_address: String => "IPv4Address";
        /// With prefix length.
        pub ipv6_address: String => "IPv6Address";
    }
}

document! {
    /// How a network does.
    pub struct Status {
        pub ipam: IpamStatus => "IPAM";
    }
}

document! {
    /// A service in a network.
    pub struct Service {
        pub vip: String => "VIP";
        pub ports: Option<Vec<String>> => "Ports";
        pub local_lb_index: i64 => "LocalLBIndex";
        pub tasks: Option<Vec<Task>> => "Tasks";
    }
}

document! {
    /// A task of a service.
    pub struct Task {
        pub name: String => "Name";
        pub endpoint_id: String => "EndpointID";
        pub endpoint_ip: String => "EndpointIP";
        pub info: Option<BTreeMap<String, String>> => "Info";
    }
}
