//! Rules.

use super::{APPEND, CREATE, Expression, FIXED, Family, SUBSYSTEM, header, put_tag, read_tag};
use crate::error::Result;
use crate::message::Message;
use crate::socket::Socket;

const NEW: u16 = 6;
const GET: u16 = 7;
const DELETE: u16 = 8;
const TABLE: u16 = 1;
const CHAIN: u16 = 2;
const HANDLE: u16 = 3;
const EXPRESSIONS: u16 = 4;
const USERDATA: u16 = 7;
const LIST_ELEMENT: u16 = 1;

/// Where a new rule goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before all others.
    First,
    /// Behind all others.
    Last,
}

/// A rule as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its number in the table.
    pub handle: u64,
    /// Its chain.
    pub chain: String,
    /// Its comment.
    pub tag: Option<String>,
    /// The kernel's names of its expressions, in order.
    pub expressions: Vec<String>,
}

/// The message that adds a rule.
#[must_use]
pub fn add_rule(
    family: Family,
    table: &str,
    chain: &str,
    place: Place,
    expressions: &[Expression],
    tag: Option<&str>,
) -> Message {
    let place = match place {
        Place::First => 0,
        Place::Last => APPEND,
    };
    let mut message = header(NEW, CREATE | place, family);
    message
        .text(TABLE, table)
        .text(CHAIN, chain)
        .nest(EXPRESSIONS, |list| {
            for expression in expressions {
                list.nest(LIST_ELEMENT, |element| expression.put(element));
            }
        });
    put_tag(&mut message, USERDATA, tag);
    message
}

/// The message that deletes the rule with this handle.
#[must_use]
pub fn delete_rule(family: Family, table: &str, chain: &str, handle: u64) -> Message {
    let mut message = flush_chain(family, table, chain);
    message.be64(HANDLE, handle);
    message
}

/// The message that deletes all rules of a chain. In one batch with what follows, no packet sees the empty chain.
#[must_use]
pub fn flush_chain(family: Family, table: &str, chain: &str) -> Message {
    let mut message = header(DELETE, 0, family);
    message.text(TABLE, table).text(CHAIN, chain);
    message
}

/// The rules of a table, chain by chain in their order; none if there is no such table.
///
/// # Errors
/// As [`Socket::dump`].
pub fn rules(socket: &mut Socket, family: Family, table: &str) -> Result<Vec<Rule>> {
    let mut message = header(GET, 0, family);
    message.text(TABLE, table);
    let replies = socket.dump("list rules", message)?;
    Ok(replies
        .iter()
        .filter(|reply| reply.kind == SUBSYSTEM | NEW)
        .filter_map(|reply| {
            let attributes = reply.attributes(FIXED);
            if attributes.text(TABLE) != Some(table) {
                return None;
            }
            Some(Rule {
                handle: attributes.be64(HANDLE)?,
                chain: attributes.text(CHAIN)?.to_owned(),
                tag: read_tag(attributes, USERDATA),
                expressions: attributes
                    .inside(EXPRESSIONS)
                    .filter_map(|(_, expression)| {
                        crate::message::Attributes::new(expression)
                            .text(1)
                            .map(str::to_owned)
                    })
                    .collect(),
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::{Comparison, MetaKey, Register, Verdict};

    #[test]
    fn a_rule_message() {
        let mut name = b"br0".to_vec();
        name.resize(16, 0);
        let expressions = [
            Expression::Meta {
                key: MetaKey::InName,
                to: Register::word(0),
            },
            Expression::Compare {
                from: Register::word(0),
                comparison: Comparison::Equal,
                value: name,
            },
            Expression::Verdict(Verdict::Drop),
        ];
        let bytes = add_rule(Family::Ip, "t", "c", Place::Last, &expressions, Some("x"))
            .finish()
            .unwrap();
        #[rustfmt::skip]
        let golden = [
            188, 0, 0, 0, 6, 10, 0x00, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0,
            2, 0, 0, 0,
            6, 0, 1, 0, b't', 0, 0, 0,
            6, 0, 2, 0, b'c', 0, 0, 0,
            144, 0, 4, 0x80,
                36, 0, 1, 0x80,
                    9, 0, 1, 0, b'm', b'e', b't', b'a', 0, 0, 0, 0,
                    20, 0, 2, 0x80,
                        8, 0, 2, 0, 0, 0, 0, 6,
                        8, 0, 1, 0, 0, 0, 0, 8,
                56, 0, 1, 0x80,
                    8, 0, 1, 0, b'c', b'm', b'p', 0,
                    44, 0, 2, 0x80,
                        8, 0, 1, 0, 0, 0, 0, 8,
                        8, 0, 2, 0, 0, 0, 0, 0,
                        24, 0, 3, 0x80,
                            20, 0, 1, 0, b'b', b'r', b'0', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                48, 0, 1, 0x80,
                    14, 0, 1, 0, b'i', b'm', b'm', b'e', b'd', b'i', b'a', b't', b'e', 0, 0, 0,
                    28, 0, 2, 0x80,
                        8, 0, 1, 0, 0, 0, 0, 0,
                        16, 0, 2, 0x80,
                            12, 0, 2, 0x80,
                                8, 0, 1, 0, 0, 0, 0, 0,
            8, 0, 7, 0, 0, 2, b'x', 0,
        ];
        assert_eq!(bytes, golden);
    }
}
