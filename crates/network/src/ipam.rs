//! The subnets of a new network: those asked for, checked against the others, or the first free ones of the pools.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};

use crate::address;
use crate::config::Pool;
use crate::document::{IpamConfig, IpamRequest, Network, NetworkRequest};
use crate::error::{Error, Result};

/// What a new network's subnets depend on.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    /// The networks there are.
    pub(crate) networks: &'a [&'a Network],
    /// What the host has addresses in or routes to.
    pub(crate) taken: Vec<IpNet>,
    pub(crate) pools: &'a [Pool],
    /// The range that subnets of IPv6 come from.
    pub(crate) local: Ipv6Net,
}

/// Settles the subnets of a network with these families.
///
/// # Errors
/// [`Error::Overlap`], [`Error::NoPool`], [`Error::Invalid`].
pub(crate) fn settle(
    request: &NetworkRequest,
    (v4, v6): (bool, bool),
    around: &Surroundings<'_>,
) -> Result<Vec<IpamConfig>> {
    let mut configs: Vec<IpamConfig> = Vec::new();
    for asked in &request.ipam {
        let Some(subnet) = asked.subnet else { continue };
        let wanted = match subnet {
            IpNet::V4(_) => v4,
            IpNet::V6(_) => v6,
        };
        if !wanted {
            continue;
        }
        let own = configs.iter().map(|config| (&request.name, config.subnet));
        let theirs = around
            .networks
            .iter()
            .flat_map(|other| other.ipam.config.iter().map(|c| (&other.name, c.subnet)));
        let overlaps =
            |other: &IpNet| other.contains(&subnet.network()) || subnet.contains(&other.network());
        match own.chain(theirs).find(|(_, other)| overlaps(other)) {
            Some(_) if asked.chosen => continue,
            Some((name, other)) => {
                return Err(Error::Overlap {
                    network: name.clone(),
                    subnet: other,
                });
            }
            None => {}
        }
        configs.push(IpamConfig {
            subnet: subnet.trunc(),
            ip_range: asked.ip_range.map(|range| range.trunc()),
            gateway: asked.gateway,
            aux_addresses: asked.aux_addresses.clone(),
            chosen: asked.chosen,
        });
    }
    let has_v4 = configs.iter().any(|c| matches!(c.subnet, IpNet::V4(_)));
    let has_v6 = configs.iter().any(|c| matches!(c.subnet, IpNet::V6(_)));
    let mut taken = around.taken.clone();
    let theirs = around.networks.iter().flat_map(|other| &other.ipam.config);
    taken.extend(theirs.map(|config| config.subnet));
    if v4 && !has_v4 {
        let subnet = address::choose_pool(around.pools, &taken)?.into();
        configs.insert(0, chosen(subnet, &request.ipam)?);
    }
    if v6 && !has_v6 {
        let subnet = address::choose_pool_v6(around.local, &taken)?.into();
        configs.push(chosen(subnet, &[])?);
    }
    for config in &mut configs {
        if config.gateway.is_none() {
            let others: BTreeSet<IpAddr> = config.aux_addresses.values().copied().collect();
            config.gateway = Some(address::gateway(config.subnet, &others)?);
        }
        check(config)?;
    }
    Ok(configs)
}

/// Refuses addresses of the user's choice that stand for all, or for two.
fn check(config: &IpamConfig) -> Result<()> {
    let in_use = |what: String| {
        Err(Error::Forbidden(format!(
            "failed to allocate {what}: Address already in use"
        )))
    };
    let mut given = BTreeSet::new();
    if let Some(gateway) = config.gateway {
        if address::is_end(config.subnet, gateway) {
            return in_use(format!("gateway ({gateway})"));
        }
        given.insert(gateway);
    }
    for (name, ip) in &config.aux_addresses {
        if address::is_end(config.subnet, *ip) || !given.insert(*ip) {
            return in_use(format!("secondary ip address ({name}:{ip})"));
        }
    }
    Ok(())
}

/// A subnet that nobody asked for by number.
fn chosen(subnet: IpNet, asked: &[IpamRequest]) -> Result<IpamConfig> {
    let asked = asked.iter().find(|asked| asked.subnet.is_none());
    let gateway = asked.and_then(|asked| asked.gateway);
    match gateway.filter(|gateway| !subnet.contains(gateway)) {
        None => Ok(IpamConfig {
            subnet,
            ip_range: None,
            gateway,
            aux_addresses: BTreeMap::new(),
            chosen: true,
        }),
        Some(gateway) => Err(Error::Invalid(format!(
            "failed to allocate gateway ({gateway}): it is not in {subnet}, which was free; give the network a subnet, too"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(subnets: &[&str]) -> NetworkRequest {
        let asked = |subnet: &&str| IpamRequest {
            subnet: Some(subnet.parse().unwrap()),
            ..IpamRequest::default()
        };
        NetworkRequest {
            name: "new".to_owned(),
            ipam: subnets.iter().map(asked).collect(),
            ..NetworkRequest::default()
        }
    }

    #[test]
    fn subnets_are_chosen_beside_those_there_are() {
        let mut other = Network::new("other", "bridge", "ab".repeat(32));
        other.ipam.config =
            settle(&request(&["172.18.0.0/16"]), (true, false), &around(&[])).unwrap();
        let networks = [&other];
        let all = settle(&request(&[]), (true, true), &around(&networks)).unwrap();
        let shown: Vec<_> = all
            .iter()
            .map(|c| format!("{} {}", c.subnet, c.gateway.unwrap()))
            .collect();
        assert_eq!(shown, ["172.19.0.0/16 172.19.0.1", "fd00:1::/64 fd00:1::1"]);
        assert!(all.iter().all(|config| config.chosen));
        let error = settle(
            &request(&["172.18.4.0/24"]),
            (true, false),
            &around(&networks),
        );
        assert!(matches!(error, Err(Error::Overlap { .. })));
        let mut had = request(&["172.18.4.0/24"]);
        had.ipam[0].chosen = true;
        let another = settle(&had, (true, false), &around(&networks)).unwrap();
        assert_eq!(another[0].subnet.to_string(), "172.19.0.0/16");
        for (gateway, aux, why) in [
            ("10.3.0.0", "10.3.0.9", "gateway (10.3.0.0)"),
            ("10.3.0.255", "10.3.0.9", "gateway (10.3.0.255)"),
            ("10.3.0.9", "10.3.0.9", "secondary ip address (a:10.3.0.9)"),
            (
                "10.3.0.1",
                "10.3.0.255",
                "secondary ip address (a:10.3.0.255)",
            ),
        ] {
            let mut bad = request(&["10.3.0.0/24"]);
            bad.ipam[0].gateway = Some(gateway.parse().unwrap());
            bad.ipam[0].aux_addresses = BTreeMap::from([("a".to_owned(), aux.parse().unwrap())]);
            let error = settle(&bad, (true, false), &around(&[])).unwrap_err();
            let text = format!("failed to allocate {why}: Address already in use");
            assert_eq!(error.to_string(), text);
        }
        let mut alone = request(&[]);
        alone.ipam = vec![IpamRequest {
            gateway: Some("10.3.0.1".parse().unwrap()),
            ..IpamRequest::default()
        }];
        assert!(settle(&alone, (true, false), &around(&[])).is_err());
        let twice = request(&["10.1.0.0/24", "10.1.0.128/25"]);
        assert!(settle(&twice, (true, false), &around(&[])).is_err());
        let several = request(&["10.1.0.0/24", "10.2.0.0/24", "fd01::/64"]);
        let both = settle(&several, (true, true), &around(&[])).unwrap();
        assert_eq!(both.len(), 3);
        let six = settle(&several, (false, true), &around(&[])).unwrap();
        assert_eq!(six[0].subnet.to_string(), "fd01::/64");
    }

    fn around<'a>(networks: &'a [&'a Network]) -> Surroundings<'a> {
        Surroundings {
            networks,
            taken: vec![
                "0.0.0.0/0".parse().unwrap(),
                "172.17.0.0/16".parse().unwrap(),
            ],
            pools: &[],
            local: "fd00:1::/48".parse().unwrap(),
        }
    }
}
