//! Which range, gateway and spare address belongs to which subnet: they are given apart and matched here, as Docker does.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use onggi_api::network::IpamConfig;

use crate::error::{Error, Result};

/// What `network create` was told about addresses.
#[derive(Default)]
pub(super) struct Addresses {
    pub(super) subnets: Vec<String>,
    pub(super) ranges: Vec<String>,
    pub(super) gateways: Vec<String>,
    pub(super) aux: BTreeMap<String, String>,
}

impl Addresses {
    /// One entry a subnet, with what lies in it.
    ///
    /// # Errors
    /// For what lies in no subnet, twice in one, or is no address.
    pub(super) fn matched(self) -> Result<Vec<IpamConfig>> {
        let subnets = &self.subnets;
        if subnets.len() < self.ranges.len() || subnets.len() < self.gateways.len() {
            return Err(Error::new(
                "every ip-range or gateway must have a corresponding subnet",
            ));
        }
        let mut configs: Vec<IpamConfig> = Vec::new();
        for subnet in subnets {
            for other in &configs {
                if contains(subnet, &other.subnet)? || contains(&other.subnet, subnet)? {
                    return Err(Error::new(
                        "multiple overlapping subnet configuration is not supported",
                    ));
                }
            }
            configs.push(IpamConfig {
                subnet: subnet.clone(),
                ..IpamConfig::default()
            });
        }
        for range in self.ranges {
            cidr(&range)?;
            let config = holder(&mut configs, &range, "range")?;
            if !config.ip_range.is_empty() {
                return Err(Error::new(format!(
                    "cannot configure multiple ranges ({range}, {}) on the same subnet ({})",
                    config.ip_range, config.subnet
                )));
            }
            config.ip_range = range;
        }
        for gateway in self.gateways {
            let config = holder(&mut configs, &gateway, "gateway")?;
            if !config.gateway.is_empty() {
                return Err(Error::new(format!(
                    "cannot configure multiple gateways ({gateway}, {}) for the same subnet ({})",
                    config.gateway, config.subnet
                )));
            }
            config.gateway = gateway;
        }
        for (name, address) in self.aux {
            let config = holder(&mut configs, &address, "aux-address")?;
            let addresses = config.auxiliary_addresses.get_or_insert_default();
            addresses.insert(name, address);
        }
        Ok(configs)
    }
}

/// The subnet that something lies in.
fn holder<'a>(configs: &'a mut [IpamConfig], what: &str, kind: &str) -> Result<&'a mut IpamConfig> {
    for config in configs {
        if contains(&config.subnet, what)? {
            return Ok(config);
        }
    }
    Err(Error::new(format!("no matching subnet for {kind} {what}")))
}

/// Whether an address, or the first one of a range, lies in a subnet. What is no address lies nowhere.
fn contains(subnet: &str, what: &str) -> Result<bool> {
    let subnet = cidr(subnet).map_err(|e| Error::new(format!("invalid subnet: {}", e.message)))?;
    let address = match what.contains('/') {
        true => Some(cidr(what)?.addr()),
        false => what.parse::<IpAddr>().ok(),
    };
    Ok(address.is_some_and(|address| subnet.contains(&address.to_canonical())))
}

/// Four bytes in sixteen are an address of four.
fn cidr(text: &str) -> Result<IpNet> {
    let fail = || Error::new(format!("invalid CIDR address: {text}"));
    let net: IpNet = text.parse().map_err(|_| fail())?;
    match (net, net.addr().to_canonical()) {
        (IpNet::V6(net), IpAddr::V4(address)) if net.prefix_len() >= 96 => {
            IpNet::new(address.into(), net.prefix_len() - 96).map_err(|_| fail())
        }
        _ => Ok(net),
    }
}
