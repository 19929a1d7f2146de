//! Tables.

use super::{CREATE, FIXED, Family, SUBSYSTEM, header, put_tag, read_tag};
use crate::error::Result;
use crate::message::Message;
use crate::socket::Socket;

const NEW: u16 = 0;
const GET: u16 = 1;
const DELETE: u16 = 2;
const NAME: u16 = 1;
const FLAGS: u16 = 2;
const USERDATA: u16 = 6;
const OWNER: u16 = 7;

bitflags::bitflags! {
    /// Flags of a table.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct TableFlags: u32 {
        /// Its rules do nothing.
        const DORMANT = 1;
        /// Only the socket that set this may change it, and the flushes of others skip it (5.12).
        const OWNER = 2;
        /// It outlives its owner, and a new owner may adopt it (6.9).
        const PERSIST = 4;
        /// Flags of kernels newer than this list.
        const _ = !0;
    }
}

/// A table as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its flags.
    pub flags: TableFlags,
    /// The netlink port of its owner, if that is alive.
    pub owner: Option<u32>,
    /// Its comment.
    pub tag: Option<String>,
}

/// The message that makes a table, or changes the flags of the one that is there.
#[must_use]
pub fn add_table(family: Family, name: &str, flags: TableFlags, tag: Option<&str>) -> Message {
    let mut message = header(NEW, CREATE, family);
    message.text(NAME, name).be32(FLAGS, flags.bits());
    put_tag(&mut message, USERDATA, tag);
    message
}

/// The message that deletes a table and all that is in it.
#[must_use]
pub fn delete_table(family: Family, name: &str) -> Message {
    let mut message = header(DELETE, 0, family);
    message.text(NAME, name);
    message
}

/// The table with this name.
///
/// # Errors
/// As [`Socket::dump`].
pub fn table(socket: &mut Socket, family: Family, name: &str) -> Result<Option<Table>> {
    let replies = socket.dump("list tables", header(GET, 0, family))?;
    Ok(replies
        .iter()
        .filter(|reply| reply.kind == SUBSYSTEM | NEW)
        .find_map(|reply| {
            let attributes = reply.attributes(FIXED);
            (attributes.text(NAME) == Some(name)).then(|| Table {
                flags: TableFlags::from_bits_retain(attributes.be32(FLAGS).unwrap_or_default()),
                owner: attributes.be32(OWNER).filter(|port| *port != 0),
                tag: read_tag(attributes, USERDATA),
            })
        }))
}
