//! What the daemon's configuration says about networks.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// The settings of the default bridge, named as dockerd's flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Name of the bridge; `none` for no bridge at all.
    pub bridge: String,
    /// The bridge's address with its prefix; chosen if absent.
    pub bip: Option<Ipv4Net>,
    /// Largest packet of containers.
    pub mtu: u32,
    /// Whether containers of the bridge may talk to each other beyond published ports.
    pub icc: bool,
    /// Whether `net.ipv4.ip_forward` is switched on.
    pub ip_forward: bool,
    /// Whether containers reach the outside under the host's addresses.
    pub ip_masq: bool,
    /// The host address of `-p` without one.
    pub default_publish_address: Ipv4Addr,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bridge: "onggi0".to_owned(),
            bip: None,
            mtu: 1500,
            icc: true,
            ip_forward: true,
            ip_masq: true,
            default_publish_address: Ipv4Addr::UNSPECIFIED,
        }
    }
}

impl Config {
    /// The bridge's name, unless there is to be none.
    pub(crate) fn bridge_name(&self) -> Option<&str> {
        (self.bridge != "none").then_some(self.bridge.as_str())
    }
}
