//! Networks, and a container's place in them.

use std::collections::BTreeMap;

use crate::go::document;

document! {
    /// A container's place in a network: what was asked for and what it got.
    pub struct EndpointSettings {
        pub ipam_config: Option<EndpointIpamConfig> => "IPAMConfig";
        pub links: Option<Vec<String>> => "Links";
        pub aliases: Option<Vec<String>> => "Aliases";
        pub driver_opts: Option<BTreeMap<String, String>> => "DriverOpts";
        /// Which network gives the default route: the greatest wins.
        pub gw_priority: i64 => "GwPriority";
        pub network_id: String => "NetworkID";
        pub endpoint_id: String => "EndpointID";
        pub gateway: String => "Gateway";
        pub ip_address: String => "IPAddress";
        pub mac_address: String => "MacAddress";
        pub ip_prefix_len: i64 => "IPPrefixLen";
        pub ipv6_gateway: String => "IPv6Gateway";
        pub global_ipv6_address: String => "GlobalIPv6Address";
        pub global_ipv6_prefix_len: i64 => "GlobalIPv6PrefixLen";
        pub dns_names: Option<Vec<String>> => "DNSNames";
    }
}

impl EndpointSettings {
    /// Whether the caller wants an address, a name or options of its own rather than what comes.
    pub fn asks_for_something(&self) -> bool {
        let list = |l: &Option<Vec<String>>| l.as_ref().is_some_and(|l| !l.is_empty());
        list(&self.links)
            || list(&self.aliases)
            || self.driver_opts.as_ref().is_some_and(|o| !o.is_empty())
            || !self.mac_address.is_empty()
            || self.gw_priority != 0
            || self
                .ipam_config
                .as_ref()
                .is_some_and(|c| *c != EndpointIpamConfig::default())
    }
}

document! {
    /// The addresses a container asks for.
    pub struct EndpointIpamConfig {
        pub ipv4_address: String => "IPv4Address" @omitempty;
        pub ipv6_address: String => "IPv6Address" @omitempty;
        pub link_local_ips: Option<Vec<String>> => "LinkLocalIPs" @omitempty;
    }
}

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
    }
}

document! {
    /// A network in a list. The containers in it come with [`Inspect`] only.
    pub struct Summary {
        pub network: Network => "" @flatten;
    }
}

document! {
    /// What a prune removed.
    pub struct PruneReport {
        /// Names.
        pub networks_deleted: Option<Vec<String>> => "NetworksDeleted";
    }
}

document! {
    /// A network and who is in it.
    pub struct Inspect {
        pub network: Network => "" @flatten;
        /// By container id.
        pub containers: BTreeMap<String, EndpointResource> => "Containers";
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
    /// Where addresses come from.
    pub struct Ipam {
        pub driver: String => "Driver";
        pub options: Option<BTreeMap<String, String>> => "Options";
        pub config: Option<Vec<IpamConfig>> => "Config";
    }
}

document! {
    /// One range of addresses.
    pub struct IpamConfig {
        pub subnet: String => "Subnet" @omitempty;
        pub ip_range: String => "IPRange" @omitempty;
        pub gateway: String => "Gateway" @omitempty;
        pub auxiliary_addresses: Option<BTreeMap<String, String>> => "AuxiliaryAddresses" @omitempty;
    }
}

document! {
    /// The network whose configuration is used.
    pub struct ConfigReference {
        pub network: String => "Network";
    }
}

document! {
    /// How a network does.
    pub struct Status {
        pub ipam: IpamStatus => "IPAM";
    }
}

document! {
    /// How the ranges do.
    pub struct IpamStatus {
        pub subnets: BTreeMap<String, SubnetStatus> => "Subnets" @omitempty;
    }
}

document! {
    /// How one range does.
    pub struct SubnetStatus {
        pub ips_in_use: u64 => "IPsInUse";
        pub dynamic_ips_available: u64 => "DynamicIPsAvailable";
    }
}
