//! Who can reach the ports of containers, as the API says it. What is looked at, and how, is `network`'s.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use onggi_api::network::{ExposedPort, ExposedTo, Exposure};
use onggi_network::{Exposed, Reach};

use crate::Engine;
use crate::container::Record;
use crate::container::loopback;
use crate::error::{Error, Result};
use crate::spec::network::Mode;

impl Engine {
    /// Who can reach the ports of all containers of a network.
    ///
    /// # Errors
    /// `NotFound`, and what the kernel does not let us see.
    pub async fn network_exposure(&self, name: &str) -> Result<Exposure> {
        let network = self.inner.networks.get(name)?;
        let found = self.inner.networks.exposure(None, Some(network.id.clone()));
        let mut notes = Vec::new();
        if network.driver == "host" {
            notes.push(
                "containers in the host's network listen at the host's own addresses, where the host's own rules decide"
                    .to_owned(),
            );
        }
        self.exposed(found.await?, notes).await
    }

    /// Who can reach the ports of a container.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for a container that does not run; what the kernel does not let us see.
    pub async fn container_exposure(&self, name: &str) -> Result<Exposure> {
        let container = self.inner.containers.find(name)?;
        let mut record = container.record();
        let mut notes = Vec::new();
        if !record.state.is_running() {
            let text = format!(
                "container {} is not running: nobody reaches it",
                record.name
            );
            return Err(Error::conflict(text));
        }
        match Mode::of(&record.host_config) {
            Mode::Host => notes.push(format!(
                "{} listens at the host's own addresses, where the host's own rules decide",
                record.name
            )),
            Mode::None => notes.push(format!("{} is in no network", record.name)),
            Mode::Container(other) => {
                let other = self.inner.containers.find(&other)?.record();
                notes.push(format!("{} has the network of {}", record.name, other.name));
                record = other;
            }
            Mode::Bridge | Mode::Named(_) => {}
        }
        let found = self.inner.networks.exposure(Some(record.id.clone()), None);
        self.exposed(found.await?, notes).await
    }

    async fn exposed(&self, found: Vec<Exposed>, notes: Vec<String>) -> Result<Exposure> {
        let mut ports = Vec::with_capacity(found.len());
        let mut records: Vec<std::sync::Arc<Record>> = Vec::new();
        for one in found {
            // One that is just gone has no ports any more.
            let Ok(container) = self.inner.containers.find(one.container.as_str()) else {
                continue;
            };
            let record = container.record();
            ports.push(entry(&one, &record.name));
            if !records.iter().any(|known| known.id == record.id) {
                records.push(record);
            }
        }
        for record in records {
            ports.extend(self.at_loopback(&record, &ports).await?);
        }
        ports.sort_by(|a, b| (&a.name, &a.network).cmp(&(&b.name, &b.network)));
        Ok(Exposure { ports, notes })
    }

    /// What the container's monitor passes on from `[::1]`, where it is seen to listen.
    async fn at_loopback(
        &self,
        record: &Record,
        others: &[ExposedPort],
    ) -> Result<Vec<ExposedPort>> {
        let forwards = loopback::of(record);
        let asked = forwards.iter();
        let asked = asked.map(|one| (one.protocol, Ipv6Addr::LOCALHOST.into(), one.port));
        let waits = self.inner.networks.waits_at(asked.collect()).await?;
        let network = record.endpoints.iter().find(|one| !one.ports.is_empty());
        let network = network.map(|one| one.network.clone()).unwrap_or_default();
        let mut found = Vec::new();
        for (one, waits) in forwards.into_iter().zip(waits) {
            let at = address(Ipv6Addr::LOCALHOST.into(), Some(one.port), one.length);
            if !waits || others.iter().any(|known| known.at == at) {
                continue;
            }
            found.push(ExposedPort {
                container_id: record.id.to_string(),
                name: record.name.clone(),
                network: network.clone(),
                port: port(one.to.port(), one.length, &one.protocol.to_string()),
                at,
                host: text(Reach::Yes),
                same_network: text(Reach::No),
                why: vec!["only the host itself reaches its loopback".to_owned()],
                ..ExposedPort::default()
            });
        }
        Ok(found)
    }
}

fn entry(one: &Exposed, name: &str) -> ExposedPort {
    let length = one.port.map_or(1, |(_, length)| length);
    ExposedPort {
        container_id: one.container.to_string(),
        name: name.to_owned(),
        network: one.network.clone(),
        port: one.port.map_or_else(
            || "*".to_owned(),
            |(first, length)| port(first.number, length, &first.protocol.to_string()),
        ),
        at: match (one.host_port, one.port) {
            (Some(first), _) => address(one.at, Some(first), length),
            (None, Some((first, _))) => address(one.at, Some(first.number), length),
            (None, None) => one.at.to_string(),
        },
        host: text(one.host),
        same_network: text(one.same_network),
        other_networks: one
            .other_networks
            .iter()
            .map(|(network, reach)| (network.clone(), text(*reach)))
            .collect(),
        outside: one
            .outside
            .iter()
            .map(|sender| ExposedTo {
                net: sender.net.to_string(),
                link: sender.link.clone(),
                attached: sender.attached,
                reach: text(sender.reach),
            })
            .collect(),
        why: one.why.clone(),
    }
}

/// `80/tcp`, or `80-90/tcp`.
fn port(first: u16, length: u16, protocol: &str) -> String {
    match length {
        0 | 1 => format!("{first}/{protocol}"),
        _ => format!("{first}-{}/{protocol}", first.saturating_add(length - 1)),
    }
}

/// `0.0.0.0:80`, `[::]:80-90`.
fn address(ip: IpAddr, first: Option<u16>, length: u16) -> String {
    let Some(first) = first else {
        return ip.to_string();
    };
    let one = SocketAddr::new(ip, first).to_string();
    match length {
        0 | 1 => one,
        _ => format!("{one}-{}", first.saturating_add(length - 1)),
    }
}

fn text(reach: Reach) -> String {
    match reach {
        Reach::No => "no",
        Reach::Some => "some",
        Reach::Yes => "yes",
    }
    .to_owned()
}
