//! Our nftables tables: what should be in them, what is in them, and the one transaction that makes the difference good.
//! Nothing is ever emptied to be filled again, so running connections and new ones never see a gap.
//!
//! Tables of others stay as they are, but for one tagged jump where `filter FORWARD` drops by policy.

mod apart; // the table of the bridges, where containers may not talk to each other
mod bridge; // what of a bridge is in the sets
mod declare; // a table as it should be; the difference to the one in the kernel
mod forward; // the jump in the tables of iptables and ip6tables
mod gate; // through the host's own input rules
mod owned; // the firewall as a whole
mod prohibit; // routing rules, where our tables may vanish
mod published; // what of published ports is in the maps
mod rules; // the rules of our chains

pub(crate) use bridge::{Bridge, GatewayMode};
pub(crate) use declare::NAME as TABLE;
pub(crate) use forward::TABLE as FILTER_TABLE;
pub(crate) use gate::IN as GATE;
pub(crate) use owned::Firewall;
pub(crate) use prohibit::fenced;
pub(crate) use rules::VOUCHED;

#[cfg(test)]
mod tests;
