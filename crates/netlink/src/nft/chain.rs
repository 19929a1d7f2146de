//! Chains.

use super::{CREATE, FIXED, Family, SUBSYSTEM, header};
use crate::error::Result;
use crate::message::Message;
use crate::socket::Socket;

const NEW: u16 = 3;
const GET: u16 = 4;
const DELETE: u16 = 5;
const TABLE: u16 = 1;
const NAME: u16 = 3;
const HOOK: u16 = 4;
const POLICY: u16 = 5;
const TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;

/// Where packets enter a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Everything that arrives, before it is routed.
    Prerouting,
    /// What is for this machine.
    Input,
    /// What passes through.
    Forward,
    /// What this machine sends.
    Output,
    /// Everything that leaves.
    Postrouting,
}

/// What a base chain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Accept and drop.
    Filter,
    /// Rewrite addresses: sees the first packet of each connection.
    Nat,
}

/// What happens to packets at the end of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// They go on.
    Accept,
    /// They end.
    Drop,
}

/// The hook of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// What it may do.
    pub kind: Kind,
    /// Where it listens.
    pub hook: Hook,
    /// Its place among the chains of that hook; lower is earlier.
    pub priority: i32,
    /// What happens at its end.
    pub policy: Policy,
}

/// A chain as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// What happens at its end; `None` for chains without a hook.
    pub policy: Option<Policy>,
}

/// A chain with a hook, of anybody's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hooked {
    /// The family of its table: "ip", "ip6", "inet", ...
    pub family: &'static str,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
}

/// The chains of all tables that drop what passes through unless a rule lets it.
///
/// # Errors
/// As [`Socket::dump`].
pub fn dropping_forward(socket: &mut Socket) -> Result<Vec<Hooked>> {
    const FORWARD: u32 = 2;
    let mut message = Message::new(SUBSYSTEM | GET, 0);
    message.raw(&[0; FIXED]);
    let replies = socket.dump("list chains", message)?;
    let all = replies.iter().filter(|reply| reply.kind == SUBSYSTEM | NEW);
    Ok(all
        .filter_map(|reply| {
            let attributes = reply.attributes(FIXED);
            let hook = attributes.inside(HOOK).be32(HOOK_NUMBER)?;
            let family = match *reply.body.first()? {
                1 => "inet",
                2 => "ip",
                10 => "ip6",
                _ => return None,
            };
            (hook == FORWARD && attributes.be32(POLICY) == Some(0)).then(|| {
                Some(Hooked {
                    family,
                    table: attributes.text(TABLE)?.to_owned(),
                    name: attributes.text(NAME)?.to_owned(),
                })
            })?
        })
        .collect())
}

/// The message that makes a chain; nothing happens if it is there with the same hook.
#[must_use]
pub fn add_chain(family: Family, table: &str, name: &str, base: Option<Base>) -> Message {
    let mut message = header(NEW, CREATE, family);
    message.text(TABLE, table).text(NAME, name);
    if let Some(base) = base {
        message.nest(HOOK, |hook| {
            hook.be32(
                HOOK_NUMBER,
                match base.hook {
                    Hook::Prerouting => 0,
                    Hook::Input => 1,
                    Hook::Forward => 2,
                    Hook::Output => 3,
                    Hook::Postrouting => 4,
                },
            )
            .attribute(HOOK_PRIORITY, &base.priority.to_be_bytes());
        });
        message
            .be32(POLICY, u32::from(base.policy == Policy::Accept))
            .text(
                TYPE,
                match base.kind {
                    Kind::Filter => "filter",
                    Kind::Nat => "nat",
                },
            );
    }
    message
}

/// The message that deletes a chain that nobody jumps to, with its rules.
#[must_use]
pub fn delete_chain(family: Family, table: &str, name: &str) -> Message {
    let mut message = header(DELETE, 0, family);
    message.text(TABLE, table).text(NAME, name);
    message
}

/// The chains of a table; none if there is no such table.
///
/// # Errors
/// As [`Socket::dump`].
pub fn chains(socket: &mut Socket, family: Family, table: &str) -> Result<Vec<Chain>> {
    let replies = socket.dump("list chains", header(GET, 0, family))?;
    Ok(replies
        .iter()
        .filter(|reply| reply.kind == SUBSYSTEM | NEW)
        .filter_map(|reply| {
            let attributes = reply.attributes(FIXED);
            Some(Chain {
                table: attributes.text(TABLE)?.to_owned(),
                name: attributes.text(NAME)?.to_owned(),
                policy: attributes.be32(POLICY).map(|policy| {
                    if policy == 0 {
                        Policy::Drop
                    } else {
                        Policy::Accept
                    }
                }),
            })
        })
        .filter(|chain| chain.table == table)
        .collect())
}
