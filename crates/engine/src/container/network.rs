//! The networks of a container: addresses and ports taken, recorded, attached, given back.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use onggi_network::{Endpoint, Networks};
use tracing::warn;

use super::Container;
use crate::error::{Error, Result};
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
        let requests = spec::network::requests(&record)?;
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
        match self.inner.networks.withdraw(&container.id).await {
            Ok(false) => Withdrawn::Nothing,
            Ok(true) => Withdrawn::Yes,
            Err(fault) => {
                warn!(container = %container.id, "{}", onggi_model::chain(&fault));
                Withdrawn::No
            }
        }
    }
}
