//! What can go wrong in networks, in Docker's words where clients know them.

use std::io;
use std::net::IpAddr;

use onggi_model::{ErrorKind, Fault, Port};

/// A failure of the network part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such network.
    #[error("network {0} not found")]
    NoNetwork(String),
    /// The network has no endpoints: `host`, `none`, or the bridge is switched off.
    #[error("network {0} takes no endpoints")]
    NoEndpoints(String),
    /// The container has no endpoint.
    #[error("container {0} has no endpoint")]
    NoEndpoint(String),
    /// A setting cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// All addresses are taken.
    #[error("no available {family} addresses on this network's address pools: {name} ({id})")]
    NoAddress {
        /// "IPv4" or "IPv6".
        family: &'static str,
        /// The network.
        name: String,
        /// Its id.
        id: String,
    },
    /// Someone has this address.
    #[error("Address already in use")]
    AddressInUse,
    /// Every pool overlaps with what the host routes.
    #[error(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"
    )]
    NoPool,
    /// Every /64 of ours overlaps with what the host routes.
    #[error(
        "could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network"
    )]
    NoPool6,
    /// Another network has the addresses.
    #[error("invalid pool request: Pool overlaps with other one on this address space")]
    Overlap {
        /// The other network.
        network: String,
        /// Its subnet.
        subnet: ipnet::IpNet,
    },
    /// Someone has the name.
    #[error("network with name {0} already exists")]
    Exists(String),
    /// It cannot be had, whoever asks.
    #[error("{0}")]
    Forbidden(String),
    /// It is not there yet.
    #[error("{0}")]
    NotImplemented(String),
    /// Something that is named is not there.
    #[error("{0}")]
    Absent(String),
    /// The ports could not be published.
    #[error("driver failed programming external connectivity on endpoint {name} ({endpoint})")]
    Publish {
        /// The container's name.
        name: String,
        /// The endpoint's id.
        endpoint: String,
        /// Which port, and why.
        #[source]
        source: Box<PublishError>,
    },
    /// The bridge has as many ports as Linux lets it have.
    #[error("network {0} is full: a bridge takes 1023 ports")]
    Full(String),
    /// Something on the machine is in our way.
    #[error("{0}")]
    Taken(String),
    /// The kernel refused.
    #[error("{what}")]
    Kernel {
        /// What was being done.
        what: &'static str,
        /// What it said.
        #[source]
        source: onggi_netlink::Error,
    },
    /// A file or a thread.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The work could not be run, or ended in a panic.
    #[error(transparent)]
    Task(#[from] onggi_rt::Error),
    /// The catalogue.
    #[error(transparent)]
    Store(#[from] onggi_store::Error),
}

/// Why a port could not be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Another container has it.
    #[error("Bind for {ip}:{port} failed: port is already allocated")]
    Allocated {
        /// The host's address.
        ip: IpAddr,
        /// The host's port.
        port: u16,
        /// The container's name.
        holder: String,
    },
    /// A process of the host has it, or the address is none of the host's.
    #[error("failed to bind host port for {ip}:{ports}:{container}:{port}: {reason}")]
    Bind {
        /// The host's address.
        ip: IpAddr,
        /// The host's port or range.
        ports: String,
        /// The container's address.
        container: IpAddr,
        /// The container's port.
        port: Port,
        /// The kernel's reason, in Go's words.
        reason: String,
    },
    /// None of the range is free.
    #[error("all ports are allocated")]
    Exhausted,
    /// The container has no address of this family.
    #[error("cannot publish {port} on {ip}: the container has no address of this family there")]
    Family {
        /// The container's port.
        port: Port,
        /// The host's address.
        ip: IpAddr,
    },
}

/// Shorthand of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn kernel(what: &'static str) -> impl FnOnce(onggi_netlink::Error) -> Self {
        move |source| Self::Kernel { what, source }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            what: what.into(),
            source,
        }
    }
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoNetwork(_) | Self::NoEndpoint(_) | Self::Absent(_) => ErrorKind::NotFound,
            Self::Forbidden(_) | Self::Overlap { .. } => ErrorKind::Forbidden,
            Self::NotImplemented(_) => ErrorKind::NotImplemented,
            Self::Invalid(_) => ErrorKind::InvalidParameter,
            Self::NoEndpoints(_) | Self::AddressInUse | Self::Taken(_) | Self::Exists(_) => {
                ErrorKind::Conflict
            }
            Self::Publish { source, .. } if matches!(**source, PublishError::Family { .. }) => {
                ErrorKind::InvalidParameter
            }
            // Docker answers 500 for ports and addresses that are taken; clients look at the text.
            Self::Publish { .. }
            | Self::NoAddress { .. }
            | Self::NoPool
            | Self::NoPool6
            | Self::Full(_)
            | Self::Kernel { .. }
            | Self::Io { .. }
            | Self::Task(_) => ErrorKind::Internal,
            Self::Store(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoPool | Self::NoPool6 => Some(
                "give the network a subnet (--subnet), the default bridge an address (--bip), or the daemon other pools \
                 (--default-address-pool)"
                    .to_owned(),
            ),
            Self::Overlap { network, subnet } => {
                Some(format!("the network {network} has {subnet}: choose another subnet"))
            }
            Self::Publish { source, .. } => match &**source {
                PublishError::Allocated { holder, .. } => Some(format!(
                    "choose another host port, or stop container {holder}, which has it"
                )),
                PublishError::Bind { .. } => {
                    Some("choose another host port, or stop what uses it".to_owned())
                }
                _ => None,
            },
            _ => None,
        }
    }
}
