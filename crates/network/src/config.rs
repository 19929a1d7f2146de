//! What the daemon's configuration says about networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::address;
use crate::default;
use crate::error::Error;

/// The settings of the default bridge, named as dockerd's flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Name of the bridge; `none` for no bridge at all.
    pub bridge: String,
    /// The bridge's address with its prefix; chosen if absent.
    pub bip: Option<Ipv4Net>,
    /// Whether the bridge has IPv6 beside.
    pub ipv6: bool,
    /// The bridge's address of IPv6 with its prefix; chosen if absent.
    pub bip6: Option<Ipv6Net>,
    /// Largest packet of containers.
    pub mtu: u32,
    /// Whether containers of the bridge may talk to each other beyond published ports.
    pub icc: bool,
    /// Whether `net.ipv4.ip_forward` is switched on.
    pub ip_forward: bool,
    /// Whether containers reach the outside under the host's addresses.
    pub ip_masq: bool,
    /// Whether there are rules of IPv4: without them nothing is published, translated or kept apart.
    pub iptables: bool,
    /// The same for IPv6.
    pub ip6tables: bool,
    /// The host address of `-p` without one.
    pub default_publish_address: Ipv4Addr,
    /// The part of the bridge's subnet that containers get addresses of; all of it if absent.
    pub fixed_cidr: Option<Ipv4Net>,
    /// The same for IPv6; without `bip6` it is the subnet.
    pub fixed_cidr_v6: Option<Ipv6Net>,
    /// The router of the bridge's containers; the bridge if absent.
    pub default_gateway: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub default_gateway_v6: Option<Ipv6Addr>,
    /// Where subnets are taken from, in this order; Docker's pools if empty.
    pub pools: Vec<Pool>,
    /// What containers know as `host-gateway`, one of a family at most; the bridge if empty.
    pub host_gateways: Vec<IpAddr>,
    /// Whose rules published ports obey.
    pub publish_policy: PublishPolicy,
}

/// Whose rules published ports obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PublishPolicy {
    /// Ours alone: what is published is reached, as with Docker.
    #[default]
    Docker,
    /// The host's as well: what comes by a wire must be let in by its own input rules, as for any server of the host.
    Host,
}

/// A range that is cut into subnets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// The range.
    pub base: Ipv4Net,
    /// Prefix length of each piece.
    pub size: u8,
}

impl Pool {
    /// A range in pieces.
    ///
    /// # Errors
    /// Pieces larger than the range, or without room for containers.
    pub fn new(base: Ipv4Net, size: u8) -> Result<Self, Error> {
        if base.prefix_len() > size || size > 30 {
            return Err(Error::Invalid(format!(
                "invalid pool: size {size} of base {base} must be between {} and 30",
                base.prefix_len()
            )));
        }
        Ok(Self {
            base: base.trunc(),
            size,
        })
    }

    /// The pieces.
    pub(crate) fn subnets(self) -> impl Iterator<Item = Ipv4Net> {
        self.base.subnets(self.size).into_iter().flatten()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bridge: "onggi0".to_owned(),
            bip: None,
            ipv6: false,
            bip6: None,
            mtu: 1500,
            icc: true,
            ip_forward: true,
            ip_masq: true,
            iptables: true,
            ip6tables: true,
            default_publish_address: Ipv4Addr::UNSPECIFIED,
            fixed_cidr: None,
            fixed_cidr_v6: None,
            default_gateway: None,
            default_gateway_v6: None,
            pools: Vec::new(),
            host_gateways: Vec::new(),
            publish_policy: PublishPolicy::Docker,
        }
    }
}

impl Config {
    /// Checks what can be checked without the kernel.
    ///
    /// # Errors
    /// An address of the bridge that is none, a range of containers outside its subnet, containers that are to be kept
    /// apart without rules.
    pub fn check(&self) -> Result<(), Error> {
        if !self.iptables && !self.icc {
            return Err(Error::Invalid(
                "You specified --iptables=false with --icc=false. ICC=false uses iptables to function. Please set --icc or --iptables to true"
                    .to_owned(),
            ));
        }
        if let Some(bip) = self.bip {
            address::check_bip(bip)?;
            if let Some(range) = self.fixed_cidr {
                address::check_range("fixed-cidr", bip.trunc().into(), range.into())?;
            }
            default::check_router(bip.into(), self.default_gateway.map(IpAddr::V4))?;
        }
        if !self.ipv6 {
            return Ok(());
        }
        let range = self.fixed_cidr_v6;
        if let Some(range) = range {
            address::check_net_v6("fixed-cidr-v6", range)?;
        }
        let Some(bip) = self.bip6 else {
            return Ok(());
        };
        address::check_net_v6("bip6", bip)?;
        if bip.addr() == bip.network() {
            return Err(Error::Invalid(format!(
                "bip6 {bip} must be the address of the bridge, not of the subnet"
            )));
        }
        if let Some(range) = range {
            address::check_range("fixed-cidr-v6", bip.trunc().into(), range.into())?;
        }
        default::check_router(bip.into(), self.default_gateway_v6.map(IpAddr::V6))
    }

    /// What is said about IPv6 of the default bridge and has no effect without it.
    #[must_use]
    pub fn idle_without_ipv6(&self) -> Vec<&'static str> {
        let said = [
            ("bip6", self.bip6.is_some()),
            ("fixed-cidr-v6", self.fixed_cidr_v6.is_some()),
            ("default-gateway-v6", self.default_gateway_v6.is_some()),
        ];
        let idle = said.into_iter().filter(|(_, said)| *said && !self.ipv6);
        idle.map(|(name, _)| name).collect()
    }

    /// The bridge's name, unless there is to be none.
    pub(crate) fn bridge_name(&self) -> Option<&str> {
        (self.bridge != "none").then_some(self.bridge.as_str())
    }
}
