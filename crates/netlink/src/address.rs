//! IPv4 addresses of links.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::error::{Error, Result};
use crate::message::Message;
use crate::socket::Socket;

const NEW: u16 = 20;
const DELETE: u16 = 21;
const GET: u16 = 22;
const CREATE: u16 = 0x400 | 0x200; // NLM_F_CREATE | NLM_F_EXCL
const AF_INET: u8 = 2;
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const BROADCAST: u16 = 4;
/// Length of `struct ifaddrmsg`.
const FIXED: usize = 8;

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The link.
    pub index: u32,
    /// The address and its prefix, host bits kept.
    pub net: Ipv4Net,
}

/// The message that gives `net` (host bits kept) to a link, with the broadcast address of its prefix.
#[must_use]
pub fn add(index: u32, net: Ipv4Net) -> Message {
    let mut message = header(NEW, CREATE, index, net.prefix_len());
    message
        .attribute(LOCAL, &net.addr().octets())
        .attribute(ADDRESS, &net.addr().octets());
    if net.prefix_len() < 31 {
        message.attribute(BROADCAST, &net.broadcast().octets());
    }
    message
}

/// The message that takes `net` from a link.
#[must_use]
pub fn delete(index: u32, net: Ipv4Net) -> Message {
    let mut message = header(DELETE, 0, index, net.prefix_len());
    message
        .attribute(LOCAL, &net.addr().octets())
        .attribute(ADDRESS, &net.addr().octets());
    message
}

/// All IPv4 addresses of the socket's namespace.
///
/// # Errors
/// As [`Socket::dump`].
pub fn list(socket: &mut Socket) -> Result<Vec<Address>> {
    let replies = socket.dump("list addresses", header(GET, 0, 0, 0))?;
    let mut addresses = Vec::with_capacity(replies.len());
    for reply in replies.iter().filter(|reply| reply.kind == NEW) {
        let fixed = reply
            .body
            .get(..FIXED)
            .ok_or(Error::Unreadable { what: "address" })?;
        if fixed[0] != AF_INET {
            continue;
        }
        let attributes = reply.attributes(FIXED);
        let octets: Option<[u8; 4]> = attributes
            .find(LOCAL)
            .or_else(|| attributes.find(ADDRESS))
            .and_then(|bytes| bytes.try_into().ok());
        let octets = octets.ok_or(Error::Unreadable { what: "address" })?;
        addresses.push(Address {
            index: u32::from_ne_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            net: Ipv4Net::new(Ipv4Addr::from(octets), fixed[1]).map_err(|_| Error::Unreadable {
                what: "prefix length",
            })?,
        });
    }
    Ok(addresses)
}

fn header(kind: u16, flags: u16, index: u32, prefix: u8) -> Message {
    let mut message = Message::new(kind, flags);
    let [a, b, c, d] = index.to_ne_bytes();
    message.raw(&[AF_INET, prefix, 0, 0, a, b, c, d]);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_message() {
        let bytes = add(3, "172.17.0.2/16".parse().unwrap()).finish().unwrap();
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
}
