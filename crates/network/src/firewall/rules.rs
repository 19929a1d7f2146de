//! The rules of our table, as data.
//!
//! What they keep true: nobody outside reaches a container but by a published port; 127.0.0.0/8 never comes in by a wire;
//! containers leave under the host's addresses; a container reaches published ports of its own bridge too.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use onggi_netlink::nft::{
    Base, Comparison, ConntrackKey, DataType, Element, Expression, Family, FibResult, Field, Hook,
    Inverted, Kind, MetaKey, NatKind, PayloadBase, Policy, Register, Set, Verdict,
};

use super::declare::{Chain, Rule, Table};

/// `proto . daddr . dport : address . port`, for ports published on one address.
pub(super) const MAP: &str = "publish";
/// `proto . dport : address . port`, for ports published on all addresses.
pub(super) const MAP_ANY: &str = "publish-any";

/// The ports of bridges whose containers may not talk to each other.
pub(super) const PORTS: &str = "isolated";

const A: Register = Register::word(0);
const B: Register = Register::word(1);
const C: Register = Register::word(2);
const ADDRESS: Register = Register::word(4);
const PORT: Register = Register::word(5);

/// `IP_CT_ESTABLISHED` and `IP_CT_RELATED` as bits of `ct state`.
const ESTABLISHED_RELATED: u32 = 2 | 4;
/// `IPS_DST_NAT` of `ct status`.
const DNAT: u32 = 1 << 5;
/// `RTN_LOCAL`.
const LOCAL: u32 = 2;

/// What the rules need to know of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subnet {
    /// Name of the bridge.
    pub(crate) bridge: String,
    /// Its subnet.
    pub(crate) net: Ipv4Net,
    /// Whether its containers may talk to each other.
    pub(crate) icc: bool,
    /// Whether they leave under the host's addresses.
    pub(crate) masquerade: bool,
}

/// The table of IPv4 for these bridges and published ports.
pub(super) fn table(subnets: &[Subnet], elements: Vec<(&'static str, Element)>) -> Table {
    const KEY: &[Field] = &[Field::Protocol, Field::Ipv4Address, Field::Service];
    const KEY_ANY: &[Field] = &[Field::Protocol, Field::Service];
    const DATA: DataType<'static> = DataType::Fields(&[Field::Ipv4Address, Field::Service]);
    let base = |kind, hook, priority| Base {
        kind,
        hook,
        priority,
        policy: Policy::Accept,
    };
    Table {
        family: Family::Ip,
        sets: vec![
            Set {
                name: MAP,
                key: KEY,
                data: DATA,
                ranges: false,
            },
            Set {
                name: MAP_ANY,
                key: KEY_ANY,
                data: DATA,
                ranges: false,
            },
        ],
        chains: vec![
            Chain {
                name: "guard",
                base: base(Kind::Filter, Hook::Prerouting, -300),
                rules: guard(),
            },
            Chain {
                name: "prerouting",
                base: base(Kind::Nat, Hook::Prerouting, -100),
                rules: publish(),
            },
            Chain {
                name: "output",
                base: base(Kind::Nat, Hook::Output, -100),
                rules: publish(),
            },
            Chain {
                name: "postrouting",
                base: base(Kind::Nat, Hook::Postrouting, 100),
                rules: subnets.iter().flat_map(postrouting).collect(),
            },
            Chain {
                name: "forward",
                base: base(Kind::Filter, Hook::Forward, 0),
                rules: subnets.iter().flat_map(forward).collect(),
            },
        ],
        elements,
    }
}

/// The table of the bridges: frames between two of `ports` pass only with our mark, which is to say, never without the
/// rules of [`forward`]. Whether bridged packets see those at all is a switch that belongs to others (br_netfilter).
pub(super) fn bridge_table(ports: &[String]) -> Table {
    let port = |key| {
        vec![
            Expression::Meta { key, to: A },
            Expression::Lookup {
                set: PORTS.to_owned(),
                from: A,
                inverted: Inverted::No,
            },
        ]
    };
    let unmarked = vec![
        Expression::Meta {
            key: MetaKey::Mark,
            to: A,
        },
        Expression::Bitwise {
            from: A,
            to: A,
            mask: MARK.to_ne_bytes().to_vec(),
            xor: vec![0; 4],
        },
        equal(A, vec![0; 4]),
    ];
    let rules = vec![rule(
        "not among containers",
        [
            port(MetaKey::InName),
            port(MetaKey::OutName),
            unmarked,
            verdict(Verdict::Drop),
        ],
    )];
    // Behind br_netfilter, which shows bridged packets to IPv4 at -1.
    let base = Base {
        kind: Kind::Filter,
        hook: Hook::Forward,
        priority: 100,
        policy: Policy::Accept,
    };
    let element = |port: &String| {
        (
            PORTS,
            Element {
                key: link_name(port),
                last: None,
                ends: false,
                data: None,
                tag: None,
            },
        )
    };
    Table {
        family: Family::Bridge,
        sets: vec![Set {
            name: PORTS,
            key: &[Field::LinkName],
            data: DataType::None,
            ranges: false,
        }],
        chains: vec![Chain {
            name: "forward",
            base,
            rules,
        }],
        elements: ports.iter().map(element).collect(),
    }
}

/// `route_localnet` of our bridges must not open the host's loopback to anyone: neither as destination nor as source.
fn guard() -> Vec<Rule> {
    let loopback = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
    [
        ("127.0.0.0/8 from a wire", 16),
        ("127.0.0.0/8 as sender on a wire", 12),
    ]
    .map(|(purpose, offset)| {
        rule(
            purpose,
            [
                link(MetaKey::InName, Comparison::NotEqual, "lo"),
                address(offset, loopback),
                verdict(Verdict::Drop),
            ],
        )
    })
    .into()
}

/// The destination is looked up in the maps: first with the address, then for all addresses of the host.
fn publish() -> Vec<Rule> {
    let protocol = || Expression::Meta {
        key: MetaKey::TransportProtocol,
        to: A,
    };
    let port = |to| Expression::Payload {
        base: PayloadBase::Transport,
        offset: 2,
        length: 2,
        to,
    };
    let map = |map: &str| Expression::Map {
        map: map.to_owned(),
        from: A,
        to: ADDRESS,
    };
    let nat = || Expression::Nat {
        kind: NatKind::Destination,
        family: Family::Ip,
        address: ADDRESS,
        port: Some(PORT),
    };
    let one = vec![
        protocol(),
        Expression::Payload {
            base: PayloadBase::Network,
            offset: 16,
            length: 4,
            to: B,
        },
        port(C),
        map(MAP),
        nat(),
    ];
    let any = vec![
        Expression::Fib {
            result: FibResult::AddressType,
            to: A,
        },
        equal(A, LOCAL.to_ne_bytes().to_vec()),
        protocol(),
        port(B),
        map(MAP_ANY),
        nat(),
    ];
    vec![
        rule("published on one address", [one]),
        rule("published on all addresses", [any]),
    ]
}

fn postrouting(subnet: &Subnet) -> Vec<Rule> {
    let out = |comparison| link(MetaKey::OutName, comparison, &subnet.bridge);
    let masquerade = || vec![Expression::Masquerade];
    let loopback = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
    let mut rules = Vec::new();
    if subnet.masquerade {
        rules.push(rule(
            format!("{}: to the outside", subnet.bridge),
            [
                address(12, subnet.net),
                out(Comparison::NotEqual),
                masquerade(),
            ],
        ));
    }
    rules.push(rule(
        format!("{}: published on loopback", subnet.bridge),
        [out(Comparison::Equal), address(12, loopback), masquerade()],
    ));
    rules.push(rule(
        format!("{}: published, from the same bridge", subnet.bridge),
        [
            out(Comparison::Equal),
            address(12, subnet.net),
            conntrack(ConntrackKey::Status, DNAT),
            masquerade(),
        ],
    ));
    rules
}

fn forward(subnet: &Subnet) -> Vec<Rule> {
    let to = || link(MetaKey::OutName, Comparison::Equal, &subnet.bridge);
    let from = || link(MetaKey::InName, Comparison::Equal, &subnet.bridge);
    let accept = || verdict(Verdict::Accept);
    let drop = || verdict(Verdict::Drop);
    let answers = || conntrack(ConntrackKey::State, ESTABLISHED_RELATED);
    let published = || conntrack(ConntrackKey::Status, DNAT);
    let named = |what: &str| format!("{}: {what}", subnet.bridge);
    let mut rules = Vec::new();
    if !subnet.icc {
        // Bridged packets that are in order are marked, for the table of the bridges to let them pass.
        rules.push(rule(
            named("bridged answers"),
            [from(), to(), answers(), set_mark(), accept()],
        ));
        rules.push(rule(
            named("bridged, published"),
            [from(), to(), published(), set_mark(), accept()],
        ));
    }
    rules.push(rule(named("answers"), [to(), answers(), accept()]));
    rules.push(rule(named("published"), [to(), published(), accept()]));
    rules.push(if subnet.icc {
        rule(named("among containers"), [from(), to(), accept()])
    } else {
        rule(named("not among containers"), [from(), to(), drop()])
    });
    rules.push(rule(named("nothing else comes in"), [to(), drop()]));
    rules.push(rule(named("everything goes out"), [from(), accept()]));
    rules
}

/// Our bit of the mark. It is gone when the packet enters the other container's namespace.
const MARK: u32 = 1 << 28;

fn set_mark() -> Vec<Expression> {
    let (mask, xor) = ((!MARK).to_ne_bytes().to_vec(), MARK.to_ne_bytes().to_vec());
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

fn rule<const N: usize>(purpose: impl Into<String>, parts: [Vec<Expression>; N]) -> Rule {
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

fn link_name(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes
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
    let load = Expression::Payload {
        base: PayloadBase::Network,
        offset,
        length: 4,
        to: A,
    };
    let mask = net.netmask().octets().to_vec();
    vec![
        load,
        Expression::Bitwise {
            from: A,
            to: A,
            mask,
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
