//! Containers in and out of networks: addresses and ports are taken, links made, routes set, and all of it given back.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use onggi_model::ContainerId;
use tracing::info;

use crate::address;
use crate::bridge;
use crate::default::{GATEWAY_V4, GATEWAY_V6};
use crate::document::{IpamConfig, Network};
use crate::endpoint::{Endpoint, EndpointRequest, INTERFACE, Published, check_options};
use crate::error::{Error, Result};
use crate::firewall::GatewayMode;
use crate::gateway::{self, Gateways};
use crate::inner::{Entry, Inner, Kernel, Kind, Net, State};
use crate::mac::Mac;
use crate::macvlan;
use crate::networks::Networks;
use crate::publish::{Side, Target};
use crate::sandbox;
use crate::sysctl;

impl Inner {
    pub(crate) fn endpoints(&self, network_id: &str) -> Vec<Endpoint> {
        let state = self.state();
        let all = state.endpoints.values().flatten();
        all.map(|entry| &entry.endpoint)
            .filter(|endpoint| endpoint.network_id == network_id)
            .cloned()
            .collect()
    }

    pub(crate) fn in_use(&self) -> HashSet<String> {
        let state = self.state();
        let entries = state.endpoints.values().flatten();
        let mut used: HashSet<String> = entries
            .map(|entry| entry.endpoint.network_id.clone())
            .collect();
        let all = state.networks.values();
        used.extend(all.map(|net| net.document.config_from.clone()));
        used
    }

    pub(crate) fn endpoints_of(&self, container: &ContainerId) -> Vec<Endpoint> {
        let state = self.state();
        let entries = state.endpoints.get(container).into_iter().flatten();
        entries.map(|entry| entry.endpoint.clone()).collect()
    }

    /// Whether there is anything of the container: endpoints, or ports that wait for one.
    pub(crate) fn has_endpoints(&self, container: &ContainerId) -> bool {
        let state = self.state();
        state.endpoints.contains_key(container) || state.parked.contains_key(container)
    }

    pub(crate) fn allocate(
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

    pub(crate) fn reserve(
        &self,
        container: &ContainerId,
        requests: &[EndpointRequest],
    ) -> Result<Vec<Endpoint>> {
        self.release(container)?;
        self.state().add(container, requests)
    }

    pub(crate) fn reserve_another(
        &self,
        container: &ContainerId,
        request: &EndpointRequest,
    ) -> Result<Vec<Endpoint>> {
        let mut state = self.state();
        let net = state.find(&request.network)?;
        let entries = state.endpoints.get(container).into_iter().flatten();
        let mut ids = entries.map(|entry| &entry.endpoint.network_id);
        if ids.any(|id| *id == net.document.id) {
            return Err(Error::Forbidden(format!(
                "endpoint with name {} already exists in network {}",
                request.name, net.document.name
            )));
        }
        state.add(container, std::slice::from_ref(request))
    }

    /// Connects new endpoints of one container.
    pub(crate) fn attach(&self, endpoints: &[Endpoint], netns: &OwnedFd) -> Result<Vec<OwnedFd>> {
        let Some(container) = endpoints.first().map(|endpoint| &endpoint.container) else {
            return Ok(Vec::new());
        };
        let absent = || Error::NoEndpoint(container.to_string());
        let (nets, before, after) = {
            let state = self.state();
            let entries = state.endpoints.get(container).ok_or_else(absent)?;
            let known =
                |endpoint: &Endpoint| entries.iter().any(|entry| entry.endpoint == *endpoint);
            if !endpoints.iter().all(known) {
                return Err(absent());
            }
            let nets: Result<Vec<Arc<Net>>> = endpoints
                .iter()
                .map(|endpoint| state.find(&endpoint.network_id))
                .collect();
            let (before, after) = gateways(entries);
            (nets?, before, after)
        };
        {
            let mut kernel = self.kernel();
            let Kernel {
                route, firewall, ..
            } = self.open_kernel(&mut kernel)?;
            for (endpoint, net) in endpoints.iter().zip(&nets) {
                match &net.kind {
                    Kind::Bridge(bridge) => {
                        let options = &bridge.options;
                        firewall.isolate(&options.name, &endpoint.host_link())?;
                        let index = bridge.index;
                        sandbox::connect(route, endpoint, index, options.mtu, netns.as_fd())?;
                    }
                    Kind::Macvlan(options) => {
                        let parent = macvlan::ensure_parent(route, &net.document, options)?;
                        sandbox::share(route, endpoint, parent, options, netns.as_fd())?;
                    }
                    Kind::Nothing => return Err(Error::NoEndpoints(endpoint.network.clone())),
                }
            }
        }
        sandbox::configure(endpoints, &before, &after, netns.as_fd())?;
        self.publish(container)
    }

    /// Publishes the ports of a container where they are to be, and takes them back where they are no more. Returns the
    /// sockets that nobody holds yet.
    fn publish(&self, container: &ContainerId) -> Result<Vec<OwnedFd>> {
        let mut kernel = self.kernel();
        let (mut old, mut new, mut sockets) = (Vec::new(), Vec::new(), Vec::new());
        {
            let mut state = self.state();
            for entry in state.endpoints.get_mut(container).into_iter().flatten() {
                sockets.append(&mut entry.sockets);
                let published = entry.published.replace(entry.endpoint.clone());
                match published {
                    Some(published) if published.ports == entry.endpoint.ports => continue,
                    Some(published) => old.push(published),
                    None => {}
                }
                if !entry.endpoint.ports.is_empty() {
                    new.push(entry.endpoint.clone());
                }
            }
        }
        if let Some(Kernel { firewall, .. }) = kernel.as_mut() {
            for endpoint in &old {
                firewall.unpublish_ports(endpoint)?;
            }
            for endpoint in &new {
                firewall.publish(endpoint)?;
            }
        }
        Ok(sockets)
    }

    /// Takes one endpoint of a container out of the kernel; returns the others.
    pub(crate) fn detach(
        &self,
        container: &ContainerId,
        network_id: &str,
        netns: Option<&OwnedFd>,
    ) -> Result<Vec<Endpoint>> {
        let absent = || Error::NoEndpoint(container.to_string());
        let (gone, published, net, before, after, rest) = {
            let mut state = self.state();
            let net = state.find(network_id);
            let entries = state.endpoints.get_mut(container).ok_or_else(absent)?;
            let leaves = |entry: &Entry| entry.endpoint.network_id == network_id;
            let index = entries.iter().position(leaves).ok_or_else(absent)?;
            let (before, _) = gateways(entries);
            let ports = std::mem::take(&mut entries[index].endpoint.ports);
            let sockets = std::mem::take(&mut entries[index].sockets);
            let published = entries[index].published.take();
            let gone = entries[index].endpoint.clone();
            let attached = entries.iter().filter(|entry| entry.published.is_some());
            let after = Gateways::of(attached.map(|entry| &entry.endpoint));
            state.hand_on(container, network_id, ports, sockets);
            let entries = state.endpoints.get(container).into_iter().flatten();
            let rest: Vec<Endpoint> = entries
                .filter(|entry| !leaves(entry))
                .map(|entry| entry.endpoint.clone())
                .collect();
            (gone, published, net.ok(), before, after, rest)
        };
        let macvlan = net.is_some_and(|net| matches!(net.kind, Kind::Macvlan(_)));
        {
            let mut kernel = self.kernel();
            if let Some(Kernel {
                route, firewall, ..
            }) = kernel.as_mut()
            {
                if !macvlan && let Some(index) = bridge::number(route, &gone.host_link())? {
                    bridge::delete_link(route, index)?;
                }
                // Links first: the rules that keep it apart go last.
                if let Some(published) = &published {
                    firewall.unpublish(published)?;
                }
            }
        }
        if let Some(netns) = netns {
            let link = macvlan.then_some(gone.interface.as_str());
            sandbox::reroute(link, &before, &after, netns.as_fd())?;
        }
        self.publish_rest(container)?;
        Ok(rest)
    }

    /// Publishes ports that another endpoint handed on.
    fn publish_rest(&self, container: &ContainerId) -> Result<()> {
        let changed = {
            let mut state = self.state();
            let entries = state.endpoints.get_mut(container).into_iter().flatten();
            let mut changed = Vec::new();
            for entry in entries {
                if let Some(published) = &mut entry.published
                    && published.ports != entry.endpoint.ports
                {
                    *published = entry.endpoint.clone();
                    changed.push(entry.endpoint.clone());
                }
            }
            changed
        };
        let mut kernel = self.kernel();
        if let Some(Kernel { firewall, .. }) = kernel.as_mut() {
            for endpoint in &changed {
                firewall.publish(endpoint)?;
            }
        }
        Ok(())
    }

    pub(crate) fn forget_one(&self, container: &ContainerId, network_id: &str) {
        let mut state = self.state();
        let Some(entries) = state.endpoints.get_mut(container) else {
            return;
        };
        let leaves = |entry: &Entry| entry.endpoint.network_id == network_id;
        let Some(index) = entries.iter().position(leaves) else {
            return;
        };
        let entry = entries.remove(index);
        if entries.is_empty() {
            state.endpoints.remove(container);
        }
        drop(entry.sockets);
        state.ports.release(&entry.endpoint.ports);
    }

    pub(crate) fn release(&self, container: &ContainerId) -> Result<()> {
        if self.withdraw(container)? {
            self.store.write(|tx| Networks::forget_in(tx, container))?;
            self.forget(container);
        }
        Ok(())
    }

    /// Says whether there were endpoints.
    pub(crate) fn withdraw(&self, container: &ContainerId) -> Result<bool> {
        if !self.has_endpoints(container) {
            return Ok(false);
        }
        let mut kernel = self.kernel();
        let (mut published, mut addresses) = (Vec::new(), Vec::new());
        let moved;
        {
            let mut state = self.state();
            let entries = state.endpoints.get_mut(container);
            for entry in entries.into_iter().flatten() {
                entry.sockets.clear();
                addresses.extend(entry.endpoint.addresses());
                published.extend(entry.published.take());
            }
            moved = state.moved.remove(container).unwrap_or_default();
        }
        let Some(Kernel { firewall, .. }) = kernel.as_mut() else {
            return Ok(true);
        };
        let mut result = firewall.forget_answered(&moved, &addresses).map(|()| true);
        for endpoint in published {
            if let Err(error) = firewall.unpublish(&endpoint) {
                let mut state = self.state();
                let mut entries = state.endpoints.get_mut(container).into_iter().flatten();
                let same = |entry: &&mut Entry| entry.endpoint.network_id == endpoint.network_id;
                if let Some(entry) = entries.find(same) {
                    entry.published = Some(endpoint);
                }
                result = Err(error);
            }
        }
        result
    }

    /// Gives back what is in memory only. Returns the links of the host that go with the container's namespace.
    pub(crate) fn forget(&self, container: &ContainerId) -> Vec<String> {
        let mut state = self.state();
        let mut links = Vec::new();
        for entry in state.endpoints.remove(container).into_iter().flatten() {
            drop(entry.sockets);
            state.ports.release(&entry.endpoint.ports);
            links.push(entry.endpoint.host_link());
        }
        if let Some(ports) = state.parked.remove(container) {
            state.ports.release(&ports);
        }
        state.moved.remove(container);
        links
    }

    /// Whether a daemon before had the container: it may have ended in the middle of a change.
    pub(crate) fn needs_mending(&self, container: &ContainerId) -> bool {
        self.state().doubtful.contains(container)
    }

    /// Makes the links that the endpoints of a running container say and that are not there, or not whole.
    pub(crate) fn mend(&self, container: &ContainerId, netns: &OwnedFd) -> Result<()> {
        let all = self.endpoints_of(container);
        let whole = sandbox::observe(&all, netns.as_fd())?;
        let broken: Vec<Endpoint> = all
            .into_iter()
            .zip(whole)
            .filter_map(|(endpoint, whole)| (!whole).then_some(endpoint))
            .collect();
        for endpoint in &broken {
            info!(%container, network = endpoint.network, "connects the container again");
            let link = Some(endpoint.interface.as_str());
            let none = Gateways::default();
            sandbox::reroute(link, &none, &none, netns.as_fd())?;
            let mut state = self.state();
            let entries = state.endpoints.get_mut(container).into_iter().flatten();
            for entry in entries.filter(|entry| entry.endpoint == *endpoint) {
                entry.published = None;
            }
        }
        let held = self.attach(&broken, netns)?;
        // The monitor has those of this container.
        drop(held);
        self.state().doubtful.remove(container);
        Ok(())
    }
}

/// The default routes of a container: by the endpoints that are attached, and by all.
fn gateways(entries: &[Entry]) -> (Gateways, Gateways) {
    let attached = entries.iter().filter(|entry| entry.published.is_some());
    (
        Gateways::of(attached.map(|entry| &entry.endpoint)),
        Gateways::of(entries.iter().map(|entry| &entry.endpoint)),
    )
}

impl State {
    /// Adds endpoints to those a container has, all or none; returns all it has then. Ports are published where the
    /// default route is.
    fn add(
        &mut self,
        container: &ContainerId,
        requests: &[EndpointRequest],
    ) -> Result<Vec<Endpoint>> {
        let before = self.endpoints.get(container).map_or(0, Vec::len);
        let mut result = Ok(());
        for request in requests {
            result = self.add_one(container, request);
            if result.is_err() {
                break;
            }
        }
        if let Err(error) = result.and_then(|()| self.place_ports(container, requests)) {
            if let Some(entries) = self.endpoints.get_mut(container) {
                entries.truncate(before);
                if entries.is_empty() {
                    self.endpoints.remove(container);
                }
            }
            return Err(error);
        }
        let entries = self.endpoints.get(container).into_iter().flatten();
        Ok(entries.map(|entry| entry.endpoint.clone()).collect())
    }

    fn add_one(&mut self, container: &ContainerId, request: &EndpointRequest) -> Result<()> {
        let net = self.find(&request.network)?;
        let document = &net.document;
        let prefix = match &net.kind {
            Kind::Bridge(bridge) => &bridge.options.prefix,
            Kind::Macvlan(options) => &options.prefix,
            Kind::Nothing => return Err(Error::NoEndpoints(document.name.clone())),
        };
        check_options(&request.options)?;
        let interface = self.interface(container, request, prefix)?;
        let used = self.used(document);
        let v4 = match document.enable_ipv4 {
            true => Some(choose(
                document,
                &used,
                Family::V4,
                request.ipv4.map(IpAddr::V4),
            )?),
            false => None,
        };
        let v6 = match document.enable_ipv6 {
            true => Some(choose(
                document,
                &used,
                Family::V6,
                request.ipv6.map(IpAddr::V6),
            )?),
            false => None,
        };
        if let Some(ip) = request.ipv4.filter(|_| v4.is_none()) {
            return Err(outside(ip.into()));
        }
        if let Some(ip) = request.ipv6.filter(|_| v6.is_none()) {
            return Err(outside(ip.into()));
        }
        let leads_out = leads_out(&net);
        let endpoint = Endpoint {
            container: container.clone(),
            network: document.name.clone(),
            network_id: document.id.clone(),
            endpoint_id: ContainerId::from_bytes(rand::random()).to_string(),
            interface,
            ipv4: v4.as_ref().and_then(|(ip, config)| net_v4(*ip, config)),
            ipv6: v6.as_ref().and_then(|(ip, config)| net_v6(*ip, config)),
            gateway_v4: v4.and_then(|(_, config)| match router(config, GATEWAY_V4)? {
                IpAddr::V4(gateway) if leads_out.0 => Some(gateway),
                _ => None,
            }),
            gateway_v6: v6.and_then(|(_, config)| match router(config, GATEWAY_V6)? {
                IpAddr::V6(gateway) if leads_out.1 => Some(gateway),
                _ => None,
            }),
            link_local: request.link_local.clone(),
            mac: request.mac.unwrap_or_else(Mac::random),
            ports: Vec::new(),
            aliases: request.aliases.clone(),
            names: request.names.clone(),
            gateway_priority: request.gateway_priority,
            options: request.options.clone(),
        };
        let entry = Entry {
            endpoint,
            published: None,
            sockets: Vec::new(),
        };
        self.endpoints
            .entry(container.clone())
            .or_default()
            .push(entry);
        Ok(())
    }

    /// The next free name of a link of the container, or the one it asks for.
    fn interface(
        &self,
        container: &ContainerId,
        request: &EndpointRequest,
        prefix: &str,
    ) -> Result<String> {
        let entries = self.endpoints.get(container).into_iter().flatten();
        let taken: BTreeSet<&str> = entries
            .map(|entry| entry.endpoint.interface.as_str())
            .collect();
        if let Some(own) = request.options.get(INTERFACE) {
            if taken.contains(own.as_str()) {
                return Err(Error::Invalid(format!(
                    "the container has an interface {own} already"
                )));
            }
            return Ok(own.clone());
        }
        let mut names = (0_u32..).map(|number| format!("{prefix}{number}"));
        names
            .find(|name| !taken.contains(name.as_str()))
            .ok_or_else(|| Error::Invalid("too many interfaces".to_owned()))
    }

    /// The addresses of a network that are not free.
    pub(crate) fn used(&self, document: &Network) -> BTreeSet<IpAddr> {
        let entries = self.endpoints.values().flatten();
        let mut used: BTreeSet<IpAddr> = entries
            .map(|entry| &entry.endpoint)
            .filter(|endpoint| endpoint.network_id == document.id)
            .flat_map(Endpoint::addresses)
            .collect();
        for config in &document.ipam.config {
            used.extend(config.gateway);
            used.extend(config.aux_addresses.values());
        }
        used
    }

    /// Gives the ports to the endpoint that has the default route: those of the requests, or those that another
    /// endpoint of the container has had so far.
    fn place_ports(&mut self, container: &ContainerId, requests: &[EndpointRequest]) -> Result<()> {
        let Some(entries) = self.endpoints.get_mut(container) else {
            return Ok(());
        };
        let Some(leading) = leading(entries) else {
            return Ok(());
        };
        let network = entries[leading].endpoint.network_id.clone();
        let net = self.find(&network)?;
        let Kind::Bridge(bridge) = &net.kind else {
            return Ok(());
        };
        let Some(entries) = self.endpoints.get_mut(container) else {
            return Ok(());
        };
        if let Some(holder) = entries.iter().position(|e| !e.endpoint.ports.is_empty()) {
            if holder != leading {
                let ports = std::mem::take(&mut entries[holder].endpoint.ports);
                let sockets = std::mem::take(&mut entries[holder].sockets);
                let (ports, lost) = movable(ports, &entries[leading].endpoint);
                entries[leading].endpoint.ports = ports;
                entries[leading].sockets = sockets;
                self.ports.release(&lost);
            }
            return Ok(());
        }
        if let Some(parked) = self.parked.remove(container) {
            let (ports, lost) = movable(parked, &entries[leading].endpoint);
            entries[leading].endpoint.ports = ports;
            self.ports.release(&lost);
            return Ok(());
        }
        let asks = |request: &&EndpointRequest| {
            request.network == network || request.network == net.document.name
        };
        let Some(request) = requests.iter().find(asks).filter(|r| !r.ports.is_empty()) else {
            return Ok(());
        };
        let endpoint = &mut entries[leading].endpoint;
        let mut sides = Vec::new();
        if let Some(ip) = endpoint.address_v4() {
            sides.push(Side {
                container: ip.into(),
                host: bridge.options.host_v4().map(IpAddr::V4),
                mode: bridge.options.mode_v4,
            });
        }
        if let Some(ip) = endpoint.address_v6() {
            sides.push(Side {
                container: ip.into(),
                host: bridge.options.host_v6().map(IpAddr::V6),
                mode: bridge.options.mode_v6,
            });
        }
        let target = Target {
            name: &request.name,
            sides,
            range: sysctl::ephemeral_ports(),
        };
        let taken = self.ports.take(&request.ports, &target);
        let (ports, sockets) = taken.map_err(|source| Error::Publish {
            name: request.name.clone(),
            endpoint: endpoint.endpoint_id.clone(),
            source: Box::new(source),
        })?;
        endpoint.ports = ports;
        entries[leading].sockets = sockets;
        Ok(())
    }

    /// Gives the ports of an endpoint that goes to the next, or keeps them until there is one: the monitor holds their
    /// sockets as long as the container runs.
    fn hand_on(
        &mut self,
        container: &ContainerId,
        leaves: &str,
        ports: Vec<Published>,
        sockets: Vec<OwnedFd>,
    ) {
        if ports.is_empty() {
            return;
        }
        let entries = self.endpoints.get_mut(container).into_iter().flatten();
        let mut rest: Vec<&mut Entry> = entries
            .filter(|entry| entry.endpoint.network_id != leaves)
            .collect();
        let next = gateway::leading(rest.iter().map(|entry| &entry.endpoint))
            .map(|endpoint| endpoint.network_id.clone());
        let next = rest
            .iter_mut()
            .find(|entry| Some(&entry.endpoint.network_id) == next.as_ref());
        match next {
            Some(entry) => {
                let (ports, lost) = movable(ports, &entry.endpoint);
                entry.endpoint.ports = ports;
                entry.sockets = sockets;
                self.ports.release(&lost);
            }
            None => {
                self.parked.insert(container.clone(), ports);
            }
        }
    }
}

/// The ports that another endpoint can take over, those that are translated, of its families; and the others.
fn movable(ports: Vec<Published>, to: &Endpoint) -> (Vec<Published>, Vec<Published>) {
    let fits = |one: &Published| {
        one.host_port != 0
            && match one.host_ip {
                IpAddr::V4(_) => to.ipv4.is_some(),
                IpAddr::V6(_) => to.ipv6.is_some(),
            }
    };
    ports.into_iter().partition(fits)
}

/// The entry that gives the default route.
fn leading(entries: &[Entry]) -> Option<usize> {
    let leading = gateway::leading(entries.iter().map(|entry| &entry.endpoint))?;
    let id = leading.endpoint_id.as_str();
    entries
        .iter()
        .position(|entry| entry.endpoint.endpoint_id == id)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn has(self, subnet: IpNet) -> bool {
        match subnet {
            IpNet::V4(_) => self == Self::V4,
            IpNet::V6(_) => self == Self::V6,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// An address of a family: the wanted one, else the first free one of the subnets in their order.
fn choose<'a>(
    document: &'a Network,
    used: &BTreeSet<IpAddr>,
    family: Family,
    wanted: Option<IpAddr>,
) -> Result<(IpAddr, &'a IpamConfig)> {
    let mut configs = document.ipam.config.iter().filter(|c| family.has(c.subnet));
    if let Some(wanted) = wanted {
        let config = configs.find(|config| config.subnet.contains(&wanted));
        let config = config.ok_or_else(|| outside(wanted))?;
        // An auxiliary address is for somebody elsewhere, and nobody here has it.
        address::check_wanted(config.subnet, used, wanted)?;
        return Ok((wanted, config));
    }
    configs
        .find_map(|config| {
            let free = address::lowest_free(config.subnet, config.ip_range, used)?;
            Some((free, config))
        })
        .ok_or_else(|| Error::NoAddress {
            family: family.name(),
            name: document.name.clone(),
            id: document.id.clone(),
        })
}

fn outside(wanted: IpAddr) -> Error {
    Error::Invalid(format!(
        "no configured subnet or ip-range contain the IP address {wanted}"
    ))
}

/// The router of a subnet: where the network names one of its own, not the host.
fn router(config: &IpamConfig, name: &str) -> Option<IpAddr> {
    config.aux_addresses.get(name).copied().or(config.gateway)
}

/// Whether a network gives default routes, of IPv4 and of IPv6.
fn leads_out(net: &Net) -> (bool, bool) {
    if net.document.internal {
        return (false, false);
    }
    match &net.kind {
        Kind::Bridge(bridge) => {
            let open = |mode| mode != GatewayMode::Isolated;
            (open(bridge.options.mode_v4), open(bridge.options.mode_v6))
        }
        Kind::Macvlan(options) => {
            let wired = !options.parent.is_empty();
            (wired, wired)
        }
        Kind::Nothing => (false, false),
    }
}

fn net_v4(ip: IpAddr, config: &IpamConfig) -> Option<Ipv4Net> {
    let IpAddr::V4(ip) = ip else { return None };
    Ipv4Net::new(ip, config.subnet.prefix_len()).ok()
}

fn net_v6(ip: IpAddr, config: &IpamConfig) -> Option<Ipv6Net> {
    let IpAddr::V6(ip) = ip else { return None };
    Ipv6Net::new(ip, config.subnet.prefix_len()).ok()
}
