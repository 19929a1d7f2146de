//! Policy rules of IPv4 routing (`ip rule`), of the one kind we make: prohibit.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::error::{Error, Result};
use crate::message::Message;
use crate::socket::Socket;

const NEW: u16 = 32;
const DELETE: u16 = 33;
const GET: u16 = 34;
const CREATE: u16 = 0x400 | 0x200; // NLM_F_CREATE | NLM_F_EXCL
const AF_INET: u8 = 2;
const PROHIBIT: u8 = 8;
const DESTINATION: u16 = 1;
const IN: u16 = 3;
const PRIORITY: u16 = 6;
/// Length of `struct fib_rule_hdr`.
const FIXED: usize = 12;

/// What comes in by `from` may not go to `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prohibit {
    /// The place among the rules; lower is earlier.
    pub priority: u32,
    /// The link the packet came in by.
    pub from: String,
    /// Where it wants to go.
    pub to: Ipv4Net,
}

/// The message that adds the rule.
#[must_use]
pub fn add(rule: &Prohibit) -> Message {
    build(NEW, CREATE, rule)
}

/// The message that deletes the rule.
#[must_use]
pub fn delete(rule: &Prohibit) -> Message {
    build(DELETE, 0, rule)
}

/// All rules of this kind, ours and those of others.
///
/// # Errors
/// As [`Socket::dump`].
pub fn list(socket: &mut Socket) -> Result<Vec<Prohibit>> {
    let mut message = Message::new(GET, 0);
    message.raw(&[AF_INET, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let replies = socket.dump("list rules", message)?;
    let mut rules = Vec::new();
    for reply in replies.iter().filter(|reply| reply.kind == NEW) {
        let fixed = reply
            .body
            .get(..FIXED)
            .ok_or(Error::Unreadable { what: "rule" })?;
        let attributes = reply.attributes(FIXED);
        let octets: Option<[u8; 4]> = attributes
            .find(DESTINATION)
            .and_then(|bytes| bytes.try_into().ok());
        if let (AF_INET, PROHIBIT, Some(octets), Some(from)) =
            (fixed[0], fixed[7], octets, attributes.text(IN))
        {
            rules.push(Prohibit {
                priority: attributes.u32(PRIORITY).unwrap_or_default(),
                from: from.to_owned(),
                to: Ipv4Net::new(Ipv4Addr::from(octets), fixed[1]).map_err(|_| {
                    Error::Unreadable {
                        what: "prefix length",
                    }
                })?,
            });
        }
    }
    Ok(rules)
}

fn build(kind: u16, flags: u16, rule: &Prohibit) -> Message {
    let mut message = Message::new(kind, flags);
    message
        .raw(&[
            AF_INET,
            rule.to.prefix_len(),
            0,
            0,
            0,
            0,
            0,
            PROHIBIT,
            0,
            0,
            0,
            0,
        ])
        .attribute(DESTINATION, &rule.to.network().octets())
        .link_name(IN, &rule.from)
        .u32(PRIORITY, rule.priority);
    message
}
