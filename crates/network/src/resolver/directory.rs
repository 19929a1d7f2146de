//! Who has which name, in which network; and what each container sees of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use onggi_dns::{Link, Names, Network, Row, View};
use onggi_model::ContainerId;

use super::{Place, Settings};

#[derive(Debug)]
pub(super) struct Directory {
    /// Where the files of the networks are.
    folder: PathBuf,
    /// By the network's id.
    zones: HashMap<String, Zone>,
    clients: HashMap<ContainerId, Client>,
}

/// The names of a network. Names are in small letters.
#[derive(Debug, Default)]
struct Zone {
    members: BTreeMap<ContainerId, Member>,
    by_name: HashMap<String, BTreeSet<ContainerId>>,
    by_address: HashMap<IpAddr, ContainerId>,
}

#[derive(Debug)]
struct Member {
    addresses: Vec<IpAddr>,
    names: Vec<String>,
}

/// A container.
#[derive(Debug, Default)]
struct Client {
    settings: Settings,
    places: Vec<Place>,
    /// Made from the others.
    view: Arc<View>,
}

impl Directory {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            zones: HashMap::new(),
            clients: HashMap::new(),
        }
    }

    pub(super) fn attach(&mut self, container: &ContainerId, mut place: Place) {
        self.leave(container, &place.network_id);
        let mut known = BTreeSet::new();
        let names: Vec<String> = std::mem::take(&mut place.names)
            .into_iter()
            .map(|name| name.to_ascii_lowercase())
            .filter(|name| !name.is_empty() && known.insert(name.clone()))
            .collect();
        if !names.is_empty() {
            let zone = self.zones.entry(place.network_id.clone()).or_default();
            let addresses = place.addresses.clone();
            zone.insert(container, Member { addresses, names });
        }
        let client = self.clients.entry(container.clone()).or_default();
        client
            .places
            .retain(|old| old.network_id != place.network_id);
        client.places.push(place);
        self.look(container);
    }

    /// Says whether it was there.
    pub(super) fn detach(&mut self, container: &ContainerId, network_id: &str) -> bool {
        let left = self.leave(container, network_id);
        if let Some(client) = self.clients.get_mut(container) {
            client.places.retain(|place| place.network_id != network_id);
        }
        self.look(container);
        left
    }

    pub(super) fn set(&mut self, container: &ContainerId, mut settings: Settings) {
        for (alias, _) in &mut settings.links {
            alias.make_ascii_lowercase();
        }
        self.clients.entry(container.clone()).or_default().settings = settings;
        self.look(container);
    }

    /// The networks that it was in.
    pub(super) fn remove(&mut self, container: &ContainerId) -> Vec<String> {
        let places = self.clients.remove(container).map(|client| client.places);
        let networks = places
            .unwrap_or_default()
            .into_iter()
            .map(|place| place.network_id);
        networks
            .filter(|network| self.leave(container, network))
            .collect()
    }

    pub(super) fn view(&self, container: &ContainerId) -> Option<Arc<View>> {
        let client = self.clients.get(container)?;
        Some(Arc::clone(&client.view))
    }

    /// The names of a network as lines; `None` where it has none.
    pub(super) fn rows(&self, network_id: &str) -> Option<String> {
        let zone = self.zones.get(network_id)?;
        let mut text = String::with_capacity(zone.members.len() * 128);
        for (container, member) in &zone.members {
            let addresses = member.addresses.iter().copied();
            Row::write(&mut text, container.as_str(), addresses, &member.names);
        }
        Some(text)
    }

    fn leave(&mut self, container: &ContainerId, network_id: &str) -> bool {
        let Some(zone) = self.zones.get_mut(network_id) else {
            return false;
        };
        let left = zone.remove(container);
        if zone.members.is_empty() {
            self.zones.remove(network_id);
        }
        left
    }

    /// Makes a container's view anew.
    fn look(&mut self, container: &ContainerId) {
        let Some(client) = self.clients.get_mut(container) else {
            return;
        };
        let Client {
            settings, places, ..
        } = client;
        places.sort_by(|one, other| {
            let order = other.priority.cmp(&one.priority);
            order.then_with(|| one.network.cmp(&other.network))
        });
        let links: Vec<Link> = settings
            .links
            .iter()
            .map(|(alias, container)| Link {
                alias: alias.clone(),
                container: container.to_string(),
            })
            .collect();
        let in_zone = |place: &&Place| {
            let zone = self.zones.get(&place.network_id);
            zone.is_some_and(|zone| zone.members.contains_key(container))
        };
        let network = |place: &Place| Network {
            name: place.network.clone(),
            id: place.network_id.clone(),
            table: self.folder.join(&place.network_id),
            links: links.clone(),
        };
        let outside = || places.iter().filter(|place| place.leads_outside);
        let view = View {
            networks: places.iter().filter(in_zone).map(network).collect(),
            servers: Some(settings.servers.clone()).filter(|servers| !servers.is_empty()),
            ipv6: outside().any(|place| place.addresses.iter().any(IpAddr::is_ipv6)),
            forwards: outside().next().is_some(),
            keeps_single: settings.has_ndots,
        };
        client.view = Arc::new(view);
    }
}

impl Zone {
    fn insert(&mut self, container: &ContainerId, member: Member) {
        for name in &member.names {
            let holders = self.by_name.entry(name.clone()).or_default();
            holders.insert(container.clone());
        }
        for address in &member.addresses {
            self.by_address.insert(*address, container.clone());
        }
        self.members.insert(container.clone(), member);
    }

    fn remove(&mut self, container: &ContainerId) -> bool {
        let Some(member) = self.members.remove(container) else {
            return false;
        };
        for name in &member.names {
            if let Some(holders) = self.by_name.get_mut(name) {
                holders.remove(container);
                if holders.is_empty() {
                    self.by_name.remove(name);
                }
            }
        }
        for address in &member.addresses {
            // Another one may have it by now.
            if self.by_address.get(address) == Some(container) {
                self.by_address.remove(address);
            }
        }
        true
    }
}

impl Names for Directory {
    fn of_name(&self, network: &Network, name: &str) -> Vec<IpAddr> {
        let Some(zone) = self.zones.get(&network.id) else {
            return Vec::new();
        };
        let holders = zone.by_name.get(name).into_iter().flatten();
        let members = holders.filter_map(|container| zone.members.get(container));
        members
            .flat_map(|member| member.addresses.iter().copied())
            .collect()
    }

    fn of_container(&self, network: &Network, id: &str) -> Vec<IpAddr> {
        let Some(zone) = self.zones.get(&network.id) else {
            return Vec::new();
        };
        let mut members = zone.members.iter();
        let found = members.find(|(container, _)| container.as_str() == id);
        found
            .map(|(_, member)| member.addresses.clone())
            .unwrap_or_default()
    }

    fn of_address(&self, network: &Network, address: IpAddr) -> Option<String> {
        let zone = self.zones.get(&network.id)?;
        let member = zone.members.get(zone.by_address.get(&address)?)?;
        member.names.first().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ContainerId {
        ContainerId::from_bytes([number; 32])
    }

    fn place(network: &str, host: u8, names: &[&str]) -> Place {
        Place {
            network_id: format!("id-{network}"),
            network: network.to_owned(),
            addresses: vec![[10, 0, 0, host].into()],
            names: names.iter().map(|&name| name.to_owned()).collect(),
            leads_outside: network != "inner",
            ..Place::default()
        }
    }

    fn directory() -> Directory {
        let mut directory = Directory::new("/run/names".into());
        directory.attach(&id(1), place("net", 1, &["Web", "app", "web", ""]));
        directory.attach(&id(2), place("net", 2, &["db", "app"]));
        directory
    }

    fn has(directory: &Directory, name: &str) -> usize {
        let network = Network {
            id: "id-net".to_owned(),
            ..Network::default()
        };
        directory.of_name(&network, name).len()
    }

    #[test]
    fn names_come_and_go_with_their_containers() {
        let mut directory = directory();
        assert_eq!(
            (
                has(&directory, "web"),
                has(&directory, "app"),
                has(&directory, "Web")
            ),
            (1, 2, 0)
        );
        let rows = directory.rows("id-net").unwrap_or_default();
        assert_eq!(rows.lines().count(), 2);
        assert!(
            rows.contains(&format!("{} 10.0.0.1 web app\n", id(1))),
            "{rows}"
        );
        // The same container under another name.
        directory.attach(&id(1), place("net", 3, &["other"]));
        assert_eq!(
            (
                has(&directory, "web"),
                has(&directory, "app"),
                has(&directory, "other")
            ),
            (0, 1, 1)
        );
        assert!(directory.detach(&id(1), "id-net"));
        assert!(!directory.detach(&id(1), "id-net"));
        assert_eq!(directory.remove(&id(2)), ["id-net"]);
        assert!(directory.remove(&id(2)).is_empty());
        assert_eq!(
            (has(&directory, "app"), directory.rows("id-net")),
            (0, None)
        );
        assert!(directory.zones.is_empty());
    }

    #[test]
    fn views_follow_what_changes() {
        let mut directory = directory();
        let mut high = place("a", 9, &["web"]);
        high.priority = 5;
        directory.attach(&id(1), high);
        directory.attach(&id(1), place("bridge", 4, &[]));
        let settings = Settings {
            servers: vec![[9, 9, 9, 9].into()],
            has_ndots: true,
            links: vec![("DB".to_owned(), id(2))],
        };
        directory.set(&id(1), settings);
        let view = directory.view(&id(1)).unwrap_or_default();
        let names: Vec<&str> = view
            .networks
            .iter()
            .map(|network| network.name.as_str())
            .collect();
        assert_eq!(names, ["a", "net"]);
        assert_eq!(view.networks[1].links[0].alias, "db");
        assert_eq!(view.networks[1].table, PathBuf::from("/run/names/id-net"));
        assert!(view.forwards && view.keeps_single && view.servers.is_some());
        // In the default bridge alone there are no names.
        directory.detach(&id(1), "id-net");
        directory.detach(&id(1), "id-a");
        let view = directory.view(&id(1)).unwrap_or_default();
        assert!(view.networks.is_empty() && view.forwards);
        assert_eq!(directory.view(&id(3)), None);
    }

    #[test]
    fn internal_networks_do_not_lead_outside() {
        let mut directory = directory();
        directory.attach(&id(3), place("inner", 1, &["c"]));
        assert!(directory.view(&id(3)).is_some_and(|view| !view.forwards));
        directory.attach(&id(3), place("net", 3, &["c"]));
        assert!(directory.view(&id(3)).is_some_and(|view| view.forwards));
    }
}
