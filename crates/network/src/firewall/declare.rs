//! A table as it should be, and the messages that make the kernel's table so. Only what differs is touched.

use std::collections::BTreeMap;

use onggi_netlink::nft::{
    self, Base, Element, Expression, Family, Place, Set, TableFlags, add_chain, add_elements,
    add_rule, add_set, add_table, delete_elements, delete_table, flush_chain,
};
use onggi_netlink::{Batch, Message, Socket};

use crate::error::{Error, Result};

/// The name of our tables.
pub(crate) const NAME: &str = "onggi";
/// The comment of our tables. A table of another version is replaced as a whole.
const TAG: &str = "onggi firewall 2";

/// Elements, each with the name of the set or map it belongs to.
pub(super) type Elements = Vec<(&'static str, Element)>;

/// A table as it should be.
pub(super) struct Table {
    pub(super) family: Family,
    pub(super) sets: Vec<Set<'static>>,
    pub(super) chains: Vec<Chain>,
    pub(super) elements: Elements,
}

/// A chain; without a base it is one that rules send packets to.
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) base: Option<Base>,
    pub(super) rules: Vec<Rule>,
}

/// A rule and what it is for.
#[derive(Clone)]
pub(super) struct Rule {
    pub(super) purpose: String,
    pub(super) expressions: Vec<Expression>,
}

/// What is in a set or map, in the order in which it is added. In a set of ranges a key may be the end of one and the
/// beginning of the next: the end comes first, because the kernel takes a range that begins within another for an overlap
/// (`EEXIST`).
type Present = BTreeMap<Spot, Element>;

/// The key, and whether something begins there.
type Spot = (Vec<u8>, bool);

fn place(element: &Element) -> Spot {
    (element.key.clone(), !element.ends)
}

/// Whether `present` has this element; comments do not count.
fn has(present: &Present, element: &Element) -> bool {
    present
        .get(&place(element))
        .is_some_and(|found| found.data == element.data && found.last == element.last)
}

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
        let is_wanted = |found: &&nft::Chain| self.chains.iter().any(|one| one.name == found.name);
        for chain in chains.iter().filter(|found| !is_wanted(found)) {
            batch
                .push("empty a chain", flush_chain(self.family, NAME, &chain.name))
                .push(
                    "remove a chain",
                    nft::delete_chain(self.family, NAME, &chain.name),
                );
        }
        for chain in &self.chains {
            let exists = chains.iter().any(|present| present.name == chain.name);
            if !exists {
                batch.push(
                    "create a chain",
                    add_chain(self.family, NAME, chain.name, chain.base),
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
        let wanted: BTreeMap<Spot, &Element> = self
            .elements
            .iter()
            .filter(|(name, _)| *name == set)
            .map(|(_, element)| (place(element), element))
            .collect();
        let is_good = |element: &&Element| has(present, element);
        let gone: Vec<Element> = present
            .iter()
            .filter(|(place, _)| !wanted.get(*place).is_some_and(is_good))
            .map(|(_, element)| by_key(element))
            .collect();
        let new: Vec<Element> = wanted
            .into_values()
            .filter(|element| !is_good(element))
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

/// The messages that add elements to the sets of a table.
pub(super) fn add(batch: &mut Batch, what: &'static str, family: Family, elements: &Elements) {
    for (set, elements) in by_set(elements.iter()) {
        batch.extend(what, add_elements(family, NAME, set, &elements));
    }
}

/// Some elements go and others come, at the same moment.
pub(super) fn replace(batch: &mut Batch, family: Family, gone: &Elements, come: &Elements) {
    const WHAT: &str = "move ports";
    for (set, elements) in by_set(gone.iter()) {
        batch.extend(WHAT, delete_elements(family, NAME, set, &elements));
    }
    add(batch, WHAT, family, come);
}

/// Deletes those of `elements` that are there. What is gone already is not missed.
pub(super) fn remove_elements(
    socket: &mut Socket,
    family: Family,
    elements: &Elements,
) -> Result<()> {
    let attempt = |socket: &mut Socket, elements: BTreeMap<&'static str, Vec<Element>>| {
        let mut batch = Batch::new();
        for (set, elements) in elements {
            batch.extend(
                "remove elements",
                delete_elements(family, NAME, set, &elements),
            );
        }
        socket.transact(batch)
    };
    match attempt(socket, by_set(elements.iter())) {
        // Something is gone, and so the transaction has done nothing: look, and delete what is there.
        Err(error) if error.is_absent() => {}
        other => return other.map_err(Error::kernel("take elements back")),
    }
    let mut sets: BTreeMap<&str, Present> = BTreeMap::new();
    for (set, _) in elements {
        if !sets.contains_key(set) {
            sets.insert(set, present(socket, family, set)?);
        }
    }
    let is_there = |(set, element): &&(&'static str, Element)| {
        sets.get(set).is_some_and(|present| has(present, element))
    };
    attempt(socket, by_set(elements.iter().filter(is_there)))
        .map_err(Error::kernel("take elements back"))
}

fn by_set<'a>(
    elements: impl Iterator<Item = &'a (&'static str, Element)>,
) -> BTreeMap<&'static str, Vec<Element>> {
    let mut sets: BTreeMap<&'static str, Vec<Element>> = BTreeMap::new();
    for (set, element) in elements {
        sets.entry(set).or_default().push(element.clone());
    }
    sets
}

/// What is in a set; nothing if it is not there.
fn present(socket: &mut Socket, family: Family, set: &str) -> Result<Present> {
    match nft::elements(socket, family, NAME, set) {
        Ok(elements) => Ok(elements
            .into_iter()
            .map(|element| (place(&element), element))
            .collect()),
        Err(error) if error.is_absent() => Ok(Present::new()),
        Err(error) => Err(Error::kernel("look at the firewall")(error)),
    }
}

/// What deletes an element.
fn by_key(element: &Element) -> Element {
    Element {
        data: None,
        tag: None,
        ..element.clone()
    }
}

/// An element that is only its key.
pub(super) fn element(key: Vec<u8>) -> Element {
    Element {
        key,
        last: None,
        ends: false,
        data: None,
        tag: None,
    }
}

/// The name of a link as the kernel compares it.
pub(super) fn link_name(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes
}
