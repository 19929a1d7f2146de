//! What the host has addresses in and routes to, our own networks among it: looked at once, and followed by the kernel's
//! notices, so that the thousandth network costs no more than the first.
//!
//! Where notices were lost, or do not tell all, everything is looked at again. What the kernel takes away without a word
//! (routes of a link that goes down) counts as taken until then: a subnet too few is offered, never one too many.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use onggi_netlink::address::{self, Change};
use onggi_netlink::{Protocol, Reply, Socket, route};
use tracing::debug;

use crate::error::{Error, Result};

/// What occupies a range: an address or a route, and on which link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Holder {
    net: IpNet,
    index: u32,
    is_route: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Occupied {
    notices: Socket,
    holders: Option<BTreeSet<Holder>>,
}

impl Occupied {
    pub(crate) fn open() -> Result<Self> {
        let failed = || Error::kernel("follow addresses and routes");
        let notices = Socket::open(Protocol::Route).map_err(failed())?;
        for group in [address::NOTIFICATIONS, route::NOTIFICATIONS].concat() {
            notices.join(group).map_err(failed())?;
        }
        Ok(Self {
            notices,
            holders: None,
        })
    }

    /// The ranges, and those of the host's resolvers: one in a subnet of ours could not be reached any more.
    pub(crate) fn nets(&mut self, socket: &mut Socket) -> Result<Vec<IpNet>> {
        self.follow();
        let holders = match &self.holders {
            Some(holders) => holders,
            None => self.holders.insert(look(socket)?),
        };
        let mut nets: Vec<IpNet> = holders.iter().map(|holder| holder.net).collect();
        nets.dedup();
        nets.extend(resolvers());
        Ok(nets)
    }

    /// Looks at everything again when it is asked next time.
    pub(crate) fn doubt(&mut self) {
        self.holders = None;
    }

    /// Bytes of all notices so far.
    #[cfg(test)]
    pub(crate) fn received(&self) -> u64 {
        self.notices.received()
    }

    fn follow(&mut self) {
        loop {
            match self.notices.notification() {
                Ok(Some(replies)) => replies.iter().for_each(|reply| self.hear(reply)),
                Ok(None) => return,
                // There were too many of them: what they said is gone.
                Err(error) => {
                    debug!("{}", onggi_model::chain(&error));
                    self.holders = None;
                    if error.errno() != Some(rustix::io::Errno::NOBUFS) {
                        return;
                    }
                }
            }
        }
    }

    fn hear(&mut self, reply: &Reply) {
        let Some(holders) = &mut self.holders else {
            return;
        };
        match (address::notified(reply), route::notified(reply)) {
            (Ok(Some((Change::Came, address))), _) => holders.extend(of_address(address)),
            (Ok(Some((Change::Went, address))), _) => {
                let Some(gone) = of_address(address) else {
                    return;
                };
                // The kernel's route to its neighbours goes with it, and often without a word; so do others of its link.
                holders.remove(&gone);
                holders.remove(&Holder {
                    net: gone.net.trunc(),
                    is_route: true,
                    ..gone
                });
                if holders
                    .iter()
                    .any(|other| other.is_route && other.index == gone.index)
                {
                    self.holders = None;
                }
            }
            (_, Ok(Some((Change::Came, route, _)))) => holders.extend(of_route(route)),
            (_, Ok(Some((Change::Went, route, true)))) => {
                if let Some(gone) = of_route(route) {
                    holders.remove(&gone);
                }
            }
            // There may be another one like it.
            (_, Ok(Some((Change::Went, _, false)))) | (Err(_), _) | (_, Err(_)) => {
                self.holders = None;
            }
            (Ok(None), Ok(None)) => {}
        }
    }
}

fn look(socket: &mut Socket) -> Result<BTreeSet<Holder>> {
    let addresses = address::list(socket).map_err(Error::kernel("look at the addresses"))?;
    let routes = route::list(socket).map_err(Error::kernel("look at the routes"))?;
    let addresses = addresses.into_iter().filter_map(of_address);
    Ok(addresses
        .chain(routes.into_iter().filter_map(of_route))
        .collect())
}

fn of_address(address: address::Address) -> Option<Holder> {
    Some(Holder {
        net: address.net,
        index: address.index,
        is_route: false,
    })
    .filter(|holder| !is_link_local(holder.net))
}

fn of_route(route: route::Route) -> Option<Holder> {
    Some(Holder {
        net: route.destination,
        index: route.index.unwrap_or_default(),
        is_route: true,
    })
    .filter(|holder| !is_link_local(holder.net))
}

/// What every link has: it is in nobody's way.
fn is_link_local(net: IpNet) -> bool {
    matches!(net.addr(), IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The host's resolvers.
pub(crate) fn resolvers() -> Vec<IpNet> {
    crate::dns::host_resolv_conf()
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok())
        .map(|address: IpAddr| IpNet::from(address))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use onggi_sys::netns;
    use std::os::fd::AsFd;

    use super::*;

    fn ip(arguments: &str) {
        let done = std::process::Command::new("ip")
            .args(arguments.split(' '))
            .status();
        assert!(done.unwrap().success(), "{arguments}");
    }

    /// What is said after each change is what a fresh look says, but for what may stay too long.
    #[test]
    fn notices_tell_what_a_fresh_look_does() {
        let host = netns::fresh().unwrap();
        netns::in_namespace(host.as_fd(), || {
            let mut socket = Socket::open(Protocol::Route).unwrap();
            let mut occupied = Occupied::open().unwrap();
            for (change, silent) in [
                ("link set lo up", false),
                ("link add name one0 type bridge", false),
                ("address add 10.1.0.1/24 dev one0", false),
                ("link set one0 up", false),
                ("address add fd00:1::1/64 dev one0 nodad", false),
                ("link add name two0 type bridge", false),
                ("link set two0 up", false),
                ("address add 10.2.0.1/24 dev two0", false),
                ("route add 10.3.0.0/16 via 10.2.0.9", false),
                ("route add 10.4.0.0/16 dev two0", false),
                ("route add 10.4.0.0/16 dev one0 metric 7", false),
                ("route del 10.4.0.0/16 dev two0", false),
                ("route replace 10.3.0.0/16 dev one0", true),
                ("address add 10.2.1.1/24 dev two0", false),
                ("address del 10.2.1.1/24 dev two0", false),
                ("link set one0 down", true),
                ("link del one0", false),
                ("link del two0", false),
                ("route add blackhole 10.7.0.0/16", false),
            ] {
                ip(change);
                let followed: BTreeSet<IpNet> =
                    occupied.nets(&mut socket).unwrap().into_iter().collect();
                occupied.doubt();
                let fresh: BTreeSet<IpNet> =
                    occupied.nets(&mut socket).unwrap().into_iter().collect();
                match silent {
                    true => assert!(
                        followed.is_superset(&fresh),
                        "{change}: {followed:?} {fresh:?}"
                    ),
                    false => assert_eq!(followed, fresh, "{change}"),
                }
            }
        })
        .unwrap();
    }
}
