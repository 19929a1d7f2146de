//! The sockets of a container's resolver: made inside its namespace, at ports of the kernel's choice, so that an image
//! with a resolver of its own has port 53; and the rules that lead 127.0.0.11:53 to them.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use onggi_netlink::nft::{
    self, Base, Comparison, Expression, Family, Hook, Kind, MetaKey, NatKind, PayloadBase, Place,
    Policy, Register, TableFlags, add_chain, add_rule, add_table, delete_table,
};
use onggi_netlink::{Batch, Protocol, Socket};
use onggi_sys::netns;

use crate::error::{Error, Result};

/// Docker's.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const PORT: u16 = 53;
/// Our table in the container's namespace. An engine inside the container has tables of other names.
const TABLE: &str = "onggi-names";

const UDP: u8 = 17;
const TCP: u8 = 6;
const A: Register = Register::word(0);
const B: Register = Register::word(1);

/// The sockets of one container.
#[derive(Debug)]
pub struct Sockets {
    pub(super) udp: OwnedFd,
    pub(super) tcp: OwnedFd,
    /// The namespace, for sockets to ask upstreams from.
    pub(super) netns: OwnedFd,
}

impl Sockets {
    pub(super) fn open(netns: OwnedFd) -> Result<Self> {
        let failed = "open the container's resolver";
        let (udp, tcp) = netns::in_namespace(netns.as_fd(), || -> Result<_> {
            let udp = UdpSocket::bind((ADDRESS, 0)).map_err(Error::io(failed))?;
            let tcp = TcpListener::bind((ADDRESS, 0)).map_err(Error::io(failed))?;
            udp.set_nonblocking(true).map_err(Error::io(failed))?;
            tcp.set_nonblocking(true).map_err(Error::io(failed))?;
            let port = |address: std::io::Result<std::net::SocketAddr>| {
                address
                    .map(|address| address.port())
                    .map_err(Error::io(failed))
            };
            lead(port(udp.local_addr())?, port(tcp.local_addr())?)?;
            Ok((udp.into(), tcp.into()))
        })
        .map_err(Error::io("enter the container's network namespace"))??;
        Ok(Self { udp, tcp, netns })
    }

    /// As the monitor gives them back; `None` where it has none.
    #[must_use]
    pub fn from_descriptors(descriptors: Vec<OwnedFd>) -> Option<Self> {
        let [udp, tcp, netns] = descriptors.try_into().ok()?;
        Some(Self { udp, tcp, netns })
    }

    /// Duplicates for the monitor: UDP, TCP, the namespace.
    ///
    /// # Errors
    /// The daemon has no descriptors left.
    pub fn duplicates(&self) -> Result<Vec<OwnedFd>> {
        let clone = |fd: &OwnedFd| {
            fd.try_clone()
                .map_err(Error::io("share a resolver's sockets"))
        };
        [&self.udp, &self.tcp, &self.netns]
            .into_iter()
            .map(clone)
            .collect()
    }
}

/// Leads port 53 to these ports, and lets replies come from port 53, in the namespace of this thread.
fn lead(udp: u16, tcp: u16) -> Result<()> {
    let failed = || Error::kernel("lead port 53 to the container's resolver");
    let mut socket = Socket::open(Protocol::Nftables).map_err(failed())?;
    let found = nft::table(&mut socket, Family::Ip, TABLE).map_err(failed())?;
    let mut batch = Batch::new();
    if found.is_some() {
        batch.push("replace our table", delete_table(Family::Ip, TABLE));
    }
    batch.push(
        "create our table",
        add_table(Family::Ip, TABLE, TableFlags::empty(), None),
    );
    for (chain, hook, priority) in [
        ("output", Hook::Output, -100),
        ("postrouting", Hook::Postrouting, 100),
    ] {
        let base = Base {
            kind: Kind::Nat,
            hook,
            priority,
            policy: Policy::Accept,
        };
        batch.push(
            "create a chain",
            add_chain(Family::Ip, TABLE, chain, Some(base)),
        );
        for (protocol, own) in [(UDP, udp), (TCP, tcp)] {
            let rule = match hook {
                Hook::Output => rule(protocol, NatKind::Destination, PORT, own),
                _ => rule(protocol, NatKind::Source, own, PORT),
            };
            let rule = add_rule(Family::Ip, TABLE, chain, Place::Last, &rule, None);
            batch.push("add a rule", rule);
        }
    }
    socket.transact(batch).map_err(failed())
}

/// This end of what has our address and the port `from` gets the port `to`.
fn rule(protocol: u8, kind: NatKind, from: u16, to: u16) -> Vec<Expression> {
    let (address, port) = match kind {
        NatKind::Destination => (16, 2),
        NatKind::Source => (12, 0),
    };
    let load = |base, offset, length| Expression::Payload {
        base,
        offset,
        length,
        to: A,
    };
    let is = |value: &[u8]| Expression::Compare {
        from: A,
        comparison: Comparison::Equal,
        value: value.to_vec(),
    };
    let value = |to, value: &[u8]| Expression::Immediate {
        to,
        value: value.to_vec(),
    };
    vec![
        Expression::Meta {
            key: MetaKey::TransportProtocol,
            to: A,
        },
        is(&[protocol]),
        load(PayloadBase::Network, address, 4),
        is(&ADDRESS.octets()),
        load(PayloadBase::Transport, port, 2),
        is(&from.to_be_bytes()),
        value(A, &ADDRESS.octets()),
        value(B, &to.to_be_bytes()),
        Expression::Nat {
            kind,
            family: Family::Ip,
            address: A,
            port: Some(B),
        },
    ]
}
