//! How many addresses of a network are taken.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::document::{IpamConfig, Network};
use crate::inner::Inner;

/// How a subnet does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubnetUsage {
    /// The subnet.
    pub subnet: IpNet,
    /// Addresses that nobody can get any more, those that stand for the subnet itself among them.
    pub in_use: u64,
    /// Addresses that are left for containers that do not ask for a certain one.
    pub available: u64,
}

impl Inner {
    /// How the subnets of a network do.
    pub(crate) fn usage(&self, network: &Network) -> Vec<SubnetUsage> {
        let used = self.state().used(network);
        let configs = network.ipam.config.iter();
        configs.map(|config| usage(config, &used)).collect()
    }
}

fn usage(config: &IpamConfig, used: &BTreeSet<IpAddr>) -> SubnetUsage {
    let subnet = config.subnet;
    let range = config.ip_range.unwrap_or(subnet);
    let mut taken: BTreeSet<IpAddr> = used
        .iter()
        .copied()
        .filter(|ip| subnet.contains(ip))
        .collect();
    match subnet {
        IpNet::V4(net) if net.prefix_len() < 31 => {
            taken.extend([subnet.network(), subnet.broadcast()]);
        }
        IpNet::V6(net) if net.prefix_len() < 127 => {
            taken.insert(subnet.network());
        }
        IpNet::V4(_) | IpNet::V6(_) => {}
    }
    let within = taken.iter().filter(|ip| range.contains(*ip)).count();
    SubnetUsage {
        subnet,
        in_use: u64::try_from(taken.len()).unwrap_or(u64::MAX),
        available: size(range).saturating_sub(u64::try_from(within).unwrap_or(u64::MAX)),
    }
}

/// How many addresses a range has, as far as a number of 64 bits tells.
fn size(range: IpNet) -> u64 {
    let bits = range.max_prefix_len() - range.prefix_len();
    1_u64.checked_shl(u32::from(bits)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn subnets_are_counted_as_docker_counts() {
        let config = |subnet: &str, range: Option<&str>| IpamConfig {
            subnet: subnet.parse().unwrap(),
            ip_range: range.map(|range| range.parse().unwrap()),
            gateway: None,
            aux_addresses: BTreeMap::new(),
            chosen: false,
        };
        let used = BTreeSet::from(["10.77.0.1", "10.1.0.1"].map(|ip| ip.parse().unwrap()));
        let whole = usage(&config("10.77.0.0/24", None), &used);
        assert_eq!((whole.in_use, whole.available), (3, 253));
        let part = usage(&config("10.77.0.0/24", Some("10.77.0.128/25")), &used);
        assert_eq!((part.in_use, part.available), (3, 127));
        let six = usage(&config("fd00::/64", None), &used);
        assert_eq!((six.in_use, six.available), (1, u64::MAX - 1));
    }
}
