//! The default bridge's addresses: those of the configuration, else those it has, else those it had last if they are
//! still free, else the first free ones. Containers that have addresses of it keep what they use.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use onggi_netlink::Socket;
use onggi_store::Store;
use tracing::warn;

use crate::address;
use crate::bridge::{self, Seen};
use crate::config::Config;
use crate::document::{IpamConfig, Network};
use crate::endpoint::Endpoints;
use crate::error::{Error, Result};
use crate::inner::BRIDGE;

/// By this name of an auxiliary address containers know their router, where it is not the bridge: Docker's names.
pub(crate) const GATEWAY_V4: &str = "DefaultGatewayIPv4";
/// The same for IPv6.
pub(crate) const GATEWAY_V6: &str = "DefaultGatewayIPv6";

/// What the bridge's addresses depend on.
struct Around<'a> {
    config: &'a Config,
    seen: &'a Seen,
    /// The bridge, where it is there already.
    index: Option<u32>,
    /// What others have.
    taken: Vec<IpNet>,
    /// The range that subnets of IPv6 come from.
    local: Ipv6Net,
}

/// Chooses the default bridge's addresses and brings its document up to date.
///
/// # Errors
/// [`Error::Invalid`] for addresses that do not fit each other; [`Error::Taken`]: containers use others.
pub(crate) fn settle(
    store: &Store,
    route: &mut Socket,
    seen: &Seen,
    documents: &mut [Network],
    config: &Config,
    endpoints: &[Endpoints],
) -> Result<()> {
    let others: Vec<IpNet> = documents
        .iter()
        .filter(|document| document.name != BRIDGE)
        .flat_map(|document| document.ipam.config.iter().map(|config| config.subnet))
        .collect();
    let host = documents.iter().find(|document| document.name == "host");
    let local = address::local_range(host.map_or("", |host| host.id.as_str()));
    let default = documents
        .iter_mut()
        .find(|document| document.name == BRIDGE);
    let Some(document) = default else {
        return Ok(());
    };
    let found = seen.link(&config.bridge);
    bridge::check_kind(found, &config.bridge)?;
    let index = found.map(|link| link.index);
    let mut taken = bridge::taken(route, seen, index)?;
    taken.extend(others);
    let around = Around {
        config,
        seen,
        index,
        taken,
        local,
    };
    let mut using = endpoints
        .iter()
        .flat_map(|all| &all.0)
        .filter(|endpoint| endpoint.network_id == document.id && index.is_some())
        .peekable();
    let used_v4 = using.peek().is_some();
    let used_v6 = using.any(|endpoint| endpoint.ipv6.is_some());
    let mut nets = vec![around.v4(document, used_v4)?];
    nets.extend(around.v6(document, used_v6)?);
    let was = document.clone();
    document.configure(config, nets);
    if *document != was {
        store.write(|tx| tx.put(&document.name, document))?;
    }
    Ok(())
}

impl Around<'_> {
    fn v4(&self, document: &Network, used: bool) -> Result<IpamConfig> {
        let config = self.config;
        let before = last(document, |net| matches!(net, IpNet::V4(_)));
        let net = IpNet::V4(self.choose_v4(before)?);
        self.check_change(before, net, used)?;
        if let Some(range) = config.fixed_cidr {
            address::check_range("fixed-cidr", net.trunc(), range.into())?;
        }
        Ok(IpamConfig {
            subnet: net.trunc(),
            ip_range: config.fixed_cidr.map(IpNet::V4),
            gateway: Some(net.addr()),
            aux_addresses: router(net, GATEWAY_V4, config.default_gateway.map(IpAddr::V4))?,
            chosen: config.bip.is_none(),
        })
    }

    fn choose_v4(&self, before: Option<IpNet>) -> Result<Ipv4Net> {
        let config = self.config;
        if let Some(bip) = config.bip {
            address::check_bip(bip)?;
            return Ok(bip);
        }
        let range = config.fixed_cidr;
        let fits = |net: &Ipv4Net| range.is_none_or(|range| net.contains(&range));
        let v4 = |net: IpNet| match net {
            IpNet::V4(net) => Some(net),
            IpNet::V6(_) => None,
        };
        if let Some(net) = self.present().into_iter().filter_map(v4).find(fits) {
            address::check_bip(net)?;
            return Ok(net);
        }
        if let Some(last) = before.and_then(v4).filter(fits)
            && !address::overlaps(last.into(), &self.taken)
        {
            return Ok(last);
        }
        let subnet = match range {
            Some(range) => range.trunc(),
            None => address::choose_pool(&config.pools, &self.taken)?,
        };
        Ipv4Net::new(address::first(subnet)?, subnet.prefix_len())
            .map_err(|error| Error::Invalid(error.to_string()))
    }

    fn v6(&self, document: &Network, used: bool) -> Result<Option<IpamConfig>> {
        let config = self.config;
        let before = last(document, |net| matches!(net, IpNet::V6(_)));
        if !config.ipv6 {
            let before = document.ipam.config.iter();
            let mut before = before.filter(|had| matches!(had.subnet, IpNet::V6(_)));
            let Some(had) = before.next().filter(|_| used) else {
                return Ok(None);
            };
            warn!(
                "containers use IPv6 addresses of the bridge {}: it keeps {} until the daemon starts without them",
                config.bridge, had.subnet
            );
            return Ok(Some(had.clone()));
        }
        let net = IpNet::V6(self.choose_v6(before)?);
        self.check_change(before, net, used)?;
        let range = config.fixed_cidr_v6.map(|range| IpNet::V6(range.trunc()));
        if let Some(range) = range {
            address::check_range("fixed-cidr-v6", net.trunc(), range)?;
        }
        Ok(Some(IpamConfig {
            subnet: net.trunc(),
            ip_range: range.filter(|range| *range != net.trunc()),
            gateway: Some(net.addr()),
            aux_addresses: router(net, GATEWAY_V6, config.default_gateway_v6.map(IpAddr::V6))?,
            chosen: config.bip6.is_none() && config.fixed_cidr_v6.is_none(),
        }))
    }

    fn choose_v6(&self, before: Option<IpNet>) -> Result<Ipv6Net> {
        let config = self.config;
        if let Some(bip) = config.bip6 {
            return Ok(bip);
        }
        let range = config.fixed_cidr_v6;
        let fits = |net: &Ipv6Net| range.is_none_or(|range| net.contains(&range));
        let v6 = |net: IpNet| match net {
            IpNet::V6(net) => Some(net),
            IpNet::V4(_) => None,
        };
        if let Some(net) = self.present().into_iter().filter_map(v6).find(fits) {
            return Ok(net);
        }
        if let Some(last) = before.and_then(v6).filter(fits)
            && !address::overlaps(last.into(), &self.taken)
        {
            return Ok(last);
        }
        let subnet = match range {
            Some(range) => range.trunc(),
            None => address::choose_pool_v6(self.local, &self.taken)?,
        };
        let gateway = address::gateway(subnet.into(), &BTreeSet::new())?;
        match IpNet::new(gateway, subnet.prefix_len()) {
            Ok(IpNet::V6(net)) => Ok(net),
            _ => Err(Error::NoPool6),
        }
    }

    /// What the bridge has.
    fn present(&self) -> Vec<IpNet> {
        let index = self.index;
        index
            .map(|index| self.seen.addresses(index))
            .unwrap_or_default()
    }

    /// Refuses to take a subnet away from containers.
    fn check_change(&self, before: Option<IpNet>, net: IpNet, used: bool) -> Result<()> {
        let changed = |before: &IpNet| used && before.trunc() != net.trunc();
        match before.filter(changed) {
            None => Ok(()),
            Some(before) => Err(Error::Taken(format!(
                "bridge {} cannot change from {} to {} while containers use it",
                self.config.bridge,
                before.trunc(),
                net.trunc()
            ))),
        }
    }
}

/// The address of a family that the bridge had last.
fn last(document: &Network, family: impl Fn(IpNet) -> bool) -> Option<IpNet> {
    let mut configs = document.ipam.config.iter();
    let had = configs.find(|config| family(config.subnet))?;
    IpNet::new(had.gateway?, had.subnet.prefix_len()).ok()
}

/// Refuses a router that is not in the subnet.
///
/// # Errors
/// [`Error::Invalid`].
pub(crate) fn check_router(net: IpNet, asked: Option<IpAddr>) -> Result<()> {
    match asked.filter(|router| !net.contains(router)) {
        None => Ok(()),
        Some(router) => Err(Error::Invalid(format!(
            "default gateway ip must be part of the network: {router} is not in {}",
            net.trunc()
        ))),
    }
}

/// The router of the configuration, as an address that no container gets.
fn router(net: IpNet, name: &str, asked: Option<IpAddr>) -> Result<BTreeMap<String, IpAddr>> {
    check_router(net, asked)?;
    let named = asked.map(|router| (name.to_owned(), router));
    Ok(named.into_iter().collect())
}
