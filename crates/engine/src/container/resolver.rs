//! Names of containers: what the embedded DNS is told of them, and the sockets on which they ask it.
//!
//! The sockets belong to the monitor. A start makes them and hands them over; a daemon that comes later gets them
//! back with the monitor's first words.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use onggi_model::ContainerId;
use onggi_monitor::protocol::ToMonitor;
use onggi_network::{Endpoint, Names, Place, Settings, Sockets, dns};
use tracing::warn;

use super::{Container, Record};
use crate::Engine;
use crate::error::Result;
use crate::task::Task;

/// The network without names.
const DEFAULT: &str = "bridge";

/// Whether containers of this network call each other by name.
pub(crate) fn has_names(endpoint: &Endpoint) -> bool {
    endpoint.network != DEFAULT
}

impl Engine {
    /// From now on the container is known by its names in these networks, and only there.
    pub(crate) fn know_names(&self, record: &Record, endpoints: &[Endpoint]) {
        let names = &self.inner.names;
        let ipv6 = endpoints.iter().any(|endpoint| endpoint.ipv6.is_some());
        let options = self.resolver(&record.host_config);
        let (_, has_ndots) = dns::embedded_resolv_conf(&options, ipv6);
        let servers = options.servers.iter();
        let settings = Settings {
            servers: servers
                .filter_map(|server| server.parse::<IpAddr>().ok())
                .collect(),
            has_ndots,
            links: self.private_names(record),
        };
        names.set_container(&record.id, settings);
        for endpoint in endpoints {
            let network = self.inner.networks.get(&endpoint.network_id);
            let leads_outside = network.is_ok_and(|network| !network.internal);
            names.attach(&record.id, place(record, endpoint, leads_outside));
        }
    }

    /// Makes the resolver of a container that has its networks, where it is in one with names.
    pub(crate) async fn open_resolver(
        &self,
        id: &ContainerId,
        task: &Task,
        netns: OwnedFd,
    ) -> Result<()> {
        let names = &self.inner.names;
        let Some(view) = names.view(id).filter(|_| names.concern(id)) else {
            return Ok(());
        };
        let sockets = Names::open(netns).await?;
        if task.resolves() {
            let view = Box::new((*view).clone());
            let resolve = ToMonitor::Resolve { view };
            task.send(&resolve, sockets.duplicates()?).await?;
        }
        Ok(names.serve(id, sockets)?)
    }

    /// A container that runs has come into a network: it is answered accordingly, if it was not answered before.
    pub(crate) async fn renew_names(&self, container: &Arc<Container>) -> Result<()> {
        let record = container.record();
        self.know_names(&record, &record.endpoints);
        let Some(task) = container.task() else {
            return Ok(());
        };
        if !self.inner.names.concern(&record.id) {
            return Ok(());
        }
        if !self.inner.names.serves(&record.id) {
            let netns = super::network::namespace(&record)?;
            self.open_resolver(&record.id, &task, netns).await?;
            return self.renew_resolv_conf(&record);
        }
        self.tell_view(&record.id, &task).await
    }

    /// The container has left a network; its monitor hears of it.
    pub(crate) async fn forget_names(&self, container: &Arc<Container>, network_id: &str) {
        self.inner.names.detach(&container.id, network_id);
        if let Some(task) = container.task()
            && let Err(fault) = self.tell_view(&container.id, &task).await
        {
            warn!(container = %container.id, "{fault}");
        }
    }

    /// Goes on answering a container that runs on, with what its monitor kept for us.
    pub(crate) async fn take_up_resolver(
        &self,
        record: &Record,
        task: &Task,
        descriptors: Vec<OwnedFd>,
    ) {
        let taken = match Sockets::from_descriptors(descriptors) {
            Some(sockets) => match self.inner.names.serve(&record.id, sockets) {
                Ok(()) => self.tell_view(&record.id, task).await,
                Err(fault) => Err(fault.into()),
            },
            None if self.inner.names.concern(&record.id) => {
                match super::network::namespace(record) {
                    Ok(netns) => self.open_resolver(&record.id, task, netns).await,
                    Err(fault) => Err(fault),
                }
            }
            None => Ok(()),
        };
        if let Err(fault) = taken {
            warn!(container = %record.id, "its resolver cannot be taken up: {fault}");
        }
    }

    /// Tells the monitor what to answer when we are gone.
    async fn tell_view(&self, id: &ContainerId, task: &Task) -> Result<()> {
        match self.inner.names.view(id) {
            Some(view) if task.resolves() && self.inner.names.serves(id) => {
                let view = Box::new((*view).clone());
                task.send(&ToMonitor::Resolve { view }, Vec::new()).await
            }
            _ => Ok(()),
        }
    }

    /// Names that only this container knows: `CONTAINER[:ALIAS]`.
    fn private_names(&self, record: &Record) -> Vec<(String, ContainerId)> {
        let joined = record.joined();
        let joined = joined.values();
        let mut links = Vec::new();
        for link in joined.flat_map(|settings| settings.links.iter().flatten()) {
            let (name, alias) = link.split_once(':').unwrap_or((link, link));
            // One that is gone has no addresses either.
            if let Ok(other) = self.inner.containers.find(name) {
                links.push((alias.trim_start_matches('/').to_owned(), other.id.clone()));
            }
        }
        links
    }
}

fn place(record: &Record, endpoint: &Endpoint, leads_outside: bool) -> Place {
    let mut names = Vec::new();
    if has_names(endpoint) {
        names.push(record.name.trim_start_matches('/').to_owned());
        names.extend(endpoint.aliases.iter().cloned());
        names.push(record.id.short().to_owned());
        names.push(record.config.hostname.clone());
    }
    Place {
        network_id: endpoint.network_id.clone(),
        network: endpoint.network.clone(),
        addresses: endpoint.addresses().collect(),
        names,
        priority: endpoint.gateway_priority,
        leads_outside,
    }
}
