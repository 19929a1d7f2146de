//! The way of packets that the host's own input rules have to let in first (`--publish-policy=host`).
//!
//! What comes by a wire for a published port is not translated, and so the host's rules see it as what it is: a packet for
//! this machine, at that port. What they let through we send on, over a pair of links of our own that begins and ends here;
//! what comes out of it is translated. So it is with the first packet of each connection; those behind it belong to it.
//!
//! Nothing resolves addresses on the pair: both ends have the same hardware address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::Ipv4Net;
use onggi_netlink::nft::Family;
use onggi_netlink::{Batch, Socket, address, link};

use crate::bridge;
use crate::error::{Error, Result};
use crate::sysctl;

/// The end that packets are sent to.
const OUT: &str = "onggi-gate0";
/// The end that they come back by.
pub(crate) const IN: &str = "onggi-gate1";
const MAC: link::Mac = *b"\x02onggi";
/// The kernel takes packets of others' addresses only by links that have one: the dummy address of RFC 7600.
const ADDRESS: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 0, 8), 32);

/// Makes the pair, if it is not there; the number of the end that packets are sent to.
pub(super) fn ensure(socket: &mut Socket) -> Result<u32> {
    if let (Some(out), Some(_)) = (bridge::number(socket, OUT)?, bridge::number(socket, IN)?) {
        return Ok(out);
    }
    let failed = || Error::kernel("make the way to the host's input rules");
    let mut batch = Batch::new();
    batch.push("add a pair of links", link::add_pair(OUT, IN, MAC));
    socket.transact(batch).map_err(failed())?;
    let vanished = || Error::Taken(format!("links {OUT} and {IN} vanished"));
    let out = bridge::number(socket, OUT)?.ok_or_else(vanished)?;
    let inner = bridge::number(socket, IN)?.ok_or_else(vanished)?;
    for link in [OUT, IN] {
        sysctl::route_own_v6(link).map_err(Error::io("switch IPv6 on for the pair of links"))?;
    }
    sysctl::take_any_source(IN).map_err(Error::io("let packets come back by the pair of links"))?;
    let mut batch = Batch::new();
    batch
        .push("address", address::add_for_host(inner, ADDRESS))
        .push("up", link::set_state(inner, link::State::Up))
        .push("up", link::set_state(out, link::State::Up));
    socket.transact(batch).map_err(failed())?;
    Ok(out)
}

/// Removes the pair, if it is there.
pub(super) fn remove(socket: &mut Socket) -> Result<()> {
    match bridge::number(socket, OUT)? {
        Some(index) => bridge::delete_link(socket, index),
        None => Ok(()),
    }
}

/// Any address that is routed over the pair: nobody has it, and nobody is asked who has.
pub(super) fn beyond(family: Family) -> IpAddr {
    match family {
        Family::Ip6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).into(),
        _ => Ipv4Addr::new(192, 0, 0, 9).into(),
    }
}
