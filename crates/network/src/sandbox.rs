//! The container's side: what is set up inside its network namespace.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use onggi_netlink::{Batch, Protocol, Socket, address, link, route};
use onggi_sys::netns;

use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::sysctl;

/// The container's name of its link.
const LINK: &str = "eth0";
/// A bridge port forwards a moment after both ends are up; nobody waits longer for it than this.
const PATIENCE: Duration = Duration::from_millis(50);

/// Makes the veth pair: our end a port of the bridge, the other born in the namespace.
pub(crate) fn connect(
    socket: &mut Socket,
    endpoint: &Endpoint,
    bridge: u32,
    mtu: u32,
    namespace: BorrowedFd<'_>,
) -> Result<()> {
    let name = endpoint.host_link();
    let mut batch = Batch::new();
    let veth = link::Veth {
        name: &name,
        mtu,
        master: bridge,
        state: link::State::Up,
        peer: LINK,
        peer_mac: endpoint.mac.0,
        namespace,
    };
    batch.push("create the veth pair", link::add_veth(&veth));
    if sysctl::bridges_filter() {
        // What a container sends to its own published port is then turned round in the bridge, not by the router.
        batch.push("hairpin of the veth", link::set_hairpin(&name));
    }
    socket.transact(batch).map_err(|error| match error.errno() {
        Some(rustix::io::Errno::XFULL) => Error::Full(endpoint.network.clone()),
        _ => Error::kernel("connect the container to the bridge")(error),
    })
}

/// Gives the container's link its address and route, and waits until the bridge forwards for it.
pub(crate) fn configure(endpoint: &Endpoint, namespace: BorrowedFd<'_>) -> Result<()> {
    let absent = || Error::Invalid("an endpoint without an address".to_owned());
    let net = endpoint.ipv4.ok_or_else(absent)?;
    let gateway = endpoint.gateway_v4.ok_or_else(absent)?;
    let work = || -> Result<()> {
        let mut socket = Socket::open(Protocol::Route)
            .map_err(Error::kernel("open netlink in the container"))?;
        let peer = find(&mut socket)?;
        sysctl::disable_ipv6(LINK).map_err(Error::io("switch IPv6 off in the container"))?;
        let mut batch = Batch::new();
        batch
            .push(
                "loopback up",
                link::set_state_by_name("lo", link::State::Up),
            )
            .push(
                "arp_notify of the container's link",
                link::set_ipv4(LINK, &[link::Ipv4Switch::ArpNotify]),
            )
            .push("address of the container", address::add(peer.index, net))
            .push(
                "the container's link up",
                link::set_state(peer.index, link::State::Up),
            )
            .push(
                "default route of the container",
                route::add_default(gateway, peer.index),
            );
        socket
            .transact(batch)
            .map_err(Error::kernel("set up the container's link"))?;
        let deadline = Instant::now() + PATIENCE;
        while !find(&mut socket)?.carrying && Instant::now() < deadline {
            std::thread::yield_now();
        }
        // Neighbours that knew the address under another hardware address learn the new one now.
        let mut batch = Batch::new();
        batch.push(
            "tell the neighbours",
            link::set_mac(peer.index, endpoint.mac.0),
        );
        socket
            .transact(batch)
            .map_err(Error::kernel("tell the neighbours"))
    };
    netns::in_namespace(namespace, work)
        .map_err(Error::io("enter the container's network namespace"))?
}

/// Sets the loopback link of a namespace up.
pub(crate) fn loopback(namespace: impl AsFd) -> Result<()> {
    netns::in_namespace(namespace.as_fd(), onggi_sys::loopback::up)
        .and_then(|result| result)
        .map_err(Error::io("set up the container's loopback"))
}

fn find(socket: &mut Socket) -> Result<link::Link> {
    link::find(socket, LINK)
        .map_err(Error::kernel("look for the container's link"))?
        .ok_or_else(|| Error::Taken("the container's link vanished".to_owned()))
}
