//! The networks of a daemon, as the engine uses them.
//!
//! Order of every change: the catalogue, then the kernel, then the answer. Not here: what is done (`inner`, `create`,
//! `join`).

use std::collections::HashSet;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onggi_model::{ContainerId, Port, Protocol};
use onggi_store::{Store, WriteTx};

use crate::config::Config;
use crate::departing;
use crate::document::{Network, NetworkRequest};
use crate::endpoint::{Endpoint, EndpointRequest, Endpoints, Parked, Published};
use crate::error::Result;
use crate::exposure::{self, Exposed};
use crate::hand_over::{HandOver, Party};
use crate::inner::Inner;
use crate::lingering;
use crate::publish::{HeldPorts, held_ports, hold_free};
use crate::sandbox;
use crate::usage::SubnetUsage;
use crate::watch::Watch;

/// The networks of a daemon. Dropping it changes nothing in the kernel: containers go on.
#[derive(Debug)]
pub struct Networks {
    inner: Arc<Inner>,
    watch: Mutex<Option<Watch>>,
}

impl Networks {
    /// Observes the kernel and the catalogue and makes them agree: bridges, our firewall, forwarding. What is there
    /// already is taken over as it is; no connection notices.
    ///
    /// # Errors
    /// When the configuration cannot be used, another engine owns this network namespace, or the kernel refuses.
    pub async fn open(config: Config, store: Arc<Store>) -> Result<Self> {
        let inner =
            onggi_rt::blocking("open networks", move || Inner::open(config, store)).await??;
        let networks = Self {
            inner: Arc::new(inner),
            watch: Mutex::default(),
        };
        departing::see_off(&networks.inner);
        networks.watch_firewall()?;
        Ok(networks)
    }

    /// The network with this name, id, or unambiguous beginning of an id.
    ///
    /// # Errors
    /// [`crate::Error::NoNetwork`].
    pub fn get(&self, name_or_id: &str) -> Result<Network> {
        Ok(self.inner.find(name_or_id)?.document.clone())
    }

    /// All networks, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Network> {
        let all = self.inner.all();
        all.iter().map(|net| net.document.clone()).collect()
    }

    /// Makes a network: on record first, then in the kernel. With what should be said about it.
    ///
    /// # Errors
    /// [`crate::Error::Exists`], [`crate::Error::Invalid`], [`crate::Error::Overlap`] and others; nothing is left then.
    pub async fn create(&self, request: NetworkRequest) -> Result<(Network, Vec<String>)> {
        let inner = Arc::clone(&self.inner);
        let made = onggi_rt::blocking("create a network", move || inner.create(&request)).await??;
        // The first that needs the firewall opens it.
        self.watch_firewall()?;
        Ok(made)
    }

    /// Removes a network that no container is in. Its bridge ends a moment later, unless somebody chose its name.
    ///
    /// # Errors
    /// [`crate::Error::NoNetwork`]; [`crate::Error::Forbidden`] for one that every host has, or with containers.
    pub async fn remove(&self, name_or_id: &str) -> Result<Network> {
        let (inner, name) = (Arc::clone(&self.inner), name_or_id.to_owned());
        onggi_rt::blocking("remove a network", move || {
            let removed = inner.remove(&name);
            departing::see_off(&inner);
            removed
        })
        .await?
    }

    /// The endpoints of a network.
    #[must_use]
    pub fn endpoints(&self, network_id: &str) -> Vec<Endpoint> {
        self.inner.endpoints(network_id)
    }

    /// The endpoints of a container.
    #[must_use]
    pub fn endpoints_of(&self, container: &ContainerId) -> Vec<Endpoint> {
        self.inner.endpoints_of(container)
    }

    /// Who can reach the ports of a container, or of all containers of a network, by the rules, addresses and routes of
    /// this moment.
    ///
    /// # Errors
    /// [`crate::Error::NoNetwork`], and what the kernel does not let us see.
    pub async fn exposure(
        &self,
        container: Option<ContainerId>,
        network: Option<String>,
    ) -> Result<Vec<Exposed>> {
        let inner = Arc::clone(&self.inner);
        let look = move || inner.exposure(container.as_ref(), network.as_deref());
        onggi_rt::blocking("look at exposure", look).await?
    }

    /// Whether somebody of the host waits for others at these addresses.
    ///
    /// # Errors
    /// What the kernel does not let us see.
    pub async fn waits_at(&self, ports: Vec<(Protocol, IpAddr, u16)>) -> Result<Vec<bool>> {
        onggi_rt::blocking("look at sockets", move || exposure::waits_at(&ports)).await?
    }

    /// How the subnets of a network do.
    ///
    /// # Errors
    /// As [`Networks::get`].
    pub fn usage(&self, name_or_id: &str) -> Result<Vec<SubnetUsage>> {
        let net = self.inner.find(name_or_id)?;
        Ok(self.inner.usage(&net.document))
    }

    /// The ids of the networks that containers are in, and the names of those that others are made after.
    #[must_use]
    pub fn in_use(&self) -> HashSet<String> {
        self.inner.in_use()
    }

    /// What is to be said of the host's tables of neighbours, should they be too small for what runs.
    ///
    /// # Errors
    /// What the kernel refused.
    pub async fn crowded(&self) -> Result<Vec<String>> {
        let inner = Arc::clone(&self.inner);
        onggi_rt::blocking("look at neighbours", move || inner.crowded()).await?
    }

    /// The addresses by which containers reach the host, one of a family at most.
    #[must_use]
    pub fn host_gateways(&self) -> Vec<IpAddr> {
        self.inner.host_gateways()
    }

    /// Gives a container addresses, hardware addresses and host ports, and records them. Nothing is in the kernel yet
    /// but bound sockets. What the container had before is given back.
    ///
    /// # Errors
    /// [`crate::Error::NoNetwork`], [`crate::Error::Publish`], [`crate::Error::NoAddress`] and others; nothing is taken
    /// then.
    pub async fn allocate(
        &self,
        container: &ContainerId,
        requests: Vec<EndpointRequest>,
    ) -> Result<Vec<Endpoint>> {
        let (inner, container) = (Arc::clone(&self.inner), container.clone());
        onggi_rt::blocking("allocate endpoints", move || {
            inner.allocate(&container, &requests)
        })
        .await?
    }

    /// As [`Networks::allocate`], but nothing is on record: put [`Networks::record_in`] into a transaction of the store
    /// before the endpoints are attached. Links are numbered in the order of the requests.
    ///
    /// # Errors
    /// As [`Networks::allocate`].
    pub async fn reserve(
        &self,
        container: &ContainerId,
        requests: Vec<EndpointRequest>,
    ) -> Result<Vec<Endpoint>> {
        let (inner, container) = (Arc::clone(&self.inner), container.clone());
        onggi_rt::blocking("reserve endpoints", move || {
            inner.reserve(&container, &requests)
        })
        .await?
    }

    /// As [`Networks::reserve`], beside the endpoints that the container has. Returns all of them, the new one last.
    ///
    /// # Errors
    /// As [`Networks::allocate`].
    pub async fn reserve_another(
        &self,
        container: &ContainerId,
        request: EndpointRequest,
    ) -> Result<Vec<Endpoint>> {
        let (inner, container) = (Arc::clone(&self.inner), container.clone());
        onggi_rt::blocking("reserve an endpoint", move || {
            inner.reserve_another(&container, &request)
        })
        .await?
    }

    /// Records the reserved endpoints of a container in a transaction, in place of those it had.
    ///
    /// # Errors
    /// [`crate::Error::Store`].
    pub fn record_in(
        tx: &mut WriteTx<'_>,
        container: &ContainerId,
        endpoints: &[Endpoint],
    ) -> Result<()> {
        Ok(tx.put(container.as_str(), &Endpoints(endpoints.to_vec()))?)
    }

    /// Connects the network namespace of a container: its links, addresses and routes, then its published ports.
    /// `endpoints` are all of them, or those that are new to a container that runs. Returns the sockets that hold the
    /// host ports: they are to stay open as long as the container runs.
    ///
    /// # Errors
    /// What the kernel refused. [`Networks::release`] gives back what was done.
    pub async fn attach(&self, endpoints: &[Endpoint], netns: OwnedFd) -> Result<Vec<OwnedFd>> {
        let (inner, endpoints) = (Arc::clone(&self.inner), endpoints.to_vec());
        onggi_rt::blocking("attach endpoints", move || inner.attach(&endpoints, &netns)).await?
    }

    /// Takes a container that runs out of one network: its link goes, its default routes and published ports move to
    /// the next. Returns the endpoints it still has; address and record of the other stay until
    /// [`Networks::forget_one`].
    ///
    /// # Errors
    /// What the kernel refused; it may be called again.
    pub async fn detach(
        &self,
        container: &ContainerId,
        network_id: &str,
        netns: Option<OwnedFd>,
    ) -> Result<Vec<Endpoint>> {
        let (inner, container) = (Arc::clone(&self.inner), container.clone());
        let network = network_id.to_owned();
        onggi_rt::blocking("detach an endpoint", move || {
            inner.detach(&container, &network, netns.as_ref())
        })
        .await?
    }

    /// Gives back the address of a detached endpoint. After its record is gone, not before.
    pub fn forget_one(&self, container: &ContainerId, network_id: &str) {
        self.inner.forget_one(container, network_id);
    }

    /// The ports of the host that are to be held for a container.
    #[must_use]
    pub fn held_ports(&self, container: &ContainerId) -> Vec<HeldPorts> {
        let state = self.inner.state();
        let entries = state.endpoints.get(container).into_iter().flatten();
        let published = entries.flat_map(|entry| &entry.endpoint.ports);
        let parked = state.parked.get(container).into_iter().flatten();
        held_ports(published.chain(parked))
    }

    /// Those of these published ports that are to be held.
    #[must_use]
    pub fn held_of(published: &[Published]) -> Vec<HeldPorts> {
        held_ports(published)
    }

    /// Sockets for those of these ports that nobody has. Those whose last holder is on its way out are waited for.
    ///
    /// # Errors
    /// When the work cannot be run.
    pub async fn hold(&self, ports: Vec<HeldPorts>, patience: Duration) -> Result<Vec<OwnedFd>> {
        Ok(onggi_rt::blocking("hold ports", move || hold_free(&ports, patience)).await?)
    }

    /// What it would lead to if one running container got published ports of another: those of `ports`, or all. Nothing is
    /// changed.
    ///
    /// # Errors
    /// [`crate::Error::Absent`]: a port that is not published; [`crate::Error::Invalid`], [`crate::Error::Publish`]: the
    /// other cannot have them.
    pub fn plan_hand_over(&self, from: &Party, to: &Party, ports: &[Port]) -> Result<HandOver> {
        self.inner.plan_hand_over(from, to, ports)
    }

    /// Makes a planned move: new connections go to the other container from one moment to the next, those that stand go on
    /// where they are. Record the endpoints of both before, in one transaction.
    ///
    /// # Errors
    /// What the kernel refused; nothing has changed then.
    pub async fn hand_over(&self, from: Party, to: Party, plan: HandOver) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        onggi_rt::blocking("move ports", move || inner.hand_over(&from, &to, &plan)).await?
    }

    /// Takes published ports, addresses and record of a container back; its links die with its namespace. Nothing
    /// happens for a container without endpoints.
    ///
    /// # Errors
    /// What the kernel or the catalogue refused; it may be called again.
    pub async fn release(&self, container: &ContainerId) -> Result<()> {
        let (inner, container) = (Arc::clone(&self.inner), container.clone());
        onggi_rt::blocking("release endpoints", move || inner.release(&container)).await?
    }

    /// The first half of [`Networks::release`]: takes published ports back. Addresses and record stay until
    /// [`Networks::forget_in`] and [`Networks::forget`]. Says whether the container has endpoints at all.
    ///
    /// # Errors
    /// What the kernel refused; it may be called again.
    pub async fn withdraw(&self, container: &ContainerId) -> Result<bool> {
        if !self.inner.has_endpoints(container) {
            return Ok(false);
        }
        let (inner, container) = (Arc::clone(&self.inner), container.clone());
        onggi_rt::blocking("withdraw endpoints", move || inner.withdraw(&container)).await?
    }

    /// Removes the record of a container's endpoints in a transaction.
    ///
    /// # Errors
    /// [`crate::Error::Store`].
    pub fn forget_in(tx: &mut WriteTx<'_>, container: &ContainerId) -> Result<()> {
        tx.delete::<Endpoints>(container.as_str())?;
        tx.delete::<Parked>(container.as_str())?;
        Ok(())
    }

    /// The published ports of a container that is in no network at the moment: they wait for the next.
    #[must_use]
    pub fn parked(&self, container: &ContainerId) -> Vec<Published> {
        let state = self.inner.state();
        state.parked.get(container).cloned().unwrap_or_default()
    }

    /// Records [`Networks::parked`] in a transaction, in place of those on record.
    ///
    /// # Errors
    /// [`crate::Error::Store`].
    pub fn park_in(
        tx: &mut WriteTx<'_>,
        container: &ContainerId,
        parked: &[Published],
    ) -> Result<()> {
        match parked {
            [] => tx.delete::<Parked>(container.as_str()).map(drop)?,
            parked => tx.put(container.as_str(), &Parked(parked.to_vec()))?,
        }
        Ok(())
    }

    /// The container is called so: what others are told in whose way its ports are.
    pub fn name(&self, container: &ContainerId, name: &str) {
        self.inner.state().name(container, name);
    }

    /// Gives the addresses of withdrawn endpoints to whoever comes next. After their record is gone, not before.
    /// Links that are still there a moment later are deleted.
    pub fn forget(&self, container: &ContainerId) {
        let links = self.inner.forget(container);
        lingering::see_off(&self.inner, links);
    }

    /// Releases the endpoints of all containers that are not `live`, and makes the firewall what it should be.
    ///
    /// # Errors
    /// As [`Networks::release`]; the others are released all the same.
    pub async fn reconcile(&self, live: &[ContainerId]) -> Result<()> {
        let (inner, live) = (Arc::clone(&self.inner), live.iter().cloned().collect());
        onggi_rt::blocking("reconcile networks", move || inner.reconcile(&live)).await?
    }

    /// Makes the links of a container that runs what its endpoints say: a daemon may have ended in the middle of a
    /// change.
    ///
    /// # Errors
    /// What the kernel refused.
    pub async fn mend(&self, container: &ContainerId, netns: OwnedFd) -> Result<()> {
        if !self.inner.needs_mending(container) {
            return Ok(());
        }
        let (inner, container) = (Arc::clone(&self.inner), container.clone());
        onggi_rt::blocking("mend endpoints", move || inner.mend(&container, &netns)).await?
    }

    /// Sets the loopback link of a container without a network up.
    ///
    /// # Errors
    /// What the kernel refused.
    pub async fn loopback(&self, netns: OwnedFd) -> Result<()> {
        onggi_rt::blocking("set up loopback", move || sandbox::loopback(netns)).await?
    }

    /// Stops watching. With `clean` the bridges, our tables and the jump are removed from the kernel: only for a daemon
    /// without containers. Otherwise all stays for the next daemon.
    ///
    /// # Errors
    /// What the kernel refused.
    pub async fn shutdown(&self, clean: bool) -> Result<()> {
        drop(self.watch().take());
        self.inner.departing.stop();
        if !clean {
            return Ok(());
        }
        let inner = Arc::clone(&self.inner);
        onggi_rt::blocking("remove networks", move || inner.remove_all()).await?
    }

    fn watch_firewall(&self) -> Result<()> {
        let mut watch = self.watch();
        if watch.is_none()
            && let Some(port) = self.inner.firewall_port()?
        {
            *watch = Some(Watch::start(&self.inner, port)?);
        }
        Ok(())
    }

    fn watch(&self) -> MutexGuard<'_, Option<Watch>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
