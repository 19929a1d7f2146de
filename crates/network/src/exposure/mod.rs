//! Who can reach the ports of containers: published ones, and all others at the containers' own addresses. Nothing of it is
//! what somebody wished for: the first packet of a connection is led through the rules of everybody as they are installed,
//! from each side that packets come from, by the host's addresses and routes as they are.
//!
//! What cannot be known is said to be so for some: rules that decide by what differs between senders, and matches that we
//! cannot read.

mod host; // what is looked at: rules, addresses, routes, switches
mod packet; // a packet of which some things are known
mod run; // what rules make of it
mod walk; // its way through the hooks

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use onggi_model::{ContainerId, Port, Protocol};
use onggi_netlink::link::MacvlanMode;
use onggi_netlink::sockets;

use crate::endpoint::{Endpoint, Published};
use crate::error::{Error, Result};
use crate::inner::{Inner, Kind, Net};
use crate::macvlan;
use crate::publish::protocol_number;
use host::{Host, Segment};
use run::Whether;
use walk::{From, Target};

/// Who of a group gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Nobody.
    No,
    /// It depends on more than the group: on rules of others, on the sender.
    Some,
    /// Everybody.
    Yes,
}

/// A port of a container, or all that have no line of their own, and who reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// The container.
    pub container: ContainerId,
    /// The network's name.
    pub network: String,
    /// The container's port, the first of so many; all others at its own address if absent.
    pub port: Option<(Port, u16)>,
    /// The address that is asked: the host's, 0.0.0.0 and :: for all of them, or the container's own.
    pub at: IpAddr,
    /// The first port there; the container's own if absent.
    pub host_port: Option<u16>,
    /// The host's own processes.
    pub host: Reach,
    /// Other containers of the network.
    pub same_network: Reach,
    /// Containers of other networks, by the network's name; those that do not reach it are left out.
    pub other_networks: BTreeMap<String, Reach>,
    /// Others; those that do not reach it are left out.
    pub outside: Vec<Sender>,
    /// What stands in the way, and what decides.
    pub why: Vec<String>,
}

/// Somebody outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Where they are; 0.0.0.0/0 and ::/0 is everybody.
    pub net: IpNet,
    /// The link they come in by.
    pub link: String,
    /// Whether the address is in their own network; others need a route to it that leads by this host.
    pub attached: bool,
    /// Who of them.
    pub reach: Reach,
}

impl Reach {
    fn of(whether: Whether) -> Self {
        match whether {
            Whether::No => Self::No,
            Whether::Maybe => Self::Some,
            Whether::Yes => Self::Yes,
        }
    }

    /// Both groups as one.
    fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Some }
    }
}

impl Inner {
    /// Who reaches the ports of containers: of these, or all of a network.
    pub(crate) fn exposure(
        &self,
        containers: Option<&ContainerId>,
        network: Option<&str>,
    ) -> Result<Vec<Exposed>> {
        let network = network.map(|name| self.find(name)).transpose()?;
        let (endpoints, nets) = {
            let state = self.state();
            let attached = state.endpoints.iter().flat_map(|(container, entries)| {
                let asked = containers.is_none_or(|one| one == container);
                entries.iter().filter(move |_| asked)
            });
            let attached = attached.filter_map(|entry| entry.published.clone());
            let is_asked = |endpoint: &Endpoint| {
                let id = &endpoint.network_id;
                network.as_ref().is_none_or(|net| net.document.id == *id)
            };
            let endpoints: Vec<Endpoint> = attached.filter(is_asked).collect();
            (
                endpoints,
                state.networks.values().cloned().collect::<Vec<_>>(),
            )
        };
        if endpoints.is_empty() {
            return Ok(Vec::new());
        }
        let host = Host::look(&nets)?;
        let mut all = Vec::new();
        for endpoint in &endpoints {
            let is_it = |net: &&std::sync::Arc<Net>| net.document.id == endpoint.network_id;
            let Some(net) = nets.iter().find(is_it) else {
                continue;
            };
            match &net.kind {
                Kind::Bridge(_) => all.extend(of_bridge(&host, endpoint)),
                Kind::Macvlan(options) => {
                    let parent = macvlan::parent(&net.document, options);
                    all.extend(of_macvlan(&host, endpoint, &parent, options.mode));
                }
                Kind::Nothing => {}
            }
        }
        Ok(all)
    }
}

/// Whether somebody of the host waits at these addresses.
pub(crate) fn waits_at(ports: &[(Protocol, IpAddr, u16)]) -> Result<Vec<bool>> {
    let mut found = BTreeSet::new();
    let protocols: BTreeSet<Protocol> = ports.iter().map(|(protocol, ..)| *protocol).collect();
    for protocol in protocols {
        let bound = sockets::bound(protocol_number(protocol))
            .map_err(Error::kernel("look at the host's sockets"))?;
        let bound = bound.into_iter().map(|one| one.address);
        found.extend(bound.map(|address| (protocol, address.ip(), address.port())));
    }
    Ok(ports.iter().map(|one| found.contains(one)).collect())
}

fn of_bridge(host: &Host, endpoint: &Endpoint) -> Vec<Exposed> {
    let Some(segment) = host.segment(&endpoint.network_id) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for published in &endpoint.ports {
        let own = match published.host_ip {
            IpAddr::V4(_) => endpoint.address_v4().map(IpAddr::V4),
            IpAddr::V6(_) => endpoint.address_v6().map(IpAddr::V6),
        };
        all.extend(own.map(|own| port(host, endpoint, segment, own, Some(published))));
    }
    let own = endpoint.address_v4().map(IpAddr::V4).into_iter();
    let own = own.chain(endpoint.address_v6().map(IpAddr::V6));
    all.extend(own.map(|own| port(host, endpoint, segment, own, None)));
    all
}

/// A published port, or all others.
fn port(
    host: &Host,
    endpoint: &Endpoint,
    segment: &Segment,
    own: IpAddr,
    published: Option<&Published>,
) -> Exposed {
    let bound = published.filter(|one| one.host_port != 0);
    let at = bound.map_or(own, |one| one.host_ip);
    // Of a run, the first and the last; of all others, TCP and UDP.
    let questions: Vec<(Protocol, Option<u16>)> = match published {
        Some(one) => {
            let first = bound.map_or(one.port.number, |one| one.host_port);
            let last = first.saturating_add(one.length.saturating_sub(1));
            let protocol = one.port.protocol;
            let mut ports = vec![(protocol, Some(first)), (protocol, Some(last))];
            ports.dedup();
            ports
        }
        None => vec![(Protocol::Tcp, None), (Protocol::Udp, None)],
    };
    let target = Target {
        address: own,
        segment,
        link: endpoint.host_link(),
        container: endpoint.container.short().to_owned(),
    };
    let mut why = BTreeSet::new();
    let mut ask = |who: &str, from: &From<'_>, to: IpAddr| {
        let answers = questions.iter().map(|(protocol, port)| {
            let number = protocol_number(*protocol);
            let (whether, because) = walk::reaches(host, from, &target, (to, number, *port));
            (Reach::of(whether), because)
        });
        let mut all: Option<Reach> = None;
        for (reach, because) in answers {
            all = Some(all.map_or(reach, |before| before.and(reach)));
            if reach != Reach::Yes {
                why.extend(because.into_iter().map(|one| format!("{who}: {one}")));
            }
        }
        all.unwrap_or(Reach::No)
    };
    let here = |to: &dyn Fn() -> Option<IpAddr>| match bound {
        Some(one) if one.host_ip.is_unspecified() => to(),
        Some(one) => Some(one.host_ip),
        None => Some(own),
    };
    let is_v4 = own.is_ipv4();
    let any = || host.any_address(is_v4);
    let loopback = || match is_v4 {
        true => Some(Ipv4Addr::LOCALHOST.into()),
        false => any(),
    };
    let from_host = here(&loopback).map(|to| ask("host", &From::Host, to));
    let by_gateway = |of: &Segment| of.gateway(is_v4).or_else(any);
    let same_network = here(&|| by_gateway(segment)).map(|to| match bound {
        Some(_) => ask("same network", &From::Segment(segment), to),
        None => ask("same network", &From::Neighbour, to),
    });
    let mut other_networks = BTreeMap::new();
    for other in host.segments.iter().filter(|one| one.id != segment.id) {
        let Some(to) = here(&|| by_gateway(other)) else {
            continue;
        };
        let reach = ask("other networks", &From::Segment(other), to);
        if reach != Reach::No {
            other_networks.insert(other.network.clone(), reach);
        }
    }
    let mut outside = Vec::new();
    for wire in host.wires(is_v4) {
        let Some(to) = here(&|| host.address_of(wire.index, is_v4).or_else(any)) else {
            continue;
        };
        let from = From::Wire(wire.index, wire.net);
        let reach = ask("outside", &from, to);
        if reach != Reach::No {
            outside.push(Sender {
                net: wire.net,
                link: wire.name.clone(),
                attached: wire.direct && wire.net.contains(&to),
                reach,
            });
        }
    }
    Exposed {
        container: endpoint.container.clone(),
        network: endpoint.network.clone(),
        port: published.map(|one| (one.port, one.length)),
        at,
        host_port: bound.map(|one| one.host_port),
        host: from_host.unwrap_or(Reach::No),
        same_network: same_network.unwrap_or(Reach::No),
        other_networks,
        outside,
        why: why.into_iter().collect(),
    }
}

/// Containers on a link of the host: no rule of the host sees their packets.
fn of_macvlan(host: &Host, endpoint: &Endpoint, parent: &str, mode: MacvlanMode) -> Vec<Exposed> {
    let wire = host.links.values().find(|link| link.name == parent);
    let wire = wire.filter(|link| link.kind.as_deref() != Some("dummy"));
    let (same_network, said) = match mode {
        MacvlanMode::Bridge => (Reach::Yes, None),
        MacvlanMode::Vepa => (
            Reach::Some,
            Some("same network: what is at the wire's other end decides"),
        ),
        MacvlanMode::Private | MacvlanMode::Passthru => (
            Reach::No,
            Some("same network: the mode of macvlan keeps them apart"),
        ),
    };
    let nets = [endpoint.ipv4.map(IpNet::V4), endpoint.ipv6.map(IpNet::V6)];
    let one = |net: IpNet| Exposed {
        container: endpoint.container.clone(),
        network: endpoint.network.clone(),
        port: None,
        at: net.addr(),
        host_port: None,
        host: Reach::No,
        same_network,
        other_networks: BTreeMap::new(),
        outside: wire
            .map(|link| Sender {
                net: net.trunc(),
                link: link.name.clone(),
                attached: true,
                reach: Reach::Yes,
            })
            .into_iter()
            .collect(),
        why: ["host: the kernel passes nothing between a link and the macvlans on it"]
            .into_iter()
            .chain(said)
            .map(str::to_owned)
            .collect(),
    };
    nets.into_iter().flatten().map(one).collect()
}

/// Any of a family.
fn unspecified(is_v4: bool) -> IpAddr {
    match is_v4 {
        true => Ipv4Addr::UNSPECIFIED.into(),
        false => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests;
