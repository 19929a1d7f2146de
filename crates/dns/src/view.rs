//! What one container sees of the names, and what it is told.
//!
//! Kept true: a name that a container of ours has is never asked of anybody outside, whatever the type of the question;
//! aliases with a dot in them are the exception, since they stand for a domain whose other records are outside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::query::{Kind, Query, Rcode, Record};
use crate::resolv_conf::ResolvConf;

/// Docker's, where nobody names a server.
const DEFAULT_SERVERS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
    IpAddr::V4(Ipv4Addr::new(8, 8, 4, 4)),
];
const DEFAULT_SERVERS_V6: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8844)),
];
/// Where containers ask us: from there we would ask ourselves without end.
const OURSELVES: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
/// More servers are not asked.
const MOST_SERVERS: usize = 8;

/// What one container sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Where its own are, the first one that knows a name wins.
    pub networks: Vec<Network>,
    /// Whom to ask for other names, from its own network namespace (`--dns`); `None`: whom the host asks.
    #[serde(default)]
    pub servers: Option<Vec<IpAddr>>,
    /// Whether it reaches IPv6.
    #[serde(default)]
    pub ipv6: bool,
    /// Whether anybody is asked for other names at all.
    #[serde(default)]
    pub forwards: bool,
    /// Names without a dot are asked of nobody, because the container looks for them in its domains (`--dns-option ndots:`).
    #[serde(default)]
    pub keeps_single: bool,
}

/// A network it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// As in `db.NAME`.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The file with its [`crate::Row`]s.
    pub table: PathBuf,
    /// Names that only this container knows.
    #[serde(default)]
    pub links: Vec<Link>,
}

/// A name that only one container knows (`--link`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The name, in small letters.
    pub alias: String,
    /// The id of the container that it means.
    pub container: String,
}

/// Who has which names.
pub trait Names {
    /// The addresses of all who have this name.
    fn of_name(&self, network: &Network, name: &str) -> Vec<IpAddr>;
    /// The addresses of one container.
    fn of_container(&self, network: &Network, id: &str) -> Vec<IpAddr>;
    /// The own name of who has this address.
    fn of_address(&self, network: &Network, address: IpAddr) -> Option<String>;
}

/// What follows from a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// This is the reply.
    Reply(Vec<u8>),
    /// The upstreams are to be asked.
    Ask,
}

/// Who knows the rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// Its address.
    pub address: IpAddr,
    /// The host's link it is reached by, where its address does not say.
    pub scope: Option<String>,
    /// Where to ask from.
    pub from: Namespace,
}

/// A network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Namespace {
    /// The container's.
    Container,
    /// The host's.
    Host,
}

impl View {
    /// Answers a question, with at most `limit` bytes. `turn` is another number each time: who has a name together with
    /// others comes first by turns.
    pub fn say(&self, query: &Query, names: &impl Names, turn: usize, limit: usize) -> Said {
        if query.kind() == Kind::Transfer {
            return Said::Reply(query.bare(Rcode::NotImp));
        }
        if let Some(records) = self.find(query, names, turn) {
            return Said::Reply(query.reply(Rcode::NoError, &records, limit));
        }
        let single = query.name().is_some_and(|name| !name.contains('.'));
        match (self.forwards, query.kind()) {
            // Libraries believe that at once; anything else they ask again until time is up.
            (false, _) => Said::Reply(query.bare(Rcode::NxDomain)),
            (true, Kind::A | Kind::Aaaa) if self.keeps_single && single => {
                Said::Reply(query.bare(Rcode::NoError))
            }
            (true, _) => Said::Ask,
        }
    }

    /// Whom to ask, in this order. `host` is what the host asks.
    #[must_use]
    pub fn upstreams(&self, host: &ResolvConf) -> Vec<Upstream> {
        let inside = |address: &IpAddr| Upstream {
            address: *address,
            scope: None,
            from: Namespace::Container,
        };
        let mut list: Vec<Upstream> = match &self.servers {
            Some(servers) => {
                let others = servers.iter().filter(|server| **server != OURSELVES);
                let mut list: Vec<Upstream> = others.map(inside).collect();
                list.truncate(MOST_SERVERS);
                return list;
            }
            None => host
                .servers
                .iter()
                .map(|server| self.upstream(server))
                .collect(),
        };
        if list.is_empty() {
            list.extend(DEFAULT_SERVERS.iter().map(inside));
            if self.ipv6 {
                list.extend(DEFAULT_SERVERS_V6.iter().map(inside));
            }
        }
        list.truncate(MOST_SERVERS);
        list
    }

    /// The host's servers, from the container's namespace where it can reach them.
    fn upstream(&self, server: &crate::Server) -> Upstream {
        let address = server.address;
        let unreachable =
            address.is_loopback() || server.scope.is_some() || (address.is_ipv6() && !self.ipv6);
        Upstream {
            address,
            scope: server.scope.clone(),
            from: match unreachable {
                true => Namespace::Host,
                false => Namespace::Container,
            },
        }
    }

    /// What our own names say; `None`: it is none of them.
    fn find(&self, query: &Query, names: &impl Names, turn: usize) -> Option<Vec<Record>> {
        let name = query
            .name()
            .filter(|name| query.is_internet() && !name.is_empty())?;
        if query.kind() == Kind::Ptr
            && let Some(address) = reversed(name)
        {
            let mut networks = self.networks.iter();
            return networks.find_map(|network| {
                let holder = names.of_address(network, address)?;
                Some(vec![Record::Ptr(format!("{holder}.{}", network.name))])
            });
        }
        let (mut addresses, bare) = self.addresses(name, names)?;
        if !addresses.is_empty() {
            let count = addresses.len();
            addresses.rotate_left(turn % count);
        }
        let (v4, v6) = match query.kind() {
            Kind::A => (true, false),
            Kind::Aaaa => (false, true),
            Kind::Any => (true, true),
            Kind::Mx => (false, false),
            _ if bare && name.contains('.') => return None,
            _ => (false, false),
        };
        let records = addresses.into_iter().filter_map(|address| match address {
            IpAddr::V4(address) => v4.then_some(Record::A(address)),
            IpAddr::V6(address) => v6.then_some(Record::Aaaa(address)),
        });
        Some(records.collect())
    }

    /// The addresses that a name has for this container, and whether it came without the network's name.
    fn addresses(&self, name: &str, names: &impl Names) -> Option<(Vec<IpAddr>, bool)> {
        let in_network = |network: &Network, name: &str| {
            let mut links = network.links.iter();
            let found = match links.find(|link| link.alias == name) {
                Some(link) => names.of_container(network, &link.container),
                None => names.of_name(network, name),
            };
            Some(found).filter(|found| !found.is_empty())
        };
        let mut networks = self.networks.iter();
        if let Some(found) = networks.find_map(|network| in_network(network, name)) {
            return Some((found, true));
        }
        // Both names and networks may have dots in them.
        let mut networks = self.networks.iter();
        networks.find_map(|network| {
            let (head, tail) =
                name.split_at_checked(name.len().checked_sub(network.name.len())?)?;
            let head = head.strip_suffix('.')?;
            if !tail.eq_ignore_ascii_case(&network.name) {
                return None;
            }
            in_network(network, head).map(|found| (found, false))
        })
    }
}

/// The address in `2.0.18.172.in-addr.arpa`.
fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(parts) = name.strip_suffix(".in-addr.arpa") {
        let mut octets = [0; 4];
        let mut parts = parts.split('.');
        for octet in octets.iter_mut().rev() {
            let part = parts
                .next()
                .filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?;
            *octet = part.parse().ok()?;
        }
        return parts.next().is_none().then_some(octets.into());
    }
    let mut parts = name.strip_suffix(".ip6.arpa")?.split('.');
    let mut bits: u128 = 0;
    for index in 0..32 {
        let part = parts.next().filter(|part| part.len() == 1)?;
        bits |= u128::from(part.chars().next()?.to_digit(16)?) << (4 * index);
    }
    parts
        .next()
        .is_none()
        .then_some(Ipv6Addr::from_bits(bits).into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#[path = "view_tests.rs"]
mod tests;
