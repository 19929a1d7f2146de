//! The bridge in the kernel: made, adopted, deleted.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use onggi_netlink::{Batch, Socket, address, link, route};

use crate::address as pool;
use crate::config::Config;
use crate::document::IpamConfig;
use crate::error::{Error, Result};
use crate::mac::Mac;

/// The note on bridges that we made, so that those of others are never deleted.
const ALIAS: &str = "onggi: default bridge";

/// The bridge as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bridge {
    pub(crate) name: String,
    pub(crate) index: u32,
    pub(crate) subnet: Ipv4Net,
    pub(crate) gateway: Ipv4Addr,
}

impl Bridge {
    pub(crate) fn ipam(&self) -> IpamConfig {
        IpamConfig {
            subnet: self.subnet.into(),
            ip_range: None,
            gateway: Some(self.gateway.into()),
            aux_addresses: Default::default(),
        }
    }
}

/// Makes the bridge, or adopts the one that is there, and gives it its address. `before` is the subnet it had last,
/// `in_use` whether containers have addresses of that.
pub(crate) fn ensure(
    socket: &mut Socket,
    name: &str,
    config: &Config,
    before: Option<Ipv4Net>,
    in_use: bool,
) -> Result<Bridge> {
    let links = link::list(socket).map_err(Error::kernel("look for the bridge"))?;
    let found = links.iter().find(|link| link.name == name);
    if let Some(other) = found.filter(|link| link.kind.as_deref() != Some("bridge")) {
        let kind = other.kind.as_deref().unwrap_or("device");
        return Err(Error::Taken(format!(
            "bridge {name} cannot be used: there is a {kind} of this name"
        )));
    }
    let addresses =
        address::list(socket).map_err(Error::kernel("look for the bridge's address"))?;
    let present: Vec<Ipv4Net> = addresses
        .iter()
        .filter(|address| found.is_some_and(|link| link.index == address.index))
        .filter_map(|address| ipv4(address.net))
        .collect();
    let net = choose(
        socket,
        &addresses,
        &present,
        found.map(|link| link.index),
        config,
        before,
    )?;
    let subnet = net.trunc();
    if let Some(before) =
        before.filter(|before| found.is_some() && in_use && before.trunc() != subnet)
    {
        return Err(Error::Taken(format!(
            "bridge {name} cannot change from {} to {subnet} while containers use it",
            before.trunc()
        )));
    }
    let mut batch = Batch::new();
    if found.is_none() {
        batch
            .push(
                "create the bridge",
                link::add_bridge(name, Mac::random().0, config.mtu),
            )
            .push("note on the bridge", link::set_alias(name, ALIAS));
        socket
            .transact(std::mem::take(&mut batch))
            .map_err(Error::kernel("create the bridge"))?;
    }
    let made = link::find(socket, name).map_err(Error::kernel("look for the bridge"))?;
    let index = made
        .ok_or_else(|| Error::Taken(format!("bridge {name} vanished")))?
        .index;
    if !present.contains(&net) {
        batch.push("address of the bridge", address::add(index, net));
    }
    let ours = found.is_none_or(|link| link.alias.as_deref() == Some(ALIAS));
    for old in present.into_iter().filter(|old| ours && *old != net) {
        batch.push("old address of the bridge", address::delete(index, old));
    }
    batch
        .push(
            "route_localnet of the bridge",
            link::set_ipv4(name, &[link::Ipv4Switch::RouteLocalnet]),
        )
        .push("bridge up", link::set_state(index, link::State::Up));
    socket
        .transact(batch)
        .map_err(Error::kernel("set up the bridge"))?;
    Ok(Bridge {
        name: name.to_owned(),
        index,
        subnet,
        gateway: net.addr(),
    })
}

/// The names of the bridge's ports.
pub(crate) fn ports(socket: &mut Socket, bridge: &Bridge) -> Result<Vec<String>> {
    let links = link::list(socket).map_err(Error::kernel("look at the ports of the bridge"))?;
    Ok(links
        .into_iter()
        .filter(|link| link.master == Some(bridge.index))
        .map(|link| link.name)
        .collect())
}

/// Deletes the bridge if we made it.
pub(crate) fn delete(socket: &mut Socket, name: &str) -> Result<()> {
    let found = link::find(socket, name).map_err(Error::kernel("look for the bridge"))?;
    let Some(found) = found.filter(|link| link.alias.as_deref() == Some(ALIAS)) else {
        return Ok(());
    };
    let mut batch = Batch::new();
    batch.push("delete the bridge", link::delete(found.index));
    match socket.transact(batch) {
        Err(error) if !error.is_absent() => Err(Error::kernel("delete the bridge")(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The bridge's address: the configured one, else the one it has, else the last one if it is still free, else the first
/// free one of the default pools.
fn choose(
    socket: &mut Socket,
    addresses: &[address::Address],
    present: &[Ipv4Net],
    index: Option<u32>,
    config: &Config,
    before: Option<Ipv4Net>,
) -> Result<Ipv4Net> {
    if let Some(bip) = config.bip {
        pool::check_bip(bip)?;
        return Ok(bip);
    }
    if let Some(net) = present.first() {
        pool::check_bip(*net)?;
        return Ok(*net);
    }
    let routes = route::list(socket).map_err(Error::kernel("look at the routes"))?;
    let mut taken: Vec<Ipv4Net> = addresses
        .iter()
        .filter(|address| Some(address.index) != index)
        .filter_map(|address| ipv4(address.net))
        .collect();
    taken.extend(
        routes
            .iter()
            .filter(|route| route.index.is_none() || route.index != index)
            .filter_map(|route| ipv4(route.destination)),
    );
    taken.extend(resolvers());
    if let Some(last) = before.filter(|before| !pool::overlaps(*before, &taken)) {
        return Ok(last);
    }
    let subnet = pool::choose_pool(&config.pools, &taken)?;
    Ipv4Net::new(pool::first(subnet)?, subnet.prefix_len())
        .map_err(|error| Error::Invalid(error.to_string()))
}

fn ipv4(net: IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    }
}

/// The host's resolvers count as taken: one in our subnet could not be reached any more.
fn resolvers() -> Vec<Ipv4Net> {
    crate::dns::host_resolv_conf()
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok())
        .filter_map(|address| match address {
            IpAddr::V4(address) => Some(Ipv4Net::from(address)),
            IpAddr::V6(_) => None,
        })
        .collect()
}
