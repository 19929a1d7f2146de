//! Networks made and removed: checked whole, then on record, then in the kernel; taken back where that fails.

use std::sync::{Arc, PoisonError};

use ipnet::IpNet;
use onggi_model::ContainerId;
use tracing::warn;

use crate::address;
use crate::bridge::{self, Seen};
use crate::document::{Ipam, IpamRequest, Network, NetworkRequest};
use crate::error::{Error, Result};
use crate::inner::{BRIDGE, Bridge, Inner, Kernel, Kind, Net};
use crate::ipam::{self, Surroundings};
use crate::macvlan;
use crate::occupied::Occupied;
use crate::options::{self, BridgeOptions, MacvlanOptions};

/// The names of networks that every host has.
const PREDEFINED: [&str; 4] = ["bridge", "host", "none", "default"];

impl Inner {
    pub(crate) fn create(&self, request: &NetworkRequest) -> Result<(Network, Vec<String>)> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_name(&request.name)?;
        check_driver(request)?;
        let inherited;
        let request = match &request.config_from {
            None => request,
            Some(from) => {
                inherited = self.inherit(request, from)?;
                &inherited
            }
        };
        let mut warnings = Vec::new();
        let document = if request.config_only {
            configuration(request)?
        } else {
            self.document(request, &mut warnings)?
        };
        self.check_options(&document)?;
        warnings.extend(idle(&document));
        self.store.write(|tx| tx.put(&document.name, &document))?;
        match self.bring_up(document.clone()) {
            Ok(net) => {
                let mut state = self.state();
                state.networks.insert(document.name.clone(), Arc::new(net));
                drop(state);
                // Only now that the firewall stands.
                self.forward()?;
                Ok((document, warnings))
            }
            Err(error) => {
                let forgotten = self.store.write(|tx| tx.delete::<Network>(&document.name));
                if let Err(error) = forgotten {
                    warn!(network = document.name, "{}", onggi_model::chain(&error));
                }
                Err(error)
            }
        }
    }

    /// Takes a network off the record. Its bridge is on its way out then: [`departing::see_off`].
    pub(crate) fn remove(&self, name_or_id: &str) -> Result<Network> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let net = self.find(name_or_id)?;
        let document = &net.document;
        if PREDEFINED.contains(&document.name.as_str()) {
            return Err(Error::Forbidden(format!(
                "{} is a pre-defined network and cannot be removed",
                document.name
            )));
        }
        let all = self.all();
        if document.config_only && all.iter().any(|n| n.document.config_from == document.name) {
            return Err(Error::Forbidden(format!(
                "configuration network \"{}\" is in use",
                document.name
            )));
        }
        {
            // From here on nobody comes into it.
            let mut state = self.state();
            let entries = state.endpoints.values().flatten();
            let active: Vec<String> = entries
                .map(|entry| &entry.endpoint)
                .filter(|endpoint| endpoint.network_id == document.id)
                .map(|endpoint| {
                    let name = endpoint.names.first().map_or("", String::as_str);
                    let id = endpoint.container.short();
                    format!("name:\"{name}\" id:\"{id}\"")
                })
                .collect();
            if !active.is_empty() {
                return Err(Error::Forbidden(format!(
                    "error while removing network: network {} has active endpoints ({})",
                    document.name,
                    active.join(", ")
                )));
            }
            state.networks.remove(&document.name);
        }
        if let Err(error) = self.store.write(|tx| tx.delete::<Network>(&document.name)) {
            let mut state = self.state();
            state
                .networks
                .insert(document.name.clone(), Arc::clone(&net));
            return Err(error.into());
        }
        match net.leaving() {
            Some(leaving) => self.departing.add([leaving]),
            // What the kernel refuses to let go goes with the next daemon.
            None => {
                if let Err(error) = self.bring_down(&net) {
                    warn!(network = document.name, "{}", onggi_model::chain(&error));
                }
            }
        }
        Ok(document.clone())
    }

    fn check_name(&self, name: &str) -> Result<()> {
        if name.trim().is_empty() {
            return Err(Error::Invalid("invalid name: name is empty".to_owned()));
        }
        if PREDEFINED.contains(&name) {
            return Err(Error::Forbidden(format!(
                "operation is not permitted on predefined {name} network"
            )));
        }
        if name.starts_with("container:") || name.contains('/') {
            return Err(Error::Invalid(format!(
                "invalid network name {name:?}: it must have no slash and not begin with container:"
            )));
        }
        if self.state().networks.contains_key(name) {
            return Err(Error::Exists(name.to_owned()));
        }
        Ok(())
    }

    /// The request with the configuration of the network it names.
    fn inherit(&self, request: &NetworkRequest, from: &str) -> Result<NetworkRequest> {
        let net = match self.find(from) {
            Ok(net) => net,
            Err(Error::NoNetwork(_)) => {
                return Err(Error::Absent(format!(
                    "configuration network \"{from}\" does not exist"
                )));
            }
            Err(error) => return Err(error),
        };
        let source = &net.document;
        if !source.config_only {
            return Err(Error::Absent(format!(
                "configuration network \"{from}\" does not exist"
            )));
        }
        if request.config_only {
            return Err(Error::Forbidden(
                "a configuration network cannot depend on another configuration network".to_owned(),
            ));
        }
        if !request.options.is_empty() {
            return Err(Error::Forbidden(
                "network driver options are not supported if the network depends on a configuration network"
                    .to_owned(),
            ));
        }
        if !request.ipam.is_empty()
            || !request.ipam_options.is_empty()
            || !request.labels.is_empty()
            || request.enable_ipv6 == Some(true)
        {
            return Err(Error::Forbidden(
                "user specified configurations are not supported if the network depends on a configuration network"
                    .to_owned(),
            ));
        }
        let ipam = source.ipam.config.iter().map(|config| IpamRequest {
            subnet: Some(config.subnet),
            ip_range: config.ip_range,
            gateway: config.gateway,
            aux_addresses: config.aux_addresses.clone(),
            chosen: config.chosen,
        });
        Ok(NetworkRequest {
            config_from: Some(source.name.clone()),
            enable_ipv4: Some(source.enable_ipv4),
            enable_ipv6: Some(source.enable_ipv6),
            ipam_driver: source.ipam.driver.clone(),
            ipam_options: source.ipam.options.clone(),
            ipam: ipam.collect(),
            options: source.options.clone(),
            labels: source.labels.clone(),
            ..request.clone()
        })
    }

    fn document(&self, request: &NetworkRequest, warnings: &mut Vec<String>) -> Result<Network> {
        let v4 = request.enable_ipv4.unwrap_or(true);
        let v6 = request.enable_ipv6.unwrap_or(false);
        if !v4 && !v6 {
            return Err(Error::Invalid("IPv4 or IPv6 must be enabled".to_owned()));
        }
        for subnet in request.ipam.iter().filter_map(|asked| asked.subnet) {
            let unused = match subnet {
                IpNet::V4(_) if !v4 => "IPv4",
                IpNet::V6(_) if !v6 => "IPv6",
                _ => continue,
            };
            warnings.push(format!(
                "subnet {subnet} is not used: {unused} is not enabled in the network"
            ));
        }
        let mut document = described(request);
        (document.enable_ipv4, document.enable_ipv6) = (v4, v6);
        let all = self.all();
        let documents = all.iter().map(|net| &net.document);
        // Configurations have no addresses of their own: those made after them have.
        let networks: Vec<&Network> = documents.filter(|other| !other.config_only).collect();
        let seed = networks
            .iter()
            .find(|network| network.name == "host")
            .map_or("", |network| network.id.as_str());
        let choose = || {
            let mut kernel = self.kernel();
            let Kernel {
                route, occupied, ..
            } = self.open_kernel(&mut kernel)?;
            let mut settle = |occupied: &mut Occupied| {
                let leaving = self.departing.nets();
                let mut taken = occupied.nets(route)?;
                taken.retain(|net| !leaving.contains(&net.trunc()));
                let around = Surroundings {
                    networks: &networks,
                    taken,
                    pools: &self.config.pools,
                    local: address::local_range(seed),
                };
                ipam::settle(request, (v4, v6), &around)
            };
            match settle(occupied) {
                // What the kernel took away without a word is free.
                Err(Error::NoPool | Error::NoPool6) => {
                    occupied.doubt();
                    settle(occupied)
                }
                settled => settled,
            }
        };
        // The subnet of a network that was just removed is chosen again, as soon as the kernel has let it go.
        document.ipam.config = loop {
            let configs = choose()?;
            let nets: Vec<IpNet> = configs.iter().map(|config| config.subnet).collect();
            if !self.wait_for_departure(&nets)? {
                break configs;
            }
        };
        Ok(document)
    }

    /// Whether the driver can do what the options say, beside the other networks.
    fn check_options(&self, document: &Network) -> Result<()> {
        if document.config_only {
            return Ok(());
        }
        let all = self.all();
        if document.driver == "macvlan" {
            let options = MacvlanOptions::read(document)?;
            let parent = macvlan::parent(document, &options);
            for net in &all {
                if let Kind::Macvlan(other) = &net.kind
                    && macvlan::parent(&net.document, other) == parent
                {
                    let id = net.document.id.get(..12).unwrap_or_default();
                    return Err(Error::Forbidden(format!(
                        "network {id} is already using parent interface {parent}"
                    )));
                }
            }
            return Ok(());
        }
        let options = BridgeOptions::read(document)?;
        if options.is_default {
            return Err(Error::Invalid(
                "only the network \"bridge\" is the default one: leave com.docker.network.bridge.default_bridge away"
                    .to_owned(),
            ));
        }
        for net in &all {
            if let Kind::Bridge(other) = &net.kind
                && other.options.name == options.name
            {
                return Err(Error::Forbidden(format!(
                    "cannot create network {} ({}): conflicts with network {} ({}): networks have same bridge name",
                    document.id, options.name, net.document.id, other.options.name
                )));
            }
        }
        Ok(())
    }

    /// Makes what the kernel should have of a network: rules first, links after.
    fn bring_up(&self, document: Network) -> Result<Net> {
        if document.config_only {
            let kind = Kind::Nothing;
            return Ok(Net { document, kind });
        }
        let mut kernel = self.kernel();
        let Kernel {
            route, firewall, ..
        } = self.open_kernel(&mut kernel)?;
        if document.driver == "macvlan" {
            let options = MacvlanOptions::read(&document)?;
            macvlan::ensure_parent(route, &document, &options)?;
            let kind = Kind::Macvlan(options);
            return Ok(Net { document, kind });
        }
        let options = BridgeOptions::read(&document)?;
        firewall.add_bridge(Net::rules(&document, &options))?;
        let made = Seen::look_for(route, &options.name)
            .and_then(|seen| Net::ensure_bridge(route, &seen, &document, &options));
        match made {
            Ok(index) => {
                let kind = Kind::Bridge(Bridge { options, index });
                Ok(Net { document, kind })
            }
            Err(error) => {
                let undone = [
                    bridge::delete(route, &options.name),
                    firewall.remove_bridge(&options.name),
                ];
                for error in undone.into_iter().filter_map(Result::err) {
                    warn!(network = document.name, "{}", onggi_model::chain(&error));
                }
                Err(error)
            }
        }
    }

    /// Takes away what the kernel has of a network: links first, rules after.
    fn bring_down(&self, net: &Net) -> Result<()> {
        let mut kernel = self.kernel();
        let Some(Kernel {
            route, firewall, ..
        }) = kernel.as_mut()
        else {
            return Ok(());
        };
        match &net.kind {
            Kind::Bridge(bridge) => {
                let deleted = bridge::delete(route, &bridge.options.name);
                firewall.remove_bridge(&bridge.options.name)?;
                deleted
            }
            Kind::Macvlan(options) => macvlan::remove_parent(route, &net.document, options),
            Kind::Nothing => Ok(()),
        }
    }
}

/// What a request says to nobody: options that neither the driver nor who gives out addresses knows.
fn idle(document: &Network) -> Vec<String> {
    let ipam =
        document.ipam.options.keys().map(|key| {
            format!("the IPAM driver \"default\" has no options: {key} changes nothing")
        });
    let driver = document.driver.as_str();
    let known = |key: &&String| match driver {
        "macvlan" => options::is_of_macvlan(key),
        // A configuration's are read by the networks that follow it.
        "null" => true,
        _ => options::is_ours(key),
    };
    let options = document.options.keys().filter(|key| !known(key));
    let options =
        options.map(|key| format!("the {driver} driver has no option {key}: it changes nothing"));
    ipam.chain(options).collect()
}

/// Refuses what only drivers have that are not there.
fn check_driver(request: &NetworkRequest) -> Result<()> {
    let not_there = |what: String| Err(Error::NotImplemented(what));
    match request.driver.as_str() {
        "" | BRIDGE | "macvlan" => {}
        only @ ("host" | "null") => {
            return Err(Error::Forbidden(format!(
                "only one instance of \"{only}\" network is allowed"
            )));
        }
        driver @ ("overlay" | "ipvlan") => {
            return not_there(format!(
                "the network driver {driver:?} is not there yet; use bridge or macvlan"
            ));
        }
        other => {
            return Err(Error::Absent(format!(
                "could not resolve driver {other} in registry: plugin \"{other}\" not found"
            )));
        }
    }
    match request.ipam_driver.as_str() {
        "" | "default" => {}
        other => {
            return Err(Error::Absent(format!(
                "could not resolve IPAM driver {other} in registry: plugin \"{other}\" not found; leave --ipam-driver away"
            )));
        }
    }
    if !matches!(request.scope.as_str(), "" | "local") {
        return not_there(format!(
            "networks of scope {:?} are not there yet; leave --scope away",
            request.scope
        ));
    }
    if request.ingress {
        return not_there(
            "a routing mesh (--ingress) needs a swarm, which is not there yet".to_owned(),
        );
    }
    Ok(())
}

/// A network that is nothing but configuration for others.
fn configuration(request: &NetworkRequest) -> Result<Network> {
    if request.internal || request.attachable || !request.scope.is_empty() {
        return Err(Error::Forbidden(
            "configuration network can only contain network specific fields. Network operator fields like \
             [ ingress | internal | attachable | scope ] are not supported."
                .to_owned(),
        ));
    }
    let mut document = described(request);
    document.driver = "null".to_owned();
    document.config_only = true;
    document.enable_ipv4 = request.enable_ipv4.unwrap_or(true);
    document.enable_ipv6 = request.enable_ipv6.unwrap_or(false);
    let asked = request.ipam.iter();
    document.ipam.config = asked
        .filter_map(|asked| {
            Some(crate::document::IpamConfig {
                subnet: asked.subnet?,
                ip_range: asked.ip_range,
                gateway: asked.gateway,
                aux_addresses: asked.aux_addresses.clone(),
                chosen: asked.chosen,
            })
        })
        .collect();
    Ok(document)
}

/// What a request says without any doubt.
fn described(request: &NetworkRequest) -> Network {
    let id = match &request.origin {
        Some(origin) => origin.id.to_string(),
        None => ContainerId::from_bytes(rand::random()).to_string(),
    };
    let driver = match request.driver.as_str() {
        "" => BRIDGE,
        driver => driver,
    };
    let mut document = Network::new(&request.name, driver, id);
    if let Some(origin) = &request.origin {
        document.created = origin.created;
    }
    document.internal = request.internal;
    document.attachable = request.attachable;
    document.config_from = request.config_from.clone().unwrap_or_default();
    document.options.clone_from(&request.options);
    document.labels.clone_from(&request.labels);
    document.ipam = Ipam {
        driver: "default".to_owned(),
        options: request.ipam_options.clone(),
        config: Vec::new(),
    };
    document
}
