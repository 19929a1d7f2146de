//! What the daemon knows of its networks, and how it comes to know: the catalogue and the kernel, compared.
//!
//! Locks: [`Kernel`] before [`State`]; the catalogue is never written under the lock of the state.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use onggi_model::ContainerId;
use onggi_netlink::{Batch, Protocol, Socket, link};
use onggi_store::Store;
use tracing::{info, warn};

use crate::bridge::{self, Seen};
use crate::config::Config;
use crate::default;
use crate::departing::{Departing, Leaving};
use crate::document::{IpamConfig, Network};
use crate::endpoint::{Endpoint, Endpoints, Parked, Published};
use crate::error::{Error, Result};
use crate::firewall::{self, Firewall, GatewayMode};
use crate::macvlan;
use crate::occupied::Occupied;
use crate::options::{BridgeOptions, MacvlanOptions};
use crate::publish::HostPorts;
use crate::sysctl;

/// The default network's name.
pub(crate) const BRIDGE: &str = "bridge";
/// How long a daemon that is being replaced may take to let go of the firewall.
const HANDOVER: Duration = Duration::from_secs(2);

/// What the work behind [`crate::Networks`] shares.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) store: Arc<Store>,
    kernel: Mutex<Option<Kernel>>,
    state: Mutex<State>,
    /// Held while a network is made or removed.
    pub(crate) changing: Mutex<()>,
    /// Bridges on their way out.
    pub(crate) departing: Departing,
}

#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) route: Socket,
    pub(crate) firewall: Firewall,
    pub(crate) occupied: Occupied,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// By name.
    pub(crate) networks: BTreeMap<String, Arc<Net>>,
    pub(crate) endpoints: BTreeMap<ContainerId, Vec<Entry>>,
    pub(crate) ports: HostPorts,
    /// The ports of containers that run without a network at the moment.
    pub(crate) parked: BTreeMap<ContainerId, Vec<Published>>,
    /// Ports that containers had, and others have now: what flows through them still goes to who had them.
    pub(crate) moved: BTreeMap<ContainerId, Vec<Published>>,
    /// Containers whose links may not be as they say: a daemon before may have ended on the way.
    pub(crate) doubtful: HashSet<ContainerId>,
}

/// A network and what the kernel has of it.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) document: Network,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Bridge(Bridge),
    Macvlan(MacvlanOptions),
    /// `host`, `none`, and configurations: nobody has an address in it.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Bridge {
    pub(crate) options: BridgeOptions,
    pub(crate) index: u32,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) endpoint: Endpoint,
    /// What of it is published; there once it is attached.
    pub(crate) published: Option<Endpoint>,
    /// The sockets that hold its host ports, until the monitor takes them.
    pub(crate) sockets: Vec<OwnedFd>,
}

impl Net {
    /// What is to be in the kernel for a bridge of this network: its addresses.
    pub(crate) fn host_addresses(document: &Network, options: &BridgeOptions) -> Vec<IpNet> {
        let wanted = |config: &&IpamConfig| match config.subnet {
            IpNet::V4(_) => {
                document.enable_ipv4
                    && !options.inhibit_ipv4
                    && options.mode_v4 != GatewayMode::Isolated
            }
            IpNet::V6(_) => document.enable_ipv6 && options.mode_v6 != GatewayMode::Isolated,
        };
        let configs = document.ipam.config.iter().filter(wanted);
        configs
            .filter_map(|config| IpNet::new(config.gateway?, config.subnet.prefix_len()).ok())
            .collect()
    }

    /// What is left of it when it is off the record, but where the bridge's name was chosen by somebody.
    pub(crate) fn leaving(&self) -> Option<Leaving> {
        let Kind::Bridge(bridge) = &self.kind else {
            return None;
        };
        let link = BridgeOptions::own_name(&self.document.id);
        (bridge.options.name == link).then(|| Leaving {
            link,
            nets: self
                .document
                .ipam
                .config
                .iter()
                .map(|c| c.subnet.trunc())
                .collect(),
        })
    }

    /// What the firewall needs to know of a bridge of this network.
    pub(crate) fn rules(document: &Network, options: &BridgeOptions) -> firewall::Bridge {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for config in &document.ipam.config {
            match config.subnet {
                IpNet::V4(net) if document.enable_ipv4 => v4.push(net),
                IpNet::V6(net) if document.enable_ipv6 => v6.push(net),
                IpNet::V4(_) | IpNet::V6(_) => {}
            }
        }
        firewall::Bridge {
            name: options.name.clone(),
            v4,
            v6,
            icc: options.icc,
            masquerade_v4: options.masquerade,
            masquerade_v6: options.masquerade,
            internal: document.internal,
            mode_v4: options.mode_v4,
            mode_v6: options.mode_v6,
        }
    }

    /// Makes what the kernel should have of a network with a bridge, but for the firewall.
    pub(crate) fn ensure_bridge(
        socket: &mut Socket,
        seen: &Seen,
        document: &Network,
        options: &BridgeOptions,
    ) -> Result<u32> {
        let what = match document.name.as_str() {
            BRIDGE => bridge::DEFAULT,
            _ => document.id.as_str(),
        };
        let wanted = bridge::Wanted {
            name: &options.name,
            what,
            mtu: options.mtu,
            addresses: Self::host_addresses(document, options),
            ipv6: document.enable_ipv6,
        };
        bridge::ensure(socket, seen, &wanted)
    }
}

impl Inner {
    pub(crate) fn open(config: Config, store: Arc<Store>) -> Result<Self> {
        let mut documents = load_documents(&store)?;
        let endpoints = load_endpoints(&store)?;
        if config.bridge_name().is_none() {
            documents.retain(|document| document.name != BRIDGE);
        }
        let needs_kernel =
            |document: &Network| ["bridge", "macvlan"].contains(&document.driver.as_str());
        let mut kernel = None;
        let departing = Departing::default();
        let mut state = State::default();
        if documents.iter().any(needs_kernel) {
            let mut route = Socket::open(Protocol::Route).map_err(Error::kernel("open netlink"))?;
            let seen = Seen::look(&mut route)?;
            default::settle(
                &store,
                &mut route,
                &seen,
                &mut documents,
                &config,
                &endpoints,
            )?;
            departing.add(remove_orphans(&mut route, &seen, &documents)?);
            let mut rules = Vec::new();
            for document in documents {
                let net = take_up(&mut route, &seen, document)?;
                if let Kind::Bridge(bridge) = &net.kind {
                    rules.push(Net::rules(&net.document, &bridge.options));
                }
                state
                    .networks
                    .insert(net.document.name.clone(), Arc::new(net));
            }
            kernel = Some(Kernel {
                route,
                firewall: Firewall::open(rules, &config)?,
                occupied: Occupied::open()?,
            });
        } else {
            for document in documents {
                let kind = Kind::Nothing;
                state
                    .networks
                    .insert(document.name.clone(), Arc::new(Net { document, kind }));
            }
        }
        state.take_endpoints(&store, endpoints)?;
        for (container, Parked(ports)) in store.read(|tx| tx.list::<Parked>())? {
            if let Ok(container) = container.parse::<ContainerId>() {
                state.ports.adopt(container.short(), &ports);
                state.parked.insert(container, ports);
            }
        }
        let inner = Self {
            config,
            store,
            kernel: Mutex::new(kernel),
            state: Mutex::new(state),
            changing: Mutex::default(),
            departing,
        };
        inner.take_over()?;
        // Only now that the firewall stands.
        inner.forward()?;
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

    /// Switches forwarding on, as far as networks need it.
    pub(crate) fn forward(&self) -> Result<()> {
        if !self.config.ip_forward {
            return Ok(());
        }
        let (mut v4, mut v6) = (false, false);
        for net in self.all() {
            if let (Kind::Bridge(_), false) = (&net.kind, net.document.internal) {
                v4 |= net.document.enable_ipv4;
                v6 |= net.document.enable_ipv6;
            }
        }
        if v4 && sysctl::enable_forwarding()? {
            info!("switched net.ipv4.ip_forward on");
        }
        if v6 && sysctl::enable_forwarding_v6()? {
            info!("switched net.ipv6.conf.all.forwarding on");
        }
        Ok(())
    }

    /// Makes the firewall what it should be; says whether something had to change.
    pub(crate) fn restore(&self) -> Result<bool> {
        let mut kernel = self.kernel();
        let Some(Kernel {
            route, firewall, ..
        }) = kernel.as_mut()
        else {
            return Ok(false);
        };
        let state = self.state();
        let apart: BTreeSet<u32> = state
            .networks
            .values()
            .filter_map(|net| match &net.kind {
                Kind::Bridge(bridge) if !bridge.options.icc => Some(bridge.index),
                _ => None,
            })
            .collect();
        let mut ports = Vec::new();
        if !apart.is_empty() {
            let links =
                link::list(route).map_err(Error::kernel("look at the ports of the bridge"))?;
            let is_apart = |link: &link::Link| link.master.is_some_and(|of| apart.contains(&of));
            ports.extend(links.into_iter().filter(is_apart).map(|link| link.name));
        }
        let entries = state.endpoints.values().flatten();
        firewall.restore(entries.filter_map(|entry| entry.published.as_ref()), &ports)
    }

    pub(crate) fn host_gateways(&self) -> Vec<IpAddr> {
        if !self.config.host_gateways.is_empty() {
            return self.config.host_gateways.clone();
        }
        let state = self.state();
        let default = state.networks.get(BRIDGE);
        let configs = default
            .into_iter()
            .flat_map(|net| &net.document.ipam.config);
        configs.filter_map(|config| config.gateway).collect()
    }

    pub(crate) fn reconcile(&self, live: &HashSet<ContainerId>) -> Result<()> {
        let gone: Vec<ContainerId> = self
            .state()
            .known()
            .filter(|container| !live.contains(*container))
            .cloned()
            .collect();
        let mut result = Ok(());
        for container in gone {
            info!(%container, "released the endpoints of a container that is gone");
            if let Err(error) = self.release(&container) {
                warn!(%container, "{}", onggi_model::chain(&error));
                result = Err(error);
            }
        }
        if let Err(error) = self.remove_stray_links() {
            warn!("{}", onggi_model::chain(&error));
        }
        if self.restore()? {
            info!("restored the firewall");
        }
        result
    }

    /// Removes ports of our bridges that no endpoint has: a daemon may have ended after it took an endpoint off the
    /// record. Links that lost their bridge get it back.
    fn remove_stray_links(&self) -> Result<()> {
        let mut kernel = self.kernel();
        let Some(Kernel { route, .. }) = kernel.as_mut() else {
            return Ok(());
        };
        let links = link::list(route).map_err(Error::kernel("look for links"))?;
        let state = self.state();
        let mut bridges = BTreeMap::new();
        for net in state.networks.values() {
            if let Kind::Bridge(bridge) = &net.kind {
                bridges.insert(net.document.id.clone(), bridge.index);
            }
        }
        let mut known = BTreeMap::new();
        for entry in state.endpoints.values().flatten() {
            known.insert(
                entry.endpoint.host_link(),
                bridges.get(&entry.endpoint.network_id).copied(),
            );
        }
        drop(state);
        for link in links.iter().filter(|link| is_ours(link)) {
            match known.get(&link.name) {
                None if link
                    .master
                    .is_some_and(|of| bridges.values().any(|b| *b == of)) =>
                {
                    info!(link = link.name, "removed a link that no container has");
                    bridge::delete_link(route, link.index)?;
                }
                Some(Some(bridge)) if link.master != Some(*bridge) => {
                    let mut batch = Batch::new();
                    batch.push(
                        "connect a link with its bridge",
                        link::set_master(link.index, *bridge),
                    );
                    route
                        .transact(batch)
                        .map_err(Error::kernel("connect a link with its bridge"))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn remove_all(&self) -> Result<()> {
        let mut kernel = self.kernel();
        let Some(Kernel {
            route, firewall, ..
        }) = kernel.as_mut()
        else {
            return Ok(());
        };
        // The bridges first: without them nothing is left that rules could protect.
        let links = link::list(route).map_err(Error::kernel("look for the bridges"))?;
        let mut deleted = Ok(());
        for link in links.iter().filter(|link| bridge::purpose(link).is_some()) {
            deleted = bridge::delete_link(route, link.index).and(deleted);
        }
        firewall.remove()?;
        deleted
    }

    pub(crate) fn find(&self, name_or_id: &str) -> Result<Arc<Net>> {
        self.state().find(name_or_id)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Net>> {
        self.state().networks.values().cloned().collect()
    }

    pub(crate) fn firewall_port(&self) -> Result<Option<u32>> {
        let kernel = self.kernel();
        let port = kernel.as_ref().map(|kernel| kernel.firewall.port());
        port.transpose()
    }

    /// What the kernel is changed through; opened by the first network that needs it.
    pub(crate) fn open_kernel<'a>(
        &self,
        kernel: &'a mut MutexGuard<'_, Option<Kernel>>,
    ) -> Result<&'a mut Kernel> {
        if kernel.is_none() {
            let route = Socket::open(Protocol::Route).map_err(Error::kernel("open netlink"))?;
            let firewall = Firewall::open(Vec::new(), &self.config)?;
            let occupied = Occupied::open()?;
            **kernel = Some(Kernel {
                route,
                firewall,
                occupied,
            });
        }
        kernel
            .as_mut()
            .ok_or_else(|| Error::Taken("the firewall vanished".to_owned()))
    }

    pub(crate) fn kernel(&self) -> MutexGuard<'_, Option<Kernel>> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The network with this name, id, or unambiguous beginning of an id.
    pub(crate) fn find(&self, name_or_id: &str) -> Result<Arc<Net>> {
        let absent = || Error::NoNetwork(name_or_id.to_owned());
        if let Some(net) = self.networks.get(name_or_id) {
            return Ok(net.clone());
        }
        let fits = |net: &&Arc<Net>| net.document.id.starts_with(name_or_id);
        let fitting: Vec<&Arc<Net>> = self.networks.values().filter(fits).collect();
        match fitting.as_slice() {
            _ if name_or_id.is_empty() => Err(absent()),
            [] => Err(absent()),
            [net] => Ok(Arc::clone(net)),
            several => Err(Error::Invalid(format!(
                "network {name_or_id} is ambiguous ({} matches found on ID prefix)",
                several.len()
            ))),
        }
    }

    /// All containers of which there is anything.
    fn known(&self) -> impl Iterator<Item = &ContainerId> {
        self.endpoints.keys().chain(self.parked.keys())
    }

    /// The endpoints on record; those of networks that are not here are dropped.
    fn take_endpoints(&mut self, store: &Store, all: Vec<Endpoints>) -> Result<()> {
        for Endpoints(endpoints) in all {
            let Some(container) = endpoints.first().map(|first| first.container.clone()) else {
                continue;
            };
            let before = endpoints.len();
            let fits = |endpoint: &Endpoint| {
                self.networks.values().any(|net| {
                    net.document.id == endpoint.network_id
                        && endpoint.addresses().all(|ip| {
                            net.document
                                .ipam
                                .config
                                .iter()
                                .any(|c| c.subnet.contains(&ip))
                        })
                })
            };
            let kept: Vec<Endpoint> = endpoints.into_iter().filter(fits).collect();
            if kept.len() < before {
                warn!(%container, "endpoint of a network that is gone: dropped");
                store.write(|tx| match kept.is_empty() {
                    true => tx.delete::<Endpoints>(container.as_str()).map(|_| ()),
                    false => tx.put(container.as_str(), &Endpoints(kept.clone())),
                })?;
            }
            for endpoint in &kept {
                self.ports.adopt(container.short(), &endpoint.ports);
            }
            let entry = |endpoint: Endpoint| Entry {
                published: Some(endpoint.clone()),
                endpoint,
                sockets: Vec::new(),
            };
            if !kept.is_empty() {
                self.doubtful.insert(container.clone());
                let entries = kept.into_iter().map(entry).collect();
                self.endpoints.insert(container, entries);
            }
        }
        Ok(())
    }
}

/// A link of a container, by its name.
fn is_ours(link: &link::Link) -> bool {
    link.kind.as_deref() == Some("veth")
        && link.name.strip_prefix("veth").is_some_and(|rest| {
            rest.len() == 7 && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}

/// A network of the catalogue, with what the kernel has of it: made again where it is missing.
fn take_up(route: &mut Socket, seen: &Seen, document: Network) -> Result<Net> {
    let kind = match observe(route, seen, &document) {
        Ok(kind) => kind,
        // Something of the host may be in its way; the other networks work all the same.
        Err(error) if document.name != BRIDGE => {
            warn!(
                network = document.name,
                "cannot be used: {}",
                onggi_model::chain(&error)
            );
            Kind::Nothing
        }
        Err(error) => return Err(error),
    };
    Ok(Net { document, kind })
}

fn observe(route: &mut Socket, seen: &Seen, document: &Network) -> Result<Kind> {
    Ok(match document.driver.as_str() {
        _ if document.config_only => Kind::Nothing,
        "bridge" => {
            let options = BridgeOptions::read(document)?;
            let index = Net::ensure_bridge(route, seen, document, &options)?;
            Kind::Bridge(Bridge { options, index })
        }
        "macvlan" => {
            let options = MacvlanOptions::read(document)?;
            if let Err(error) = macvlan::ensure_parent(route, document, &options) {
                // It may come back; its containers do not start until then.
                warn!(network = document.name, "{}", onggi_model::chain(&error));
            }
            Kind::Macvlan(options)
        }
        _ => Kind::Nothing,
    })
}

/// Removes links of networks that are not in the catalogue: a daemon may have ended before it removed them. Bridges that
/// nothing is connected with, and whose names nobody else can want, may go later: these are returned.
fn remove_orphans(route: &mut Socket, seen: &Seen, documents: &[Network]) -> Result<Vec<Leaving>> {
    let known: HashSet<&str> = documents
        .iter()
        .map(|document| document.id.as_str())
        .collect();
    let mut leaving = Vec::new();
    for link in &seen.links {
        let Some(what) = bridge::purpose(link) else {
            continue;
        };
        if known.contains(what) || what == bridge::DEFAULT {
            continue;
        }
        info!(link = link.name, "removed a link of a network that is gone");
        let is_empty = !seen.links.iter().any(|l| l.master == Some(link.index));
        if is_empty && link.name == BridgeOptions::own_name(what) {
            let nets = seen.addresses(link.index);
            leaving.push(Leaving {
                link: link.name.clone(),
                nets: nets.iter().map(IpNet::trunc).collect(),
            });
        } else {
            bridge::delete_link(route, link.index)?;
        }
    }
    Ok(leaving)
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
    Ok(documents)
}

fn load_endpoints(store: &Store) -> Result<Vec<Endpoints>> {
    let found = store.read(|tx| tx.list::<Endpoints>())?;
    Ok(found.into_iter().map(|(_, all)| all).collect())
}
