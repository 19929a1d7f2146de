//! Networks as documents: what `network inspect` shows, and what the catalogue keeps.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use onggi_model::Timestamp;
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
    /// "bridge", "host" or "null".
    pub driver: String,
    /// Whether its endpoints have IPv4 addresses.
    pub enable_ipv4: bool,
    /// Whether its endpoints have IPv6 addresses.
    pub enable_ipv6: bool,
    /// How addresses are given out.
    pub ipam: Ipam,
    /// Whether it has no way outside.
    pub internal: bool,
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
    /// Its subnets; none for `host` and `none`.
    pub config: Vec<IpamConfig>,
}

/// A subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpamConfig {
    /// The subnet.
    pub subnet: Ipv4Net,
    /// The host's address in it.
    pub gateway: Ipv4Addr,
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
                config: Vec::new(),
            },
            internal: false,
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }

    /// Takes over the settings of the default bridge.
    pub(crate) fn configure(&mut self, config: &Config, net: IpamConfig) {
        self.ipam.config = vec![net];
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
