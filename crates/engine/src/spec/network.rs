//! The network of a container: its mode, and what it asks of the network part.

use onggi_api::container::HostConfig;
use onggi_model::Port;
use onggi_network::{EndpointRequest, PublishRequest};

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

/// What a container needs of the network part; nothing where it has no endpoint of its own.
pub(crate) fn requests(record: &Record) -> Result<Vec<EndpointRequest>> {
    let host = &record.host_config;
    let mode = Mode::of(host);
    if let Mode::Named(name) = &mode {
        return Err(unknown(name));
    }
    if !record.config.mac_address.is_empty() {
        return Err(Error::not_implemented(
            "a MAC address of one's own (--mac-address) is not there yet; leave it away",
        ));
    }
    let endpoints = record.networking.endpoints_config.iter().flatten();
    for (name, settings) in endpoints {
        let known =
            ["bridge", "default"].contains(&name.as_str()) || name.starts_with("container:");
        if !known && *name != host.network_mode {
            return Err(unknown(name));
        }
        let Some(settings) = settings else { continue };
        if settings.asks_for_something() {
            return Err(Error::invalid(
                "user specified IP address, alias or MAC address is supported on user defined networks only",
            ));
        }
    }
    if mode != Mode::Bridge || record.config.network_disabled {
        return Ok(Vec::new());
    }
    Ok(vec![EndpointRequest {
        network: "bridge".to_owned(),
        name: record.name.clone(),
        ports: ports(record)?,
        ..EndpointRequest::default()
    }])
}

fn unknown(name: &str) -> Error {
    Error::not_implemented(format!(
        "network {name}: user networks are not there yet; use bridge, host, none or container:NAME"
    ))
}

/// The ports to publish: those bound, and with `-P` each exposed one at a free port.
fn ports(record: &Record) -> Result<Vec<PublishRequest>> {
    let host = &record.host_config;
    let mut ports = Vec::new();
    for (port, bindings) in host.port_bindings.iter().flatten() {
        let port = parse(port)?;
        let anywhere = Vec::new();
        let bindings = bindings.as_ref().unwrap_or(&anywhere);
        if bindings.is_empty() {
            ports.push(PublishRequest::new(port, "", "").map_err(|fault| Error::of(&fault))?);
        }
        for binding in bindings {
            let request = PublishRequest::new(port, &binding.host_ip, &binding.host_port);
            ports.push(request.map_err(|fault| Error::of(&fault))?);
        }
    }
    if host.publish_all_ports {
        for port in record
            .config
            .exposed_ports
            .iter()
            .flatten()
            .map(|(port, _)| port)
        {
            let port = parse(port)?;
            if !ports.iter().any(|request| request.port == port) {
                ports.push(PublishRequest::new(port, "", "").map_err(|fault| Error::of(&fault))?);
            }
        }
    }
    Ok(ports)
}

fn parse(port: &str) -> Result<Port> {
    Port::parse(port).map_err(|fault| Error::of(&fault))
}
