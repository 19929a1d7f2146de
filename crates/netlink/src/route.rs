//! IPv4 routes.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::error::{Error, Result};
use crate::message::Message;
use crate::socket::Socket;

const NEW: u16 = 24;
const GET: u16 = 26;
const CREATE: u16 = 0x400 | 0x200; // NLM_F_CREATE | NLM_F_EXCL
const AF_INET: u8 = 2;
const MAIN: u8 = 254;
const LOCAL: u32 = 255;
const BOOT: u8 = 3; // RTPROT_BOOT: what `ip route add` says
const UNIVERSE: u8 = 0;
const UNICAST: u8 = 1;
const DESTINATION: u16 = 1;
const OUT: u16 = 4;
const GATEWAY: u16 = 5;
const TABLE: u16 = 15;
/// Length of `struct rtmsg`.
const FIXED: usize = 12;

/// A route to a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where to; 0.0.0.0/0 is the default route.
    pub destination: Ipv4Net,
    /// By which router.
    pub gateway: Option<Ipv4Addr>,
    /// Through which link.
    pub index: Option<u32>,
    /// The routing table.
    pub table: u32,
}

/// The message that makes `gateway` the default route of the main table.
#[must_use]
pub fn add_default(gateway: Ipv4Addr, index: u32) -> Message {
    let mut message = Message::new(NEW, CREATE);
    message
        .raw(&[AF_INET, 0, 0, 0, MAIN, BOOT, UNIVERSE, UNICAST, 0, 0, 0, 0])
        .attribute(GATEWAY, &gateway.octets())
        .u32(OUT, index);
    message
}

/// All unicast routes of all tables but the kernel's own table of local addresses.
///
/// # Errors
/// As [`Socket::dump`].
pub fn list(socket: &mut Socket) -> Result<Vec<Route>> {
    let mut message = Message::new(GET, 0);
    message.raw(&[AF_INET, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let replies = socket.dump("list routes", message)?;
    let mut routes = Vec::with_capacity(replies.len());
    for reply in replies.iter().filter(|reply| reply.kind == NEW) {
        let fixed = reply
            .body
            .get(..FIXED)
            .ok_or(Error::Unreadable { what: "route" })?;
        let attributes = reply.attributes(FIXED);
        let table = attributes.u32(TABLE).unwrap_or(u32::from(fixed[4]));
        if fixed[0] != AF_INET || fixed[7] != UNICAST || table == LOCAL {
            continue;
        }
        let address = |kind| -> Option<Ipv4Addr> {
            let octets: [u8; 4] = attributes.find(kind)?.try_into().ok()?;
            Some(Ipv4Addr::from(octets))
        };
        routes.push(Route {
            destination: Ipv4Net::new(
                address(DESTINATION).unwrap_or(Ipv4Addr::UNSPECIFIED),
                fixed[1],
            )
            .map_err(|_| Error::Unreadable {
                what: "prefix length",
            })?,
            gateway: address(GATEWAY),
            index: attributes.u32(OUT),
            table,
        });
    }
    Ok(routes)
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
