//! The networks of a daemon, as the engine uses them.
//!
//! Order of every change: the catalogue, then the kernel, then the answer. Locks: [`Kernel`] before [`State`]; the
//! catalogue is never written under the lock of the state.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net};
use onggi_model::ContainerId;
use onggi_netlink::{Protocol, Socket};
use onggi_store::{Store, WriteTx};
use tracing::{info, warn};

use crate::address;
use crate::bridge::{self, Bridge};
use crate::config::Config;
use crate::document::{IpamConfig, Network};
use crate::endpoint::{Endpoint, EndpointRequest, Endpoints};
use crate::error::{Error, Result};
use crate::firewall::{self, Firewall, GatewayMode};
use crate::mac::Mac;
use crate::publish::{HostPorts, Side, Target};
use crate::sandbox;
use crate::sysctl;
use crate::watch::Watch;

/// The default network's name.
const BRIDGE: &str = "bridge";
/// How long a daemon that is being replaced may take to let go of the firewall.
const HANDOVER: Duration = Duration::from_secs(2);

/// The networks of a daemon. Dropping it changes nothing in the kernel: containers go on.
#[derive(Debug)]
pub struct Networks {
    inner: Arc<Inner>,
    watch: Mutex<Option<Watch>>,
}

/// What the work behind [`Networks`] shares.
#[derive(Debug)]
pub(crate) struct Inner {
    config: Config,
    store: Arc<Store>,
    documents: Vec<Network>,
    bridge: Option<Bridge>,
    kernel: Option<Mutex<Kernel>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Kernel {
    route: Socket,
    firewall: Firewall,
}

#[derive(Debug, Default)]
struct State {
    endpoints: BTreeMap<ContainerId, Entry>,
    ports: HostPorts,
}

#[derive(Debug)]
struct Entry {
    endpoint: Endpoint,
    /// Whether its ports are published.
    attached: bool,
    /// The sockets that hold its host ports, until the monitor takes them.
    sockets: Vec<OwnedFd>,
}

impl Networks {
    /// Observes the kernel and the catalogue and makes them agree: the default bridge, our firewall, forwarding. What is
    /// there already is taken over as it is; no connection notices.
    ///
    /// # Errors
    /// When the configuration cannot be used, another engine owns this network namespace, or the kernel refuses.
    pub async fn open(config: Config, store: Arc<Store>) -> Result<Self> {
        let inner =
            onggi_rt::blocking("open networks", move || Inner::open(config, store)).await??;
        let inner = Arc::new(inner);
        let watch = match inner.firewall_port()? {
            Some(port) => Some(Watch::start(&inner, port)?),
            None => None,
        };
        Ok(Self {
            inner,
            watch: Mutex::new(watch),
        })
    }

    /// The network with this name, id, or unambiguous beginning of an id.
    ///
    /// # Errors
    /// [`Error::NoNetwork`].
    pub fn get(&self, name_or_id: &str) -> Result<Network> {
        self.inner.document(name_or_id).cloned()
    }

    /// All networks, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Network> {
        self.inner.documents.clone()
    }

    /// The endpoints of a network.
    #[must_use]
    pub fn endpoints(&self, network_id: &str) -> Vec<Endpoint> {
        let state = self.inner.state();
        let all = state.endpoints.values().map(|entry| &entry.endpoint);
        all.filter(|endpoint| endpoint.network_id == network_id)
            .cloned()
            .collect()
    }

    /// The address by which containers reach the host.
    #[must_use]
    pub fn host_gateway(&self) -> Option<IpAddr> {
        let bridge = self.inner.bridge.as_ref();
        let own = self.inner.config.host_gateway;
        own.or_else(|| bridge.map(|bridge| bridge.gateway.into()))
    }

    /// Gives a container an address, a hardware address and host ports, and records them. Nothing is in the kernel yet
    /// but bound sockets. What the container had before is given back.
    ///
    /// # Errors
    /// [`Error::NoNetwork`], [`Error::Publish`], [`Error::NoAddress`] and others; nothing is taken then.
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
    /// before the endpoint is attached.
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

    /// Records the reserved endpoints of a container in a transaction, in place of those it had.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn record_in(
        tx: &mut WriteTx<'_>,
        container: &ContainerId,
        endpoints: &[Endpoint],
    ) -> Result<()> {
        Ok(tx.put(container.as_str(), &Endpoints(endpoints.to_vec()))?)
    }

    /// Connects the network namespace of a container: its link, address and route, then its published ports. Returns
    /// the sockets that hold the host ports: they are to stay open as long as the container runs.
    ///
    /// # Errors
    /// What the kernel refused. [`Networks::release`] gives back what was done.
    pub async fn attach(&self, endpoints: &[Endpoint], netns: OwnedFd) -> Result<Vec<OwnedFd>> {
        let (inner, endpoints) = (Arc::clone(&self.inner), endpoints.to_vec());
        onggi_rt::blocking("attach endpoints", move || {
            let mut held = Vec::new();
            for endpoint in &endpoints {
                held.extend(inner.attach(endpoint, &netns)?);
            }
            Ok(held)
        })
        .await?
    }

    /// Takes published ports, address and record of a container back; its link dies with its namespace. Nothing happens
    /// for a container without an endpoint.
    ///
    /// # Errors
    /// What the kernel or the catalogue refused; it may be called again.
    pub async fn release(&self, container: &ContainerId) -> Result<()> {
        let (inner, container) = (Arc::clone(&self.inner), container.clone());
        onggi_rt::blocking("release an endpoint", move || inner.release(&container)).await?
    }

    /// The first half of [`Networks::release`]: takes published ports back. Address and record stay until
    /// [`Networks::forget_in`] and [`Networks::forget`]. Says whether the container has an endpoint at all.
    ///
    /// # Errors
    /// What the kernel refused; it may be called again.
    pub async fn withdraw(&self, container: &ContainerId) -> Result<bool> {
        if !self.inner.state().endpoints.contains_key(container) {
            return Ok(false);
        }
        let (inner, container) = (Arc::clone(&self.inner), container.clone());
        onggi_rt::blocking("withdraw an endpoint", move || inner.withdraw(&container)).await?
    }

    /// Removes the record of an endpoint in a transaction.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn forget_in(tx: &mut WriteTx<'_>, container: &ContainerId) -> Result<()> {
        tx.delete::<Endpoints>(container.as_str())?;
        Ok(())
    }

    /// Gives the address of a withdrawn endpoint to whoever comes next. After its record is gone, not before.
    pub fn forget(&self, container: &ContainerId) {
        self.inner.forget(container);
    }

    /// Releases the endpoints of all containers that are not `live`, and makes the firewall what it should be.
    ///
    /// # Errors
    /// As [`Networks::release`]; the others are released all the same.
    pub async fn reconcile(&self, live: &[ContainerId]) -> Result<()> {
        let (inner, live) = (Arc::clone(&self.inner), live.iter().cloned().collect());
        onggi_rt::blocking("reconcile networks", move || inner.reconcile(&live)).await?
    }

    /// Sets the loopback link of a container without a network up.
    ///
    /// # Errors
    /// What the kernel refused.
    pub async fn loopback(&self, netns: OwnedFd) -> Result<()> {
        onggi_rt::blocking("set up loopback", move || sandbox::loopback(netns)).await?
    }

    /// Stops watching. With `clean` the bridge, our table and the jump are removed from the kernel: only for a daemon
    /// without containers. Otherwise all stays for the next daemon.
    ///
    /// # Errors
    /// What the kernel refused.
    pub async fn shutdown(&self, clean: bool) -> Result<()> {
        drop(
            self.watch
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        if !clean {
            return Ok(());
        }
        let inner = Arc::clone(&self.inner);
        onggi_rt::blocking("remove networks", move || inner.remove()).await?
    }
}

impl Inner {
    fn open(config: Config, store: Arc<Store>) -> Result<Self> {
        let mut documents = load_documents(&store)?;
        let endpoints = load_endpoints(&store)?;
        let (bridge, kernel) = match config.bridge_name() {
            None => {
                documents.retain(|document| document.name != BRIDGE);
                (None, None)
            }
            Some(name) => {
                let before = documents.iter().find(|document| document.name == BRIDGE);
                let before = before.and_then(last_address);
                let (bridge, kernel) = open_kernel(name, &config, before, !endpoints.is_empty())?;
                if let Some(range) = config.fixed_cidr {
                    address::check_range(bridge.subnet, range)?;
                }
                configure(&store, &mut documents, &config, bridge.ipam())?;
                (Some(bridge), Some(Mutex::new(kernel)))
            }
        };
        let mut state = State::default();
        for endpoint in endpoints {
            let fits = bridge
                .as_ref()
                .zip(endpoint.ipv4)
                .is_some_and(|(bridge, net)| bridge.subnet.contains(&net));
            if !fits {
                warn!(container = %endpoint.container, "endpoint of a network that is gone: dropped");
                store.write(|tx| tx.delete::<Endpoints>(endpoint.container.as_str()))?;
                continue;
            }
            state
                .ports
                .adopt(endpoint.container.short(), &endpoint.ports);
            let entry = Entry {
                endpoint,
                attached: true,
                sockets: Vec::new(),
            };
            state
                .endpoints
                .insert(entry.endpoint.container.clone(), entry);
        }
        let inner = Self {
            config,
            store,
            documents,
            bridge,
            kernel,
            state: Mutex::new(state),
        };
        inner.take_over()?;
        // Only now that the firewall stands.
        if inner.kernel.is_some() && inner.config.ip_forward && sysctl::enable_forwarding()? {
            info!("switched net.ipv4.ip_forward on");
        }
        Ok(inner)
    }

    /// As [`Inner::restore`], and gives a daemon that is just ending a moment to let go.
    fn take_over(&self) -> Result<()> {
        let deadline = Instant::now() + HANDOVER;
        loop {
            match self.restore() {
                Err(Error::Taken(_)) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10))
                }
                other => return other.map(|_| ()),
            }
        }
    }

    /// Makes the firewall what it should be; says whether something had to change.
    pub(crate) fn restore(&self) -> Result<bool> {
        let Some(mut kernel) = self.kernel() else {
            return Ok(false);
        };
        let Kernel { route, firewall } = &mut *kernel;
        let ports = match &self.bridge {
            Some(bridge) if !self.config.icc => bridge::ports(route, bridge)?,
            _ => Vec::new(),
        };
        let state = self.state();
        let attached = state.endpoints.values().filter(|entry| entry.attached);
        firewall.restore(attached.map(|entry| &entry.endpoint), &ports)
    }

    fn allocate(
        &self,
        container: &ContainerId,
        requests: &[EndpointRequest],
    ) -> Result<Vec<Endpoint>> {
        let endpoints = self.reserve(container, requests)?;
        let recorded = self
            .store
            .write(|tx| Networks::record_in(tx, container, &endpoints));
        if recorded.is_err() {
            self.forget(container);
        }
        recorded.map(|()| endpoints)
    }

    fn reserve(
        &self,
        container: &ContainerId,
        requests: &[EndpointRequest],
    ) -> Result<Vec<Endpoint>> {
        requests
            .iter()
            .map(|request| self.reserve_one(container, request))
            .collect()
    }

    fn reserve_one(&self, container: &ContainerId, request: &EndpointRequest) -> Result<Endpoint> {
        let document = self.document(&request.network)?;
        let bridge = match &self.bridge {
            Some(bridge) if document.name == BRIDGE => bridge,
            _ => return Err(Error::NoEndpoints(document.name.clone())),
        };
        self.release(container)?;
        let mut state = self.state();
        let endpoint_id = ContainerId::from_bytes(rand::random()).to_string();
        let ipv4 = state.address(bridge, document, self.config.fixed_cidr, request.ipv4)?;
        let net = Ipv4Net::new(ipv4, bridge.subnet.prefix_len())
            .map_err(|error| Error::Invalid(error.to_string()))?;
        let target = Target {
            name: &request.name,
            sides: vec![Side {
                container: ipv4.into(),
                host: Some(self.config.default_publish_address.into()),
                mode: GatewayMode::Nat,
            }],
            range: sysctl::ephemeral_ports(),
        };
        let (ports, sockets) = state
            .ports
            .take(&request.ports, &target)
            .map_err(|source| Error::Publish {
                name: request.name.clone(),
                endpoint: endpoint_id.clone(),
                source: Box::new(source),
            })?;
        let endpoint = Endpoint {
            container: container.clone(),
            network: document.name.clone(),
            network_id: document.id.clone(),
            endpoint_id,
            interface: "eth0".to_owned(),
            ipv4: Some(net),
            ipv6: None,
            gateway_v4: Some(bridge.gateway),
            gateway_v6: None,
            link_local: Vec::new(),
            mac: request.mac.unwrap_or_else(Mac::random),
            ports,
            aliases: request.aliases.clone(),
            names: request.names.clone(),
            gateway_priority: request.gateway_priority,
            options: request.options.clone(),
        };
        let entry = Entry {
            endpoint: endpoint.clone(),
            attached: false,
            sockets,
        };
        state.endpoints.insert(container.clone(), entry);
        Ok(endpoint)
    }

    fn attach(&self, endpoint: &Endpoint, netns: &OwnedFd) -> Result<Vec<OwnedFd>> {
        let absent = || Error::NoEndpoint(endpoint.container.to_string());
        let bridge = self.bridge.as_ref().ok_or_else(absent)?;
        let known = self
            .state()
            .endpoints
            .get(&endpoint.container)
            .is_some_and(|entry| entry.endpoint == *endpoint);
        if !known {
            return Err(absent());
        }
        {
            let mut kernel = self.kernel().ok_or_else(absent)?;
            kernel
                .firewall
                .isolate(&bridge.name, &endpoint.host_link())?;
            sandbox::connect(
                &mut kernel.route,
                endpoint,
                bridge.index,
                self.config.mtu,
                netns.as_fd(),
            )?;
        }
        sandbox::configure(endpoint, netns.as_fd())?;
        let mut kernel = self.kernel().ok_or_else(absent)?;
        let sockets = {
            let mut state = self.state();
            let entry = state
                .endpoints
                .get_mut(&endpoint.container)
                .ok_or_else(absent)?;
            entry.attached = true;
            std::mem::take(&mut entry.sockets)
        };
        if !endpoint.ports.is_empty() {
            kernel.firewall.publish(endpoint)?;
        }
        Ok(sockets)
    }

    fn release(&self, container: &ContainerId) -> Result<()> {
        if self.withdraw(container)? {
            self.store.write(|tx| Networks::forget_in(tx, container))?;
            self.forget(container);
        }
        Ok(())
    }

    /// Says whether there was an endpoint.
    fn withdraw(&self, container: &ContainerId) -> Result<bool> {
        let mut kernel = self.kernel();
        let endpoint = {
            let mut state = self.state();
            let Some(entry) = state.endpoints.get_mut(container) else {
                return Ok(false);
            };
            entry.sockets.clear();
            let attached = std::mem::take(&mut entry.attached);
            attached.then(|| entry.endpoint.clone())
        };
        if let (Some(endpoint), Some(kernel)) = (endpoint, kernel.as_mut())
            && let Err(error) = kernel.firewall.unpublish(&endpoint)
        {
            if let Some(entry) = self.state().endpoints.get_mut(container) {
                entry.attached = true;
            }
            return Err(error);
        }
        Ok(true)
    }

    fn reconcile(&self, live: &HashSet<ContainerId>) -> Result<()> {
        let gone: Vec<ContainerId> = self
            .state()
            .endpoints
            .keys()
            .filter(|container| !live.contains(*container))
            .cloned()
            .collect();
        let mut result = Ok(());
        for container in gone {
            info!(%container, "released the endpoint of a container that is gone");
            if let Err(error) = self.release(&container) {
                warn!(%container, "{}", onggi_model::chain(&error));
                result = Err(error);
            }
        }
        if self.restore()? {
            info!("restored the firewall");
        }
        result
    }

    fn remove(&self) -> Result<()> {
        let (Some(mut kernel), Some(bridge)) = (self.kernel(), &self.bridge) else {
            return Ok(());
        };
        // The bridge first: without it nothing is left that rules could protect.
        let deleted = bridge::delete(&mut kernel.route, &bridge.name);
        kernel.firewall.remove()?;
        deleted
    }

    /// Gives back what is in memory only.
    fn forget(&self, container: &ContainerId) {
        let mut state = self.state();
        if let Some(entry) = state.endpoints.remove(container) {
            drop(entry.sockets);
            state.ports.release(&entry.endpoint.ports);
        }
    }

    fn document(&self, name_or_id: &str) -> Result<&Network> {
        let absent = || Error::NoNetwork(name_or_id.to_owned());
        let exact = |document: &&Network| document.name == name_or_id || document.id == name_or_id;
        if let Some(document) = self.documents.iter().find(exact) {
            return Ok(document);
        }
        let mut beginnings = self
            .documents
            .iter()
            .filter(|document| document.id.starts_with(name_or_id));
        match (beginnings.next(), beginnings.next()) {
            (Some(document), None) if !name_or_id.is_empty() => Ok(document),
            _ => Err(absent()),
        }
    }

    fn firewall_port(&self) -> Result<Option<u32>> {
        self.kernel()
            .map(|kernel| kernel.firewall.port())
            .transpose()
    }

    fn kernel(&self) -> Option<MutexGuard<'_, Kernel>> {
        self.kernel
            .as_ref()
            .map(|kernel| kernel.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn address(
        &self,
        bridge: &Bridge,
        document: &Network,
        range: Option<Ipv4Net>,
        wanted: Option<Ipv4Addr>,
    ) -> Result<Ipv4Addr> {
        let mut used: BTreeSet<Ipv4Addr> = self
            .endpoints
            .values()
            .filter_map(|entry| entry.endpoint.address_v4())
            .collect();
        used.insert(bridge.gateway);
        match wanted {
            Some(wanted) => address::check_wanted(bridge.subnet, &used, wanted).map(|()| wanted),
            None => {
                address::lowest_free(bridge.subnet, range, &used).ok_or_else(|| Error::NoAddress {
                    name: document.name.clone(),
                    id: document.id.clone(),
                })
            }
        }
    }
}

fn open_kernel(
    name: &str,
    config: &Config,
    before: Option<Ipv4Net>,
    in_use: bool,
) -> Result<(Bridge, Kernel)> {
    if !onggi_netlink::link::is_valid_name(name) {
        return Err(Error::Invalid(format!(
            "invalid bridge name {name:?}: 1 to 15 characters without spaces and slashes"
        )));
    }
    let mut route = Socket::open(Protocol::Route).map_err(Error::kernel("open netlink"))?;
    let bridge = bridge::ensure(&mut route, name, config, before, in_use)?;
    let firewall = Firewall::open(vec![firewall::Bridge {
        name: bridge.name.clone(),
        v4: vec![bridge.subnet],
        v6: Vec::new(),
        icc: config.icc,
        masquerade_v4: config.ip_masq,
        masquerade_v6: false,
        internal: false,
        mode_v4: GatewayMode::Nat,
        mode_v6: GatewayMode::Nat,
    }])?;
    Ok((bridge, Kernel { route, firewall }))
}

/// The networks in the catalogue; the three that are always there are made when they are not.
fn load_documents(store: &Store) -> Result<Vec<Network>> {
    let found = store.read(|tx| tx.list::<Network>())?;
    let mut documents: Vec<Network> = found.into_iter().map(|(_, document)| document).collect();
    let missing: Vec<Network> = [(BRIDGE, "bridge"), ("host", "host"), ("none", "null")]
        .into_iter()
        .filter(|(name, _)| !documents.iter().any(|document| document.name == *name))
        .map(|(name, driver)| {
            Network::new(
                name,
                driver,
                ContainerId::from_bytes(rand::random()).to_string(),
            )
        })
        .collect();
    if !missing.is_empty() {
        store.write(|tx| {
            missing
                .iter()
                .try_for_each(|document| tx.put(&document.name, document))
        })?;
        documents.extend(missing);
    }
    documents.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(documents)
}

fn load_endpoints(store: &Store) -> Result<Vec<Endpoint>> {
    let found = store.read(|tx| tx.list::<Endpoints>())?;
    Ok(found
        .into_iter()
        .flat_map(|(_, all): (_, Endpoints)| all.0)
        .collect())
}

/// The address of IPv4 that a bridge had last.
fn last_address(document: &Network) -> Option<Ipv4Net> {
    document
        .ipam
        .config
        .iter()
        .find_map(|config| match (config.subnet, config.gateway) {
            (IpNet::V4(subnet), Some(IpAddr::V4(gateway))) => {
                Ipv4Net::new(gateway, subnet.prefix_len()).ok()
            }
            _ => None,
        })
}

/// Brings the default bridge's document up to date.
fn configure(
    store: &Store,
    documents: &mut [Network],
    config: &Config,
    net: IpamConfig,
) -> Result<()> {
    let Some(document) = documents
        .iter_mut()
        .find(|document| document.name == BRIDGE)
    else {
        return Ok(());
    };
    let before = document.clone();
    document.configure(config, net);
    if *document != before {
        store.write(|tx| tx.put(&document.name, document))?;
    }
    Ok(())
}
