//! The networks of a container: addresses and ports taken, recorded, attached, given back.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use onggi_api::network::EndpointSettings;
use onggi_network::{Endpoint, EndpointRequest, Networks};
use rustix::fs::OFlags;
use tracing::warn;

use super::{Container, Record};
use crate::error::{Error, Result};
use crate::spec::network::Joined;
use crate::{Engine, spec};

/// Whether the kernel has let go of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    /// There was none.
    Nothing,
    Yes,
    No,
}

impl Engine {
    /// Addresses and ports; to be recorded before anything of them exists in the kernel.
    pub(super) async fn reserve_network(
        &self,
        container: &Arc<Container>,
    ) -> Result<Vec<Endpoint>> {
        let record = container.record();
        let requests = spec::network::requests(self, &record)?;
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let endpoints = self.inner.networks.reserve(&record.id, requests).await;
        endpoints
            .map_err(|fault| Error::of(&fault).context("failed to set up container networking"))
    }

    pub(super) async fn record_network(
        &self,
        container: &Arc<Container>,
        endpoints: &[Endpoint],
    ) -> Result<()> {
        if endpoints.is_empty() {
            return Ok(());
        }
        let (id, endpoints) = (container.id.clone(), endpoints.to_vec());
        let on_record = endpoints.clone();
        self.commit_with(
            container,
            |record| record.endpoints = on_record,
            move |tx| Networks::record_in(tx, &id, &endpoints).map_err(|fault| Error::of(&fault)),
        )
        .await
    }

    pub(super) async fn attach_network(
        &self,
        endpoints: &[Endpoint],
        netns: Option<OwnedFd>,
    ) -> Result<Vec<OwnedFd>> {
        let Some(netns) = netns else {
            return Ok(Vec::new());
        };
        if endpoints.is_empty() {
            self.inner.networks.loopback(netns).await?;
            return Ok(Vec::new());
        }
        self.inner
            .networks
            .attach(endpoints, netns)
            .await
            .map_err(|fault| Error::of(&fault).context("failed to set up container networking"))
    }

    /// Rules, ports and address of a container that ended or was not started.
    pub(crate) async fn release_network(&self, container: &Arc<Container>) {
        match self.withdraw_network(container).await {
            Withdrawn::Nothing if container.record().endpoints.is_empty() => return,
            Withdrawn::Nothing | Withdrawn::Yes => {}
            Withdrawn::No => return,
        }
        let id = container.id.clone();
        let committed = self.commit_with(
            container,
            |record| record.endpoints.clear(),
            move |tx| Networks::forget_in(tx, &id).map_err(|fault| Error::of(&fault)),
        );
        match committed.await {
            Ok(()) => self.inner.networks.forget(&container.id),
            Err(fault) => warn!(container = %container.id, "{fault}"),
        }
    }

    /// Takes what the kernel has of its network; address and record are still its own.
    pub(crate) async fn withdraw_network(&self, container: &Arc<Container>) -> Withdrawn {
        self.inner.names.remove(&container.id).await;
        match self.inner.networks.withdraw(&container.id).await {
            Ok(false) => Withdrawn::Nothing,
            Ok(true) => Withdrawn::Yes,
            Err(fault) => {
                warn!(container = %container.id, "{}", onggi_model::chain(&fault));
                Withdrawn::No
            }
        }
    }

    /// Connects a running container to one more network. The writer is held by the caller.
    pub(crate) async fn join(
        &self,
        container: &Arc<Container>,
        name: &str,
        request: EndpointRequest,
        settings: EndpointSettings,
    ) -> Result<()> {
        let networks = &self.inner.networks;
        let netns = namespace(&container.record())?;
        let all = networks.reserve_another(&container.id, request).await?;
        let Some(new) = all.iter().find(|endpoint| endpoint.network == name) else {
            return Err(Error::internal(format!("no endpoint in network {name}")));
        };
        let mut joined = container.record().joined().into_owned();
        joined.insert(name.to_owned(), settings);
        if let Err(fault) = self.record_endpoints(container, joined, &all).await {
            networks.forget_one(&container.id, &new.network_id);
            return Err(fault);
        }
        let attached = match networks.attach(std::slice::from_ref(new), netns).await {
            Ok(held) => {
                self.hold_ports(container, held).await;
                self.renew_loopback(container).await;
                self.renew_names(container).await
            }
            Err(fault) => Err(Error::of(&fault)),
        };
        if let Err(fault) = attached {
            if let Err(fault) = self.leave(container, name).await {
                warn!(container = %container.id, "{fault}");
            }
            return Err(fault.context("failed to set up container networking"));
        }
        self.add_hosts(&container.record(), new)
    }

    /// Takes a running container out of a network. The writer is held by the caller.
    pub(crate) async fn leave(&self, container: &Arc<Container>, name: &str) -> Result<()> {
        let networks = &self.inner.networks;
        let record = container.record();
        let mut joined = record.joined().into_owned();
        joined.remove(name);
        let endpoint = record.endpoints.iter().find(|e| e.network == name);
        let Some(endpoint) = endpoint else {
            return self
                .commit(container, |record| record.joined = Some(joined))
                .await;
        };
        self.forget_names(container, &endpoint.network_id).await;
        // One that ends just now has no namespace any more: its links went with it.
        let netns = namespace(&record).ok();
        let rest = networks
            .detach(&container.id, &endpoint.network_id, netns)
            .await?;
        self.record_endpoints(container, joined, &rest).await?;
        networks.forget_one(&container.id, &endpoint.network_id);
        self.renew_loopback(container).await;
        self.hold_ports(container, Vec::new()).await;
        self.remove_hosts(&record, endpoint)
    }

    /// Its networks and endpoints, in one transaction.
    async fn record_endpoints(
        &self,
        container: &Arc<Container>,
        joined: Joined,
        endpoints: &[Endpoint],
    ) -> Result<()> {
        let (id, endpoints) = (container.id.clone(), endpoints.to_vec());
        let on_record = endpoints.clone();
        let parked = self.inner.networks.parked(&container.id);
        self.commit_with(
            container,
            |record| {
                record.joined = Some(joined);
                record.endpoints = on_record;
            },
            move |tx| {
                let written = match endpoints.is_empty() {
                    true => Networks::forget_in(tx, &id),
                    false => Networks::record_in(tx, &id, &endpoints),
                };
                let parked = written.and_then(|()| Networks::park_in(tx, &id, &parked));
                parked.map_err(|fault| Error::of(&fault))
            },
        )
        .await
    }

    /// Makes the links of a container that runs what its record says: the daemon before may have ended on the way.
    pub(crate) async fn mend_network(&self, container: &Arc<Container>) {
        let record = container.record();
        if record.endpoints.is_empty() {
            return;
        }
        let mended = match namespace(&record) {
            Ok(netns) => self.inner.networks.mend(&container.id, netns).await,
            Err(fault) => {
                warn!(container = %container.id, "{fault}");
                return;
            }
        };
        if let Err(fault) = mended {
            warn!(container = %container.id, "{}", onggi_model::chain(&fault));
        }
    }
}

/// The network namespace of a running container.
pub(super) fn namespace(record: &Record) -> Result<OwnedFd> {
    let process = super::process(record)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(&process, "ns/net", flags, rustix::fs::Mode::empty())
        .map_err(|errno| Error::io("open the container's network namespace", errno))
}
