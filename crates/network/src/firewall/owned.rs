//! The firewall as a whole: the table of IPv4, the bridges' table where containers may not talk to each other, and the
//! jump. The socket that made the tables owns them while it is open, where the kernel knows that.

use std::net::IpAddr;

use onggi_netlink::nft::{
    self, Data, Element, Family, TableFlags, add_elements, add_table, delete_table,
};
use onggi_netlink::{Batch, Protocol, Socket, conntrack};
use tracing::warn;

use super::declare::{self, NAME, Table};
use super::forward;
use super::rules::{self, MAP, MAP_ANY, PORTS, Subnet};
use crate::endpoint::{Endpoint, Published};
use crate::error::{Error, Result};
use crate::publish::protocol_number;

/// Our firewall, owned by this socket while it is open.
#[derive(Debug)]
pub(crate) struct Firewall {
    socket: Socket,
    subnets: Vec<Subnet>,
    /// The flags of new tables, once the kernel was asked what it knows.
    flags: Option<TableFlags>,
    /// Opened when it is first needed, and kept: to close such a socket behind a change of the tables waits for a grace
    /// period of the kernel (10 ms and more).
    tracked: Option<Socket>,
}

impl Firewall {
    /// Opens the firewall for these bridges; the kernel is not touched yet.
    pub(crate) fn open(subnets: Vec<Subnet>) -> Result<Self> {
        let socket = Socket::open(Protocol::Nftables).map_err(Error::kernel("open nftables"))?;
        Ok(Self {
            socket,
            subnets,
            flags: None,
            tracked: None,
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
        let (port, flags) = (self.port()?, self.flags()?);
        let mut batch = Batch::new();
        let published = endpoints.flat_map(elements).collect();
        let table = rules::table(&self.subnets, published);
        table.plan(&mut self.socket, port, flags, &mut batch)?;
        if let Some(table) = self.isolation(ports) {
            table.plan(&mut self.socket, port, flags, &mut batch)?;
        } else if self.has(Family::Bridge)? {
            batch.push(
                "remove the bridges' table",
                delete_table(Family::Bridge, NAME),
            );
        }
        let mut changed = !batch.is_empty();
        self.socket
            .transact(batch)
            .map_err(Error::kernel("set up the firewall"))?;
        let bridges: Vec<&str> = self
            .subnets
            .iter()
            .map(|subnet| subnet.bridge.as_str())
            .collect();
        changed |= forward::restore(&mut self.socket, &bridges)?;
        Ok(changed)
    }

    /// Isolates a bridge port that is about to be made, where containers may not talk to each other.
    pub(crate) fn isolate(&mut self, link: &str) -> Result<()> {
        let Some(table) = self.isolation(&[link.to_owned()]) else {
            return Ok(());
        };
        self.add(table.family, &table.elements, "isolate a bridge port")
    }

    /// Publishes the ports of one endpoint.
    pub(crate) fn publish(&mut self, endpoint: &Endpoint) -> Result<()> {
        let elements: Vec<_> = elements(endpoint).collect();
        self.add(Family::Ip, &elements, "publish ports")?;
        self.forget_udp(endpoint)
    }

    /// Takes back the ports of one endpoint. What is not there any more is not missed.
    pub(crate) fn unpublish(&mut self, endpoint: &Endpoint) -> Result<()> {
        let published: Vec<_> = elements(endpoint).collect();
        declare::remove_elements(&mut self.socket, Family::Ip, &published)?;
        if let Some(table) = self.isolation(&[endpoint.host_link()]) {
            declare::remove_elements(&mut self.socket, table.family, &table.elements)?;
        }
        self.forget_udp(endpoint)
    }

    /// Removes everything of ours.
    pub(crate) fn remove(&mut self) -> Result<()> {
        forward::remove(&mut self.socket)?;
        let mut batch = Batch::new();
        for family in [Family::Ip, Family::Bridge] {
            if self.has(family)? {
                batch.push("remove our table", delete_table(family, NAME));
            }
        }
        self.socket
            .transact(batch)
            .map_err(Error::kernel("remove the firewall"))
    }

    /// UDP flows keep the way they were first tracked on; those that a change of published ports concerns begin anew.
    fn forget_udp(&mut self, endpoint: &Endpoint) -> Result<()> {
        let is_udp = |one: &&Published| one.port.protocol == onggi_model::Protocol::Udp;
        let udp: Vec<&Published> = endpoint.ports.iter().filter(is_udp).collect();
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
            let is_for = |ip: IpAddr| ip == IpAddr::V4(to) || ip.is_unspecified();
            flow.protocol == protocol_number(onggi_model::Protocol::Udp)
                && udp
                    .iter()
                    .any(|one| one.host_port == port && is_for(one.host_ip))
        };
        // A kernel without ctnetlink has no way to forget them: the ports are published all the same.
        if let Err(error) = conntrack::forget(socket, concerned) {
            warn!(error = %onggi_model::chain(&error), "UDP flows from before keep their old way until they end");
        }
        Ok(())
    }

    /// The bridges' table, if it is needed.
    fn isolation(&self, ports: &[String]) -> Option<Table> {
        let needed = self.subnets.iter().any(|subnet| !subnet.icc);
        needed.then(|| rules::bridge_table(ports))
    }

    fn has(&mut self, family: Family) -> Result<bool> {
        let found = nft::table(&mut self.socket, family, NAME)
            .map_err(Error::kernel("look at the firewall"))?;
        Ok(found.is_some())
    }

    fn add(
        &mut self,
        family: Family,
        elements: &[(&'static str, Element)],
        what: &'static str,
    ) -> Result<()> {
        let mut batch = Batch::new();
        for set in [MAP, MAP_ANY, PORTS] {
            let ours: Vec<Element> = elements
                .iter()
                .filter(|(name, _)| *name == set)
                .map(|(_, element)| element.clone())
                .collect();
            batch.extend(what, add_elements(family, NAME, set, &ours));
        }
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

/// The elements that publish the ports of an endpoint.
fn elements(endpoint: &Endpoint) -> impl Iterator<Item = (&'static str, Element)> {
    endpoint.ports.iter().filter_map(|published| {
        let IpAddr::V4(host) = published.host_ip else {
            return None;
        };
        let (protocol, port) = (
            protocol_number(published.port.protocol),
            published.host_port.to_be_bytes(),
        );
        let (map, key) = if host.is_unspecified() {
            (MAP_ANY, nft::concatenate(&[&[protocol], &port]))
        } else {
            (MAP, nft::concatenate(&[&[protocol], &host.octets(), &port]))
        };
        let data = nft::concatenate(&[
            &endpoint.address_v4()?.octets(),
            &published.port.number.to_be_bytes(),
        ]);
        let tag = Some(endpoint.container.short().to_owned());
        Some((
            map,
            Element {
                key,
                last: None,
                ends: false,
                data: Some(Data::Value(data)),
                tag,
            },
        ))
    })
}
