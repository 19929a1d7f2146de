//! Links of the default bridge (`--link`): a container knows others by a name in its `/etc/hosts`, and their ports and
//! variables by its own environment. In other networks names are the resolver's.

use std::collections::BTreeMap;
use std::sync::Arc;

use onggi_api::container::HostConfig;
use onggi_model::Port;

use super::Record;
use crate::Engine;
use crate::error::{Error, Result};
use crate::spec::network::{Joined, Mode, name_of};

/// A container that another knows by an alias.
pub(crate) struct Link {
    child: Arc<Record>,
    alias: String,
}

/// The two names of `NAME:ALIAS`, of `NAME`, and of `/NAME:/PARENT/ALIAS`, which `inspect` shows.
fn parse(text: &str) -> Result<(&str, &str)> {
    let bad = || Error::invalid(format!("bad format for links: {text}"));
    let (name, alias) = text.split_once(':').unwrap_or((text, text));
    let name = name.trim_start_matches('/');
    let alias = alias.rsplit('/').next().unwrap_or(alias);
    if name.is_empty() || alias.is_empty() || alias.contains(':') {
        return Err(bad());
    }
    Ok((name, alias))
}

/// Settles the links of a new container: those of the default bridge as `inspect` shows them, those of another network
/// as its resolver needs them.
pub(crate) fn settle(
    engine: &Engine,
    name: &str,
    host: &mut HostConfig,
    joined: &mut Joined,
) -> Result<()> {
    if host.links.iter().flatten().next().is_none() {
        return Ok(());
    }
    match Mode::of(host) {
        Mode::Bridge => {}
        Mode::Named(network) => {
            // Clients send them in both places.
            if let Some(settings) = joined.get_mut(&name_of(engine, &network)) {
                let links = settings.links.get_or_insert_default();
                for link in host.links.take().unwrap_or_default() {
                    if !links.contains(&link) {
                        links.push(link);
                    }
                }
            }
            return Ok(());
        }
        Mode::Host | Mode::None | Mode::Container(_) => return Ok(()),
    }
    let isolated = engine.inner.networks.get("bridge").is_ok_and(|bridge| {
        bridge
            .options
            .get("com.docker.network.bridge.enable_icc")
            .map(String::as_str)
            == Some("false")
    });
    if isolated {
        return Err(Error::not_implemented(
            "links between containers that may not talk to each other (--icc=false) are not there yet; \
             publish the port, or use a network of your own",
        ));
    }
    for link in host.links.iter_mut().flatten() {
        let (other, alias) = parse(link)?;
        let child = engine.inner.containers.find(other).map_err(|fault| {
            Error::invalid(format!("could not get container for {other}: {fault}"))
        })?;
        let child = child.record();
        if Mode::of(&child.host_config) == Mode::Host {
            return Err(Error::invalid(
                "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
            ));
        }
        *link = format!("/{}:/{name}/{alias}", child.name);
    }
    Ok(())
}

impl Engine {
    /// Those that a container is linked to, as they run now.
    ///
    /// # Errors
    /// `Internal` for one that does not run, as Docker has it.
    pub(crate) fn links(&self, record: &Record) -> Result<Vec<Link>> {
        if Mode::of(&record.host_config) != Mode::Bridge {
            return Ok(Vec::new());
        }
        let mut links = Vec::new();
        for text in record.host_config.links.iter().flatten() {
            let (name, alias) = parse(text)?;
            let child = self.inner.containers.find(name)?.record();
            if !child.state.is_running() {
                return Err(Error::internal(format!(
                    "Cannot link to a non running container: /{} AS /{}/{alias}",
                    child.name, record.name
                )));
            }
            links.push(Link {
                child,
                alias: alias.to_owned(),
            });
        }
        Ok(links)
    }
}

impl Engine {
    /// The names that links of the default bridge give to containers, `/PARENT/ALIAS`, by the container's own, `/NAME`.
    pub(crate) fn linked_names(&self) -> BTreeMap<String, Vec<String>> {
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for parent in self.inner.containers.all() {
            for link in parent.record().host_config.links.iter().flatten() {
                if let Some((child, name)) = link.split_once(':') {
                    let given = names.entry(child.to_owned()).or_default();
                    given.push(name.to_owned());
                }
            }
        }
        names
    }

    /// Removes the link `PARENT/ALIAS`; what a running container knows of it, it keeps until it starts again.
    pub(crate) async fn remove_link(&self, link: &str) -> Result<()> {
        let Some((parent, alias)) = link.trim_start_matches('/').split_once('/') else {
            return Err(Error::conflict(
                "Conflict, cannot remove the default link name of the container",
            ));
        };
        let container = self.inner.containers.find(parent)?;
        let _writer = container.writer.lock().await;
        let record = container.record();
        let links = record.host_config.links.iter().flatten();
        let others = links.filter(|text| parse(text).is_ok_and(|(_, own)| own != alias));
        let rest: Vec<String> = others.cloned().collect();
        if rest.len() == record.host_config.links.iter().flatten().count() {
            return Err(Error::not_found(format!("No such link: {link}")));
        }
        self.commit(&container, |record| record.host_config.links = Some(rest))
            .await
    }
}

impl Link {
    /// Its address on the default bridge.
    fn address(&self) -> Option<String> {
        let mut endpoints = self.child.endpoints.iter();
        let endpoint = endpoints.find(|endpoint| endpoint.network == "bridge")?;
        Some(endpoint.address_v4()?.to_string())
    }

    /// What it adds to `/etc/hosts`.
    fn hosts(&self) -> String {
        let Some(address) = self.address() else {
            return String::new();
        };
        let (alias, name) = (&self.alias, &self.child.name);
        let mut line = format!("{address}\t{alias} {}", self.child.config.hostname);
        if alias != name {
            line.push(' ');
            line.push_str(name);
        }
        line.push('\n');
        line
    }

    /// What it adds to the environment.
    fn variables(&self, parent: &str) -> Vec<String> {
        let alias = self.alias.to_uppercase().replace('-', "_");
        let mut variables = Vec::new();
        if let Some(address) = self.address() {
            variables = port_variables(&alias, &address, &self.ports());
        }
        variables.push(format!("{alias}_NAME=/{parent}/{}", self.alias));
        let own = self.child.config.env.iter().flatten();
        for (name, value) in own.filter_map(|variable| variable.split_once('=')) {
            if !["HOME", "PATH"].contains(&name) {
                variables.push(format!("{alias}_ENV_{name}={value}"));
            }
        }
        variables
    }

    /// The ports it exposes, in their order.
    fn ports(&self) -> Vec<Port> {
        let exposed = self.child.config.exposed_ports.iter().flatten();
        let mut ports: Vec<Port> = exposed
            .filter_map(|(port, _)| Port::parse(&port).ok())
            .collect();
        ports.sort_by_key(|port| (port.number, port.protocol.as_str()));
        ports
    }
}

/// The variables of ports: one group for each, and one for each run of neighbours.
fn port_variables(alias: &str, address: &str, ports: &[Port]) -> Vec<String> {
    let mut variables = Vec::new();
    if let Some(first) = ports.first() {
        let protocol = first.protocol.as_str();
        variables.push(format!(
            "{alias}_PORT={protocol}://{address}:{}",
            first.number
        ));
    }
    for protocol in ["sctp", "tcp", "udp"] {
        let same = ports
            .iter()
            .filter(|port| port.protocol.as_str() == protocol);
        for (first, last) in runs(same.map(|port| port.number)) {
            if first == last {
                continue;
            }
            let upper = protocol.to_uppercase();
            let start = format!("{alias}_PORT_{first}_{upper}");
            variables.extend([
                format!("{start}_START={protocol}://{address}:{first}"),
                format!("{start}_PORT_START={first}"),
                format!("{alias}_PORT_{last}_{upper}_END={protocol}://{address}:{last}"),
                format!("{alias}_PORT_{last}_{upper}_PORT_END={last}"),
            ]);
        }
    }
    for port in ports {
        let (number, protocol) = (port.number, port.protocol.as_str());
        let name = format!("{alias}_PORT_{number}_{}", protocol.to_uppercase());
        variables.extend([
            format!("{name}={protocol}://{address}:{number}"),
            format!("{name}_ADDR={address}"),
            format!("{name}_PORT={number}"),
            format!("{name}_PROTO={protocol}"),
        ]);
    }
    variables
}

/// Numbers in their order as runs of neighbours, first and last.
fn runs(numbers: impl Iterator<Item = u16>) -> Vec<(u16, u16)> {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

/// The lines of links in `/etc/hosts`.
pub(crate) fn hosts(links: &[Link]) -> String {
    links.iter().map(Link::hosts).collect()
}

/// Adds the variables of links to an environment; what the container itself has, stays.
pub(crate) fn environment(links: &[Link], parent: &str, environment: &mut Vec<String>) {
    let name_of = |variable: &str| {
        let (name, _) = variable.split_once('=').unwrap_or((variable, ""));
        name.to_owned()
    };
    let mut added = BTreeMap::new();
    for variable in links.iter().flat_map(|link| link.variables(parent)) {
        added.insert(name_of(&variable), variable);
    }
    for own in environment.iter() {
        added.remove(&name_of(own));
    }
    environment.extend(added.into_values());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(parse("db").unwrap(), ("db", "db"));
        assert_eq!(parse("db:base").unwrap(), ("db", "base"));
        assert_eq!(parse("/db:/web/base").unwrap(), ("db", "base"));
        for bad in ["", ":x", "x:", "a:b:c"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_as_variables() {
        let ports = ["80/tcp", "81/tcp", "53/udp"].map(|port| Port::parse(port).unwrap());
        let mut ports = ports.to_vec();
        ports.sort_by_key(|port| port.number);
        let variables = port_variables("DB", "172.17.0.2", &ports);
        for expected in [
            "DB_PORT=udp://172.17.0.2:53",
            "DB_PORT_80_TCP=tcp://172.17.0.2:80",
            "DB_PORT_53_UDP_ADDR=172.17.0.2",
            "DB_PORT_80_TCP_START=tcp://172.17.0.2:80",
            "DB_PORT_81_TCP_END=tcp://172.17.0.2:81",
            "DB_PORT_81_TCP_PORT_END=81",
        ] {
            assert!(
                variables.iter().any(|v| v == expected),
                "{expected}: {variables:?}"
            );
        }
    }
}
