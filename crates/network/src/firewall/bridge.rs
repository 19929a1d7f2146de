//! What the rules need to know of a bridge, and what of it is in the sets. A bridge is a few elements; rules and chains
//! are the same for one bridge and for thousands.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use onggi_netlink::nft::{self, Element, Family};

use super::declare::{Elements, element, link_name};
use super::rules::{AMONG, APART, BRIDGES, INSIDE, INTERNAL, MASQUERADE, OPEN, ROUTED};

/// How a network of a family is reached from elsewhere (`com.docker.network.bridge.gateway_mode_ipv4`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum GatewayMode {
    /// By published ports of the host; containers leave under the host's addresses.
    #[default]
    Nat,
    /// As `Nat`, and by the containers' own addresses at every port.
    NatUnprotected,
    /// By the containers' own addresses, at the ports that are published.
    Routed,
    /// Not at all: the host has no address in it either.
    Isolated,
}

/// A bridge, as the firewall sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bridge {
    /// Its name.
    pub(crate) name: String,
    /// Its subnets.
    pub(crate) v4: Vec<Ipv4Net>,
    /// Its subnets of IPv6.
    pub(crate) v6: Vec<Ipv6Net>,
    /// Whether its containers may talk to each other.
    pub(crate) icc: bool,
    /// Whether they leave under the host's addresses.
    pub(crate) masquerade_v4: bool,
    /// The same for IPv6.
    pub(crate) masquerade_v6: bool,
    /// Whether nothing comes in or goes out.
    pub(crate) internal: bool,
    /// How it is reached.
    pub(crate) mode_v4: GatewayMode,
    /// The same for IPv6.
    pub(crate) mode_v6: GatewayMode,
}

impl Bridge {
    /// Whether it has subnets of this family.
    pub(super) fn has(&self, family: Family) -> bool {
        match family {
            Family::Ip6 => !self.v6.is_empty(),
            _ => !self.v4.is_empty(),
        }
    }

    /// What the table of this family has of the bridge.
    pub(super) fn elements(&self, family: Family) -> Elements {
        let (nets, masquerade, mode): (Vec<IpNet>, bool, GatewayMode) = match family {
            Family::Ip6 => (
                self.v6.iter().copied().map(IpNet::V6).collect(),
                self.masquerade_v6,
                self.mode_v6,
            ),
            _ => (
                self.v4.iter().copied().map(IpNet::V4).collect(),
                self.masquerade_v4,
                self.mode_v4,
            ),
        };
        let name = || element(link_name(&self.name));
        let pair = || {
            element(nft::concatenate(&[
                &link_name(&self.name),
                &link_name(&self.name),
            ]))
        };
        let mut elements = vec![
            (BRIDGES, name()),
            (if self.icc { AMONG } else { APART }, pair()),
        ];
        let closed = self.internal || mode == GatewayMode::Isolated;
        if closed {
            elements.push((INTERNAL, name()));
        }
        match mode {
            GatewayMode::NatUnprotected if !closed => elements.push((OPEN, name())),
            GatewayMode::Routed if !closed => elements.push((ROUTED, name())),
            _ => {}
        }
        let translated = matches!(mode, GatewayMode::Nat | GatewayMode::NatUnprotected);
        for net in nets {
            elements.extend(range(net).into_iter().map(|one| (INSIDE, one)));
            if masquerade && translated && !closed {
                elements.extend(range(net).into_iter().map(|one| (MASQUERADE, one)));
            }
        }
        elements
    }
}

fn range(net: IpNet) -> Vec<Element> {
    match net {
        IpNet::V4(net) => {
            let (first, last) = (net.network().octets(), net.broadcast().octets());
            nft::interval(first.to_vec(), &last, None, None)
        }
        IpNet::V6(net) => {
            let (first, last) = (net.network().octets(), net.broadcast().octets());
            nft::interval(first.to_vec(), &last, None, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge() -> Bridge {
        Bridge {
            name: "onggi0".to_owned(),
            v4: vec!["172.17.0.0/16".parse().unwrap()],
            v6: vec!["fd00::/64".parse().unwrap()],
            icc: true,
            masquerade_v4: true,
            masquerade_v6: false,
            internal: false,
            mode_v4: GatewayMode::Nat,
            mode_v6: GatewayMode::Routed,
        }
    }

    fn sets(bridge: &Bridge, family: Family) -> Vec<&'static str> {
        let mut sets: Vec<_> = bridge
            .elements(family)
            .iter()
            .map(|(set, _)| *set)
            .collect();
        sets.dedup();
        sets
    }

    #[test]
    fn a_bridge_is_a_few_elements() {
        let one = bridge();
        assert_eq!(sets(&one, Family::Ip), [BRIDGES, AMONG, INSIDE, MASQUERADE]);
        assert_eq!(sets(&one, Family::Ip6), [BRIDGES, AMONG, ROUTED, INSIDE]);
        let closed = Bridge {
            internal: true,
            icc: false,
            ..bridge()
        };
        assert_eq!(
            sets(&closed, Family::Ip),
            [BRIDGES, APART, INTERNAL, INSIDE]
        );
        assert_eq!(
            sets(&closed, Family::Ip6),
            [BRIDGES, APART, INTERNAL, INSIDE]
        );
        let open = Bridge {
            mode_v4: GatewayMode::NatUnprotected,
            ..bridge()
        };
        assert_eq!(
            sets(&open, Family::Ip),
            [BRIDGES, AMONG, OPEN, INSIDE, MASQUERADE]
        );
    }
}
