//! The kernel's tables of neighbours (ARP and its like): one of each family for all network namespaces together.

use crate::error::{Error, Result};
use crate::message::Message;
use crate::socket::{Reply, Socket};

const NEW: u16 = 64;
const GET: u16 = 66;
const NAME: u16 = 1;
const MOST: u16 = 4;
const CONFIGURATION: u16 = 5;
/// Length of `struct ndtmsg`.
const FIXED: usize = 4;

/// A table of neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `arp_cache`, `ndisc_cache`.
    pub name: String,
    /// How many neighbours it has.
    pub entries: u32,
    /// How many it may have (`gc_thresh3`).
    pub most: u32,
}

/// The tables there are.
///
/// # Errors
/// As [`Socket::dump`].
pub fn tables(socket: &mut Socket) -> Result<Vec<Table>> {
    let mut message = Message::new(GET, 0);
    message.raw(&[0; FIXED]);
    let replies = socket.dump("list tables of neighbours", message)?;
    let replies = replies.iter().filter(|reply| reply.kind == NEW);
    // Each table is told once as a whole, and then once for every link.
    replies
        .filter_map(|reply| parse(reply).transpose())
        .collect()
}

fn parse(reply: &Reply) -> Result<Option<Table>> {
    const BAD: Error = Error::Unreadable {
        what: "table of neighbours",
    };
    let attributes = reply.attributes(FIXED);
    let (Some(most), Some(configuration)) = (attributes.u32(MOST), attributes.find(CONFIGURATION))
    else {
        return Ok(None);
    };
    // `struct ndt_config`: two lengths of 16 bits, then the number of entries.
    let entries = configuration
        .get(4..8)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(BAD)?;
    Ok(Some(Table {
        name: attributes.text(NAME).ok_or(BAD)?.to_owned(),
        entries: u32::from_ne_bytes(entries),
        most,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::Protocol;

    #[test]
    fn the_kernel_tells_how_many_neighbours_there_may_be() {
        let tables = tables(&mut Socket::open(Protocol::Route).unwrap()).unwrap();
        let arp: Vec<&Table> = tables
            .iter()
            .filter(|table| table.name == "arp_cache")
            .collect();
        assert!(matches!(arp[..], [table] if table.most > 0), "{tables:?}");
    }
}
