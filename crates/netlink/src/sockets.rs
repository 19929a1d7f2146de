//! The sockets that the host's processes have bound (`sock_diag`): what a listener, or UDP without a peer, waits on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::{AF_INET, AF_INET6};
use crate::error::{Error, Result};
use crate::message::Message;
use crate::socket::{Protocol, Reply, Socket};

const BY_FAMILY: u16 = 20;
const ONLY_V6: u16 = 11;
/// `TCP_CLOSE`, which is UDP without a peer, and `TCP_LISTEN`, as bits.
const WAITING: u32 = 1 << 7 | 1 << 10;
/// Length of `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
/// Length of `struct inet_diag_msg`.
const FIXED: usize = 72;

/// A socket that waits for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Where.
    pub address: SocketAddr,
    /// Whether, being one of IPv6, it takes nothing of IPv4.
    pub only_v6: bool,
}

/// The sockets of this protocol that wait for others in the calling thread's network namespace.
///
/// # Errors
/// As [`Socket::dump`]; a kernel without this part refuses.
pub fn bound(protocol: u8) -> Result<Vec<Bound>> {
    let mut socket = Socket::open(Protocol::Sockets)?;
    let mut all = Vec::new();
    for family in [AF_INET, AF_INET6] {
        let mut fixed = [0; REQUEST];
        fixed[0] = family;
        fixed[1] = protocol;
        fixed[4..8].copy_from_slice(&WAITING.to_ne_bytes());
        let mut message = Message::new(BY_FAMILY, 0);
        message.raw(&fixed);
        for reply in socket.dump("list sockets", message)? {
            if reply.kind == BY_FAMILY {
                all.push(parse(&reply).ok_or(Error::Unreadable { what: "socket" })?);
            }
        }
    }
    Ok(all)
}

fn parse(reply: &Reply) -> Option<Bound> {
    let port = u16::from_be_bytes(reply.body.get(4..6)?.try_into().ok()?);
    let ip = match *reply.body.first()? {
        AF_INET => {
            let octets: [u8; 4] = reply.body.get(8..12)?.try_into().ok()?;
            IpAddr::V4(Ipv4Addr::from(octets))
        }
        _ => {
            let octets: [u8; 16] = reply.body.get(8..24)?.try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(octets))
        }
    };
    Some(Bound {
        address: SocketAddr::new(ip, port),
        only_v6: reply.attributes(FIXED).find(ONLY_V6) == Some(&[1]),
    })
}
