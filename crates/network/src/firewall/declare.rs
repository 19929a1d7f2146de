//! A table as it should be, and the messages that make the kernel's table so. Only what differs is touched.

use std::collections::{BTreeMap, BTreeSet};

use onggi_netlink::nft::{
    self, Base, Data, Element, Expression, Family, Place, Set, TableFlags, add_chain, add_elements,
    add_rule, add_set, add_table, delete_elements, delete_table, flush_chain,
};
use onggi_netlink::{Batch, Message, Socket};

use crate::error::{Error, Result};

/// The name of our tables.
pub(crate) const NAME: &str = "onggi";
/// The comment of our tables. A table of another version is replaced as a whole.
const TAG: &str = "onggi firewall 1";

/// A table as it should be.
pub(super) struct Table {
    pub(super) family: Family,
    pub(super) sets: Vec<Set<'static>>,
    pub(super) chains: Vec<Chain>,
    /// With the name of the set or map each belongs to.
    pub(super) elements: Vec<(&'static str, Element)>,
}

/// A base chain.
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) base: Base,
    pub(super) rules: Vec<Rule>,
}

/// A rule and what it is for.
pub(super) struct Rule {
    pub(super) purpose: String,
    pub(super) expressions: Vec<Expression>,
}

/// What is in a set or map: by key, the data.
type Present = BTreeMap<Vec<u8>, Option<Data>>;

impl Table {
    /// The difference between the kernel's table and this one. `port` is the socket's own, `flags` those of new tables.
    pub(super) fn plan(
        &self,
        socket: &mut Socket,
        port: u32,
        flags: TableFlags,
        batch: &mut Batch,
    ) -> Result<()> {
        let found =
            nft::table(socket, self.family, NAME).map_err(Error::kernel("look at the firewall"))?;
        let fresh = self.plan_table(found.as_ref(), port, flags, batch)?;
        let sets = if fresh {
            Vec::new()
        } else {
            self.read(socket, nft::sets)?
        };
        for set in self
            .sets
            .iter()
            .filter(|set| !sets.iter().any(|name| name == set.name))
        {
            batch.push("create a set", add_set(self.family, NAME, set));
        }
        self.plan_rules(socket, fresh, batch)?;
        for set in &self.sets {
            let present = if fresh {
                Present::new()
            } else {
                present(socket, self.family, set.name)?
            };
            self.plan_elements(set.name, &present, batch);
        }
        Ok(())
    }

    /// Makes the table, or becomes the owner of the one that is there; says whether it begins empty.
    fn plan_table(
        &self,
        found: Option<&nft::Table>,
        port: u32,
        flags: TableFlags,
        batch: &mut Batch,
    ) -> Result<bool> {
        if found.is_some_and(|table| table.owner.is_some_and(|owner| owner != port)) {
            return Err(Error::Taken(format!(
                "another engine in this network namespace owns the nftables table {NAME}"
            )));
        }
        let good = found.filter(|table| table.tag.as_deref() == Some(TAG));
        if let Some(table) = good {
            // Whether a table outlives its owner cannot be changed any more.
            if table.flags.contains(TableFlags::PERSIST) && table.owner.is_none() {
                batch.push("adopt our table", add_table(self.family, NAME, flags, None));
            }
            return Ok(false);
        }
        if found.is_some() {
            batch.push("replace our table", delete_table(self.family, NAME));
        }
        batch.push(
            "create our table",
            add_table(self.family, NAME, flags, Some(TAG)),
        );
        Ok(true)
    }

    /// Chains that differ get all their rules anew; the others stay.
    fn plan_rules(&self, socket: &mut Socket, fresh: bool, batch: &mut Batch) -> Result<()> {
        let (chains, present) = if fresh {
            (Vec::new(), Vec::new())
        } else {
            (
                self.read(socket, nft::chains)?,
                self.read(socket, nft::rules)?,
            )
        };
        for chain in &self.chains {
            let exists = chains.iter().any(|present| present.name == chain.name);
            if !exists {
                batch.push(
                    "create a chain",
                    add_chain(self.family, NAME, chain.name, Some(chain.base)),
                );
            }
            let wanted: Vec<String> = chain
                .rules
                .iter()
                .map(|rule| self.tag(chain, rule))
                .collect::<Result<_>>()?;
            let found = present
                .iter()
                .filter(|rule| rule.chain == chain.name)
                .map(|rule| rule.tag.as_deref());
            if found.eq(wanted.iter().map(|tag| Some(tag.as_str()))) {
                continue;
            }
            if exists {
                batch.push("renew a chain", flush_chain(self.family, NAME, chain.name));
            }
            for (rule, tag) in chain.rules.iter().zip(&wanted) {
                batch.push("add a rule", self.rule(chain, rule, Some(tag)));
            }
        }
        Ok(())
    }

    fn plan_elements(&self, set: &str, present: &Present, batch: &mut Batch) {
        let wanted: Vec<&Element> = self
            .elements
            .iter()
            .filter(|(name, _)| *name == set)
            .map(|(_, element)| element)
            .collect();
        let good: BTreeSet<&[u8]> = wanted
            .iter()
            .filter(|element| present.get(&element.key) == Some(&element.data))
            .map(|element| element.key.as_slice())
            .collect();
        let is_good = |key: &Vec<u8>| good.contains(key.as_slice());
        let gone: Vec<Element> = present
            .keys()
            .filter(|key| !is_good(key))
            .map(|key| by_key(key.clone()))
            .collect();
        let new: Vec<Element> = wanted
            .into_iter()
            .filter(|element| !is_good(&element.key))
            .cloned()
            .collect();
        batch.extend(
            "remove elements",
            delete_elements(self.family, NAME, set, &gone),
        );
        batch.extend("add elements", add_elements(self.family, NAME, set, &new));
    }

    fn rule(&self, chain: &Chain, rule: &Rule, tag: Option<&str>) -> Message {
        add_rule(
            self.family,
            NAME,
            chain.name,
            Place::Last,
            &rule.expressions,
            tag,
        )
    }

    /// What the rule is for, and a fingerprint of what it does, so that a rule of an older version is seen to differ.
    fn tag(&self, chain: &Chain, rule: &Rule) -> Result<String> {
        let bytes = self
            .rule(chain, rule, None)
            .finish()
            .map_err(Error::kernel("set up the firewall"))?;
        // FNV-1a: the same in every version of ours, and nobody to defend against.
        let print = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        });
        Ok(format!("{} #{print:08x}", rule.purpose))
    }

    fn read<T>(
        &self,
        socket: &mut Socket,
        list: fn(&mut Socket, Family, &str) -> onggi_netlink::Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        list(socket, self.family, NAME).map_err(Error::kernel("look at the firewall"))
    }
}

/// Deletes those of `elements` that are there. What is gone already is not missed.
pub(super) fn remove_elements(
    socket: &mut Socket,
    family: Family,
    elements: &[(&'static str, Element)],
) -> Result<()> {
    let attempt = |socket: &mut Socket,
                   elements: &mut dyn Iterator<Item = &(&'static str, Element)>| {
        let mut batch = Batch::new();
        for (set, element) in elements {
            batch.extend(
                "remove elements",
                delete_elements(family, NAME, set, std::slice::from_ref(element)),
            );
        }
        socket.transact(batch)
    };
    match attempt(socket, &mut elements.iter()) {
        // Something is gone, and so the transaction has done nothing: look, and delete what is there.
        Err(error) if error.is_absent() => {}
        other => return other.map_err(Error::kernel("take ports back")),
    }
    let mut sets: BTreeMap<&str, Present> = BTreeMap::new();
    for (set, _) in elements {
        if !sets.contains_key(set) {
            sets.insert(set, present(socket, family, set)?);
        }
    }
    let is_there = |(set, element): &&(&'static str, Element)| {
        sets.get(set)
            .is_some_and(|present| present.get(&element.key) == Some(&element.data))
    };
    attempt(socket, &mut elements.iter().filter(is_there)).map_err(Error::kernel("take ports back"))
}

/// What is in a set; nothing if it is not there.
fn present(socket: &mut Socket, family: Family, set: &str) -> Result<Present> {
    match nft::elements(socket, family, NAME, set) {
        Ok(elements) => Ok(elements
            .into_iter()
            .map(|element| (element.key, element.data))
            .collect()),
        Err(error) if error.is_absent() => Ok(Present::new()),
        Err(error) => Err(Error::kernel("look at the firewall")(error)),
    }
}

fn by_key(key: Vec<u8>) -> Element {
    Element {
        key,
        last: None,
        ends: false,
        data: None,
        tag: None,
    }
}
