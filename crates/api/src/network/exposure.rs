//! Who can reach the ports of containers; onggi's alone.

use std::collections::BTreeMap;

use crate::go::document;

document! {
    /// Who can reach what.
    pub struct Exposure {
        pub ports: Vec<ExposedPort> => "Ports";
        /// What is to be said of containers without ports of their own.
        pub notes: Vec<String> => "Notes" @omitempty;
    }
}

document! {
    /// A port of a container, and who reaches it. Answers are `yes`, `no` and `some`, which is to say that it depends on
    /// what `Why` names.
    pub struct ExposedPort {
        pub container_id: String => "ContainerID";
        pub name: String => "Name";
        /// The network's name.
        pub network: String => "Network";
        /// `80/tcp`, `8000-8010/tcp`; `*` for all that have no entry of their own.
        pub port: String => "Port";
        /// What is asked: an address of the host with its port, or the container's own.
        pub at: String => "At";
        /// Processes of the host.
        pub host: String => "Host";
        /// Other containers of the network.
        pub same_network: String => "SameNetwork";
        /// Containers of other networks, by name; those that do not reach it are left out.
        pub other_networks: BTreeMap<String, String> => "OtherNetworks";
        /// Others; those that do not reach it are left out.
        pub outside: Vec<ExposedTo> => "Outside";
        /// What stands in the way, and what decides.
        pub why: Vec<String> => "Why";
    }
}

document! {
    /// Somebody outside.
    pub struct ExposedTo {
        /// Where they are; `0.0.0.0/0` and `::/0` is everybody whom the host's routes lead to.
        pub net: String => "Net";
        /// The link they come in by.
        pub link: String => "Link";
        /// Whether the address is in their own network; others need a route to it that leads by this host.
        pub attached: bool => "Attached";
        pub reach: String => "Reach";
    }
}
