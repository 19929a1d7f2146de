//! All tables of a network namespace as they are installed, whosoever they are: chains with their hooks, rules as the
//! steps that the kernel takes, and the sets that rules look into. For those who want to know what becomes of a packet.
//!
//! Not here: what the steps do to a packet. What we cannot read is a [`Step::Other`], never left away.

use std::collections::BTreeMap;

use super::chain::{Hook, Policy};
use super::expression::Verdict;
use super::set::{Element, elements, field_lengths};
use super::{FIXED, Family, SUBSYSTEM, read_tag};
use crate::error::Result;
use crate::message::{Attributes, Message};
use crate::socket::{Reply, Socket};

const NEW_CHAIN: u16 = 3;
const GET_CHAIN: u16 = 4;
const NEW_RULE: u16 = 6;
const GET_RULE: u16 = 7;
const NEW_SET: u16 = 9;
const GET_SET: u16 = 10;

/// What is installed.
#[derive(Debug, Clone, Default)]
pub struct Installed {
    /// All chains of IP and of bridges.
    pub chains: Vec<InstalledChain>,
    /// The sets that rules look into, by table and name.
    pub sets: BTreeMap<(Family, String, String), InstalledSet>,
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledChain {
    /// The family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Where packets enter it; only chains with a hook have one.
    pub entry: Option<Entry>,
    /// Its rules, in order.
    pub rules: Vec<InstalledRule>,
}

/// Where packets enter a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub hook: Hook,
    /// When, among the chains of that hook.
    pub priority: i32,
    /// What happens at its end.
    pub policy: Policy,
    /// Whether it rewrites addresses.
    pub nat: bool,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledRule {
    /// Its comment.
    pub tag: Option<String>,
    /// What it does.
    pub steps: Vec<Step>,
}

/// A set or a map.
#[derive(Debug, Clone, Default)]
pub struct InstalledSet {
    /// What is in it.
    pub elements: Vec<Element>,
    /// Whether its elements are ranges.
    pub ranges: bool,
    /// The lengths of the fields of its key, where they are several.
    pub fields: Vec<usize>,
}

/// The place of a register among the bytes of all.
pub type Place = usize;

/// What a rule does at one point. Numbers are the kernel's (`linux/netfilter/nf_tables.h`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Reads a property of the packet.
    Meta(u32, Place),
    /// Writes one.
    SetMeta(u32, Place),
    /// Reads bytes of the packet.
    Payload {
        /// From which header: 1 is the network's, 2 the transport's.
        base: u32,
        /// The first byte.
        offset: usize,
        /// How many.
        length: usize,
        /// Where to.
        to: Place,
    },
    /// Goes on where it compares: 0 equal, 1 different, 2 less, 3 at most, 4 greater, 5 at least.
    Compare(Place, u32, Vec<u8>),
    /// Goes on where it is between two, or is not.
    Range {
        /// What is compared.
        from: Place,
        /// Whether it is to be outside.
        inverted: bool,
        /// The least.
        low: Vec<u8>,
        /// The greatest.
        high: Vec<u8>,
    },
    /// `to = (from & mask) ^ xor`.
    Bitwise {
        /// What is masked.
        from: Place,
        /// Where to.
        to: Place,
        /// The bits that are kept.
        mask: Vec<u8>,
        /// The bits that are turned.
        xor: Vec<u8>,
    },
    /// Goes on where the key is in a set; reads what a map has for it.
    Lookup {
        /// The set.
        set: String,
        /// The key.
        from: Place,
        /// Where the map's data goes.
        to: Option<Place>,
        /// Whether the key is to be absent.
        inverted: bool,
        /// Whether the map's data are verdicts.
        verdicts: bool,
    },
    /// Writes a constant.
    Load(Place, Vec<u8>),
    /// Decides.
    Verdict(Verdict),
    /// Reads from the connection's entry.
    Conntrack(u32, Place),
    /// Asks the routing tables.
    Fib {
        /// What is asked for: 1 and 2 the link, 3 the type of the address.
        result: u32,
        /// About what: 1 the source, 2 the destination, and more.
        flags: u32,
        /// Where to.
        to: Place,
    },
    /// Rewrites the destination.
    Destination(Option<Place>, Option<Place>),
    /// Rewrites the source.
    Source,
    /// Sends it to this machine itself.
    Redirect,
    /// Sends a copy to an address by a link.
    Duplicate(Option<Place>),
    /// Ends it, with an answer.
    Reject,
    /// Counts or logs: nothing that the packet would notice.
    Quiet,
    /// A match of iptables: its name, its data.
    Match(String, Vec<u8>),
    /// A target of iptables.
    Target(String),
    /// What we cannot read, by its name.
    Other(String),
}

/// Reads everything that concerns IP and bridges.
///
/// # Errors
/// As [`Socket::dump`].
pub fn installed(socket: &mut Socket) -> Result<Installed> {
    let mut all = Installed::default();
    for reply in dump(socket, "list chains", GET_CHAIN)? {
        let chain = (reply.kind == SUBSYSTEM | NEW_CHAIN).then(|| chain(&reply));
        all.chains.extend(chain.flatten());
    }
    for reply in dump(socket, "list rules", GET_RULE)? {
        if reply.kind != SUBSYSTEM | NEW_RULE {
            continue;
        }
        let (attributes, family) = (reply.attributes(FIXED), family(&reply));
        let names = (family, attributes.text(1), attributes.text(2));
        let is_it = |chain: &&mut InstalledChain| {
            names == (Some(chain.family), Some(&chain.table), Some(&chain.name))
        };
        if let Some(chain) = all.chains.iter_mut().find(is_it) {
            chain.rules.push(InstalledRule {
                tag: read_tag(attributes, 7),
                steps: attributes.inside(4).map(|(_, one)| step(one)).collect(),
            });
        }
    }
    let mut wanted = std::collections::BTreeSet::new();
    for chain in &all.chains {
        for step in chain.rules.iter().flat_map(|rule| &rule.steps) {
            if let Step::Lookup { set, .. } = step {
                wanted.insert((chain.family, chain.table.clone(), set.clone()));
            }
        }
    }
    for reply in dump(socket, "list sets", GET_SET)? {
        let attributes = reply.attributes(FIXED);
        let (Some(family), Some(table), Some(name)) =
            (family(&reply), attributes.text(1), attributes.text(2))
        else {
            continue;
        };
        let key = (family, table.to_owned(), name.to_owned());
        if reply.kind != SUBSYSTEM | NEW_SET || !wanted.contains(&key) {
            continue;
        }
        let elements = match elements(socket, family, table, name) {
            // It is gone, and its rule with it.
            Err(error) if error.is_absent() => continue,
            other => other?,
        };
        let set = InstalledSet {
            elements,
            ranges: attributes.be32(3).unwrap_or_default() & 4 != 0,
            fields: field_lengths(attributes),
        };
        all.sets.insert(key, set);
    }
    Ok(all)
}

fn dump(socket: &mut Socket, what: &'static str, kind: u16) -> Result<Vec<Reply>> {
    let mut message = Message::new(SUBSYSTEM | kind, 0);
    message.raw(&[0; FIXED]);
    socket.dump(what, message)
}

fn family(reply: &Reply) -> Option<Family> {
    match *reply.body.first()? {
        1 => Some(Family::Inet),
        2 => Some(Family::Ip),
        7 => Some(Family::Bridge),
        10 => Some(Family::Ip6),
        _ => None,
    }
}

fn chain(reply: &Reply) -> Option<InstalledChain> {
    let attributes = reply.attributes(FIXED);
    let hook = attributes.inside(4);
    let entry = hook.be32(1).and_then(|number| {
        let priority = hook.be32(2).unwrap_or_default();
        Some(Entry {
            hook: match number {
                0 => Hook::Prerouting,
                1 => Hook::Input,
                2 => Hook::Forward,
                3 => Hook::Output,
                4 => Hook::Postrouting,
                _ => return None,
            },
            priority: i32::from_be_bytes(priority.to_be_bytes()),
            policy: match attributes.be32(5) {
                Some(0) => Policy::Drop,
                _ => Policy::Accept,
            },
            nat: attributes.text(7) == Some("nat"),
        })
    });
    Some(InstalledChain {
        family: family(reply)?,
        table: attributes.text(1)?.to_owned(),
        name: attributes.text(3)?.to_owned(),
        entry,
        rules: Vec::new(),
    })
}

/// The first byte of a register: of sixteen bytes each (1 to 4), or four (8 to 23).
fn place(number: u32) -> Option<Place> {
    let number = usize::try_from(number).ok()?;
    match number {
        1..=4 => Some((number - 1) * 16),
        8..=23 => Some((number - 8) * 4),
        _ => None,
    }
}

fn step(bytes: &[u8]) -> Step {
    let all = Attributes::new(bytes);
    let name = all.text(1).unwrap_or_default();
    read(name, all.inside(2)).unwrap_or_else(|| Step::Other(name.to_owned()))
}

fn read(name: &str, data: Attributes<'_>) -> Option<Step> {
    let at = |kind| data.be32(kind).and_then(place);
    let value = |kind| data.inside(kind).find(1).map(<[u8]>::to_vec);
    let size = |kind| data.be32(kind).and_then(|n| usize::try_from(n).ok());
    Some(match name {
        "meta" => match (at(1), at(3)) {
            (Some(to), _) => Step::Meta(data.be32(2)?, to),
            (None, from) => Step::SetMeta(data.be32(2)?, from?),
        },
        "payload" => Step::Payload {
            base: data.be32(2)?,
            offset: size(3)?,
            length: size(4)?,
            to: at(1)?,
        },
        "cmp" => Step::Compare(at(1)?, data.be32(2)?, value(3)?),
        "range" => Step::Range {
            from: at(1)?,
            inverted: data.be32(2)? == 1,
            low: value(3)?,
            high: value(4)?,
        },
        // Shifts have another number, and no mask.
        "bitwise" if data.be32(6).unwrap_or_default() == 0 => Step::Bitwise {
            from: at(1)?,
            to: at(2)?,
            mask: value(4)?,
            xor: value(5)?,
        },
        "lookup" => Step::Lookup {
            set: data.text(1)?.to_owned(),
            from: at(2)?,
            to: at(3),
            inverted: data.be32(5).unwrap_or_default() & 1 != 0,
            verdicts: data.be32(3) == Some(0),
        },
        "immediate" => match at(1) {
            Some(to) => Step::Load(to, value(2)?),
            None => Step::Verdict(Verdict::read(data.inside(2))?),
        },
        "ct" => Step::Conntrack(data.be32(2)?, at(1)?),
        "fib" => Step::Fib {
            result: data.be32(2)?,
            flags: data.be32(3)?,
            to: at(1)?,
        },
        "nat" if data.be32(1) == Some(1) => Step::Destination(at(3), at(5)),
        "nat" | "masq" => Step::Source,
        "redir" | "tproxy" => Step::Redirect,
        "dup" => Step::Duplicate(at(2)),
        "reject" => Step::Reject,
        "counter" | "log" | "notrack" | "last" => Step::Quiet,
        "match" => Step::Match(data.text(1)?.to_owned(), data.find(3)?.to_vec()),
        "target" => Step::Target(data.text(1)?.to_owned()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::{Comparison, Expression, MetaKey, Register, Verdict};

    #[test]
    fn expressions_are_read_as_they_are_written() {
        let written = |expression: &Expression| {
            let mut message = Message::new(0, 0);
            expression.put(&mut message);
            step(&message.finish().unwrap()[16..])
        };
        let to = Register::word(1);
        let key = MetaKey::InName;
        assert_eq!(written(&Expression::Meta { key, to }), Step::Meta(6, 4));
        let compare = Expression::Compare {
            from: to,
            comparison: Comparison::NotEqual,
            value: vec![1, 2],
        };
        assert_eq!(written(&compare), Step::Compare(4, 1, vec![1, 2]));
        for verdict in [
            Verdict::Accept,
            Verdict::Drop,
            Verdict::Return,
            Verdict::Jump("there".to_owned()),
            Verdict::Goto("there".to_owned()),
        ] {
            assert_eq!(
                written(&Expression::Verdict(verdict.clone())),
                Step::Verdict(verdict)
            );
        }
        let map = Expression::Map {
            map: "m".to_owned(),
            from: Register::word(0),
            to: Register::word(8),
        };
        let lookup = Step::Lookup {
            set: "m".to_owned(),
            from: 0,
            to: Some(32),
            inverted: false,
            verdicts: false,
        };
        assert_eq!(written(&map), lookup);
        assert_eq!(written(&Expression::Counter), Step::Quiet);
        assert_eq!(written(&Expression::Masquerade), Step::Source);
    }

    #[test]
    fn what_is_not_known_is_not_left_away() {
        let mut message = Message::new(0, 0);
        message.text(1, "osf");
        let bytes = message.finish().unwrap();
        assert_eq!(step(&bytes[16..]), Step::Other("osf".to_owned()));
        assert_eq!(step(&[]), Step::Other(String::new()));
        assert_eq!(
            (place(0), place(4), place(8), place(24)),
            (None, Some(48), Some(0), None)
        );
    }
}
