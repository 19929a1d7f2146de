//! What the daemon's configuration says about networks.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;

use crate::address;
use crate::error::Error;

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
    /// Whether there are rules of IPv4: without them nothing is published, translated or kept apart.
    pub iptables: bool,
    /// The same for IPv6.
    pub ip6tables: bool,
    /// The host address of `-p` without one.
    pub default_publish_address: Ipv4Addr,
    /// The part of the bridge's subnet that containers get addresses of; all of it if absent.
    pub fixed_cidr: Option<Ipv4Net>,
    /// Where subnets are taken from, in this order; Docker's pools if empty.
    pub pools: Vec<Pool>,
    /// What containers know as `host-gateway`; the bridge if absent.
    pub host_gateway: Option<IpAddr>,
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
            mtu: 1500,
            icc: true,
            ip_forward: true,
            ip_masq: true,
            iptables: true,
            ip6tables: true,
            default_publish_address: Ipv4Addr::UNSPECIFIED,
            fixed_cidr: None,
            pools: Vec::new(),
            host_gateway: None,
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
        let Some(bip) = self.bip else {
            return Ok(());
        };
        address::check_bip(bip)?;
        match self.fixed_cidr {
            Some(range) => address::check_range(bip.trunc(), range),
            None => Ok(()),
        }
    }

    /// The bridge's name, unless there is to be none.
    pub(crate) fn bridge_name(&self) -> Option<&str> {
        (self.bridge != "none").then_some(self.bridge.as_str())
    }
}
