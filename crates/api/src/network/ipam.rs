//! Where addresses come from, and how many are left.

use std::collections::BTreeMap;

use crate::go::document;

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
