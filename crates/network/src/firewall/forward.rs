//! The one thing of ours in a table of others: where `ip filter FORWARD` drops by policy, a jump at its head to a chain
//! of ours. Our own table has decided by then; this only says that the packets are ours. `DOCKER-USER` is asked first,
//! where people have it.

use onggi_netlink::nft::{self, Comparison, Expression, Family, MetaKey, Place, Policy, Verdict};
use onggi_netlink::{Batch, Socket};

use super::rules::{link, verdict};
use crate::error::{Error, Result};

/// The table of iptables.
pub(crate) const TABLE: &str = "filter";
const FAMILY: Family = Family::Ip;
const FORWARD: &str = "FORWARD";
const USER: &str = "DOCKER-USER";
const OURS: &str = "ONGGI-FORWARD";
const TAG: &str = "onggi";

/// Makes the jump and its chain as they should be; says whether something had to change.
pub(super) fn restore(socket: &mut Socket, bridges: &[&str]) -> Result<bool> {
    let look = Error::kernel;
    let chains = nft::chains(socket, FAMILY, TABLE).map_err(look("look at ip filter"))?;
    let has = |name: &str| chains.iter().any(|chain| chain.name == name);
    let drops = chains
        .iter()
        .any(|chain| chain.name == FORWARD && chain.policy == Some(Policy::Drop));
    if !drops {
        return if has(OURS) {
            remove(socket).map(|()| true)
        } else {
            Ok(false)
        };
    }
    let rules = nft::rules(socket, FAMILY, TABLE).map_err(look("look at ip filter"))?;
    let wanted = chain_rules(bridges, has(USER));
    let found = rules
        .iter()
        .filter(|rule| rule.chain == OURS)
        .map(|rule| rule.tag.as_deref());
    let chain_good = has(OURS) && found.eq(wanted.iter().map(|(tag, _)| Some(tag.as_str())));
    let mut jumps = rules
        .iter()
        .filter(|rule| rule.chain == FORWARD && is_ours(rule));
    let first = rules.iter().find(|rule| rule.chain == FORWARD);
    let jump_good = first.is_some_and(is_ours) && jumps.clone().count() == 1;
    let mut batch = Batch::new();
    if !chain_good {
        if has(OURS) {
            batch.push("renew our chain", nft::flush_chain(FAMILY, TABLE, OURS));
        } else {
            batch.push(
                "create our chain",
                nft::add_chain(FAMILY, TABLE, OURS, None),
            );
        }
        for (tag, expressions) in &wanted {
            batch.push(
                "add a rule",
                nft::add_rule(FAMILY, TABLE, OURS, Place::Last, expressions, Some(tag)),
            );
        }
    }
    if !jump_good {
        for rule in jumps.by_ref() {
            batch.push(
                "remove our jump",
                nft::delete_rule(FAMILY, TABLE, FORWARD, rule.handle),
            );
        }
        let jump = [
            Expression::Counter,
            Expression::Verdict(Verdict::Jump(OURS.to_owned())),
        ];
        batch.push(
            "add our jump",
            nft::add_rule(FAMILY, TABLE, FORWARD, Place::First, &jump, Some(TAG)),
        );
    }
    let changed = !batch.is_empty();
    socket
        .transact(batch)
        .map_err(Error::kernel("let our packets pass ip filter FORWARD"))?;
    Ok(changed)
}

/// Removes the jump and the chain.
pub(super) fn remove(socket: &mut Socket) -> Result<()> {
    let rules = nft::rules(socket, FAMILY, TABLE).map_err(Error::kernel("look at ip filter"))?;
    let chains = nft::chains(socket, FAMILY, TABLE).map_err(Error::kernel("look at ip filter"))?;
    let mut batch = Batch::new();
    for rule in rules
        .iter()
        .filter(|rule| rule.chain == FORWARD && is_ours(rule))
    {
        batch.push(
            "remove our jump",
            nft::delete_rule(FAMILY, TABLE, FORWARD, rule.handle),
        );
    }
    if chains.iter().any(|chain| chain.name == OURS) {
        batch
            .push("empty our chain", nft::flush_chain(FAMILY, TABLE, OURS))
            .push("remove our chain", nft::delete_chain(FAMILY, TABLE, OURS));
    }
    socket
        .transact(batch)
        .map_err(Error::kernel("clean up ip filter FORWARD"))
}

fn is_ours(rule: &nft::Rule) -> bool {
    rule.tag.as_deref() == Some(TAG)
}

/// The rules of our chain with their comments, in expressions that iptables can show.
fn chain_rules(bridges: &[&str], user: bool) -> Vec<(String, Vec<Expression>)> {
    let mut rules = Vec::new();
    if user {
        let jump = vec![
            Expression::Counter,
            Expression::Verdict(Verdict::Jump(USER.to_owned())),
        ];
        rules.push((format!("{TAG}: asked first"), jump));
    }
    for bridge in bridges {
        for (key, direction) in [(MetaKey::InName, "from"), (MetaKey::OutName, "to")] {
            let parts = [
                link(key, Comparison::Equal, bridge),
                vec![Expression::Counter],
                verdict(Verdict::Accept),
            ];
            rules.push((format!("{TAG}: {direction} {bridge}"), parts.concat()));
        }
    }
    rules
}
