//! The one thing of ours in a table of others: where `filter FORWARD` of iptables or ip6tables drops by policy, a jump at
//! its head to a chain of ours. Our own table has decided by then; this only says that the packets are ours. `DOCKER-USER` is asked first,
//! where people have it.

use std::collections::BTreeSet;

use onggi_netlink::nft::{self, Comparison, Expression, Family, MetaKey, Place, Policy, Verdict};
use onggi_netlink::{Batch, Socket};

use super::rules::{link, verdict};
use crate::error::{Error, Result};

/// The table of iptables and ip6tables.
pub(crate) const TABLE: &str = "filter";
pub(super) const FORWARD: &str = "FORWARD";
const USER: &str = "DOCKER-USER";
const OURS: &str = "ONGGI-FORWARD";
const TAG: &str = "onggi";

/// What happens to a jump where `FORWARD` does not drop any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unneeded {
    /// It goes.
    Removed,
    /// It stays: firewalls that reload (ufw) let everything pass for a moment and drop again in the next, and new
    /// connections would be lost until somebody had put it back.
    Kept,
}

/// Makes the jump and its chain as they should be; says whether something had to change.
pub(super) fn restore(
    socket: &mut Socket,
    family: Family,
    bridges: &[&str],
    unneeded: Unneeded,
) -> Result<bool> {
    let look = Error::kernel;
    let chains = nft::chains(socket, family, TABLE).map_err(look("look at ip filter"))?;
    let has = |name: &str| chains.iter().any(|chain| chain.name == name);
    let drops = chains
        .iter()
        .any(|chain| chain.name == FORWARD && chain.policy == Some(Policy::Drop));
    let kept = unneeded == Unneeded::Kept && has(OURS) && has(FORWARD);
    if !(drops || kept) || bridges.is_empty() {
        return if has(OURS) {
            remove(socket, family).map(|()| true)
        } else {
            Ok(false)
        };
    }
    let rules = nft::rules(socket, family, TABLE).map_err(look("look at ip filter"))?;
    let wanted = chain_rules(bridges, has(USER));
    let mut jumps = rules
        .iter()
        .filter(|rule| rule.chain == FORWARD && is_ours(rule));
    let first = rules.iter().find(|rule| rule.chain == FORWARD);
    let jump_good = first.is_some_and(is_ours) && jumps.clone().count() == 1;
    let mut batch = Batch::new();
    plan_chain(family, has(OURS), &rules, &wanted, &mut batch);
    if !jump_good {
        for rule in jumps.by_ref() {
            batch.push(
                "remove our jump",
                nft::delete_rule(family, TABLE, FORWARD, rule.handle),
            );
        }
        let jump = [
            Expression::Counter,
            Expression::Verdict(Verdict::Jump(OURS.to_owned())),
        ];
        batch.push(
            "add our jump",
            nft::add_rule(family, TABLE, FORWARD, Place::First, &jump, Some(TAG)),
        );
    }
    let changed = !batch.is_empty();
    socket
        .transact(batch)
        .map_err(Error::kernel("let our packets pass ip filter FORWARD"))?;
    Ok(changed)
}

/// Adds the rules of one more bridge to our chain, where all else is as it should be: as much work however many there are.
/// Says whether it was.
pub(super) fn add_bridge(socket: &mut Socket, family: Family, bridge: &str) -> Result<bool> {
    let mut batch = Batch::new();
    for (tag, expressions) in bridge_rules(bridge) {
        batch.push(
            "add a rule",
            nft::add_rule(family, TABLE, OURS, Place::Last, &expressions, Some(&tag)),
        );
    }
    match socket.transact(batch) {
        Err(error) if error.is_absent() => Ok(false),
        other => other
            .map(|()| true)
            .map_err(Error::kernel("let our packets pass ip filter FORWARD")),
    }
}

/// Whether our chain is there; nothing where it is missing although others drop.
pub(super) fn stands(socket: &mut Socket, family: Family) -> Result<Option<bool>> {
    let chains = nft::chains(socket, family, TABLE).map_err(Error::kernel("look at ip filter"))?;
    let drops = |chain: &nft::Chain| chain.name == FORWARD && chain.policy == Some(Policy::Drop);
    let needed = chains.iter().any(drops);
    let there = chains.iter().any(|chain| chain.name == OURS);
    Ok((there || !needed).then_some(there))
}

/// Rules that are wrong or too many go, missing ones are added behind. Only whether others are asked first depends on the
/// order: then all are renewed.
fn plan_chain(
    family: Family,
    exists: bool,
    rules: &[nft::Rule],
    wanted: &[(String, Vec<Expression>)],
    batch: &mut Batch,
) {
    let tag = |rule: &nft::Rule| rule.tag.clone().unwrap_or_default();
    let mut found: Vec<&nft::Rule> = rules.iter().filter(|rule| rule.chain == OURS).collect();
    if !exists {
        batch.push(
            "create our chain",
            nft::add_chain(family, TABLE, OURS, None),
        );
    } else if found.first().map(|rule| tag(rule)) != wanted.first().map(|(tag, _)| tag.clone()) {
        batch.push("renew our chain", nft::flush_chain(family, TABLE, OURS));
        found.clear();
    }
    let names: BTreeSet<&str> = wanted.iter().map(|(tag, _)| tag.as_str()).collect();
    let mut seen = BTreeSet::new();
    for rule in found {
        if !(names.contains(tag(rule).as_str()) && seen.insert(tag(rule))) {
            batch.push(
                "remove a rule of ours",
                nft::delete_rule(family, TABLE, OURS, rule.handle),
            );
        }
    }
    for (tag, expressions) in wanted.iter().filter(|(tag, _)| !seen.contains(tag)) {
        batch.push(
            "add a rule",
            nft::add_rule(family, TABLE, OURS, Place::Last, expressions, Some(tag)),
        );
    }
}

/// Removes the jump and the chain.
pub(super) fn remove(socket: &mut Socket, family: Family) -> Result<()> {
    let rules = nft::rules(socket, family, TABLE).map_err(Error::kernel("look at ip filter"))?;
    let chains = nft::chains(socket, family, TABLE).map_err(Error::kernel("look at ip filter"))?;
    let mut batch = Batch::new();
    for rule in rules
        .iter()
        .filter(|rule| rule.chain == FORWARD && is_ours(rule))
    {
        batch.push(
            "remove our jump",
            nft::delete_rule(family, TABLE, FORWARD, rule.handle),
        );
    }
    if chains.iter().any(|chain| chain.name == OURS) {
        batch
            .push("empty our chain", nft::flush_chain(family, TABLE, OURS))
            .push("remove our chain", nft::delete_chain(family, TABLE, OURS));
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
    rules.extend(bridges.iter().flat_map(|bridge| bridge_rules(bridge)));
    rules
}

/// One rule each way. A set of bridges would be one rule for all, but iptables (1.8) shows rules with sets without what they
/// match: saved and restored, ours would let everything pass.
fn bridge_rules(bridge: &str) -> [(String, Vec<Expression>); 2] {
    [(MetaKey::InName, "from"), (MetaKey::OutName, "to")].map(|(key, direction)| {
        let parts = [
            link(key, Comparison::Equal, bridge),
            vec![Expression::Counter],
            verdict(Verdict::Accept),
        ];
        (format!("{TAG}: {direction} {bridge}"), parts.concat())
    })
}
