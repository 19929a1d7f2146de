//! A container's place in the world: networks, ports, links, namespaces of others.

use std::collections::BTreeMap;

use onggi_api::container::{PortBinding, PortMap, PortSet};
use onggi_api::go::Empty;
use onggi_api::network::{EndpointIpamConfig, EndpointSettings};
use onggi_model::Port as PortNumber;

use super::{Making, wrong};
use crate::error::Error;
use crate::service::{Application, NetworkLink, Service};

/// What the interface of an endpoint is called in the container.
const INTERFACE: &str = "com.docker.network.endpoint.ifname";

/// The ports that are exposed, and where they are published.
pub(super) fn ports(service: &Service) -> Result<(Option<PortSet>, Option<PortMap>), Error> {
    let mut exposed: BTreeMap<String, Empty> = BTreeMap::new();
    let mut bound: BTreeMap<String, Option<Vec<PortBinding>>> = BTreeMap::new();
    for text in &service.expose {
        let ports = PortNumber::parse_range(text);
        let ports = ports.map_err(|error| wrong(service, "expose", error.to_string()))?;
        exposed.extend(ports.into_iter().map(|port| (port.to_string(), Empty)));
    }
    for port in &service.ports {
        let protocol = match port.protocol.as_str() {
            "" => "tcp",
            protocol => protocol,
        };
        let name = format!("{}/{protocol}", port.target);
        PortNumber::parse(&name).map_err(|error| wrong(service, "ports", error.to_string()))?;
        exposed.insert(name.clone(), Empty);
        bound
            .entry(name)
            .or_default()
            .get_or_insert_default()
            .push(PortBinding {
                host_ip: port.host_ip.clone(),
                host_port: port.published.clone(),
            });
    }
    let exposed = (!exposed.is_empty()).then(|| exposed.into_iter().collect());
    let bound = (!bound.is_empty()).then(|| bound.into_iter().collect());
    Ok((exposed, bound))
}

/// The network the container is made in, and its place in each of its networks, by their real names.
pub(super) fn networks(
    application: &Application,
    service: &Service,
    making: &Making,
) -> Result<(String, BTreeMap<String, Option<EndpointSettings>>), Error> {
    if !service.network_mode.is_empty() {
        let mode = namespace(service, "network_mode", &service.network_mode, making)?;
        return Ok((mode, BTreeMap::new()));
    }
    let none = NetworkLink::default();
    let mut links: Vec<(&str, &NetworkLink)> = service
        .networks
        .iter()
        .map(|(key, link)| (key.as_str(), link.as_ref().unwrap_or(&none)))
        .collect();
    // The greatest priority first, then by name.
    links.sort_by(|left, right| {
        right
            .1
            .priority
            .cmp(&left.1.priority)
            .then(left.0.cmp(right.0))
    });
    let mut first = "none".to_owned();
    let mut endpoints = BTreeMap::new();
    for (index, (key, link)) in links.into_iter().enumerate() {
        let network = application.networks.get(key);
        let name = network.map_or_else(
            || format!("{}_{key}", application.name),
            |network| network.name.clone(),
        );
        let mut endpoint = endpoint(service, link, making);
        if index == 0 {
            first.clone_from(&name);
            if endpoint.mac_address.is_empty() {
                endpoint.mac_address.clone_from(&service.mac_address);
            }
        }
        endpoints.insert(name, Some(endpoint));
    }
    Ok((first, endpoints))
}

fn endpoint(service: &Service, link: &NetworkLink, making: &Making) -> EndpointSettings {
    let mut aliases = Vec::new();
    if making.aliases {
        aliases.push(service.name.clone());
        aliases.extend(link.aliases.iter().cloned());
        aliases.dedup();
    }
    let addresses = EndpointIpamConfig {
        ipv4_address: link.ipv4_address.clone(),
        ipv6_address: link.ipv6_address.clone(),
        link_local_ips: Some(link.link_local_ips.clone()).filter(|ips| !ips.is_empty()),
    };
    let mut options = link.driver_opts.clone();
    if !link.interface_name.is_empty() {
        options.insert(INTERFACE.to_owned(), link.interface_name.clone());
    }
    EndpointSettings {
        ipam_config: Some(addresses)
            .filter(|addresses| *addresses != EndpointIpamConfig::default()),
        links: Some(links(service, making)).filter(|links| !links.is_empty()),
        aliases: Some(aliases).filter(|aliases| !aliases.is_empty()),
        driver_opts: Some(options).filter(|options| !options.is_empty()),
        gw_priority: link.gw_priority,
        mac_address: link.mac_address.clone(),
        ..EndpointSettings::default()
    }
}

/// `container:alias` for each container of each linked service, under the names that Compose gives them.
pub(super) fn links(service: &Service, making: &Making) -> Vec<String> {
    let mut all = Vec::new();
    for link in &service.links {
        let (other, alias) = link.split_once(':').unwrap_or((link, link));
        for container in making.known.get(other).into_iter().flatten() {
            let name = &container.name;
            all.push(format!("{name}:{alias}"));
            all.push(format!("{name}:{other}-{}", container.number));
            all.push(format!("{name}:{name}"));
        }
    }
    for link in &service.external_links {
        let (other, alias) = link.split_once(':').unwrap_or((link, link));
        all.push(format!("{other}:{alias}"));
    }
    all
}

/// A mode as the API has it: `service:db` is the first container of that service.
pub(super) fn namespace(
    service: &Service,
    key: &str,
    mode: &str,
    making: &Making,
) -> Result<String, Error> {
    let Some(other) = mode.strip_prefix("service:") else {
        return Ok(mode.to_owned());
    };
    let first = making.known.get(other).and_then(|all| all.first());
    match first {
        Some(first) => Ok(format!("container:{}", first.id)),
        None => {
            let message =
                format!("service \"{other}\" has no container whose namespace could be shared");
            let hint = format!("start {other} too, or leave --no-deps away");
            Err(wrong(service, key, message).hint(hint).into())
        }
    }
}
