//! The firewall as a whole: the tables of IPv4 and IPv6, the bridges' table where containers may not talk to each other,
//! and the jumps. The socket that made the tables owns them while it is open, where the kernel knows that.

use std::collections::BTreeSet;
use std::net::IpAddr;

use onggi_netlink::nft::{self, Family, TableFlags, add_table, delete_table};
use onggi_netlink::{Batch, Protocol, Socket, conntrack};
use tracing::warn;

use super::bridge::Bridge;
use super::declare::{self, Elements, NAME, Table};
use super::forward::Unneeded;
use super::rules::Footing;
use super::{apart, forward, gate, prohibit, published, rules};
use crate::config::{Config, PublishPolicy};
use crate::endpoint::{Endpoint, Published};
use crate::error::{Error, Result};
use crate::publish::protocol_number;

const FAMILIES: [Family; 2] = [Family::Ip, Family::Ip6];

/// Our firewall, owned by this socket while it is open.
#[derive(Debug)]
pub(crate) struct Firewall {
    socket: Socket,
    bridges: Vec<Bridge>,
    /// The families that are switched off.
    off: Vec<Family>,
    /// The chains of others that were warned of.
    warned: BTreeSet<nft::Hooked>,
    /// The tables that stand.
    standing: Vec<Family>,
    /// The families in whose `filter FORWARD` our jump was last seen to be as it should be.
    jumping: Vec<Family>,
    /// The flags of new tables, once the kernel was asked what it knows.
    flags: Option<TableFlags>,
    /// Opened when it is first needed, and kept: to close such a socket behind a change of the tables waits for a grace
    /// period of the kernel (10 ms and more).
    tracked: Option<Socket>,
    /// For routing rules, where the tables may vanish in the flushes of others, and the links of [`gate`].
    route: Option<Socket>,
    /// Whose rules published ports obey.
    policy: PublishPolicy,
}

impl Firewall {
    /// Opens the firewall for these bridges; the kernel is not touched before [`Firewall::restore`]. Of the families that
    /// the configuration switches off, nothing is made.
    pub(crate) fn open(bridges: Vec<Bridge>, config: &Config) -> Result<Self> {
        let socket = Socket::open(Protocol::Nftables).map_err(Error::kernel("open nftables"))?;
        Ok(Self {
            socket,
            bridges,
            off: [
                (config.iptables, Family::Ip),
                (config.ip6tables, Family::Ip6),
            ]
            .into_iter()
            .filter(|(on, _)| !on)
            .map(|(_, family)| family)
            .collect(),
            warned: BTreeSet::new(),
            standing: Vec::new(),
            jumping: Vec::new(),
            flags: None,
            tracked: None,
            route: None,
            policy: config.publish_policy,
        })
    }

    /// The netlink port that our changes carry.
    pub(crate) fn port(&self) -> Result<u32> {
        self.socket.port().map_err(Error::kernel("open nftables"))
    }

    /// Makes the kernel's tables what they should be for these endpoints and ports of bridges; says whether something
    /// had to change.
    pub(crate) fn restore<'a>(
        &mut self,
        endpoints: impl Iterator<Item = &'a Endpoint>,
        ports: &[String],
    ) -> Result<bool> {
        let endpoints: Vec<&Endpoint> = endpoints.collect();
        // A daemon before may have left a jump.
        let unneeded = match self.standing.as_slice() {
            [] => Unneeded::Removed,
            _ => Unneeded::Kept,
        };
        let mut changed = self.prohibit()?;
        let mut batch = Batch::new();
        let mut standing = Vec::new();
        for family in [Family::Ip, Family::Ip6, Family::Bridge] {
            if self.wants(family) {
                let mut elements: Elements = match family {
                    Family::Bridge => apart::elements(ports),
                    _ => self.elements(family),
                };
                for endpoint in &endpoints {
                    elements.extend(published::elements(endpoint, family));
                }
                self.plan(family, elements, &mut batch)?;
                standing.push(family);
            } else if self.has(family)? {
                batch.push("remove a table of ours", delete_table(family, NAME));
            }
        }
        changed |= !batch.is_empty();
        let policy = self.policy;
        self.socket.transact(batch).map_err(|error| {
            let unknown = [rustix::io::Errno::NOENT, rustix::io::Errno::OPNOTSUPP];
            if policy == PublishPolicy::Host && error.errno().is_some_and(|n| unknown.contains(&n)) {
                return Error::Invalid(
                    "publish-policy=host needs nft_dup_ipv4 and nft_dup_ipv6, and this kernel has them not: load the \
                     modules, or use publish-policy=docker"
                        .to_owned(),
                );
            }
            Error::kernel("set up the firewall")(error)
        })?;
        self.standing = standing;
        if self.policy == PublishPolicy::Docker {
            // A daemon before may have had another policy.
            gate::remove(self.route()?)?;
        }
        changed |= self.restore_jumps(unneeded)?;
        self.warn_of_others();
        Ok(changed)
    }

    /// Closes a bridge, and opens it as far as it says, before any link of it is up: one transaction.
    pub(crate) fn add_bridge(&mut self, bridge: Bridge) -> Result<()> {
        let is_new = !self.bridges.iter().any(|known| known.name == bridge.name);
        self.bridges.retain(|known| known.name != bridge.name);
        self.bridges.push(bridge.clone());
        let added = self.add_to_tables(&bridge, is_new);
        if added.is_err() {
            self.bridges.retain(|known| known.name != bridge.name);
        }
        added
    }

    fn add_to_tables(&mut self, bridge: &Bridge, is_new: bool) -> Result<()> {
        self.prohibit()?;
        let mut batch = Batch::new();
        let mut standing = self.standing.clone();
        for family in [Family::Ip, Family::Ip6, Family::Bridge] {
            if !self.wants(family) {
                continue;
            }
            if standing.contains(&family) {
                if family != Family::Bridge {
                    declare::add(&mut batch, "add a bridge", family, &bridge.elements(family));
                }
            } else {
                let elements = match family {
                    Family::Bridge => Elements::new(),
                    _ => self.elements(family),
                };
                self.plan(family, elements, &mut batch)?;
                standing.push(family);
            }
        }
        self.socket
            .transact(batch)
            .map_err(Error::kernel("add a bridge to the firewall"))?;
        self.standing = standing;
        if !is_new || !self.add_to_jumps(bridge)? {
            self.restore_jumps(Unneeded::Kept)?;
        }
        self.warn_of_others();
        Ok(())
    }

    /// As [`Firewall::restore_jumps`] where nothing is new but a bridge: what is there is not looked at. Whoever watches the
    /// chains of others restores what they change. Says whether that was enough.
    fn add_to_jumps(&mut self, bridge: &Bridge) -> Result<bool> {
        for family in FAMILIES {
            let stood = self.jumping.contains(&family);
            if self.wants(family) && forward::stands(&mut self.socket, family)? != Some(stood) {
                return Ok(false);
            }
        }
        for family in FAMILIES {
            let concerns = self.wants(family) && self.jumping.contains(&family);
            if concerns && !forward::add_bridge(&mut self.socket, family, &bridge.name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Forgets a bridge that is gone.
    pub(crate) fn remove_bridge(&mut self, name: &str) -> Result<()> {
        let Some(index) = self.bridges.iter().position(|bridge| bridge.name == name) else {
            return Ok(());
        };
        let bridge = self.bridges.remove(index);
        for family in FAMILIES {
            if self.standing.contains(&family) {
                declare::remove_elements(&mut self.socket, family, &bridge.elements(family))?;
            }
        }
        self.prohibit()?;
        self.restore_jumps(Unneeded::Kept)?;
        Ok(())
    }

    /// Isolates a bridge port that is about to be made, where containers may not talk to each other.
    pub(crate) fn isolate(&mut self, bridge: &str, link: &str) -> Result<()> {
        let apart = |known: &Bridge| known.name == bridge && !known.icc;
        if !self.bridges.iter().any(apart) {
            return Ok(());
        }
        let elements = apart::elements(&[link.to_owned()]);
        self.add(Family::Bridge, &elements, "isolate a bridge port")
    }

    /// Publishes the ports of one endpoint.
    ///
    /// # Errors
    /// What the kernel refused, and ports of a family that is switched off.
    pub(crate) fn publish(&mut self, endpoint: &Endpoint) -> Result<()> {
        for (family, switch) in FAMILIES.into_iter().zip(["iptables", "ip6tables"]) {
            let elements = published::elements(endpoint, family);
            if elements.is_empty() {
                continue;
            }
            if self.off.contains(&family) {
                return Err(Error::Invalid(format!(
                    "ports cannot be published without rules of the firewall, and the daemon runs with --{switch}=false"
                )));
            }
            self.add(family, &elements, "publish ports")?;
        }
        self.forget_udp(endpoint)
    }

    /// Ports change hands, of both families in one transaction. What flows already keeps its way.
    ///
    /// # Errors
    /// What the kernel refused; nothing has changed then.
    pub(crate) fn hand_over(&mut self, before: &[Endpoint], after: &[Endpoint]) -> Result<()> {
        let mut batch = Batch::new();
        for family in FAMILIES {
            let all = |endpoints: &[Endpoint]| -> Elements {
                let all = endpoints.iter();
                all.flat_map(|one| published::elements(one, family))
                    .collect()
            };
            let (before, after) = (all(before), all(after));
            let without = |some: &Elements, others: &Elements| -> Elements {
                let others: BTreeSet<_> = others.iter().map(key).collect();
                let some = some.iter().filter(|one| !others.contains(&key(one)));
                some.cloned().collect()
            };
            let (gone, come) = (without(&before, &after), without(&after, &before));
            declare::replace(&mut batch, family, &gone, &come);
        }
        self.socket
            .transact(batch)
            .map_err(Error::kernel("move ports"))
    }

    /// The flows through ports that another has now, and that are still answered from these addresses, begin anew.
    pub(crate) fn forget_answered(&mut self, ports: &[Published], by: &[IpAddr]) -> Result<()> {
        self.forget_flows(ports, |flow| by.contains(&flow.reply.0))
    }

    /// Takes back the ports of one endpoint. What is not there any more is not missed.
    pub(crate) fn unpublish(&mut self, endpoint: &Endpoint) -> Result<()> {
        self.unpublish_ports(endpoint)?;
        if self.standing.contains(&Family::Bridge) {
            let elements = apart::elements(&[endpoint.host_link()]);
            declare::remove_elements(&mut self.socket, Family::Bridge, &elements)?;
        }
        Ok(())
    }

    /// As [`Firewall::unpublish`], for an endpoint whose link stays.
    pub(crate) fn unpublish_ports(&mut self, endpoint: &Endpoint) -> Result<()> {
        for family in FAMILIES {
            let elements = published::elements(endpoint, family);
            if !elements.is_empty() && self.standing.contains(&family) {
                declare::remove_elements(&mut self.socket, family, &elements)?;
            }
        }
        self.forget_udp(endpoint)
    }

    /// Removes everything of ours.
    pub(crate) fn remove(&mut self) -> Result<()> {
        self.bridges.clear();
        self.prohibit()?;
        for family in FAMILIES {
            forward::remove(&mut self.socket, family)?;
        }
        let mut batch = Batch::new();
        for family in [Family::Ip, Family::Ip6, Family::Bridge] {
            if self.has(family)? {
                batch.push("remove our table", delete_table(family, NAME));
            }
        }
        self.standing.clear();
        self.socket
            .transact(batch)
            .map_err(Error::kernel("remove the firewall"))?;
        gate::remove(self.route()?)
    }

    /// Whether a table of this family is needed. The one of IPv4 always stands; that of IPv6 would make the kernel track
    /// the host's connections, and waits for a network of IPv6.
    fn wants(&self, family: Family) -> bool {
        if self.off.contains(&family) {
            return false;
        }
        match family {
            Family::Bridge => self.bridges.iter().any(|bridge| !bridge.icc),
            Family::Ip6 => self.bridges.iter().any(|bridge| bridge.has(Family::Ip6)),
            Family::Ip | Family::Inet => true,
        }
    }

    /// What the table of this family has of all bridges.
    fn elements(&self, family: Family) -> Elements {
        let all = self.bridges.iter();
        all.flat_map(|bridge| bridge.elements(family)).collect()
    }

    fn plan(&mut self, family: Family, elements: Elements, batch: &mut Batch) -> Result<()> {
        let (port, flags) = (self.port()?, self.flags()?);
        let gate = self.gate()?;
        let table = match family {
            Family::Bridge => Table {
                elements,
                ..apart::table(&[])
            },
            _ => rules::table(family, elements, self.footing()?, gate),
        };
        table.plan(&mut self.socket, port, flags, batch)
    }

    /// Routing rules that let nothing pass between networks, should the tables vanish; says whether one was missing.
    fn prohibit(&mut self) -> Result<bool> {
        if self.footing()? == Footing::Firm {
            return Ok(false);
        }
        let (bridges, off) = (self.bridges.clone(), self.off.clone());
        prohibit::restore(self.route()?, &bridges, &off)
    }

    fn route(&mut self) -> Result<&mut Socket> {
        Ok(match &mut self.route {
            Some(socket) => socket,
            none => {
                none.insert(Socket::open(Protocol::Route).map_err(Error::kernel("open netlink"))?)
            }
        })
    }

    /// The link that packets take which the host's input rules have let in, if they are asked.
    fn gate(&mut self) -> Result<Option<u32>> {
        match self.policy {
            PublishPolicy::Docker => Ok(None),
            PublishPolicy::Host => gate::ensure(self.route()?).map(Some),
        }
    }

    fn footing(&mut self) -> Result<Footing> {
        Ok(if self.flags()?.contains(TableFlags::PERSIST) {
            Footing::Firm
        } else {
            Footing::Loose
        })
    }

    /// Bytes that the kernel has answered.
    #[cfg(test)]
    pub(crate) fn received(&self) -> u64 {
        self.socket.received()
    }

    /// As on a kernel before 6.9.
    #[cfg(test)]
    pub(super) fn disown(&mut self) {
        self.flags = Some(TableFlags::empty());
    }

    /// The tables go, as those of a machine that starts anew.
    #[cfg(test)]
    pub(super) fn lose_tables(&mut self) {
        let mut batch = Batch::new();
        for family in self.standing.iter().copied() {
            batch.push("lose a table", delete_table(family, NAME));
        }
        self.socket.transact(batch).unwrap();
    }

    /// Makes the jumps in the tables of iptables what they should be; says whether something had to change.
    fn restore_jumps(&mut self, unneeded: Unneeded) -> Result<bool> {
        let mut changed = false;
        for family in FAMILIES {
            let wanted = self.wants(family);
            let bridges = self.bridges.iter().filter(|_| wanted);
            let names: Vec<&str> = bridges.map(|bridge| bridge.name.as_str()).collect();
            changed |= forward::restore(&mut self.socket, family, &names, unneeded)?;
            self.jumping.retain(|known| *known != family);
            if wanted && forward::stands(&mut self.socket, family)? == Some(true) {
                self.jumping.push(family);
            }
        }
        Ok(changed)
    }

    /// A verdict of ours cannot undo a drop of others: they are named, with the line to add.
    fn warn_of_others(&mut self) {
        let Some(bridge) = self.bridges.iter().find(|bridge| !bridge.internal) else {
            return;
        };
        let chains = match nft::dropping_forward(&mut self.socket) {
            Ok(chains) => chains,
            Err(error) => {
                warn!(error = %onggi_model::chain(&error), "cannot look at the chains of others");
                return;
            }
        };
        for chain in chains {
            // Where iptables drops, we have our jump.
            let ours = chain.family != "inet"
                && chain.table == forward::TABLE
                && chain.name == forward::FORWARD;
            if ours || !self.warned.insert(chain.clone()) {
                continue;
            }
            let nft::Hooked {
                family,
                table,
                name,
            } = chain;
            let rule = |direction: &str| {
                format!(
                    "insert rule {family} {table} {name} {direction} \"{}\" accept",
                    bridge.name
                )
            };
            warn!(
                "chain {name} of the nftables table {family} {table} drops packets of containers; what is not published is \
                 dropped by our own rules, so let it accept them, for each bridge: nft '{}; {}'",
                rule("iifname"),
                rule("oifname"),
            );
        }
    }

    /// UDP flows keep the way they were first tracked on; those that a change of published ports concerns begin anew.
    fn forget_udp(&mut self, endpoint: &Endpoint) -> Result<()> {
        self.forget_flows(&endpoint.ports, |_| true)
    }

    fn forget_flows(
        &mut self,
        ports: &[Published],
        chosen: impl Fn(&conntrack::Flow) -> bool,
    ) -> Result<()> {
        let is_udp = |one: &&Published| one.port.protocol == onggi_model::Protocol::Udp;
        let udp: Vec<&Published> = ports.iter().filter(is_udp).collect();
        if udp.is_empty() {
            return Ok(());
        }
        let socket = match &mut self.tracked {
            Some(socket) => socket,
            none => none.insert(
                Socket::open(Protocol::Conntrack)
                    .map_err(Error::kernel("open connection tracking"))?,
            ),
        };
        let concerned = |flow: &conntrack::Flow| {
            let (_, _, to, port) = flow.original;
            let is_for =
                |ip: IpAddr| ip == to || (ip.is_unspecified() && ip.is_ipv4() == to.is_ipv4());
            flow.protocol == protocol_number(onggi_model::Protocol::Udp)
                && udp
                    .iter()
                    .any(|one| one.host_ports().contains(&port) && is_for(one.host_ip))
                && chosen(flow)
        };
        // A kernel without ctnetlink has no way to forget them: the ports are published all the same.
        if let Err(error) = conntrack::forget(socket, concerned) {
            warn!(error = %onggi_model::chain(&error), "UDP flows from before keep their old way until they end");
        }
        Ok(())
    }

    fn has(&mut self, family: Family) -> Result<bool> {
        let found = nft::table(&mut self.socket, family, NAME)
            .map_err(Error::kernel("look at the firewall"))?;
        Ok(found.is_some())
    }

    fn add(&mut self, family: Family, elements: &Elements, what: &'static str) -> Result<()> {
        let mut batch = Batch::new();
        declare::add(&mut batch, what, family, elements);
        self.socket.transact(batch).map_err(Error::kernel(what))
    }

    /// The flags of new tables: owned and persistent where the kernel knows both (6.9), tried on a table that lives for
    /// one transaction. Owned alone would take the rules away with the daemon.
    fn flags(&mut self) -> Result<TableFlags> {
        const PROBE: &str = "onggi-probe";
        if let Some(flags) = self.flags {
            return Ok(flags);
        }
        let owned = TableFlags::OWNER | TableFlags::PERSIST;
        let mut batch = Batch::new();
        batch
            .push(
                "probe table flags",
                add_table(Family::Ip, PROBE, owned, None),
            )
            .push("probe table flags", delete_table(Family::Ip, PROBE));
        let flags = match self.socket.transact(batch) {
            Ok(()) => owned,
            Err(error)
                if matches!(
                    error.errno(),
                    Some(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::INVAL)
                ) =>
            {
                TableFlags::empty()
            }
            Err(error) => return Err(Error::kernel("probe the firewall")(error)),
        };
        self.flags = Some(flags);
        Ok(flags)
    }
}

/// What tells elements apart: where they are, what they match, what they lead to.
fn key((set, element): &(&'static str, nft::Element)) -> (&'static str, Vec<u8>, Vec<u8>, Vec<u8>) {
    let data = match &element.data {
        Some(nft::Data::Value(data)) => data.clone(),
        _ => Vec::new(),
    };
    let last = element.last.clone().unwrap_or_default();
    (*set, element.key.clone(), last, data)
}
