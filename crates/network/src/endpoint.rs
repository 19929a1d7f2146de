//! A container's place in a network.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use onggi_model::ports::PortError;
use onggi_model::{ContainerId, HostBinding, Port};
use onggi_store::Record;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::mac::Mac;
use crate::sandbox;

/// The container's name of its link, instead of the next free one.
pub(crate) const INTERFACE: &str = "com.docker.network.endpoint.ifname";
/// Switches of the container's link, `net.ipv4.conf.IFNAME.NAME=VALUE,…`.
pub(crate) const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";
/// What Docker's own options begin with: others belong to whoever reads them.
const OURS: &str = "com.docker.network.";
/// What its daemon tells its drivers by such options, and how users say it.
const ELSEWHERE: [(&str, &str); 3] = [
    (
        "com.docker.network.endpoint.exposedports",
        "expose ports of the container (--expose)",
    ),
    (
        "com.docker.network.endpoint.macaddress",
        "give the endpoint a hardware address (--mac-address)",
    ),
    (
        "com.docker.network.portmap",
        "publish ports of the container (--publish)",
    ),
];

/// Checks the options of an endpoint.
///
/// # Errors
/// [`Error::Invalid`] for one of Docker's that is not known, or a value that cannot be used.
pub fn check_options<'a>(
    options: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<(), Error> {
    for (key, value) in options.into_iter().filter(|(key, _)| key.starts_with(OURS)) {
        match key.as_str() {
            INTERFACE => {
                if !onggi_netlink::link::is_valid_name(value) || value == "lo" {
                    return Err(Error::Invalid(format!("invalid interface name {value:?}")));
                }
            }
            SYSCTLS => drop(sandbox::read_sysctls(value)?),
            key => {
                let other = ELSEWHERE.iter().find(|(known, _)| *known == key);
                let instead = other.map_or_else(
                    || format!("leave it away, there are {INTERFACE} and {SYSCTLS}"),
                    |(_, instead)| format!("{instead} instead"),
                );
                return Err(Error::Invalid(format!(
                    "endpoints have no option {key}: {instead}"
                )));
            }
        }
    }
    Ok(())
}

/// What a container wants of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointRequest {
    /// The network, by name or id.
    pub network: String,
    /// The container's name, for error texts.
    pub name: String,
    /// This address and no other.
    pub ipv4: Option<Ipv4Addr>,
    /// This address of IPv6 and no other.
    pub ipv6: Option<Ipv6Addr>,
    /// These addresses beside, of no subnet.
    pub link_local: Vec<IpAddr>,
    /// This hardware address; random if absent.
    pub mac: Option<Mac>,
    /// The ports to publish.
    pub ports: Vec<PublishRequest>,
    /// What others in the network may call it, beside its name.
    pub aliases: Vec<String>,
    /// All names it answers to in the network.
    pub names: Vec<String>,
    /// The endpoint with the greatest gives the default route.
    pub gateway_priority: i64,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// Ports to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishRequest {
    /// The container's first port.
    pub port: Port,
    /// Where on the host that one is.
    pub host: HostBinding,
    /// How many ports: the others follow, at the ports of the host that follow, or each at any.
    pub length: u16,
}

impl PublishRequest {
    /// Reads the two texts of the API's `PortBinding`.
    ///
    /// # Errors
    /// Of kind `InvalidParameter`.
    pub fn new(port: Port, host_ip: &str, host_port: &str) -> Result<Self, PortError> {
        Ok(Self {
            port,
            host: HostBinding::parse(host_ip, host_port)?,
            length: 1,
        })
    }
}

/// A published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The container's port.
    pub port: Port,
    /// The host's address; 0.0.0.0 and :: for all of a family.
    pub host_ip: IpAddr,
    /// The host's port; 0 where the container is reached at its own address and port.
    pub host_port: u16,
    /// How many ports there are, each next to the one before, on both sides.
    #[serde(default = "one")]
    pub length: u16,
}

fn one() -> u16 {
    1
}

impl Published {
    /// The host's ports.
    #[must_use]
    pub fn host_ports(&self) -> std::ops::RangeInclusive<u16> {
        let behind = self.length.saturating_sub(1);
        self.host_port..=self.host_port.saturating_add(behind)
    }

    /// Each port on its own.
    pub fn each(self) -> impl Iterator<Item = Self> {
        (0..self.length).map(move |step| Self {
            port: Port::new(self.port.number.saturating_add(step), self.port.protocol),
            host_port: match self.host_port {
                0 => 0,
                port => port.saturating_add(step),
            },
            length: 1,
            ..self
        })
    }
}

/// An endpoint: what a container has in a network. There is one for each container and network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Kept")]
pub struct Endpoint {
    /// The container.
    pub container: ContainerId,
    /// The network's name.
    pub network: String,
    /// The network's id.
    pub network_id: String,
    /// The endpoint's own id, 64 hex digits.
    pub endpoint_id: String,
    /// The container's name of its link: "eth0".
    pub interface: String,
    /// The container's address, with the subnet's prefix.
    pub ipv4: Option<Ipv4Net>,
    /// The container's address of IPv6, with the subnet's prefix.
    pub ipv6: Option<Ipv6Net>,
    /// The host's address in the subnet, where the network has a way outside.
    pub gateway_v4: Option<Ipv4Addr>,
    /// The host's address in the subnet of IPv6.
    pub gateway_v6: Option<Ipv6Addr>,
    /// Addresses of no subnet.
    pub link_local: Vec<IpAddr>,
    /// The container's hardware address.
    pub mac: Mac,
    /// What is published where.
    pub ports: Vec<Published>,
    /// What others in the network may call it, beside its name.
    pub aliases: Vec<String>,
    /// All names it answers to in the network.
    pub names: Vec<String>,
    /// The endpoint with the greatest gives the default route.
    pub gateway_priority: i64,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// The endpoints of one container, as the catalogue keeps them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "OneOrMany")]
pub(crate) struct Endpoints(pub(crate) Vec<Endpoint>);

/// The published ports of a container that runs without a network at the moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Parked(pub(crate) Vec<Published>);

impl Record for Parked {
    const TABLE: &'static str = "network/parked";
}

/// Catalogues written when there was one network have one endpoint a container.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Endpoint>),
    One(Box<Endpoint>),
}

impl From<OneOrMany> for Endpoints {
    fn from(kept: OneOrMany) -> Self {
        match kept {
            OneOrMany::Many(all) => Self(all),
            OneOrMany::One(one) => Self(vec![*one]),
        }
    }
}

impl Record for Endpoints {
    const TABLE: &'static str = "network/endpoints";
}

impl Endpoint {
    /// The name of the host's end of its link.
    pub(crate) fn host_link(&self) -> String {
        format!(
            "veth{}",
            self.endpoint_id.get(..7).unwrap_or(&self.endpoint_id)
        )
    }

    /// The container's address, without the prefix.
    #[must_use]
    pub fn address_v4(&self) -> Option<Ipv4Addr> {
        self.ipv4.map(|net| net.addr())
    }

    /// The container's address of IPv6, without the prefix.
    #[must_use]
    pub fn address_v6(&self) -> Option<Ipv6Addr> {
        self.ipv6.map(|net| net.addr())
    }

    /// Its addresses, that of IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let v4 = self.address_v4().map(IpAddr::V4);
        v4.into_iter().chain(self.address_v6().map(IpAddr::V6))
    }
}

/// An endpoint as a catalogue may have it: those written when there was one network have an address without its prefix.
#[derive(Deserialize)]
struct Kept {
    container: ContainerId,
    network: String,
    network_id: String,
    endpoint_id: String,
    #[serde(default = "first_link")]
    interface: String,
    #[serde(default)]
    ipv4: Option<String>,
    #[serde(default)]
    prefix: Option<u8>,
    #[serde(default)]
    ipv6: Option<Ipv6Net>,
    #[serde(default, alias = "gateway")]
    gateway_v4: Option<Ipv4Addr>,
    #[serde(default)]
    gateway_v6: Option<Ipv6Addr>,
    #[serde(default)]
    link_local: Vec<IpAddr>,
    mac: Mac,
    #[serde(default)]
    ports: Vec<Published>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    gateway_priority: i64,
    #[serde(default)]
    options: BTreeMap<String, String>,
}

fn first_link() -> String {
    "eth0".to_owned()
}

impl TryFrom<Kept> for Endpoint {
    type Error = Error;

    fn try_from(kept: Kept) -> Result<Self, Error> {
        let bad = |text: &str| Error::Invalid(format!("invalid address of an endpoint: {text}"));
        let ipv4 = match (&kept.ipv4, kept.prefix) {
            (None, _) => None,
            (Some(text), None) => Some(text.parse().map_err(|_| bad(text))?),
            (Some(text), Some(prefix)) => {
                let address = text.parse().map_err(|_| bad(text))?;
                Some(Ipv4Net::new(address, prefix).map_err(|_| bad(text))?)
            }
        };
        Ok(Self {
            container: kept.container,
            network: kept.network,
            network_id: kept.network_id,
            endpoint_id: kept.endpoint_id,
            interface: kept.interface,
            ipv4,
            ipv6: kept.ipv6,
            gateway_v4: kept.gateway_v4,
            gateway_v6: kept.gateway_v6,
            link_local: kept.link_local,
            mac: kept.mac,
            ports: kept.ports,
            aliases: kept.aliases,
            names: kept.names,
            gateway_priority: kept.gateway_priority,
            options: kept.options,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_endpoints() {
        let check = |key: &str, value: &str| {
            let options = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            check_options(&options).map_err(|error| error.to_string())
        };
        assert!(check("com.example.colour", "red").is_ok());
        assert!(check(INTERFACE, "wan0").is_ok());
        assert!(check(SYSCTLS, "net.ipv4.conf.IFNAME.log_martians=1").is_ok());
        assert!(check(SYSCTLS, "net.ipv4.conf.ifname.log_martians=1").is_ok());
        for (key, value, why) in [
            (INTERFACE, "lo", "invalid interface name"),
            (SYSCTLS, "kernel.x=1", "IFNAME"),
            ("com.docker.network.endpoint.exposedports", "", "--expose"),
            (
                "com.docker.network.endpoint.macaddress",
                "",
                "--mac-address",
            ),
            ("com.docker.network.portmap", "", "--publish"),
            ("com.docker.network.endpoint.colour", "", "no option"),
        ] {
            assert!(check(key, value).unwrap_err().contains(why), "{key}");
        }
    }

    #[test]
    fn endpoints_of_before_are_read() {
        let id = "ab".repeat(32);
        let old = format!(
            r#"{{"container":"{id}","network":"bridge","network_id":"n","endpoint_id":"e","ipv4":"172.17.0.2","prefix":16,
                "gateway":"172.17.0.1","mac":"02:42:ac:11:00:02","ports":[]}}"#
        );
        let endpoint: Endpoint = serde_json::from_str(&old).unwrap();
        assert_eq!(endpoint.ipv4.unwrap().to_string(), "172.17.0.2/16");
        assert_eq!(endpoint.gateway_v4, Some(Ipv4Addr::new(172, 17, 0, 1)));
        assert_eq!(endpoint.interface, "eth0");
        let one = std::slice::from_ref(&endpoint);
        assert_eq!(serde_json::from_str::<Endpoints>(&old).unwrap().0, one);
        let again = serde_json::to_string(one).unwrap();
        assert_eq!(serde_json::from_str::<Endpoints>(&again).unwrap().0, one);
        let again = serde_json::to_string(&endpoint).unwrap();
        assert_eq!(serde_json::from_str::<Endpoint>(&again).unwrap(), endpoint);
    }
}
