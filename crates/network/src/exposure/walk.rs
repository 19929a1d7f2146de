//! The way of a packet through the hooks of the kernel, from where it comes to the container, or not.

use std::net::IpAddr;

use ipnet::IpNet;
use onggi_netlink::nft::{Family, Hook};

use super::host::{Host, Segment};
use super::packet::{Packet, anyone_of};
use super::run::{Rules, Whether, both};
use crate::firewall::{GATE, VOUCHED};

/// Where packets come from.
pub(super) enum From<'a> {
    /// A process of the host.
    Host,
    /// Containers of a network, by its bridge.
    Segment(&'a Segment),
    /// Another container of the network, past the host.
    Neighbour,
    /// Somebody of a network behind a link.
    Wire(u32, IpNet),
}

/// The container that is to be reached.
pub(super) struct Target<'a> {
    pub(super) address: IpAddr,
    pub(super) segment: &'a Segment,
    /// The host's end of its link.
    pub(super) link: String,
    /// Its id, as elements of our sets name it.
    pub(super) container: String,
}

/// Whether packets to this address, of this protocol and to this port get to the container, and what prevents it.
pub(super) fn reaches(
    host: &Host,
    from: &From<'_>,
    target: &Target<'_>,
    (to, protocol, port): (IpAddr, u8, Option<u16>),
) -> (Whether, Vec<String>) {
    let mut packet = Packet::new(to, protocol, port);
    let mut walk = Walk {
        host,
        target,
        rules: Rules {
            installed: &host.installed,
            local: &host.local,
            // Published ports have lines of their own.
            beside: port.is_none().then_some(target.container.as_str()),
            why: Default::default(),
        },
    };
    let is_v4 = to.is_ipv4();
    let whether = match from {
        From::Host => walk.sent(&mut packet),
        From::Neighbour => {
            if let Some(net) = target.segment.net(is_v4) {
                packet.source = anyone_of(net);
            }
            walk.bridged(&mut packet)
        }
        From::Segment(segment) => {
            if let Some(net) = segment.net(is_v4) {
                packet.source = anyone_of(net);
            }
            packet.by = Some((segment.bridge.clone(), segment.index));
            walk.by_link(&mut packet, segment.index)
        }
        From::Wire(index, net) => {
            packet.source = anyone_of(*net);
            packet.by = walk.link(*index);
            walk.by_link(&mut packet, *index)
        }
    };
    let mut whether = whether;
    if host.legacy && whether == Whether::Yes && !matches!(from, From::Host) {
        whether = Whether::Maybe;
        walk.say("rules of iptables-legacy decide, which cannot be read");
    }
    (whether, walk.rules.why.into_iter().collect())
}

struct Walk<'a> {
    host: &'a Host,
    target: &'a Target<'a>,
    rules: Rules<'a>,
}

impl Walk<'_> {
    fn sent(&mut self, packet: &mut Packet) -> Whether {
        packet.to = match self.rules.is_local(packet.destination) {
            true => Some(("lo".to_owned(), 1)),
            false => self.bridge(),
        };
        let passed = self.rules.pass(packet.family, Hook::Output, packet);
        if passed == Whether::No || !self.is_there(packet) {
            return Whether::No;
        }
        packet.to = self.bridge();
        both(
            passed,
            self.rules.pass(packet.family, Hook::Postrouting, packet),
        )
    }

    fn by_link(&mut self, packet: &mut Packet, index: u32) -> Whether {
        let first = packet.clone();
        let arrived = self.rules.pass(packet.family, Hook::Prerouting, packet);
        if arrived == Whether::No {
            return Whether::No;
        }
        if self.rules.is_local(packet.destination) {
            let let_in = self.rules.pass(packet.family, Hook::Input, packet);
            let gate = self.host.links.values().find(|link| link.name == GATE);
            return match gate.filter(|_| packet.copied && let_in != Whether::No) {
                // What the host's rules let in comes back by there.
                Some(gate) => {
                    let mut copy = Packet {
                        by: Some((gate.name.clone(), gate.index)),
                        mark: Some(0),
                        ..first
                    };
                    both(both(arrived, let_in), self.by_link(&mut copy, gate.index))
                }
                None => {
                    if !packet.copied && let_in != Whether::No {
                        self.say("ends at the host itself, nothing is published there");
                    }
                    Whether::No
                }
            };
        }
        if !self.is_there(packet) {
            return Whether::No;
        }
        both(arrived, self.forwarded(packet, index))
    }

    fn forwarded(&mut self, packet: &mut Packet, index: u32) -> Whether {
        let is_v4 = packet.destination.is_ipv4();
        if !self.host.forwards(index, is_v4) {
            let name = packet.by.as_ref().map_or("?", |(name, _)| name.as_str());
            self.say(&format!("forwarding is switched off for {name}"));
            return Whether::No;
        }
        let is_fenced = |net: &IpNet| net.contains(&packet.destination);
        let vouched = packet.mark.map(|mark| mark & VOUCHED != 0);
        let fenced = self.host.fenced.iter().any(is_fenced);
        if fenced && vouched == Some(false) {
            self.say("routing rules let only pass what is published");
            return Whether::No;
        }
        packet.to = self.bridge();
        let passed = self.rules.pass(packet.family, Hook::Forward, packet);
        if passed == Whether::No {
            return Whether::No;
        }
        packet.by = None;
        let left = self.rules.pass(packet.family, Hook::Postrouting, packet);
        both(passed, left)
    }

    /// From one port of the bridge to another; who sends has a link like the container's own.
    fn bridged(&mut self, packet: &mut Packet) -> Whether {
        let link = Some((self.target.link.clone(), 0));
        let mut seen = Whether::Yes;
        if self.host.bridges_filter && packet.family == Family::Ip {
            packet.by = self.bridge();
            seen = self.rules.pass(packet.family, Hook::Prerouting, packet);
            packet.to = self.bridge();
            seen = both(seen, self.rules.pass(packet.family, Hook::Forward, packet));
        }
        packet.by.clone_from(&link);
        packet.to = None;
        seen = both(
            seen,
            self.rules.pass(Family::Bridge, Hook::Prerouting, packet),
        );
        packet.to = link;
        both(seen, self.rules.pass(Family::Bridge, Hook::Forward, packet))
    }

    /// Whether it is on its way to the container by now.
    fn is_there(&mut self, packet: &Packet) -> bool {
        let is = packet.destination == self.target.address;
        if !is {
            let to = packet.destination;
            self.say(&format!("led to {to}, which is not the container"));
        }
        is
    }

    fn bridge(&self) -> Option<(String, u32)> {
        let segment = self.target.segment;
        Some((segment.bridge.clone(), segment.index))
    }

    fn link(&self, index: u32) -> Option<(String, u32)> {
        let link = self.host.links.get(&index)?;
        Some((link.name.clone(), index))
    }

    fn say(&mut self, what: &str) {
        self.rules.why.insert(what.to_owned());
    }
}
