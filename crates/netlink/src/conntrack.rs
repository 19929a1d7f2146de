//! Connection tracking: forgetting flows. A UDP flow that was tracked before its port was published keeps going the old
//! way until its entry is gone.

use std::net::IpAddr;

use crate::address::{self, AF_INET, AF_INET6};
use crate::error::Result;
use crate::message::{Attributes, Message};
use crate::socket::{Batch, Socket};

const SUBSYSTEM: u16 = 1 << 8;
const NEW: u16 = SUBSYSTEM;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const SOURCE: u16 = 1;
const DESTINATION: u16 = 2;
const SOURCE_V6: u16 = 3;
const DESTINATION_V6: u16 = 4;
const NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;
/// Length of `struct nfgenmsg`.
const FIXED: usize = 4;

/// A tracked flow of a protocol with ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Protocol number.
    pub protocol: u8,
    /// As the first packet came.
    pub original: (IpAddr, u16, IpAddr, u16),
    /// As answers come.
    pub reply: (IpAddr, u16, IpAddr, u16),
    id: u32,
}

/// Forgets every flow that `chosen` picks; returns how many.
///
/// # Errors
/// As [`Socket::dump`]; flows that ended meanwhile are not an error.
pub fn forget(socket: &mut Socket, chosen: impl Fn(&Flow) -> bool) -> Result<usize> {
    let mut message = Message::new(GET, 0);
    message.raw(&[0; FIXED]); // both families
    let replies = socket.dump("list tracked flows", message)?;
    let flows: Vec<Flow> = replies
        .iter()
        .filter(|reply| reply.kind == NEW)
        .filter_map(|reply| parse(reply.attributes(FIXED)))
        .filter(chosen)
        .collect();
    for flow in &flows {
        let mut batch = Batch::new();
        batch.push("forget a tracked flow", delete(flow));
        match socket.transact(batch) {
            Err(error) if !error.is_absent() => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(flows.len())
}

fn parse(attributes: Attributes<'_>) -> Option<Flow> {
    let tuple = |kind| -> Option<(u8, (IpAddr, u16, IpAddr, u16))> {
        let tuple = attributes.inside(kind);
        let (ip, protocol) = (tuple.inside(TUPLE_IP), tuple.inside(TUPLE_PROTOCOL));
        let address =
            |v4, v6| -> Option<IpAddr> { address::ip(ip, v4).or_else(|| address::ip(ip, v6)) };
        Some((
            *protocol.find(NUMBER)?.first()?,
            (
                address(SOURCE, SOURCE_V6)?,
                protocol.be16(SOURCE_PORT)?,
                address(DESTINATION, DESTINATION_V6)?,
                protocol.be16(DESTINATION_PORT)?,
            ),
        ))
    };
    let (protocol, original) = tuple(TUPLE_ORIGINAL)?;
    Some(Flow {
        protocol,
        original,
        reply: tuple(TUPLE_REPLY)?.1,
        id: attributes.be32(ID)?,
    })
}

fn delete(flow: &Flow) -> Message {
    let mut message = Message::new(DELETE, 0);
    let (source, source_port, destination, destination_port) = flow.original;
    let (family, from, to) = match source {
        IpAddr::V4(_) => (AF_INET, SOURCE, DESTINATION),
        IpAddr::V6(_) => (AF_INET6, SOURCE_V6, DESTINATION_V6),
    };
    message
        .raw(&[family, 0, 0, 0])
        .nest(TUPLE_ORIGINAL, |tuple| {
            tuple
                .nest(TUPLE_IP, |ip| {
                    address::put_ip(ip, from, source);
                    address::put_ip(ip, to, destination);
                })
                .nest(TUPLE_PROTOCOL, |protocol| {
                    protocol
                        .u8(NUMBER, flow.protocol)
                        .be16(SOURCE_PORT, source_port)
                        .be16(DESTINATION_PORT, destination_port);
                });
        })
        .be32(ID, flow.id);
    message
}
