//! Where the kernel lets others flush our tables (before 6.9): routing rules that let nothing pass to our networks but
//! what the tables have vouched for. Without tables nobody vouches, and so lost rules close.
//!
//! Three rules for all networks, and one entry of a routing table for each subnet.

use std::collections::BTreeSet;

use ipnet::IpNet;
use onggi_netlink::nft::Family;
use onggi_netlink::rule::{Action, Rule};
use onggi_netlink::{Batch, Socket, route, rule};

use super::bridge::{Bridge, GatewayMode};
use super::rules::VOUCHED;
use crate::error::{Error, Result};

/// The routing table: "ongg".
const TABLE: u32 = 0x6f6e_6767;
const RULES: [Rule; 3] = [
    Rule {
        priority: 5917,
        action: Action::SkipMarked {
            mark: VOUCHED,
            target: 5919,
        },
    },
    Rule {
        priority: 5918,
        action: Action::LookUpForwarded(TABLE),
    },
    Rule {
        priority: 5919,
        action: Action::Nothing,
    },
];

/// Makes the routing rules what they should be for these bridges, but for the families that are `off`; none are there
/// without any. Says whether something had to change.
pub(super) fn restore(socket: &mut Socket, bridges: &[Bridge], off: &[Family]) -> Result<bool> {
    let look = || Error::kernel("look at the routing rules");
    let is_on = |net: &IpNet| {
        !off.contains(if net.addr().is_ipv4() {
            &Family::Ip
        } else {
            &Family::Ip6
        })
    };
    let wanted: BTreeSet<IpNet> = bridges.iter().flat_map(closed).filter(is_on).collect();
    let found = route::prohibited(socket, TABLE).map_err(look())?;
    let mut batch = Batch::new();
    for net in wanted.iter().filter(|net| !found.contains(net)) {
        batch.push("prohibit a network", route::add_prohibit(*net, TABLE));
    }
    for net in found.into_iter().filter(|net| !wanted.contains(net)) {
        batch.push("allow a network", route::delete_prohibit(net, TABLE));
    }
    for family in [Family::Ip, Family::Ip6] {
        let is_v6 = family == Family::Ip6;
        let needed = wanted.iter().any(|net| net.addr().is_ipv6() == is_v6);
        let present = rule::list(socket, family).map_err(look())?;
        for one in RULES {
            match (needed, present.contains(&one)) {
                (true, false) => batch.push("add a routing rule", rule::add(family, one)),
                (false, true) => batch.push("remove a routing rule", rule::delete(family, one)),
                _ => continue,
            };
        }
    }
    let changed = !batch.is_empty();
    socket
        .transact(batch)
        .map_err(Error::kernel("set up routing rules"))?;
    Ok(changed)
}

/// The networks that routing rules keep from what our tables have not vouched for.
pub(crate) fn fenced(socket: &mut Socket) -> Result<Vec<IpNet>> {
    let look = || Error::kernel("look at the routing rules");
    let nets = route::prohibited(socket, TABLE).map_err(look())?;
    let mut stands = [false; 2];
    for (family, stands) in [Family::Ip, Family::Ip6].into_iter().zip(&mut stands) {
        *stands = rule::list(socket, family)
            .map_err(look())?
            .contains(&RULES[1]);
    }
    let stands = |net: &IpNet| stands[usize::from(net.addr().is_ipv6())];
    Ok(nets.into_iter().filter(stands).collect())
}

/// The subnets that only what is published, and answers, may enter.
fn closed(bridge: &Bridge) -> Vec<IpNet> {
    let shut = |mode| bridge.internal || matches!(mode, GatewayMode::Nat | GatewayMode::Isolated);
    let v4 = bridge.v4.iter().filter(|_| shut(bridge.mode_v4));
    let v6 = bridge.v6.iter().filter(|_| shut(bridge.mode_v6));
    let all = v4.copied().map(IpNet::V4).chain(v6.copied().map(IpNet::V6));
    all.map(|net| net.trunc()).collect()
}
