//! Sync netlink: links, addresses, routes, rules, nftables, conntrack. Small builders make [`Message`]s, a [`Batch`]
//! collects them, a [`Socket`] sends the batch with one `sendmsg` and reads every acknowledgement.
//!
//! Not here: what the messages are for (crate `network`), entering namespaces (`sys::netns`).

pub mod address; // addresses of links
pub mod conntrack; // forgetting tracked connections
pub mod link; // bridges, veth pairs, macvlan, and their settings
pub mod neighbours; // how many of them the kernel keeps
pub mod nft; // nftables: tables, chains, sets, maps, rules
pub mod route; // routes
pub mod rule; // policy rules
pub mod sockets; // the sockets of the host's processes

mod error; // what the kernel refused, in its own words
mod message; // building and reading attributes
mod socket; // one sendmsg a batch, every acknowledgement read

pub use error::{Error, Result};
pub use message::{Attributes, Message};
pub use socket::{Batch, Protocol, Reply, Socket};
