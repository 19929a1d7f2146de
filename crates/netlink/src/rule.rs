//! Policy rules of routing (`ip rule`), of the kinds we make: a table that forwarded packets are looked up in, and the way
//! round it for packets with a mark.

use crate::address::{AF_INET, AF_INET6};
use crate::error::{Error, Result};
use crate::message::Message;
use crate::nft::Family;
use crate::socket::Socket;

const NEW: u16 = 32;
const DELETE: u16 = 33;
const GET: u16 = 34;
const CREATE: u16 = 0x400 | 0x200; // NLM_F_CREATE | NLM_F_EXCL
const TO_TABLE: u8 = 1;
const GOTO: u8 = 2;
const NOTHING: u8 = 3;
const INVERT: u32 = 2;
const IN: u16 = 3;
const TARGET: u16 = 4;
const PRIORITY: u16 = 6;
const MARK: u16 = 10;
const TABLE: u16 = 15;
const MASK: u16 = 16;
/// Length of `struct fib_rule_hdr`.
const FIXED: usize = 12;

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The place among the rules; lower is earlier.
    pub priority: u32,
    /// What it does.
    pub action: Action,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Packets that come from elsewhere, not from this machine, are looked up in this table.
    LookUpForwarded(u32),
    /// Packets with these bits of the mark go on at the rule with this priority.
    SkipMarked {
        /// The bits.
        mark: u32,
        /// The priority.
        target: u32,
    },
    /// Nothing: a place to go on at.
    Nothing,
}

/// The message that adds the rule.
#[must_use]
pub fn add(family: Family, rule: Rule) -> Message {
    build(NEW, CREATE, family, rule)
}

/// The message that deletes the rule.
#[must_use]
pub fn delete(family: Family, rule: Rule) -> Message {
    build(DELETE, 0, family, rule)
}

/// All rules of these kinds, ours and those of others.
///
/// # Errors
/// As [`Socket::dump`].
pub fn list(socket: &mut Socket, family: Family) -> Result<Vec<Rule>> {
    let mut message = Message::new(GET, 0);
    message.raw(&[number(family), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let replies = socket.dump("list rules", message)?;
    let mut rules = Vec::new();
    for reply in replies.iter().filter(|reply| reply.kind == NEW) {
        let fixed = reply
            .body
            .get(..FIXED)
            .ok_or(Error::Unreadable { what: "rule" })?;
        let attributes = reply.attributes(FIXED);
        let flags = u32::from_ne_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]);
        let forwarded = flags & INVERT != 0 && attributes.text(IN) == Some("lo");
        let action = match (fixed[7], attributes.u32(MARK)) {
            (TO_TABLE, None) if forwarded => attributes.u32(TABLE).map(Action::LookUpForwarded),
            (GOTO, Some(mark)) => attributes
                .u32(TARGET)
                .map(|target| Action::SkipMarked { mark, target }),
            (NOTHING, None) => Some(Action::Nothing),
            _ => None,
        };
        if let Some(action) = action {
            rules.push(Rule {
                priority: attributes.u32(PRIORITY).unwrap_or_default(),
                action,
            });
        }
    }
    Ok(rules)
}

fn number(family: Family) -> u8 {
    match family {
        Family::Ip6 => AF_INET6,
        _ => AF_INET,
    }
}

fn build(kind: u16, flags: u16, family: Family, rule: Rule) -> Message {
    let (action, invert) = match rule.action {
        Action::LookUpForwarded(_) => (TO_TABLE, INVERT),
        Action::SkipMarked { .. } => (GOTO, 0),
        Action::Nothing => (NOTHING, 0),
    };
    let mut message = Message::new(kind, flags);
    let [a, b, c, d] = invert.to_ne_bytes();
    message
        .raw(&[number(family), 0, 0, 0, 0, 0, 0, action, a, b, c, d])
        .u32(PRIORITY, rule.priority);
    match rule.action {
        Action::LookUpForwarded(table) => {
            message.link_name(IN, "lo").u32(TABLE, table);
        }
        Action::SkipMarked { mark, target } => {
            message.u32(MARK, mark).u32(MASK, mark).u32(TARGET, target);
        }
        Action::Nothing => {}
    }
    message
}
