//! The rules of our tables, as data. They are the same for every number of bridges, containers and ports: what differs is
//! in sets and maps.
//!
//! What they keep true: nobody reaches a container from elsewhere but by what is published; networks do not see each
//! other; 127.0.0.0/8 never comes in by a wire; containers leave under the host's addresses; a container reaches published
//! ports of every network by the host's addresses, those of its own too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::Ipv4Net;
use onggi_netlink::nft::{
    Base, Comparison, ConntrackKey, DataType, Expression, Family, FibResult, Field, Hook, Inverted,
    Kind, MetaKey, NatKind, PayloadBase, Policy, Register, Set, Verdict,
};

use super::declare::{Chain, Elements, Rule, Table, link_name};
use super::gate;

/// `proto . daddr . dport : address . port`, for ports published on one address.
pub(super) const MAP: &str = "publish";
/// `proto . dport : address . port`, for ports published on all addresses.
pub(super) const MAP_ANY: &str = "publish-any";
/// `proto . daddr . dports : address`, for runs of ports published onto themselves on one address.
pub(super) const RANGES: &str = "ranges";
/// `proto . dports : address`, for runs of ports published onto themselves on all addresses.
pub(super) const RANGES_ANY: &str = "ranges-any";
/// `proto . daddr . dports`, for what is published without translation.
pub(super) const OPENED: &str = "opened";
/// All our bridges.
pub(super) const BRIDGES: &str = "bridges";
/// Bridges, with themselves, whose containers may talk to each other.
pub(super) const AMONG: &str = "among";
/// Bridges, with themselves, whose containers may not.
pub(super) const APART: &str = "apart";
/// Bridges that nothing leaves and nothing enters.
pub(super) const INTERNAL: &str = "internal";
/// Bridges that everything may enter.
pub(super) const OPEN: &str = "open";
/// Bridges that are entered at the containers' own addresses.
pub(super) const ROUTED: &str = "routed";
/// The subnets of all bridges.
pub(super) const INSIDE: &str = "inside";
/// The subnets that leave under the host's addresses.
pub(super) const MASQUERADE: &str = "hidden";

pub(super) const A: Register = Register::word(0);
const B: Register = Register::word(1);
/// Behind the name of a link in `A`.
const SECOND: Register = Register::word(4);
const ADDRESS: Register = Register::word(8);

/// Our bit of the mark. It is gone when the packet enters the other container's namespace.
pub(super) const MARK: u32 = 1 << 28;
/// Our bit for packets that routing rules let pass.
pub(crate) const VOUCHED: u32 = 1 << 29;
/// `IP_CT_ESTABLISHED` and `IP_CT_RELATED` as bits of `ct state`.
const ESTABLISHED_RELATED: u32 = 2 | 4;
/// `IPS_DST_NAT` of `ct status`.
const DNAT: u32 = 1 << 5;
/// `RTN_LOCAL`.
const LOCAL: u32 = 2;
const ANSWERS: &str = "answers";

/// What differs between the families.
#[derive(Clone, Copy)]
struct Words {
    family: Family,
    length: u32,
    source: u32,
    destination: u32,
    icmp: u8,
    key: &'static [Field],
    address: &'static [Field],
    target: &'static [Field],
    /// Behind an address in `ADDRESS`.
    port: Register,
    /// Behind protocol and address.
    third: Register,
}

const V4: Words = Words {
    family: Family::Ip,
    length: 4,
    source: 12,
    destination: 16,
    icmp: 1,
    key: &[Field::Protocol, Field::Ipv4Address, Field::Service],
    address: &[Field::Ipv4Address],
    target: &[Field::Ipv4Address, Field::Service],
    port: Register::word(9),
    third: Register::word(2),
};

const V6: Words = Words {
    family: Family::Ip6,
    length: 16,
    source: 8,
    destination: 24,
    icmp: 58,
    key: &[Field::Protocol, Field::Ipv6Address, Field::Service],
    address: &[Field::Ipv6Address],
    target: &[Field::Ipv6Address, Field::Service],
    port: Register::word(12),
    third: Register::word(5),
};

/// Whether the table may vanish in others' flushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Footing {
    /// It is owned: they skip it.
    Firm,
    /// It may: packets that are in order are marked for the routing rules of [`super::prohibit`].
    Loose,
}

/// The table of IPv4 or IPv6 with these elements. `gate`: what comes by a wire for a published port has to pass the host's
/// own input rules, and goes on by the link with this number.
pub(super) fn table(
    family: Family,
    elements: Elements,
    footing: Footing,
    gate: Option<u32>,
) -> Table {
    let words = if family == Family::Ip6 { V6 } else { V4 };
    let base = |kind, hook, priority| {
        Some(Base {
            kind,
            hook,
            priority,
            policy: Policy::Accept,
        })
    };
    let chain = |name, base, rules| Chain { name, base, rules };
    let mut chains = vec![
        // First, because others send packets here.
        chain(ANSWERS, None, answers()),
        chain(
            "prerouting",
            base(Kind::Nat, Hook::Prerouting, -100),
            match gate {
                Some(_) => [words.not_yet(), words.publish()].concat(),
                None => words.publish(),
            },
        ),
        chain(
            "output",
            base(Kind::Nat, Hook::Output, -100),
            words.publish(),
        ),
        chain(
            "postrouting",
            base(Kind::Nat, Hook::Postrouting, 100),
            words.postrouting(),
        ),
        chain(
            "forward",
            base(Kind::Filter, Hook::Forward, 0),
            words.forward(),
        ),
    ];
    if family == Family::Ip {
        // The kernel itself never routes ::1.
        chains.push(chain(
            "guard",
            base(Kind::Filter, Hook::Prerouting, -300),
            guard(),
        ));
    }
    if let Some(link) = gate {
        // Behind all filters of the host; what is dropped here is not tracked yet.
        let base = base(Kind::Filter, Hook::Input, 1000);
        chains.push(chain("admitted", base, words.admitted(link)));
    }
    if footing == Footing::Loose {
        // Behind the translation of addresses, before the route is chosen.
        let base = base(Kind::Filter, Hook::Prerouting, -99);
        chains.push(chain("vouch", base, words.vouch()));
    }
    Table {
        family,
        sets: words.sets(),
        chains,
        elements,
    }
}

impl Words {
    fn sets(self) -> Vec<Set<'static>> {
        const ANY: &[Field] = &[Field::Protocol, Field::Service];
        const NAME: &[Field] = &[Field::LinkName];
        const PAIR: &[Field] = &[Field::LinkName, Field::LinkName];
        let set = |name, key, data, ranges| Set {
            name,
            key,
            data,
            ranges,
        };
        let plain = |name, key| set(name, key, DataType::None, false);
        vec![
            set(MAP, self.key, DataType::Fields(self.target), false),
            set(MAP_ANY, ANY, DataType::Fields(self.target), false),
            set(RANGES, self.key, DataType::Fields(self.address), true),
            set(RANGES_ANY, ANY, DataType::Fields(self.address), true),
            set(OPENED, self.key, DataType::None, true),
            plain(BRIDGES, NAME),
            plain(AMONG, PAIR),
            plain(APART, PAIR),
            plain(INTERNAL, NAME),
            plain(OPEN, NAME),
            plain(ROUTED, NAME),
            set(INSIDE, self.address, DataType::None, true),
            set(MASQUERADE, self.address, DataType::None, true),
        ]
    }

    /// The destination is looked up in the maps: first with the address, then for all addresses of the host.
    fn publish(self) -> Vec<Rule> {
        let map = |map: &str| Expression::Map {
            map: map.to_owned(),
            from: A,
            to: ADDRESS,
        };
        let nat = |port| Expression::Nat {
            kind: NatKind::Destination,
            family: self.family,
            address: ADDRESS,
            port,
        };
        let one = |name: &str, port| [self.target_key(), vec![map(name), nat(port)]];
        let any = |name: &str, port| {
            let local = vec![
                Expression::Fib {
                    result: FibResult::AddressType,
                    to: A,
                },
                equal(A, LOCAL.to_ne_bytes().to_vec()),
            ];
            [local, vec![protocol(), port_to(B), map(name), nat(port)]]
        };
        let mut rules = vec![
            rule("published on one address", one(MAP, Some(self.port))),
            rule("runs published on one address", one(RANGES, None)),
            rule("published on all addresses", any(MAP_ANY, Some(self.port))),
            rule("runs published on all addresses", any(RANGES_ANY, None)),
        ];
        if self.family == Family::Ip6 {
            // From there the kernel routes to no other link: the monitors of containers listen.
            let to_loopback = vec![
                self.payload(self.destination, A),
                equal(A, Ipv6Addr::LOCALHOST.octets().to_vec()),
            ];
            rules.insert(
                0,
                rule("::1 itself", [to_loopback, verdict(Verdict::Accept)]),
            );
        }
        rules
    }

    /// What comes by a wire is not translated before the host's input rules have seen it.
    fn not_yet(self) -> Vec<Rule> {
        vec![rule(
            "asked of the host's input rules",
            [
                not_in_set(MetaKey::InName, BRIDGES),
                link(MetaKey::InName, Comparison::NotEqual, gate::IN),
                verdict(Verdict::Accept),
            ],
        )]
    }

    /// What the host's input rules let in goes on by this link, and comes back to be translated.
    fn admitted(self, link_number: u32) -> Vec<Rule> {
        let accept = || verdict(Verdict::Accept);
        let by = |name| link(MetaKey::InName, Comparison::Equal, name);
        let beyond = match gate::beyond(self.family) {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let send_on = || {
            vec![
                Expression::Immediate {
                    to: ADDRESS,
                    value: beyond.clone(),
                },
                Expression::Immediate {
                    to: A,
                    value: link_number.to_ne_bytes().to_vec(),
                },
                Expression::Duplicate {
                    address: ADDRESS,
                    device: A,
                },
                Expression::Verdict(Verdict::Drop),
            ]
        };
        let known = |map: &str| {
            vec![Expression::Map {
                map: map.to_owned(),
                from: A,
                to: ADDRESS,
            }]
        };
        let one = |map| [self.target_key(), known(map), send_on()];
        let any = |map| [vec![protocol(), port_to(B)], known(map), send_on()];
        vec![
            rule("by the gate", [by(gate::IN), accept()]),
            rule("the host itself", [by("lo"), accept()]),
            rule("networks", [in_set(MetaKey::InName, BRIDGES), accept()]),
            rule("published on one address", one(MAP)),
            rule("runs published on one address", one(RANGES)),
            rule("published on all addresses", any(MAP_ANY)),
            rule("runs published on all addresses", any(RANGES_ANY)),
        ]
    }

    fn postrouting(self) -> Vec<Rule> {
        let masquerade = || vec![Expression::Masquerade];
        let from = |set: &str| vec![self.payload(self.source, A), lookup(set, Inverted::No)];
        let mut rules = vec![rule(
            "to the outside",
            [
                not_in_set(MetaKey::OutName, BRIDGES),
                from(MASQUERADE),
                masquerade(),
            ],
        )];
        if self.family == Family::Ip {
            rules.push(rule(
                "published on loopback",
                [
                    in_set(MetaKey::OutName, BRIDGES),
                    address(self.source, LOOPBACK),
                    masquerade(),
                ],
            ));
        }
        rules.push(rule(
            "published, from one of our networks",
            [
                in_set(MetaKey::OutName, BRIDGES),
                conntrack(ConntrackKey::Status, DNAT),
                from(INSIDE),
                masquerade(),
            ],
        ));
        rules
    }

    fn forward(self) -> Vec<Rule> {
        let to = |set| in_set(MetaKey::OutName, set);
        let from = |set| in_set(MetaKey::InName, set);
        let accept = || verdict(Verdict::Accept);
        let drop = || verdict(Verdict::Drop);
        let published = || conntrack(ConntrackKey::Status, DNAT);
        let icmp = vec![protocol(), equal(A, vec![self.icmp])];
        let opened = [self.target_key(), vec![lookup(OPENED, Inverted::No)]].concat();
        vec![
            rule(
                "answers",
                [
                    conntrack(ConntrackKey::State, ESTABLISHED_RELATED),
                    verdict(Verdict::Goto(ANSWERS.to_owned())),
                ],
            ),
            // Bridged packets that are in order are marked, for the table of the bridges to let them pass.
            rule(
                "bridged, published",
                [pair_in(APART), published(), set_mark(MARK), accept()],
            ),
            rule("not among containers", [pair_in(APART), drop()]),
            rule("among containers", [pair_in(AMONG), accept()]),
            rule(
                "nothing leaves an internal network",
                [from(INTERNAL), drop()],
            ),
            rule("nothing enters an internal network", [to(INTERNAL), drop()]),
            rule("published", [to(BRIDGES), published(), accept()]),
            rule("unprotected", [to(OPEN), accept()]),
            rule("routed, ping", [to(ROUTED), icmp, accept()]),
            rule("routed, published", [to(ROUTED), opened, accept()]),
            rule("nothing else comes in", [to(BRIDGES), drop()]),
        ]
    }

    /// What is in order is marked: answers, and what was published. What leaves our networks is marked as well, because
    /// hosts that check senders (`rp_filter`) ask the routing rules for the way back to them.
    fn vouch(self) -> Vec<Rule> {
        let mark = || set_mark(VOUCHED);
        vec![
            rule(
                "answers",
                [conntrack(ConntrackKey::State, ESTABLISHED_RELATED), mark()],
            ),
            rule("published", [conntrack(ConntrackKey::Status, DNAT), mark()]),
            rule(
                "to the outside",
                // What is *not* in a set is asked before what is: sets that are flushed while a packet is on its way are
                // empty for it from then on, and a subnet that seems to be nobody's is then on no bridge of ours either.
                [
                    vec![
                        self.payload(self.destination, A),
                        lookup(INSIDE, Inverted::Yes),
                    ],
                    in_set(MetaKey::InName, BRIDGES),
                    mark(),
                ],
            ),
        ]
    }

    /// `proto . daddr . dport` from `A` on.
    fn target_key(self) -> Vec<Expression> {
        vec![
            protocol(),
            self.payload(self.destination, B),
            port_to(self.third),
        ]
    }

    fn payload(self, offset: u32, to: Register) -> Expression {
        Expression::Payload {
            base: PayloadBase::Network,
            offset,
            length: self.length,
            to,
        }
    }
}

const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);

/// `route_localnet` of our bridges must not open the host's loopback to anyone: neither as destination nor as source.
fn guard() -> Vec<Rule> {
    [
        ("127.0.0.0/8 from a wire", V4.destination),
        ("127.0.0.0/8 as sender on a wire", V4.source),
    ]
    .map(|(purpose, offset)| {
        rule(
            purpose,
            [
                link(MetaKey::InName, Comparison::NotEqual, "lo"),
                address(offset, LOOPBACK),
                verdict(Verdict::Drop),
            ],
        )
    })
    .into()
}

/// What belongs to a connection that was let in.
fn answers() -> Vec<Rule> {
    vec![
        rule("bridged answers", [pair_in(APART), set_mark(MARK)]),
        rule("all answers", [verdict(Verdict::Accept)]),
    ]
}

fn set_mark(bit: u32) -> Vec<Expression> {
    let (mask, xor) = ((!bit).to_ne_bytes().to_vec(), bit.to_ne_bytes().to_vec());
    vec![
        Expression::Meta {
            key: MetaKey::Mark,
            to: A,
        },
        Expression::Bitwise {
            from: A,
            to: A,
            mask,
            xor,
        },
        Expression::SetMark { from: A },
    ]
}

pub(super) fn rule<const N: usize>(
    purpose: impl Into<String>,
    parts: [Vec<Expression>; N],
) -> Rule {
    Rule {
        purpose: purpose.into(),
        expressions: parts.into_iter().flatten().collect(),
    }
}

pub(super) fn verdict(verdict: Verdict) -> Vec<Expression> {
    vec![Expression::Verdict(verdict)]
}

pub(super) fn link(key: MetaKey, comparison: Comparison, name: &str) -> Vec<Expression> {
    vec![
        Expression::Meta { key, to: A },
        Expression::Compare {
            from: A,
            comparison,
            value: link_name(name),
        },
    ]
}

/// The link is one of the set.
pub(super) fn in_set(key: MetaKey, set: &str) -> Vec<Expression> {
    vec![Expression::Meta { key, to: A }, lookup(set, Inverted::No)]
}

fn not_in_set(key: MetaKey, set: &str) -> Vec<Expression> {
    vec![Expression::Meta { key, to: A }, lookup(set, Inverted::Yes)]
}

/// The links it came in by and goes out by are, together, in the set.
fn pair_in(set: &str) -> Vec<Expression> {
    vec![
        Expression::Meta {
            key: MetaKey::InName,
            to: A,
        },
        Expression::Meta {
            key: MetaKey::OutName,
            to: SECOND,
        },
        lookup(set, Inverted::No),
    ]
}

fn lookup(set: &str, inverted: Inverted) -> Expression {
    Expression::Lookup {
        set: set.to_owned(),
        from: A,
        inverted,
    }
}

fn protocol() -> Expression {
    Expression::Meta {
        key: MetaKey::TransportProtocol,
        to: A,
    }
}

fn port_to(to: Register) -> Expression {
    Expression::Payload {
        base: PayloadBase::Transport,
        offset: 2,
        length: 2,
        to,
    }
}

fn equal(from: Register, value: Vec<u8>) -> Expression {
    Expression::Compare {
        from,
        comparison: Comparison::Equal,
        value,
    }
}

/// The address at this offset of the IPv4 header is in `net`.
fn address(offset: u32, net: Ipv4Net) -> Vec<Expression> {
    vec![
        V4.payload(offset, A),
        Expression::Bitwise {
            from: A,
            to: A,
            mask: net.netmask().octets().to_vec(),
            xor: vec![0; 4],
        },
        equal(A, net.network().octets().to_vec()),
    ]
}

/// One of `bits` is set.
fn conntrack(key: ConntrackKey, bits: u32) -> Vec<Expression> {
    vec![
        Expression::Conntrack { key, to: A },
        Expression::Bitwise {
            from: A,
            to: A,
            mask: bits.to_ne_bytes().to_vec(),
            xor: vec![0; 4],
        },
        Expression::Compare {
            from: A,
            comparison: Comparison::NotEqual,
            value: vec![0; 4],
        },
    ]
}
