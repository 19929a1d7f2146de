//! The table of the bridges: frames between two ports of a bridge whose containers may not talk to each other pass only
//! with our mark, which is to say, never without the rules of `forward`. Whether bridged packets see those at all is a
//! switch that belongs to others (br_netfilter).

use onggi_netlink::nft::{
    Base, Comparison, DataType, Expression, Family, Field, Hook, Kind, MetaKey, Policy, Set,
    Verdict,
};

use super::declare::{Chain, Elements, Table, element, link_name};
use super::rules::{A, MARK, in_set, rule, verdict};

/// The ports of bridges whose containers may not talk to each other.
pub(super) const PORTS: &str = "isolated";

/// The table for these ports.
pub(super) fn table(ports: &[String]) -> Table {
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
        Expression::Compare {
            from: A,
            comparison: Comparison::Equal,
            value: vec![0; 4],
        },
    ];
    let rules = vec![rule(
        "not among containers",
        [
            in_set(MetaKey::InName, PORTS),
            in_set(MetaKey::OutName, PORTS),
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
            base: Some(base),
            rules,
        }],
        elements: elements(ports),
    }
}

/// The elements of these ports.
pub(super) fn elements(ports: &[String]) -> Elements {
    ports
        .iter()
        .map(|port| (PORTS, element(link_name(port))))
        .collect()
}
