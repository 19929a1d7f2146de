//! Links: bridges, veth pairs and sub-interfaces of others, made, changed, found, deleted.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::error::{Error, Result};
use crate::message::Message;
use crate::socket::{Reply, Socket};

const NEW: u16 = 16;
const DELETE: u16 = 17;
const GET: u16 = 18;
const CREATE: u16 = 0x400 | 0x200; // NLM_F_CREATE | NLM_F_EXCL

const ADDRESS: u16 = 1;
const NAME: u16 = 3;
const MTU: u16 = 4;
const PARENT: u16 = 5;
const MASTER: u16 = 10;
const OPERATION: u16 = 16;
const OPERATION_UP: u8 = 6;
const INFO: u16 = 18;
const ALIAS: u16 = 20;
const AF_SPEC: u16 = 26;
const NAMESPACE_FD: u16 = 28;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const INFO_SLAVE_KIND: u16 = 4;
const INFO_SLAVE_DATA: u16 = 5;
const VETH_PEER: u16 = 1;
const MACVLAN_MODE: u16 = 1;
const VLAN_ID: u16 = 1;
const PORT_HAIRPIN: u16 = 4;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const INET6_ADDRESS_MODE: u16 = 8;
const INET6_ADDRESS_MODE_NONE: u8 = 1;
const INET_CONF: u16 = 1;

const UP: u32 = 1;
const LOOPBACK: u32 = 8;
const NO_ARP: u32 = 0x80;
/// Length of `struct ifinfomsg`.
const FIXED: usize = 16;

/// A hardware address.
pub type Mac = [u8; 6];

/// Whether the kernel takes `name` for a link.
#[must_use]
pub fn is_valid_name(name: &str) -> bool {
    let bad = |byte: u8| {
        byte == 0 || byte == b'/' || byte == b':' || byte.is_ascii_whitespace() || byte == 0x0b
    };
    (1..=15).contains(&name.len()) && name != "." && name != ".." && !name.bytes().any(bad)
}

/// A link as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number in the namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// "bridge", "veth", ...; none for real devices.
    pub kind: Option<String>,
    /// The bridge it is a port of.
    pub master: Option<u32>,
    /// The link it is a part of; of a veth, the other end's number in its own namespace.
    pub parent: Option<u32>,
    /// Its hardware address, if it has an Ethernet one.
    pub mac: Option<Mac>,
    /// The largest packet.
    pub mtu: u32,
    /// Whether it is up.
    pub up: bool,
    /// Whether the other end is up as well, so that packets flow.
    pub carrying: bool,
    /// Whether it is the loopback link.
    pub loopback: bool,
    /// A note on the link.
    pub alias: Option<String>,
}

/// A veth pair whose peer is born in another namespace.
#[derive(Debug)]
pub struct Veth<'a> {
    /// Name of our end.
    pub name: &'a str,
    /// Largest packet of both ends.
    pub mtu: u32,
    /// The bridge our end becomes a port of.
    pub master: u32,
    /// State of our end.
    pub state: State,
    /// Name of the other end.
    pub peer: &'a str,
    /// Hardware address of the other end.
    pub peer_mac: Mac,
    /// Where the other end is born.
    pub namespace: BorrowedFd<'a>,
}

/// A link of its own hardware address on the wire of another, born in another namespace.
#[derive(Debug)]
pub struct Macvlan<'a> {
    /// Its name there.
    pub name: &'a str,
    /// The link it shares, in the socket's namespace.
    pub parent: u32,
    /// Who of those on the same link hears whom.
    pub mode: MacvlanMode,
    /// Its largest packet; the parent's if absent.
    pub mtu: Option<u32>,
    /// Its hardware address.
    pub mac: Mac,
    /// Where it is born.
    pub namespace: BorrowedFd<'a>,
}

/// Who of those that share a link hears whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacvlanMode {
    /// Nobody.
    Private,
    /// All, by way of the switch outside.
    Vepa,
    /// All, directly.
    Bridge,
    /// There is only one.
    Passthru,
}

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Packets flow.
    Up,
    /// Nothing flows.
    Down,
}

/// A per-link switch of IPv4 (`/proc/sys/net/ipv4/conf/<link>/`), set to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipv4Switch {
    /// `arp_notify`: tells the neighbours when the link comes up.
    ArpNotify,
    /// `route_localnet`: 127.0.0.0/8 may be routed through this link.
    RouteLocalnet,
    /// `src_valid_mark`: the mark counts when the way back to a sender is looked for.
    SrcValidMark,
}

/// The message that makes a bridge that is up. Its hardware address is given, because a bridge without one
/// takes the lowest of its ports and would change it when a container comes or goes.
#[must_use]
pub fn add_bridge(name: &str, mac: Mac, mtu: u32) -> Message {
    let mut message = header(NEW, CREATE, 0, Some(State::Up));
    message
        .link_name(NAME, name)
        .attribute(ADDRESS, &mac)
        .u32(MTU, mtu)
        .nest(INFO, |info| {
            info.text(INFO_KIND, "bridge");
        });
    message
}

/// The message that makes a veth pair.
#[must_use]
pub fn add_veth(veth: &Veth<'_>) -> Message {
    let mut message = header(NEW, CREATE, 0, Some(veth.state));
    message
        .link_name(NAME, veth.name)
        .u32(MTU, veth.mtu)
        .u32(MASTER, veth.master)
        .nest(INFO, |info| {
            info.text(INFO_KIND, "veth").nest(INFO_DATA, |data| {
                data.nest(VETH_PEER, |peer| {
                    peer.raw(&fixed(0, None))
                        .link_name(NAME, veth.peer)
                        .attribute(ADDRESS, &veth.peer_mac)
                        .u32(MTU, veth.mtu)
                        .attribute(NAMESPACE_FD, &veth.namespace.as_raw_fd().to_ne_bytes());
                });
            });
        });
    message
}

/// The message that makes a veth pair of which both ends are here, down, with the same hardware address: what one sends, to
/// whichever address, the other takes. Nobody is asked who has an address.
#[must_use]
pub fn add_pair(name: &str, peer: &str, mac: Mac) -> Message {
    let mut silent = [0; FIXED];
    silent[8..12].copy_from_slice(&NO_ARP.to_ne_bytes());
    silent[12..16].copy_from_slice(&NO_ARP.to_ne_bytes());
    let mut message = Message::new(NEW, CREATE);
    message.raw(&silent);
    message
        .link_name(NAME, name)
        .attribute(ADDRESS, &mac)
        .nest(INFO, |info| {
            info.text(INFO_KIND, "veth").nest(INFO_DATA, |data| {
                data.nest(VETH_PEER, |other| {
                    other
                        .raw(&silent)
                        .link_name(NAME, peer)
                        .attribute(ADDRESS, &mac);
                });
            });
        });
    message
}

/// The message that makes a macvlan link, down.
#[must_use]
pub fn add_macvlan(macvlan: &Macvlan<'_>) -> Message {
    let mut message = header(NEW, CREATE, 0, None);
    message
        .link_name(NAME, macvlan.name)
        .attribute(ADDRESS, &macvlan.mac)
        .u32(PARENT, macvlan.parent);
    if let Some(mtu) = macvlan.mtu {
        message.u32(MTU, mtu);
    }
    message
        .attribute(NAMESPACE_FD, &macvlan.namespace.as_raw_fd().to_ne_bytes())
        .nest(INFO, |info| {
            info.text(INFO_KIND, "macvlan").nest(INFO_DATA, |data| {
                data.u32(
                    MACVLAN_MODE,
                    match macvlan.mode {
                        MacvlanMode::Private => 1,
                        MacvlanMode::Vepa => 2,
                        MacvlanMode::Bridge => 4,
                        MacvlanMode::Passthru => 8,
                    },
                );
            });
        });
    message
}

/// The message that makes the sub-interface of `parent` with this VLAN number, up.
#[must_use]
pub fn add_vlan(name: &str, parent: u32, vlan: u16) -> Message {
    let mut message = header(NEW, CREATE, 0, Some(State::Up));
    message
        .link_name(NAME, name)
        .u32(PARENT, parent)
        .nest(INFO, |info| {
            info.text(INFO_KIND, "vlan").nest(INFO_DATA, |data| {
                data.attribute(VLAN_ID, &vlan.to_ne_bytes());
            });
        });
    message
}

/// The message that makes a link that leads nowhere, up: what others need as a parent without a wire.
#[must_use]
pub fn add_dummy(name: &str) -> Message {
    let mut message = header(NEW, CREATE, 0, Some(State::Up));
    message.link_name(NAME, name).nest(INFO, |info| {
        info.text(INFO_KIND, "dummy");
    });
    message
}

/// The message that lets the bridge send a packet back out of the port it came in by. Only for links that are ports.
#[must_use]
pub fn set_hairpin(name: &str) -> Message {
    let mut message = header(NEW, 0, 0, None);
    message.link_name(NAME, name).nest(INFO, |info| {
        info.text(INFO_SLAVE_KIND, "bridge")
            .nest(INFO_SLAVE_DATA, |data| {
                data.u8(PORT_HAIRPIN, 1);
            });
    });
    message
}

/// The message that sets a link up or down.
#[must_use]
pub fn set_state(index: u32, state: State) -> Message {
    header(NEW, 0, index, Some(state))
}

/// The message that sets the link with this name up or down.
#[must_use]
pub fn set_state_by_name(name: &str, state: State) -> Message {
    let mut message = header(NEW, 0, 0, Some(state));
    message.link_name(NAME, name);
    message
}

/// The message that makes a link a port of a bridge.
#[must_use]
pub fn set_master(index: u32, bridge: u32) -> Message {
    let mut message = header(NEW, 0, index, None);
    message.u32(MASTER, bridge);
    message
}

/// The message that changes the largest packet.
#[must_use]
pub fn set_mtu(index: u32, mtu: u32) -> Message {
    let mut message = header(NEW, 0, index, None);
    message.u32(MTU, mtu);
    message
}

/// The message that gives a link a hardware address; with `arp_notify` on, its neighbours are told, also when it is the
/// one it has.
#[must_use]
pub fn set_mac(index: u32, mac: Mac) -> Message {
    let mut message = header(NEW, 0, index, None);
    message.attribute(ADDRESS, &mac);
    message
}

/// The message that puts a note on a link.
#[must_use]
pub fn set_alias(name: &str, alias: &str) -> Message {
    let mut message = header(NEW, 0, 0, None);
    message.link_name(NAME, name).text(ALIAS, alias);
    message
}

/// The message that sets IPv4 switches of the link with this name.
#[must_use]
pub fn set_ipv4(name: &str, switches: &[Ipv4Switch]) -> Message {
    let mut message = header(NEW, 0, 0, None);
    message.link_name(NAME, name).nest(AF_SPEC, |spec| {
        spec.nest(AF_INET, |inet| {
            inet.nest(INET_CONF, |conf| {
                for switch in switches {
                    conf.u32(
                        match switch {
                            Ipv4Switch::ArpNotify => 22,
                            Ipv4Switch::SrcValidMark => 24,
                            Ipv4Switch::RouteLocalnet => 26,
                        },
                        1,
                    );
                }
            });
        });
    });
    message
}

/// The message that gives a link another name. Refused by kernels before 6.2 while it is up.
#[must_use]
pub fn set_name(index: u32, name: &str) -> Message {
    let mut message = header(NEW, 0, index, None);
    message.link_name(NAME, name);
    message
}

/// The message that keeps the kernel from giving the link an IPv6 address of its own choice.
#[must_use]
pub fn set_no_own_ipv6(name: &str) -> Message {
    let mut message = header(NEW, 0, 0, None);
    message.link_name(NAME, name).nest(AF_SPEC, |spec| {
        spec.nest(AF_INET6, |inet6| {
            inet6.u8(INET6_ADDRESS_MODE, INET6_ADDRESS_MODE_NONE);
        });
    });
    message
}

/// The message that deletes a link. Never for a veth on a path that somebody waits for: it costs a grace period; close
/// the namespace of its peer instead.
#[must_use]
pub fn delete(index: u32) -> Message {
    header(DELETE, 0, index, None)
}

/// The message that deletes the link of this name; as [`delete`].
#[must_use]
pub fn delete_by_name(name: &str) -> Message {
    let mut message = header(DELETE, 0, 0, None);
    message.link_name(NAME, name);
    message
}

/// All links of the socket's namespace.
///
/// # Errors
/// As [`Socket::dump`].
pub fn list(socket: &mut Socket) -> Result<Vec<Link>> {
    let replies = socket.dump("list links", header(GET, 0, 0, None))?;
    replies
        .iter()
        .filter(|reply| reply.kind == NEW)
        .map(parse)
        .collect()
}

/// The link with this name, however many others there are.
///
/// # Errors
/// As [`Socket::ask`].
pub fn find(socket: &mut Socket, name: &str) -> Result<Option<Link>> {
    let mut message = header(GET, 0, 0, None);
    message.link_name(NAME, name);
    let reply = socket.ask("find a link", message)?;
    let link = reply.as_ref().map(parse).transpose()?;
    // The kernel knows links by other names of theirs, too.
    Ok(link.filter(|link| link.name == name))
}

fn header(kind: u16, flags: u16, index: u32, state: Option<State>) -> Message {
    let mut message = Message::new(kind, flags);
    message.raw(&fixed(index, state));
    message
}

/// `struct ifinfomsg`.
fn fixed(index: u32, state: Option<State>) -> [u8; FIXED] {
    let (flags, change) = match state {
        Some(State::Up) => (UP, UP),
        Some(State::Down) => (0, UP),
        None => (0, 0),
    };
    let mut bytes = [0; FIXED];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&change.to_ne_bytes());
    bytes
}

fn parse(reply: &Reply) -> Result<Link> {
    let fixed = reply
        .body
        .get(..FIXED)
        .ok_or(Error::Unreadable { what: "link" })?;
    let number =
        |at: usize| u32::from_ne_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let attributes = reply.attributes(FIXED);
    Ok(Link {
        index: number(4),
        name: attributes
            .text(NAME)
            .ok_or(Error::Unreadable { what: "link name" })?
            .to_owned(),
        kind: attributes.inside(INFO).text(INFO_KIND).map(str::to_owned),
        master: attributes.u32(MASTER),
        parent: attributes.u32(PARENT),
        mac: attributes
            .find(ADDRESS)
            .and_then(|bytes| bytes.try_into().ok()),
        mtu: attributes.u32(MTU).unwrap_or_default(),
        up: number(8) & UP != 0,
        carrying: attributes.find(OPERATION) == Some(&[OPERATION_UP]),
        loopback: number(8) & LOOPBACK != 0,
        alias: attributes.text(ALIAS).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_veth_pair_is_one_message() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let fd = u8::try_from(file.as_fd().as_raw_fd()).unwrap();
        let bytes = add_veth(&Veth {
            name: "veth1",
            mtu: 1500,
            master: 5,
            state: State::Up,
            peer: "eth0",
            peer_mac: [2, 0x42, 1, 2, 3, 4],
            namespace: file.as_fd(),
        })
        .finish()
        .unwrap();
        #[rustfmt::skip]
        let golden = [
            0x8c, 0, 0, 0, 16, 0, 0x00, 0x06, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,
            10, 0, 3, 0, b'v', b'e', b't', b'h', b'1', 0, 0, 0,
            8, 0, 4, 0, 0xdc, 5, 0, 0,
            8, 0, 10, 0, 5, 0, 0, 0,
            0x50, 0, 18, 0x80,
                9, 0, 1, 0, b'v', b'e', b't', b'h', 0, 0, 0, 0,
                0x40, 0, 2, 0x80,
                    0x3c, 0, 1, 0x80,
                        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                        9, 0, 3, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0,
                        10, 0, 1, 0, 2, 0x42, 1, 2, 3, 4, 0, 0,
                        8, 0, 4, 0, 0xdc, 5, 0, 0,
                        8, 0, 28, 0, fd, 0, 0, 0,
        ];
        assert_eq!(bytes, golden);
    }

    #[test]
    fn a_vlan_message() {
        let bytes = add_vlan("w.5", 7, 5).finish().unwrap();
        #[rustfmt::skip]
        let golden = [
            0x4c, 0, 0, 0, 16, 0, 0x00, 0x06, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,
            8, 0, 3, 0, b'w', b'.', b'5', 0,
            8, 0, 5, 0, 7, 0, 0, 0,
            0x1c, 0, 18, 0x80,
                9, 0, 1, 0, b'v', b'l', b'a', b'n', 0, 0, 0, 0,
                0x0c, 0, 2, 0x80,
                    6, 0, 1, 0, 5, 0, 0, 0,
        ];
        // The kernel keeps VLAN numbers in the machine's order.
        assert_eq!(bytes, golden);
    }

    #[test]
    fn names() {
        assert!(is_valid_name("onggi0") && is_valid_name("fifteen-bytes-x"));
        assert!(!is_valid_name("") && !is_valid_name("sixteen-bytes-xx") && !is_valid_name("a\tb"));
    }
}
