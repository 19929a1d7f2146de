//! Bridges in the kernel: made, adopted, deleted.

use std::net::IpAddr;

use ipnet::IpNet;
use onggi_netlink::{Batch, Socket, address, link, route};

use crate::error::{Error, Result};
use crate::mac::Mac;
use crate::occupied;
use crate::sysctl;

/// The note on links that we made, so that those of others are never deleted; what they are for follows.
const TAG: &str = "onggi: ";
/// What follows on the default bridge.
pub(crate) const DEFAULT: &str = "default bridge";

/// What is in the kernel.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) links: Vec<link::Link>,
    addresses: Vec<address::Address>,
}

impl Seen {
    pub(crate) fn look(socket: &mut Socket) -> Result<Self> {
        Ok(Self {
            links: link::list(socket).map_err(Error::kernel("look for the bridge"))?,
            addresses: address::list(socket)
                .map_err(Error::kernel("look for the bridge's address"))?,
        })
    }

    /// As [`Seen::look`], as far as it concerns the link with this name: however many others there are.
    pub(crate) fn look_for(socket: &mut Socket, name: &str) -> Result<Self> {
        let found = link::find(socket, name).map_err(Error::kernel("look for the bridge"))?;
        match found {
            Some(_) => Self::look(socket),
            None => Ok(Self {
                links: Vec::new(),
                addresses: Vec::new(),
            }),
        }
    }

    pub(crate) fn link(&self, name: &str) -> Option<&link::Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The addresses of a link, but for those that the kernel gives itself.
    pub(crate) fn addresses(&self, index: u32) -> Vec<IpNet> {
        let own = |net: &IpNet| match net.addr() {
            IpAddr::V4(_) => false,
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        self.addresses
            .iter()
            .filter(|address| address.index == index)
            .map(|address| address.net)
            .filter(|net| !own(net))
            .collect()
    }
}

/// A bridge as it should be.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    /// What it is for: "default bridge", or the id of its network.
    pub(crate) what: &'a str,
    pub(crate) mtu: u32,
    /// The host's addresses.
    pub(crate) addresses: Vec<IpNet>,
    /// Whether it carries IPv6.
    pub(crate) ipv6: bool,
}

/// What of ours a link is for.
pub(crate) fn purpose(link: &link::Link) -> Option<&str> {
    link.alias.as_deref()?.strip_prefix(TAG)
}

/// The note on a link of ours.
pub(crate) fn note(what: &str) -> String {
    format!("{TAG}{what}")
}

/// Makes a bridge, or adopts the one that is there, and gives it its addresses. Returns its number. One of others keeps
/// what it has.
pub(crate) fn ensure(socket: &mut Socket, seen: &Seen, wanted: &Wanted<'_>) -> Result<u32> {
    let name = wanted.name;
    let found = seen.link(name);
    check_kind(found, name)?;
    let index = match found {
        Some(link) => link.index,
        None => {
            let mut batch = Batch::new();
            batch
                .push(
                    "create the bridge",
                    link::add_bridge(name, Mac::random().0, wanted.mtu),
                )
                .push(
                    "note on the bridge",
                    link::set_alias(name, &note(wanted.what)),
                );
            socket
                .transact(batch)
                .map_err(Error::kernel("create the bridge"))?;
            number(socket, name)?.ok_or_else(|| Error::Taken(format!("bridge {name} vanished")))?
        }
    };
    if wanted.ipv6 {
        sysctl::carry_ipv6(name).map_err(Error::io("switch IPv6 on for the bridge"))?;
    }
    let present = found.map_or_else(Vec::new, |link| seen.addresses(link.index));
    let ours = found.is_none_or(|link| purpose(link).is_some());
    let mut batch = Batch::new();
    for net in wanted.addresses.iter().filter(|net| !present.contains(net)) {
        batch.push("address of the bridge", address::add(index, *net));
    }
    let superfluous = |net: &&IpNet| ours && !wanted.addresses.contains(net);
    for net in present.iter().filter(superfluous) {
        batch.push("old address of the bridge", address::delete(index, *net));
    }
    batch
        .push(
            "switches of the bridge",
            // The mark, for hosts that check senders: routing rules of the firewall depend on it.
            link::set_ipv4(
                name,
                &[
                    link::Ipv4Switch::RouteLocalnet,
                    link::Ipv4Switch::SrcValidMark,
                ],
            ),
        )
        .push("bridge up", link::set_state(index, link::State::Up));
    socket
        .transact(batch)
        .map_err(Error::kernel("set up the bridge"))?;
    Ok(index)
}

/// The number of the link with this name.
pub(crate) fn number(socket: &Socket, name: &str) -> Result<Option<u32>> {
    match rustix::net::netdevice::name_to_index(socket, name) {
        Ok(index) => Ok(Some(index)),
        Err(rustix::io::Errno::NODEV) => Ok(None),
        Err(errno) => Err(Error::io(format!("look for the link {name}"))(errno.into())),
    }
}

/// Whether the link of this name, if there is one, is a bridge.
///
/// # Errors
/// [`Error::Taken`].
pub(crate) fn check_kind(found: Option<&link::Link>, name: &str) -> Result<()> {
    match found.filter(|link| link.kind.as_deref() != Some("bridge")) {
        None => Ok(()),
        Some(other) => {
            let kind = other.kind.as_deref().unwrap_or("device");
            Err(Error::Taken(format!(
                "bridge {name} cannot be used: there is a {kind} of this name"
            )))
        }
    }
}

/// What the host has addresses in or routes to, but for the link `except`: VPNs among them. The host's resolvers count
/// too: one in a subnet of ours could not be reached any more.
pub(crate) fn taken(socket: &mut Socket, seen: &Seen, except: Option<u32>) -> Result<Vec<IpNet>> {
    let routes = route::list(socket).map_err(Error::kernel("look at the routes"))?;
    let addresses = seen.addresses.iter();
    let mut taken: Vec<IpNet> = addresses
        .filter(|address| Some(address.index) != except)
        .map(|address| address.net)
        .collect();
    taken.extend(
        routes
            .iter()
            .filter(|route| route.index.is_none() || route.index != except)
            .map(|route| route.destination),
    );
    taken.extend(occupied::resolvers());
    Ok(taken)
}

/// Deletes a link if we made it.
pub(crate) fn delete(socket: &mut Socket, name: &str) -> Result<()> {
    let found = link::find(socket, name).map_err(Error::kernel("look for the bridge"))?;
    match found.filter(|link| purpose(link).is_some()) {
        Some(found) => delete_link(socket, found.index),
        None => Ok(()),
    }
}

/// Deletes a link; one that is gone is not missed.
pub(crate) fn delete_link(socket: &mut Socket, index: u32) -> Result<()> {
    let mut batch = Batch::new();
    batch.push("delete the link", link::delete(index));
    match socket.transact(batch) {
        Err(error) if !error.is_absent() => Err(Error::kernel("delete the link")(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
