//! Addresses of links, of both families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::error::{Error, Result};
use crate::message::{Attributes, Message};
use crate::socket::{Reply, Socket};

const NEW: u16 = 20;
const DELETE: u16 = 21;
const GET: u16 = 22;
const CREATE: u16 = 0x400 | 0x200; // NLM_F_CREATE | NLM_F_EXCL
pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_INET6: u8 = 10;
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const BROADCAST: u16 = 4;
/// `IFA_F_NODAD`: nobody is asked whether the address is free, and it can be used at once.
const NODAD: u8 = 2;
/// The groups that are told of addresses of IPv4 and IPv6: `RTNLGRP_IPV4_IFADDR`, `RTNLGRP_IPV6_IFADDR`.
pub const NOTIFICATIONS: [u32; 2] = [5, 9];
/// Length of `struct ifaddrmsg`.
const FIXED: usize = 8;

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The link.
    pub index: u32,
    /// The address and its prefix, host bits kept.
    pub net: IpNet,
}

/// The message that gives `net` (host bits kept) to a link: of IPv4 with the broadcast address of its prefix, of IPv6
/// without asking the neighbours first.
#[must_use]
pub fn add(index: u32, net: impl Into<IpNet>) -> Message {
    let net = net.into();
    let mut message = header(NEW, CREATE, index, net);
    put(&mut message, net);
    match net {
        IpNet::V4(net) if net.prefix_len() < 31 => {
            message.attribute(BROADCAST, &net.broadcast().octets());
        }
        IpNet::V4(_) | IpNet::V6(_) => {}
    }
    message
}

/// As [`add`], for an address that only this machine itself knows.
#[must_use]
pub fn add_for_host(index: u32, net: impl Into<IpNet>) -> Message {
    const SCOPE_HOST: u8 = 254;
    let net = net.into();
    let family = if net.addr().is_ipv4() {
        AF_INET
    } else {
        AF_INET6
    };
    let mut fixed = [family, net.prefix_len(), 0, SCOPE_HOST, 0, 0, 0, 0];
    fixed[4..].copy_from_slice(&index.to_ne_bytes());
    let mut message = Message::new(NEW, CREATE);
    message.raw(&fixed);
    put(&mut message, net);
    message
}

/// The message that takes `net` from a link.
#[must_use]
pub fn delete(index: u32, net: impl Into<IpNet>) -> Message {
    let net = net.into();
    let mut message = header(DELETE, 0, index, net);
    put(&mut message, net);
    message
}

/// All addresses of the socket's namespace, of both families.
///
/// # Errors
/// As [`Socket::dump`].
pub fn list(socket: &mut Socket) -> Result<Vec<Address>> {
    let mut message = Message::new(GET, 0);
    message.raw(&[0; FIXED]);
    let replies = socket.dump("list addresses", message)?;
    let mut addresses = Vec::with_capacity(replies.len());
    for reply in replies.iter().filter(|reply| reply.kind == NEW) {
        addresses.extend(parse(reply)?);
    }
    Ok(addresses)
}

/// What happened to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new, or another one than it was.
    Came,
    /// It is gone.
    Went,
}

/// An address that came or went, as a notification tells it.
///
/// # Errors
/// What cannot be read.
pub fn notified(reply: &Reply) -> Result<Option<(Change, Address)>> {
    let change = match reply.kind {
        NEW => Change::Came,
        DELETE => Change::Went,
        _ => return Ok(None),
    };
    Ok(parse(reply)?.map(|address| (change, address)))
}

/// An address of IPv4 or IPv6.
fn parse(reply: &Reply) -> Result<Option<Address>> {
    let fixed = reply
        .body
        .get(..FIXED)
        .ok_or(Error::Unreadable { what: "address" })?;
    if ![AF_INET, AF_INET6].contains(&fixed[0]) {
        return Ok(None);
    }
    let attributes = reply.attributes(FIXED);
    let ip = ip(attributes, LOCAL).or_else(|| ip(attributes, ADDRESS));
    Ok(Some(Address {
        index: u32::from_ne_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        net: net(ip.ok_or(Error::Unreadable { what: "address" })?, fixed[1])?,
    }))
}

/// The address in an attribute, of the family its length tells.
pub(crate) fn ip(attributes: Attributes<'_>, kind: u16) -> Option<IpAddr> {
    let bytes = attributes.find(kind)?;
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(octets).into());
    }
    let octets: [u8; 16] = bytes.try_into().ok()?;
    Some(Ipv6Addr::from(octets).into())
}

pub(crate) fn net(ip: IpAddr, prefix: u8) -> Result<IpNet> {
    IpNet::new(ip, prefix).map_err(|_| Error::Unreadable {
        what: "prefix length",
    })
}

/// Appends an address of either family.
pub(crate) fn put_ip(message: &mut Message, kind: u16, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => message.attribute(kind, &ip.octets()),
        IpAddr::V6(ip) => message.attribute(kind, &ip.octets()),
    };
}

fn put(message: &mut Message, net: IpNet) {
    put_ip(message, LOCAL, net.addr());
    put_ip(message, ADDRESS, net.addr());
}

fn header(kind: u16, flags: u16, index: u32, net: IpNet) -> Message {
    let mut message = Message::new(kind, flags);
    let (family, no_question) = match net {
        IpNet::V4(_) => (AF_INET, 0),
        IpNet::V6(_) => (AF_INET6, NODAD),
    };
    let [a, b, c, d] = index.to_ne_bytes();
    message.raw(&[family, net.prefix_len(), no_question, 0, a, b, c, d]);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_message() {
        let bytes = add(3, net("172.17.0.2/16")).finish().unwrap();
        #[rustfmt::skip]
        let golden = [
            48, 0, 0, 0, 20, 0, 0x00, 0x06, 0, 0, 0, 0, 0, 0, 0, 0,
            2, 16, 0, 0, 3, 0, 0, 0,
            8, 0, 2, 0, 172, 17, 0, 2,
            8, 0, 1, 0, 172, 17, 0, 2,
            8, 0, 4, 0, 172, 17, 255, 255,
        ];
        assert_eq!(bytes, golden);
    }

    #[test]
    fn an_address_of_ipv6_asks_nobody() {
        let bytes = add(3, net("fd00::2/64")).finish().unwrap();
        #[rustfmt::skip]
        let golden = [
            64, 0, 0, 0, 20, 0, 0x00, 0x06, 0, 0, 0, 0, 0, 0, 0, 0,
            10, 64, 2, 0, 3, 0, 0, 0,
            20, 0, 2, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
            20, 0, 1, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
        ];
        assert_eq!(bytes, golden);
    }
}
