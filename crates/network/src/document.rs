//! Networks as documents: what `network inspect` shows, and what the catalogue keeps.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use onggi_model::{ContainerId, Timestamp};
use onggi_store::Record;
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its id: 64 hex digits, the same as long as the data root lives.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// "local".
    pub scope: String,
    /// "bridge", "macvlan", "host" or "null".
    pub driver: String,
    /// Whether its endpoints have IPv4 addresses.
    pub enable_ipv4: bool,
    /// Whether its endpoints have IPv6 addresses.
    pub enable_ipv6: bool,
    /// How addresses are given out.
    pub ipam: Ipam,
    /// Whether it has no way outside.
    pub internal: bool,
    /// Whether containers of others may be attached; of swarms only.
    #[serde(default)]
    pub attachable: bool,
    /// Whether it is a swarm's routing mesh.
    #[serde(default)]
    pub ingress: bool,
    /// Whether it is nothing but configuration for others.
    #[serde(default)]
    pub config_only: bool,
    /// The network whose configuration it has; empty for its own.
    #[serde(default)]
    pub config_from: String,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
}

/// How a network gives out addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipam {
    /// "default".
    pub driver: String,
    /// Options of that driver.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Its subnets; none for `host` and `none`.
    pub config: Vec<IpamConfig>,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpamConfig {
    /// The subnet.
    pub subnet: IpNet,
    /// The part of it that containers get addresses of; all of it if absent.
    #[serde(default)]
    pub ip_range: Option<IpNet>,
    /// The host's address in it.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// Addresses that are in use elsewhere, by name.
    #[serde(default)]
    pub aux_addresses: BTreeMap<String, IpAddr>,
    /// Whether nobody asked for this subnet: containers cannot ask for addresses of it.
    #[serde(default)]
    pub chosen: bool,
}

/// What a new network is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkRequest {
    /// Its name.
    pub name: String,
    /// Where it was before it came here; absent for a new one.
    pub origin: Option<Origin>,
    /// Its driver; "bridge" if empty.
    pub driver: String,
    /// Its scope; the driver's if empty.
    pub scope: String,
    /// Whether its endpoints have IPv4 addresses; they have, if absent.
    pub enable_ipv4: Option<bool>,
    /// Whether its endpoints have IPv6 addresses; only where a subnet says so, if absent.
    pub enable_ipv6: Option<bool>,
    /// Whether it has no way outside.
    pub internal: bool,
    /// Whether containers of others may be attached.
    pub attachable: bool,
    /// Whether it is a swarm's routing mesh.
    pub ingress: bool,
    /// Whether it is nothing but configuration for others.
    pub config_only: bool,
    /// The network whose configuration it has.
    pub config_from: Option<String>,
    /// Who gives out addresses; "default" if empty.
    pub ipam_driver: String,
    /// Options of that driver.
    pub ipam_options: BTreeMap<String, String>,
    /// The subnets.
    pub ipam: Vec<IpamRequest>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
}

/// A network that was elsewhere before keeps this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its id.
    pub id: ContainerId,
    /// When it was made.
    pub created: Timestamp,
}

/// A subnet that a new network is to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IpamRequest {
    /// The subnet; chosen if absent.
    pub subnet: Option<IpNet>,
    /// The part of it that containers get addresses of.
    pub ip_range: Option<IpNet>,
    /// The host's address in it; the first one if absent.
    pub gateway: Option<IpAddr>,
    /// Addresses that are in use elsewhere, by name.
    pub aux_addresses: BTreeMap<String, IpAddr>,
    /// Whether nobody asked for just this subnet: another one does where it is taken.
    pub chosen: bool,
}

impl Record for Network {
    const TABLE: &'static str = "network/networks";
}

impl Network {
    /// A network without subnets and options.
    pub(crate) fn new(name: &str, driver: &str, id: String) -> Self {
        Self {
            name: name.to_owned(),
            id,
            created: Timestamp::now(),
            scope: "local".to_owned(),
            driver: driver.to_owned(),
            enable_ipv4: true,
            enable_ipv6: false,
            ipam: Ipam {
                driver: "default".to_owned(),
                options: BTreeMap::new(),
                config: Vec::new(),
            },
            internal: false,
            attachable: false,
            ingress: false,
            config_only: false,
            config_from: String::new(),
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }

    /// Takes over the settings of the default bridge.
    pub(crate) fn configure(&mut self, config: &Config, nets: Vec<IpamConfig>) {
        self.enable_ipv6 = nets.iter().any(|net| matches!(net.subnet, IpNet::V6(_)));
        self.ipam.config = nets;
        let option = |key: &str, value: String| (format!("com.docker.network.{key}"), value);
        self.options = BTreeMap::from([
            option("bridge.default_bridge", "true".to_owned()),
            option("bridge.enable_icc", config.icc.to_string()),
            option("bridge.enable_ip_masquerade", config.ip_masq.to_string()),
            option(
                "bridge.host_binding_ipv4",
                config.default_publish_address.to_string(),
            ),
            option("bridge.name", config.bridge.clone()),
            option("driver.mtu", config.mtu.to_string()),
        ]);
    }
}
