//! The files of its own that a container sees in `/etc`: hosts, hostname, resolv.conf.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use onggi_api::container::HostConfig;
use onggi_model::ContainerId;
use onggi_network::{Endpoint, dns};

use super::{Container, Record, has_names, links};
use crate::Engine;
use crate::error::{Error, Result};
use crate::spec::network::Mode;

/// What every hosts file begins with.
const HOSTS: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// What its resolv.conf was when we wrote it.
const MADE: &str = "resolv.conf.made";

impl Engine {
    /// The container whose network this one is in, through any number of `container:`; itself, but for those.
    pub(crate) fn network_owner(&self, record: &Record) -> ContainerId {
        // A ring cannot run; it must not hang either.
        const MOST: usize = 32;
        let mut owner = record.id.clone();
        let mut mode = Mode::of(&record.host_config);
        for _ in 0..MOST {
            let Mode::Container(other) = &mode else { break };
            let Ok(other) = self.inner.containers.find(other) else {
                break;
            };
            owner = other.id.clone();
            mode = Mode::of(&other.record().host_config);
        }
        owner
    }

    /// Who shares a network shares its names: host name and domain name are those of the network's owner.
    pub(crate) async fn share_names(&self, container: &Arc<Container>) -> Result<()> {
        let record = container.record();
        let owner = self.network_owner(&record);
        if owner == record.id {
            return Ok(());
        }
        let owner = self.inner.containers.find(owner.as_str())?.record();
        let names = (&owner.config.hostname, &owner.config.domainname);
        if names == (&record.config.hostname, &record.config.domainname) {
            return Ok(());
        }
        self.commit(container, |record| {
            record.config.hostname.clone_from(names.0);
            record.config.domainname.clone_from(names.1);
        })
        .await
    }

    /// Writes them anew for a run. A container in another's network uses that one's.
    pub(crate) fn write_files(&self, record: &Record, endpoints: &[Endpoint]) -> Result<()> {
        let host = &record.host_config;
        let mode = Mode::of(host);
        if matches!(mode, Mode::Container(_)) {
            return Ok(());
        }
        let directory = self.container_directory(&record.id);
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let hosts = match mode {
            Mode::Host => read("/etc/hosts"),
            _ => hosts(record, endpoints) + &links::hosts(&self.links(record)?),
        };
        let hosts = hosts + &extra_hosts(host, &self.inner.networks.host_gateways())?;
        let resolv_conf = match mode {
            Mode::Host if host.dns.is_none() => read("/etc/resolv.conf"),
            _ if endpoints.iter().any(has_names) => self.embedded_resolv_conf(record, endpoints),
            _ => {
                let ipv6 = endpoints.iter().any(|endpoint| endpoint.ipv6.is_some());
                dns::container_resolv_conf(&dns::host_resolv_conf(), &self.resolver(host), ipv6)
            }
        };
        make_directory(&directory)?;
        write(&directory.join("hosts"), &hosts)?;
        write(
            &directory.join("hostname"),
            &format!("{}\n", record.config.hostname),
        )?;
        write(&directory.join(MADE), &resolv_conf)?;
        write(&directory.join("resolv.conf"), &resolv_conf)
    }

    /// Writes the resolv.conf of a container that came into a network with names while it runs. One that somebody has
    /// changed stays.
    pub(crate) fn renew_resolv_conf(&self, record: &Record) -> Result<()> {
        let directory = self.container_directory(&record.id);
        let (made, file) = (directory.join(MADE), directory.join("resolv.conf"));
        if std::fs::read(&made).ok() != std::fs::read(&file).ok() {
            return Ok(());
        }
        let text = self.embedded_resolv_conf(record, &record.endpoints);
        write(&made, &text)?;
        write(&file, &text)
    }

    fn embedded_resolv_conf(&self, record: &Record, endpoints: &[Endpoint]) -> String {
        let ipv6 = endpoints.iter().any(|endpoint| endpoint.ipv6.is_some());
        dns::embedded_resolv_conf(&self.resolver(&record.host_config), ipv6).0
    }

    /// The container's resolver settings, else the daemon's.
    pub(super) fn resolver(&self, host: &HostConfig) -> dns::Options {
        let config = &self.inner.config;
        let or = |own: &Option<Vec<String>>, daemon: &[String]| match own {
            Some(own) if !own.is_empty() => own.clone(),
            _ => daemon.to_vec(),
        };
        dns::Options {
            servers: or(&host.dns, &config.dns),
            search: or(&host.dns_search, &config.dns_search),
            options: or(&host.dns_options, &config.dns_options),
        }
    }
}

fn hosts(record: &Record, endpoints: &[Endpoint]) -> String {
    HOSTS.to_owned() + &own_lines(record, endpoints)
}

/// What a container is called at its own addresses.
fn own_lines(record: &Record, endpoints: &[Endpoint]) -> String {
    let (name, domain) = (&record.config.hostname, &record.config.domainname);
    // A name with dots is a domain too; programs ask for either.
    let full = match domain.as_str() {
        "" => name.clone(),
        domain => format!("{name}.{domain}"),
    };
    let names = match full.split_once('.') {
        Some((short, _)) => format!("{full} {short}"),
        None => full,
    };
    let mut lines = String::new();
    for address in endpoints.iter().flat_map(Endpoint::addresses) {
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{address}\t{names}");
    }
    lines
}

impl Engine {
    /// Adds the lines of a network that a running container came into. What else is in the file, stays.
    pub(crate) fn add_hosts(&self, record: &Record, endpoint: &Endpoint) -> Result<()> {
        self.change_hosts(record, |hosts| {
            hosts.push_str(&own_lines(record, std::slice::from_ref(endpoint)));
        })
    }

    /// Takes the lines of a network away that a running container left.
    pub(crate) fn remove_hosts(&self, record: &Record, endpoint: &Endpoint) -> Result<()> {
        let gone = own_lines(record, std::slice::from_ref(endpoint));
        self.change_hosts(record, |hosts| {
            let kept = hosts
                .lines()
                .filter(|line| !gone.lines().any(|own| own == *line));
            *hosts = kept.flat_map(|line| [line, "\n"]).collect();
        })
    }

    fn change_hosts(&self, record: &Record, change: impl FnOnce(&mut String)) -> Result<()> {
        let path = self.container_directory(&record.id).join("hosts");
        let mut hosts = std::fs::read_to_string(&path)
            .map_err(|e| Error::io(format_args!("read {}", path.display()), e))?;
        change(&mut hosts);
        write(&path, &hosts)
    }
}

/// `--add-host NAME:ADDRESS`; `host-gateway` stands for the addresses by which containers reach the host.
pub(crate) fn extra_hosts(host: &HostConfig, gateways: &[IpAddr]) -> Result<String> {
    let mut lines = String::new();
    for entry in host.extra_hosts.iter().flatten() {
        let bad = || Error::invalid(format!("bad format for add-host: \"{entry}\""));
        let (name, address) = entry.split_once(':').ok_or_else(bad)?;
        let addresses = match address {
            "host-gateway" if gateways.is_empty() => {
                return Err(Error::invalid(
                    "unable to derive the IP value for host-gateway",
                ));
            }
            "host-gateway" => gateways.to_vec(),
            address => {
                let bare = address.trim_start_matches('[').trim_end_matches(']');
                let bad =
                    |_| Error::invalid(format!("invalid IP address in add-host: \"{address}\""));
                vec![bare.parse().map_err(bad)?]
            }
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(bad());
        }
        for address in addresses {
            let _ = writeln!(lines, "{address}\t{name}");
        }
    }
    Ok(lines)
}

/// The container's directory is there from its first start on, or from when its files were first looked at.
fn make_directory(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::io(format_args!("make {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

/// In place, so that a container that has the file mounted sees it; 0644 as `/etc` has them.
fn write(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text)
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)))
        .map_err(|e| Error::io(format_args!("write {}", path.display()), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extra(entries: &[&str]) -> Result<String> {
        let entries = entries.iter().map(|&e| e.to_owned()).collect();
        let host = HostConfig {
            extra_hosts: Some(entries),
            ..HostConfig::default()
        };
        let six = "fd00::1".parse().expect("an address");
        extra_hosts(&host, &[IpAddr::from([172, 17, 0, 1]), six])
    }

    #[test]
    fn extra_hosts_are_appended() {
        let lines = extra(&["db:10.0.0.5", "six:[::1]", "host:host-gateway"]).expect("good ones");
        assert_eq!(
            lines,
            "10.0.0.5\tdb\n::1\tsix\n172.17.0.1\thost\nfd00::1\thost\n"
        );
        for bad in ["db", "db:nowhere", ":10.0.0.1", "a b:10.0.0.1"] {
            assert!(extra(&[bad]).is_err(), "{bad}");
        }
    }
}
