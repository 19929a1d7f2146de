//! nftables over nfnetlink: messages for a [`crate::Batch`] on a [`crate::Socket`] of [`crate::Protocol::Nftables`].
//! One batch is one transaction; no packet ever sees half of it.

mod chain; // chains and their hooks
mod expression; // what a rule is made of
mod installed; // everything that is there, of anybody's
mod rule; // rules
mod set; // sets, maps, verdict maps and their elements
mod table; // tables

pub use chain::{
    Base, Chain, Hook, Hooked, Kind, Policy, add_chain, chains, delete_chain, dropping_forward,
};
pub use expression::{
    Base as PayloadBase, Comparison, ConntrackKey, Expression, FibResult, Inverted, MetaKey,
    NatKind, Register, Verdict,
};
pub use installed::{
    Entry, Installed, InstalledChain, InstalledRule, InstalledSet, Place as RegisterPlace, Step,
    installed,
};
pub use rule::{Place, Rule, add_rule, delete_rule, flush_chain, rules};
pub use set::{
    Data, DataType, Element, Field, Set, add_elements, add_set, concatenate, delete_elements,
    delete_set, elements, interval, sets,
};
pub use table::{Table, TableFlags, add_table, delete_table, table};

use crate::message::{Attributes, Message};

/// The group of nftables notifications (`NFNLGRP_NFTABLES`), for [`crate::Socket::join`].
pub const NOTIFICATIONS: u32 = 7;

const SUBSYSTEM: u16 = 10 << 8;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
/// Length of `struct nfgenmsg`.
const FIXED: usize = 4;
/// The longest comment that a tag carries.
const TAG_LENGTH: usize = 127;

/// The protocol family of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Ethernet bridges.
    Bridge,
}

impl Family {
    fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Bridge => 7,
            Self::Ip6 => 10,
        }
    }
}

/// Whether a notification is about this table of this family.
#[must_use]
pub fn concerns(reply: &crate::Reply, family: Family, table: &str) -> bool {
    // All messages but those of generations begin with the name of the table as attribute 1.
    reply.kind & 0xff00 == SUBSYSTEM
        && reply.body.first() == Some(&family.number())
        && reply.attributes(FIXED).text(1) == Some(table)
}

fn header(kind: u16, flags: u16, family: Family) -> Message {
    let mut message = Message::new(SUBSYSTEM | kind, flags);
    message.raw(&[family.number(), 0, 0, 0]);
    message
}

/// Appends `tag` in the form in which nft shows it as a comment. A longer tag is cut.
fn put_tag(message: &mut Message, attribute: u16, tag: Option<&str>) {
    let Some(tag) = tag else { return };
    let mut end = tag.len().min(TAG_LENGTH);
    while !tag.is_char_boundary(end) {
        end -= 1;
    }
    let mut bytes = Vec::with_capacity(end + 3);
    bytes.push(0);
    bytes.push(u8::try_from(end + 1).unwrap_or(u8::MAX));
    bytes.extend_from_slice(&tag.as_bytes()[..end]);
    bytes.push(0);
    message.attribute(attribute, &bytes);
}

/// The comment in user data, if there is one.
fn read_tag(attributes: Attributes<'_>, attribute: u16) -> Option<String> {
    let mut rest = attributes.find(attribute)?;
    while let [kind, length, tail @ ..] = rest {
        let value = tail.get(..usize::from(*length))?;
        if *kind == 0 {
            let text = value.strip_suffix(&[0]).unwrap_or(value);
            return String::from_utf8(text.to_vec()).ok();
        }
        rest = &tail[usize::from(*length)..];
    }
    None
}
