//! What is looked at: everybody's rules, the host's addresses, links and routes, and the switches that let packets pass.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use onggi_netlink::nft::{self, Installed};
use onggi_netlink::{Protocol, Socket, address, link, route};

use super::unspecified;
use crate::error::{Error, Result};
use crate::firewall;
use crate::inner::{Kind, Net};
use crate::sysctl;

/// The host as it is.
#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) installed: Installed,
    /// All its addresses.
    pub(super) local: BTreeSet<IpAddr>,
    addresses: Vec<(u32, IpNet)>,
    pub(super) links: BTreeMap<u32, link::Link>,
    routes: Vec<route::Route>,
    /// The networks that routing rules keep from what our tables have not vouched for.
    pub(super) fenced: Vec<IpNet>,
    /// The networks with a bridge.
    pub(super) segments: Vec<Segment>,
    /// Whether bridged packets pass the chains of IPv4.
    pub(super) bridges_filter: bool,
    /// Whether there are rules in tables that are not of nftables.
    pub(super) legacy: bool,
}

/// A network with a bridge.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) network: String,
    pub(super) id: String,
    pub(super) bridge: String,
    pub(super) index: u32,
    nets: Vec<IpNet>,
    gateways: Vec<IpAddr>,
}

/// Who comes in by a link that is none of ours.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) net: IpNet,
    /// Whether no router is between.
    pub(super) direct: bool,
}

impl Segment {
    /// The host's address in it.
    pub(super) fn gateway(&self, is_v4: bool) -> Option<IpAddr> {
        let mut all = self.gateways.iter().copied();
        all.find(|ip| ip.is_ipv4() == is_v4)
    }

    /// Where its containers are.
    pub(super) fn net(&self, is_v4: bool) -> Option<IpNet> {
        let mut all = self.nets.iter().copied();
        all.find(|net| net.addr().is_ipv4() == is_v4)
    }
}

impl Host {
    /// Looks.
    pub(super) fn look(nets: &[Arc<Net>]) -> Result<Self> {
        const LOOK: &str = "look at who reaches whom";
        let failed = || Error::kernel(LOOK);
        let mut socket = Socket::open(Protocol::Nftables).map_err(failed())?;
        let installed = nft::installed(&mut socket).map_err(failed())?;
        let mut socket = Socket::open(Protocol::Route).map_err(failed())?;
        let links = link::list(&mut socket).map_err(failed())?;
        let addresses = address::list(&mut socket).map_err(failed())?;
        let addresses: Vec<_> = addresses.iter().map(|one| (one.index, one.net)).collect();
        let local: BTreeSet<IpAddr> = addresses.iter().map(|(_, net)| net.addr()).collect();
        let segments = nets.iter().filter_map(|net| match &net.kind {
            Kind::Bridge(bridge) => Some(Segment {
                network: net.document.name.clone(),
                id: net.document.id.clone(),
                bridge: bridge.options.name.clone(),
                index: bridge.index,
                nets: net
                    .document
                    .ipam
                    .config
                    .iter()
                    .map(|one| one.subnet)
                    .collect(),
                gateways: addresses
                    .iter()
                    .filter(|(index, net)| *index == bridge.index && !is_of_link(net.addr()))
                    .map(|(_, net)| net.addr())
                    .collect(),
            }),
            Kind::Macvlan(_) | Kind::Nothing => None,
        });
        Ok(Self {
            segments: segments.collect(),
            installed,
            local,
            addresses,
            links: links.into_iter().map(|link| (link.index, link)).collect(),
            routes: route::list(&mut socket).map_err(failed())?,
            fenced: firewall::fenced(&mut socket)?,
            bridges_filter: sysctl::bridges_filter(),
            legacy: sysctl::has_legacy_tables(),
        })
    }

    pub(super) fn segment(&self, id: &str) -> Option<&Segment> {
        self.segments.iter().find(|one| one.id == id)
    }

    /// An address of the host that is not only its own.
    pub(super) fn any_address(&self, is_v4: bool) -> Option<IpAddr> {
        let mut all = self.local.iter().copied();
        all.find(|ip| ip.is_ipv4() == is_v4 && !ip.is_loopback() && !is_of_link(*ip))
    }

    /// The host's address at a link.
    pub(super) fn address_of(&self, index: u32, is_v4: bool) -> Option<IpAddr> {
        let all = self.addresses.iter().filter(|(of, _)| *of == index);
        let mut all = all.map(|(_, net)| net.addr());
        all.find(|ip| ip.is_ipv4() == is_v4 && !is_of_link(*ip))
    }

    /// Whom the host's routes lead to, by links that are not of our networks.
    pub(super) fn wires(&self, is_v4: bool) -> Vec<Wire> {
        let mut seen = BTreeSet::new();
        let mut wires = Vec::new();
        for route in &self.routes {
            let net = route.destination;
            if net.addr().is_ipv4() != is_v4 || is_of_link(net.addr()) || net.addr().is_multicast()
            {
                continue;
            }
            let Some(link) = route.index.and_then(|index| self.links.get(&index)) else {
                continue;
            };
            let is_ours = self.segments.iter().any(|one| one.index == link.index);
            if is_ours || link.loopback || !link.up || !seen.insert((link.index, net)) {
                continue;
            }
            wires.push(Wire {
                index: link.index,
                name: link.name.clone(),
                net,
                direct: route.gateway.is_none() && net.addr() != unspecified(is_v4),
            });
        }
        wires
    }

    /// Whether packets that come in by a link go on to others.
    pub(super) fn forwards(&self, index: u32, is_v4: bool) -> bool {
        let name = self.links.get(&index).map_or("", |link| link.name.as_str());
        sysctl::forwards(name, is_v4)
    }
}

/// An address that means nothing beyond its link.
fn is_of_link(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}
