//! A container's place in a network.

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
