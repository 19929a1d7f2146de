//! The network of a container: its mode, and what it asks of the network part.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use onggi_api::container::{Config, HostConfig, NetworkingConfig, PortBinding, PortMap, PortSet};
use onggi_api::network::EndpointSettings;
use onggi_model::Port;
use onggi_network::{EndpointRequest, Mac, Network, PublishRequest};

use crate::Engine;
use crate::container::Record;
use crate::error::{Error, Result};

/// `HostConfig.NetworkMode`, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The default bridge.
    Bridge,
    /// The host's own network.
    Host,
    /// Loopback only.
    None,
    /// Another container's.
    Container(String),
    /// A network by name.
    Named(String),
}

impl Mode {
    pub(crate) fn of(host: &HostConfig) -> Self {
        match host.network_mode.as_str() {
            "" | "default" | "bridge" => Self::Bridge,
            "host" => Self::Host,
            "none" => Self::None,
            mode => match mode.strip_prefix("container:") {
                Some(container) => Self::Container(container.to_owned()),
                None => Self::Named(mode.to_owned()),
            },
        }
    }
}

/// What a container asks of each of its networks, by their names; nothing where it has none of its own.
pub(crate) type Joined = BTreeMap<String, EndpointSettings>;

/// The networks of a new container, from what its creator says. Refuses what cannot be had.
pub(crate) fn settle(
    engine: &Engine,
    config: &Config,
    host: &HostConfig,
    networking: &NetworkingConfig,
) -> Result<Joined> {
    let mode = Mode::of(host);
    let asked = networking.endpoints_config.iter().flatten();
    let asked = asked.map(|(name, settings)| (name.as_str(), settings.clone().unwrap_or_default()));
    let own = match mode {
        Mode::Bridge => "bridge".to_owned(),
        Mode::Named(name) => match name_of(engine, &name) {
            mode if mode == "host" || mode == "none" => {
                return Err(Error::invalid(format!(
                    "network {name} is {mode}, which containers have by its name alone: use --network {mode}"
                )));
            }
            name => name,
        },
        Mode::Host | Mode::None | Mode::Container(_) => {
            check_without(config, host, asked)?;
            return Ok(Joined::new());
        }
    };
    let mut joined = Joined::new();
    for (name, settings) in asked {
        let name = match name {
            "default" => "bridge".to_owned(),
            name => name_of(engine, name),
        };
        if name == "host" || name == "none" {
            return Err(both(&name));
        }
        check_settings(engine, &name, &settings)?;
        joined.insert(name, settings);
    }
    let own = joined.entry(own).or_default();
    if !config.mac_address.is_empty() && own.mac_address.is_empty() {
        own.mac_address.clone_from(&config.mac_address);
        mac(&own.mac_address)?;
    }
    Ok(joined)
}

/// Who has no network of its own has no place in another either.
fn check_without<'a>(
    config: &Config,
    host: &HostConfig,
    asked: impl Iterator<Item = (&'a str, EndpointSettings)>,
) -> Result<()> {
    if !config.mac_address.is_empty() {
        return Err(Error::invalid(
            "conflicting options: mac-address and the network mode",
        ));
    }
    for (name, settings) in asked {
        let same = name == host.network_mode || name == "default" || name.starts_with("container:");
        if !same {
            return Err(both(&host.network_mode));
        }
        if settings.asks_for_something() {
            return Err(Error::invalid(format!(
                "invalid config for network {name}: invalid endpoint settings:\n\
                 addresses, aliases and hardware addresses are supported on user defined networks only"
            )));
        }
    }
    Ok(())
}

/// `host`, `none` and another container's network beside one more.
pub(crate) fn both(mode: &str) -> Error {
    Error::invalid(match mode {
        "host" => "container cannot be disconnected from host network or connected to host network",
        "none" => {
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        }
        _ => {
            "container sharing network namespace with another container or host cannot be connected to any other network"
        }
    })
}

/// The name of a network that is named by its id perhaps. One that is not there is missed at the start.
pub(crate) fn name_of(engine: &Engine, name: &str) -> String {
    match engine.inner.networks.get(name) {
        Ok(network) => network.name,
        Err(_) => name.to_owned(),
    }
}

/// Refuses wishes that a network cannot fulfil, in Docker's words.
pub(crate) fn check_settings(
    engine: &Engine,
    name: &str,
    settings: &EndpointSettings,
) -> Result<()> {
    let mut wrong = Vec::new();
    let ipam = settings.ipam_config.clone().unwrap_or_default();
    let aliases = settings.aliases.as_ref().is_some_and(|all| !all.is_empty());
    if name == "bridge" {
        let link_local = ipam.link_local_ips.iter().flatten().count() > 0;
        if !ipam.ipv4_address.is_empty() || !ipam.ipv6_address.is_empty() || link_local {
            wrong.push(
                "user specified IP address is supported on user defined networks only".to_owned(),
            );
        }
        if aliases {
            wrong.push(
                "network-scoped alias is supported only for containers in user defined networks"
                    .to_owned(),
            );
        }
    }
    let network = engine.inner.networks.get(name).ok();
    for (text, kind) in [(&ipam.ipv4_address, "IPv4"), (&ipam.ipv6_address, "IPv6")] {
        if text.is_empty() {
            continue;
        }
        let address: Option<IpAddr> = text.parse().ok();
        match address.filter(|ip| !ip.is_unspecified() && ip.is_ipv4() == (kind == "IPv4")) {
            None => wrong.push(format!("invalid {kind} address: {text}")),
            Some(ip) if name != "bridge" => {
                wrong.extend(
                    network
                        .as_ref()
                        .and_then(|network| out_of_range(network, ip)),
                );
            }
            Some(_) => {}
        }
    }
    for text in ipam.link_local_ips.iter().flatten() {
        let address: Option<IpAddr> = text.parse().ok();
        if address.is_none_or(|ip| ip.is_unspecified()) {
            wrong.push(format!("invalid link-local IP address: {text}"));
        }
    }
    if let Err(fault) = onggi_network::check_options(settings.driver_opts.iter().flatten()) {
        wrong.push(fault.to_string());
    }
    if mac(&settings.mac_address).is_err() {
        wrong.push(format!("invalid MAC address {}", settings.mac_address));
    }
    match wrong.as_slice() {
        [] => Ok(()),
        [one] => Err(Error::invalid(format!(
            "invalid config for network {name}: invalid endpoint settings:\n{one}"
        ))),
        several => Err(Error::invalid(format!(
            "invalid config for network {name}: invalid endpoint settings:\n* {}",
            several.join("\n* ")
        ))),
    }
}

/// Why an address cannot be asked for in a network.
fn out_of_range(network: &Network, ip: IpAddr) -> Option<String> {
    let configs = network.ipam.config.iter();
    let mut asked = configs
        .filter(|config| !config.chosen && config.subnet.addr().is_ipv4() == ip.is_ipv4())
        .peekable();
    if asked.peek().is_none() {
        return Some(
            "user specified IP address is supported only when connecting to networks with user configured subnets"
                .to_owned(),
        );
    }
    let inside = asked.any(|config| config.subnet.contains(&ip));
    (!inside).then(|| format!("no configured subnet or ip-range contain the IP address {ip}"))
}

fn mac(text: &str) -> Result<Option<Mac>> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|fault| Error::of(&fault)),
    }
}

/// The names by which others in a network find a container: none in the default one.
pub(crate) fn names(record: &Record, network: &str, settings: &EndpointSettings) -> Vec<String> {
    if network == "bridge" {
        return Vec::new();
    }
    let mut names = vec![record.name.clone()];
    names.extend(settings.aliases.iter().flatten().cloned());
    names.push(record.id.short().to_owned());
    names.push(record.config.hostname.clone());
    let mut seen = BTreeSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

/// What a container needs of the network part; nothing where it has no endpoint of its own.
pub(crate) fn requests(engine: &Engine, record: &Record) -> Result<Vec<EndpointRequest>> {
    if record.config.network_disabled {
        return Ok(Vec::new());
    }
    let joined = record.joined();
    let own = match Mode::of(&record.host_config) {
        Mode::Named(name) => name_of(engine, &name),
        _ => "bridge".to_owned(),
    };
    let mut requests = Vec::with_capacity(joined.len());
    for (name, settings) in joined.iter() {
        requests.push(request(record, name, settings)?);
    }
    // The network of `--network` has the first link.
    requests.sort_by_key(|request| request.network != own);
    Ok(requests)
}

/// What a container needs of one network.
pub(crate) fn request(
    record: &Record,
    network: &str,
    settings: &EndpointSettings,
) -> Result<EndpointRequest> {
    let ipam = settings.ipam_config.clone().unwrap_or_default();
    let bad = |text: &str| Error::invalid(format!("invalid IP address: {text}"));
    let link_local = ipam.link_local_ips.iter().flatten();
    Ok(EndpointRequest {
        network: network.to_owned(),
        name: record.name.clone(),
        ipv4: some(&ipam.ipv4_address).map_err(|()| bad(&ipam.ipv4_address))?,
        ipv6: some(&ipam.ipv6_address).map_err(|()| bad(&ipam.ipv6_address))?,
        link_local: link_local
            .map(|text| text.parse().map_err(|_| bad(text)))
            .collect::<Result<_>>()?,
        mac: mac(&settings.mac_address)?,
        ports: ports(record)?,
        aliases: settings.aliases.clone().unwrap_or_default(),
        names: names(record, network, settings),
        gateway_priority: settings.gw_priority,
        options: settings.driver_opts.clone().unwrap_or_default(),
    })
}

fn some<T: std::str::FromStr>(text: &str) -> Result<Option<T>, ()> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| ()),
    }
}

/// The ports to publish: those bound, and with `-P` each exposed one at a free port.
fn ports(record: &Record) -> Result<Vec<PublishRequest>> {
    let host = &record.host_config;
    let mut ports = Vec::new();
    let mut bound = Vec::new();
    for (first, length, bindings) in host.port_bindings.iter().flat_map(PortMap::runs) {
        let port = parse(&first)?;
        bound.push((port, length));
        let anywhere = [PortBinding::default()];
        let bindings = match bindings.as_deref() {
            None | Some([]) => &anywhere[..],
            Some(bindings) => bindings,
        };
        for binding in bindings {
            let request = PublishRequest::new(port, &binding.host_ip, &binding.host_port);
            let request = request.map_err(|fault| Error::of(&fault))?;
            ports.push(PublishRequest { length, ..request });
        }
    }
    if host.publish_all_ports {
        let is_bound = |port: Port| {
            bound.iter().any(|(first, length): &(Port, u16)| {
                let by = port.number.checked_sub(first.number);
                first.protocol == port.protocol && by.is_some_and(|by| by < *length)
            })
        };
        for (first, length) in record.config.exposed_ports.iter().flat_map(PortSet::runs) {
            let first = parse(&first)?;
            for by in 0..length {
                let port = Port::new(first.number.saturating_add(by), first.protocol);
                if !is_bound(port) {
                    let request = PublishRequest::new(port, "", "");
                    ports.push(request.map_err(|fault| Error::of(&fault))?);
                }
            }
        }
    }
    Ok(ports)
}

fn parse(port: &str) -> Result<Port> {
    Port::parse(port).map_err(|fault| Error::of(&fault))
}
