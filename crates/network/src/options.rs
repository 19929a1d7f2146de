//! What the options of networks say: `com.docker.network.*`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use onggi_netlink::link::MacvlanMode;

use crate::document::Network;
use crate::error::{Error, Result};
use crate::firewall::GatewayMode;

const PREFIX: &str = "com.docker.network.";
/// What links of containers are called where nobody says otherwise.
const LINKS: &str = "eth";
/// The largest packet, where nobody says otherwise.
const MTU: u32 = 1500;

/// The options of a network with a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BridgeOptions {
    /// The bridge.
    pub(crate) name: String,
    /// Whether it is to be the default one.
    pub(crate) is_default: bool,
    /// Whether its containers may talk to each other.
    pub(crate) icc: bool,
    /// Whether they leave under the host's addresses.
    pub(crate) masquerade: bool,
    /// The host's address for published ports without one.
    pub(crate) host: Option<IpAddr>,
    /// The largest packet.
    pub(crate) mtu: u32,
    /// How it is reached.
    pub(crate) mode_v4: GatewayMode,
    /// The same for IPv6.
    pub(crate) mode_v6: GatewayMode,
    /// Whether the host has no address of IPv4 in it.
    pub(crate) inhibit_ipv4: bool,
    /// What links of its containers are called, before the number.
    pub(crate) prefix: String,
}

/// The options of a network that shares a link of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MacvlanOptions {
    /// The host's link, as it was asked for; empty for one without a wire.
    pub(crate) parent: String,
    /// Who hears whom.
    pub(crate) mode: MacvlanMode,
    /// The largest packet; the parent's if absent.
    pub(crate) mtu: Option<u32>,
    /// What links of its containers are called, before the number.
    pub(crate) prefix: String,
}

impl BridgeOptions {
    /// The name of a bridge that nobody chose one for.
    pub(crate) fn own_name(id: &str) -> String {
        format!("br-{}", id.get(..12).unwrap_or(id))
    }

    /// Reads the options of a network's document.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an option that the driver does not know or a value that it cannot use.
    pub(crate) fn read(network: &Network) -> Result<Self> {
        let mut options = Self {
            name: Self::own_name(&network.id),
            is_default: false,
            icc: true,
            masquerade: true,
            host: None,
            mtu: MTU,
            mode_v4: GatewayMode::Nat,
            mode_v6: GatewayMode::Nat,
            inhibit_ipv4: false,
            prefix: LINKS.to_owned(),
        };
        for (key, value) in ours(&network.options) {
            match key {
                "bridge.name" if !value.is_empty() => value.clone_into(&mut options.name),
                "bridge.name" => {}
                "bridge.default_bridge" => options.is_default = boolean(key, value)?,
                "bridge.enable_icc" => options.icc = boolean(key, value)?,
                "bridge.enable_ip_masquerade" => options.masquerade = boolean(key, value)?,
                "bridge.host_binding_ipv4" => options.host = Some(parse(key, value)?),
                "bridge.inhibit_ipv4" => options.inhibit_ipv4 = boolean(key, value)?,
                "bridge.gateway_mode_ipv4" => options.mode_v4 = gateway_mode(key, value)?,
                "bridge.gateway_mode_ipv6" => options.mode_v6 = gateway_mode(key, value)?,
                "driver.mtu" => options.mtu = mtu(key, value)?,
                "container_iface_prefix" | "container_interface_prefix" => {
                    options.prefix = link_prefix(key, value)?;
                }
                _ => return Err(unknown("bridge", key)),
            }
        }
        if !onggi_netlink::link::is_valid_name(&options.name) {
            return Err(Error::Invalid(format!(
                "invalid bridge name {:?}: 1 to 15 characters without spaces and slashes",
                options.name
            )));
        }
        let isolated = [options.mode_v4, options.mode_v6].contains(&GatewayMode::Isolated);
        if isolated && !network.internal {
            return Err(Error::Invalid(
                "gateway mode 'isolated' can only be used for an internal network".to_owned(),
            ));
        }
        Ok(options)
    }

    /// The host's address of IPv4 for published ports without one.
    pub(crate) fn host_v4(&self) -> Option<Ipv4Addr> {
        match self.host {
            None => Some(Ipv4Addr::UNSPECIFIED),
            Some(IpAddr::V4(ip)) => Some(ip),
            Some(IpAddr::V6(_)) => None,
        }
    }

    /// The host's address of IPv6 for published ports without one: as Docker, all where that of IPv4 is all.
    pub(crate) fn host_v6(&self) -> Option<Ipv6Addr> {
        match self.host {
            None => Some(Ipv6Addr::UNSPECIFIED),
            Some(IpAddr::V4(ip)) => ip.is_unspecified().then_some(Ipv6Addr::UNSPECIFIED),
            Some(IpAddr::V6(ip)) => Some(ip),
        }
    }
}

impl MacvlanOptions {
    /// Reads the options of a network's document.
    ///
    /// # Errors
    /// As [`BridgeOptions::read`].
    pub(crate) fn read(network: &Network) -> Result<Self> {
        let mut options = Self {
            parent: String::new(),
            mode: MacvlanMode::Bridge,
            mtu: None,
            prefix: LINKS.to_owned(),
        };
        for (key, value) in &network.options {
            match key.strip_prefix(PREFIX).unwrap_or(key) {
                "parent" => value.clone_into(&mut options.parent),
                "macvlan_mode" => options.mode = macvlan_mode(value)?,
                "driver.mtu" => options.mtu = Some(mtu(key, value)?),
                "container_iface_prefix" | "container_interface_prefix" => {
                    options.prefix = link_prefix(key, value)?;
                }
                known if known != key => return Err(unknown("macvlan", known)),
                _ => {}
            }
        }
        Ok(options)
    }
}

/// Whether an option is one of Docker's own: drivers refuse those that they do not know.
pub(crate) fn is_ours(key: &str) -> bool {
    key.starts_with(PREFIX)
}

/// As [`is_ours`]; macvlan knows some without what they have in common.
pub(crate) fn is_of_macvlan(key: &str) -> bool {
    is_ours(key) || ["parent", "macvlan_mode"].contains(&key)
}

/// Docker's own options, without what they have in common. Others belong to whoever reads them.
fn ours(options: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    options
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value.as_str())))
}

fn unknown(driver: &str, key: &str) -> Error {
    Error::Invalid(format!(
        "the {driver} driver has no option {PREFIX}{key}; leave it away"
    ))
}

/// As Go reads booleans.
fn boolean(key: &str, value: &str) -> Result<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(bad(key, value)),
    }
}

fn parse<T: std::str::FromStr>(key: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| bad(key, value))
}

fn mtu(key: &str, value: &str) -> Result<u32> {
    let mtu: u32 = parse(key, value)?;
    // RFC 791: every link carries 68 bytes.
    if (68..=65_535).contains(&mtu) {
        Ok(mtu)
    } else {
        Err(bad(key, value))
    }
}

fn gateway_mode(key: &str, value: &str) -> Result<GatewayMode> {
    match value {
        "" | "nat" => Ok(GatewayMode::Nat),
        "nat-unprotected" => Ok(GatewayMode::NatUnprotected),
        "routed" => Ok(GatewayMode::Routed),
        "isolated" => Ok(GatewayMode::Isolated),
        _ => Err(Error::Invalid(format!(
            "unknown gateway mode {value} ({PREFIX}{key}): nat, nat-unprotected, routed or isolated"
        ))),
    }
}

fn macvlan_mode(value: &str) -> Result<MacvlanMode> {
    match value {
        "" | "bridge" => Ok(MacvlanMode::Bridge),
        "private" => Ok(MacvlanMode::Private),
        "vepa" => Ok(MacvlanMode::Vepa),
        "passthru" => Ok(MacvlanMode::Passthru),
        _ => Err(Error::Invalid(format!(
            "requested macvlan mode '{value}' is not valid, 'bridge' mode is the macvlan driver default"
        ))),
    }
}

fn link_prefix(key: &str, value: &str) -> Result<String> {
    // With room for a number.
    if value.len() <= 12 && onggi_netlink::link::is_valid_name(value) {
        Ok(value.to_owned())
    } else {
        Err(bad(key, value))
    }
}

fn bad(key: &str, value: &str) -> Error {
    let key = key.strip_prefix(PREFIX).unwrap_or(key);
    Error::Invalid(format!("failed to parse {PREFIX}{key} value: {value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(options: &[(&str, &str)]) -> Network {
        let mut network = Network::new("n", "bridge", "0123456789abcdef".to_owned());
        let options = options.iter();
        network.options = options
            .map(|(key, value)| (format!("{PREFIX}{key}"), (*value).to_owned()))
            .collect();
        network
    }

    #[test]
    fn options_of_bridges() {
        let read = |options: &[(&str, &str)]| BridgeOptions::read(&network(options));
        let plain = read(&[]).unwrap();
        assert_eq!((plain.name.as_str(), plain.mtu), ("br-0123456789ab", 1500));
        assert!(plain.icc && plain.masquerade && !plain.inhibit_ipv4);
        assert_eq!(plain.host_v6(), Some(Ipv6Addr::UNSPECIFIED));
        let own = read(&[
            ("bridge.name", "mine"),
            ("bridge.enable_icc", "false"),
            ("bridge.host_binding_ipv4", "127.0.0.1"),
            ("bridge.gateway_mode_ipv4", "routed"),
            ("driver.mtu", "9000"),
            ("container_iface_prefix", "net"),
        ])
        .unwrap();
        assert_eq!((own.name.as_str(), own.mtu, own.icc), ("mine", 9000, false));
        assert_eq!(
            (own.host_v4(), own.host_v6()),
            (Some(Ipv4Addr::LOCALHOST), None)
        );
        assert_eq!(
            (own.mode_v4, own.prefix.as_str()),
            (GatewayMode::Routed, "net")
        );
        for (key, value) in [
            ("bridge.enable_icc", "maybe"),
            ("bridge.name", "a name that is far too long"),
            ("bridge.gateway_mode_ipv4", "by magic"),
            ("bridge.gateway_mode_ipv6", "isolated"),
            ("driver.mtu", "20"),
            ("bridge.nonsense", "1"),
        ] {
            assert!(read(&[(key, value)]).is_err(), "{key}={value}");
        }
    }

    #[test]
    fn options_of_macvlan() {
        let mut network = network(&[]);
        network.options = BTreeMap::from([
            ("parent".to_owned(), "eth0.5".to_owned()),
            ("macvlan_mode".to_owned(), "vepa".to_owned()),
        ]);
        let options = MacvlanOptions::read(&network).unwrap();
        assert_eq!(
            (options.parent.as_str(), options.mode),
            ("eth0.5", MacvlanMode::Vepa)
        );
        network
            .options
            .insert("macvlan_mode".to_owned(), "x".to_owned());
        assert!(MacvlanOptions::read(&network).is_err());
    }
}
