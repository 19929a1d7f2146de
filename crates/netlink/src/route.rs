//! Routes of both families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::address::{self, AF_INET, AF_INET6, Change};
use crate::error::{Error, Result};
use crate::message::Message;
use crate::socket::{Reply, Socket};

const NEW: u16 = 24;
const DELETE: u16 = 25;
const GET: u16 = 26;
const CREATE: u16 = 0x400 | 0x200; // NLM_F_CREATE | NLM_F_EXCL
const MAIN: u8 = 254;
const LOCAL: u32 = 255;
const KERNEL: u8 = 2; // RTPROT_KERNEL: what belongs to an address
const BOOT: u8 = 3; // RTPROT_BOOT: what `ip route add` says
const UNIVERSE: u8 = 0;
const LINK: u8 = 253;
const UNICAST: u8 = 1;
const PROHIBIT: u8 = 8;
const DESTINATION: u16 = 1;
const OUT: u16 = 4;
const GATEWAY: u16 = 5;
const TABLE: u16 = 15;
/// The groups that are told of routes of IPv4 and IPv6: `RTNLGRP_IPV4_ROUTE`, `RTNLGRP_IPV6_ROUTE`.
pub const NOTIFICATIONS: [u32; 2] = [7, 11];
/// Length of `struct rtmsg`.
const FIXED: usize = 12;

/// A route to a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where to; 0.0.0.0/0 and ::/0 are default routes.
    pub destination: IpNet,
    /// By which router; none for what is on the link.
    pub gateway: Option<IpAddr>,
    /// Through which link.
    pub index: Option<u32>,
    /// The routing table.
    pub table: u32,
}

impl Route {
    /// The default route by `gateway`, in the main table.
    #[must_use]
    pub fn default_by(gateway: impl Into<IpAddr>, index: u32) -> Self {
        let gateway = gateway.into();
        Self {
            gateway: Some(gateway),
            ..Self::default_through(gateway.is_ipv6(), index)
        }
    }

    /// The default route through a link without a router, in the main table.
    #[must_use]
    pub fn default_through(ipv6: bool, index: u32) -> Self {
        let any = if ipv6 {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        } else {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        };
        Self {
            destination: IpNet::new_assert(any, 0),
            gateway: None,
            index: Some(index),
            table: u32::from(MAIN),
        }
    }
}

/// The message that makes `gateway` the default route of the main table.
#[must_use]
pub fn add_default(gateway: impl Into<IpAddr>, index: u32) -> Message {
    add(&Route::default_by(gateway, index))
}

/// The message that adds a route; refused if there is one to the same network.
#[must_use]
pub fn add(route: &Route) -> Message {
    let scope = match (route.destination, route.gateway) {
        (IpNet::V4(_), None) => LINK,
        _ => UNIVERSE,
    };
    build(NEW, CREATE, route, [BOOT, scope, UNICAST])
}

/// The message that deletes a route.
#[must_use]
pub fn delete(route: &Route) -> Message {
    const NOWHERE: u8 = 255; // any scope
    let scope = if route.destination.addr().is_ipv4() {
        NOWHERE
    } else {
        UNIVERSE
    };
    build(DELETE, 0, route, [0, scope, UNICAST])
}

/// The message that lets nothing pass to `net` that is looked up in this table.
#[must_use]
pub fn add_prohibit(net: IpNet, table: u32) -> Message {
    let route = prohibit(net, table);
    build(NEW, CREATE, &route, [BOOT, UNIVERSE, PROHIBIT])
}

/// The message that takes this back.
#[must_use]
pub fn delete_prohibit(net: IpNet, table: u32) -> Message {
    let route = prohibit(net, table);
    build(DELETE, 0, &route, [BOOT, UNIVERSE, PROHIBIT])
}

fn prohibit(net: IpNet, table: u32) -> Route {
    Route {
        destination: net,
        gateway: None,
        index: None,
        table,
    }
}

/// What is prohibited in a table, of both families.
///
/// # Errors
/// As [`Socket::dump`].
pub fn prohibited(socket: &mut Socket, table: u32) -> Result<Vec<IpNet>> {
    let all = of_kind(socket, PROHIBIT)?;
    Ok(all
        .into_iter()
        .filter(|route| route.table == table)
        .map(|route| route.destination)
        .collect())
}

/// All unicast routes of both families and all tables but the kernel's own table of local addresses.
///
/// # Errors
/// As [`Socket::dump`].
pub fn list(socket: &mut Socket) -> Result<Vec<Route>> {
    of_kind(socket, UNICAST)
}

fn of_kind(socket: &mut Socket, kind: u8) -> Result<Vec<Route>> {
    let mut message = Message::new(GET, 0);
    message.raw(&[0; FIXED]);
    let replies = socket.dump("list routes", message)?;
    let mut routes = Vec::with_capacity(replies.len());
    for reply in replies.iter().filter(|reply| reply.kind == NEW) {
        let (route, found, _) = parse(reply)?;
        if let Some(route) = route.filter(|route| found == kind && route.table != LOCAL) {
            routes.push(route);
        }
    }
    Ok(routes)
}

/// A unicast route that came or went, as a notification tells it, and whether the kernel made it on its own behalf. Not
/// those of the kernel's own table of local addresses.
///
/// # Errors
/// What cannot be read.
pub fn notified(reply: &Reply) -> Result<Option<(Change, Route, bool)>> {
    let change = match reply.kind {
        NEW => Change::Came,
        DELETE => Change::Went,
        _ => return Ok(None),
    };
    let (route, kind, protocol) = parse(reply)?;
    let route = route.filter(|route| kind == UNICAST && route.table != LOCAL);
    Ok(route.map(|route| (change, route, protocol == KERNEL)))
}

/// A route of IPv4 or IPv6, its type and who made it.
fn parse(reply: &Reply) -> Result<(Option<Route>, u8, u8)> {
    let fixed = reply
        .body
        .get(..FIXED)
        .ok_or(Error::Unreadable { what: "route" })?;
    let attributes = reply.attributes(FIXED);
    let any = match fixed[0] {
        AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return Ok((None, fixed[7], fixed[5])),
    };
    let route = Route {
        destination: address::net(
            address::ip(attributes, DESTINATION).unwrap_or(any),
            fixed[1],
        )?,
        gateway: address::ip(attributes, GATEWAY),
        index: attributes.u32(OUT),
        table: attributes.u32(TABLE).unwrap_or(u32::from(fixed[4])),
    };
    Ok((Some(route), fixed[7], fixed[5]))
}

fn build(kind: u16, flags: u16, route: &Route, [protocol, scope, what]: [u8; 3]) -> Message {
    let family = match route.destination {
        IpNet::V4(_) => AF_INET,
        IpNet::V6(_) => AF_INET6,
    };
    let prefix = route.destination.prefix_len();
    let small = u8::try_from(route.table).ok();
    let table = small.unwrap_or_default();
    let mut message = Message::new(kind, flags);
    message.raw(&[
        family, prefix, 0, 0, table, protocol, scope, what, 0, 0, 0, 0,
    ]);
    if prefix > 0 {
        address::put_ip(&mut message, DESTINATION, route.destination.network());
    }
    if let Some(gateway) = route.gateway {
        address::put_ip(&mut message, GATEWAY, gateway);
    }
    if let Some(index) = route.index {
        message.u32(OUT, index);
    }
    if small.is_none() {
        message.u32(TABLE, route.table);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_route_message() {
        let bytes = add_default(Ipv4Addr::new(172, 17, 0, 1), 2)
            .finish()
            .unwrap();
        #[rustfmt::skip]
        let golden = [
            44, 0, 0, 0, 24, 0, 0x00, 0x06, 0, 0, 0, 0, 0, 0, 0, 0,
            2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0,
            8, 0, 5, 0, 172, 17, 0, 1,
            8, 0, 4, 0, 2, 0, 0, 0,
        ];
        assert_eq!(bytes, golden);
    }
}
