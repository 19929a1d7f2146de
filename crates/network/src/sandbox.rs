//! The container's side: what is set up inside its network namespace.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use onggi_netlink::{Batch, Protocol, Socket, address, link, route};
use onggi_sys::netns;

use crate::endpoint::{Endpoint, SYSCTLS};
use crate::error::{Error, Result};
use crate::gateway::Gateways;
use crate::options::MacvlanOptions;
use crate::sysctl;

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
        peer: &endpoint.interface,
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

/// Makes the container's part of a link of the host, born in the namespace.
pub(crate) fn share(
    socket: &mut Socket,
    endpoint: &Endpoint,
    parent: u32,
    options: &MacvlanOptions,
    namespace: BorrowedFd<'_>,
) -> Result<()> {
    let mut batch = Batch::new();
    let macvlan = link::Macvlan {
        name: &endpoint.interface,
        parent,
        mode: options.mode,
        mtu: options.mtu,
        mac: endpoint.mac.0,
        namespace,
    };
    batch.push("create the macvlan link", link::add_macvlan(&macvlan));
    socket
        .transact(batch)
        .map_err(Error::kernel("connect the container to the host's link"))
}

/// Gives links of the container that were just made their addresses, sets the default routes, and waits until bridges
/// forward for them. `before` are the default routes there are already.
pub(crate) fn configure(
    endpoints: &[Endpoint],
    before: &Gateways,
    after: &Gateways,
    namespace: BorrowedFd<'_>,
) -> Result<()> {
    within(namespace, || {
        let mut socket = open()?;
        let links = list(&mut socket)?;
        let mut batch = Batch::new();
        batch.push(
            "loopback up",
            link::set_state_by_name("lo", link::State::Up),
        );
        let mut indexes = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            let index = find(&links, &endpoint.interface)?.index;
            indexes.push(index);
            set_up(&mut batch, endpoint, index)?;
        }
        change_routes(&mut socket, &mut batch, &links, before, after)?;
        socket
            .transact(batch)
            .map_err(Error::kernel("set up the container's link"))?;
        let deadline = Instant::now() + PATIENCE;
        let carries = |links: &[link::Link]| {
            indexes
                .iter()
                .all(|index| links.iter().any(|l| l.index == *index && l.carrying))
        };
        while !carries(&list(&mut socket)?) && Instant::now() < deadline {
            std::thread::yield_now();
        }
        // Neighbours that knew the address under another hardware address learn the new one now.
        let mut batch = Batch::new();
        for (endpoint, index) in endpoints.iter().zip(&indexes) {
            batch.push("tell the neighbours", link::set_mac(*index, endpoint.mac.0));
        }
        socket
            .transact(batch)
            .map_err(Error::kernel("tell the neighbours"))
    })
}

/// Changes the default routes of a container that runs; `gone` is its link of a network that it leaves, where the other
/// end does not take it along.
pub(crate) fn reroute(
    gone: Option<&str>,
    before: &Gateways,
    after: &Gateways,
    namespace: BorrowedFd<'_>,
) -> Result<()> {
    within(namespace, || {
        let mut socket = open()?;
        let mut links = list(&mut socket)?;
        let leaves = |link: &link::Link| Some(link.name.as_str()) == gone;
        if let Some(gone) = links.iter().find(|link| leaves(link)) {
            crate::bridge::delete_link(&mut socket, gone.index)?;
        }
        links.retain(|link| !leaves(link));
        let mut batch = Batch::new();
        change_routes(&mut socket, &mut batch, &links, before, after)?;
        socket
            .transact(batch)
            .map_err(Error::kernel("set the container's default route"))
    })
}

/// Whether each endpoint's link is there and up, with its addresses.
pub(crate) fn observe(endpoints: &[Endpoint], namespace: BorrowedFd<'_>) -> Result<Vec<bool>> {
    within(namespace, || {
        let mut socket = open()?;
        let links = list(&mut socket)?;
        let present = address::list(&mut socket)
            .map_err(Error::kernel("look for the container's addresses"))?;
        let is_whole = |endpoint: &Endpoint| {
            let link = links.iter().find(|link| link.name == endpoint.interface);
            link.is_some_and(|link| {
                let has = |net: IpNet| {
                    present
                        .iter()
                        .any(|a| a.index == link.index && a.net == net)
                };
                link.up
                    && endpoint.ipv4.is_none_or(|net| has(net.into()))
                    && endpoint.ipv6.is_none_or(|net| has(net.into()))
            })
        };
        Ok(endpoints.iter().map(is_whole).collect())
    })
}

/// Sets the loopback link of a namespace up.
pub(crate) fn loopback(namespace: impl AsFd) -> Result<()> {
    netns::in_namespace(namespace.as_fd(), onggi_sys::loopback::up)
        .and_then(|result| result)
        .map_err(Error::io("set up the container's loopback"))
}

/// The addresses of one link, and the link up.
fn set_up(batch: &mut Batch, endpoint: &Endpoint, index: u32) -> Result<()> {
    let link = endpoint.interface.as_str();
    let has_v6 = endpoint.ipv6.is_some() || endpoint.link_local.iter().any(|ip| ip.is_ipv6());
    if has_v6 {
        sysctl::carry_ipv6_at_once(link)
            .and_then(|()| sysctl::announce_ipv6(link))
            .map_err(Error::io("switch IPv6 on in the container"))?;
    } else {
        sysctl::disable_ipv6(link).map_err(Error::io("switch IPv6 off in the container"))?;
    }
    for (name, value) in sysctls(endpoint)? {
        sysctl::set(link, name, value)
            .map_err(Error::io(format!("set {name} in the container")))?;
    }
    batch.push(
        "arp_notify of the container's link",
        link::set_ipv4(link, &[link::Ipv4Switch::ArpNotify]),
    );
    if let Some(net) = endpoint.ipv4 {
        batch.push("address of the container", address::add(index, net));
    }
    batch.push(
        "the container's link up",
        link::set_state(index, link::State::Up),
    );
    // The kernel takes addresses of IPv6 away from links that are down.
    if let Some(net) = endpoint.ipv6 {
        batch.push("IPv6 address of the container", address::add(index, net));
    }
    for ip in &endpoint.link_local {
        batch.push(
            "link-local address of the container",
            address::add(index, IpNet::from(*ip)),
        );
    }
    Ok(())
}

/// The switches that the endpoint is to have set. Those of its own link only.
fn sysctls(endpoint: &Endpoint) -> Result<Vec<(&str, &str)>> {
    let text = endpoint.options.get(SYSCTLS);
    text.map_or_else(|| Ok(Vec::new()), |text| read_sysctls(text))
}

/// Reads switches of a link.
pub(crate) fn read_sysctls(text: &str) -> Result<Vec<(&str, &str)>> {
    let read = |entry| check_sysctl(entry);
    text.split(',').map(read).collect()
}

/// Reads one `net.FAMILY.KIND.IFNAME.NAME=VALUE`.
fn check_sysctl(entry: &str) -> Result<(&str, &str)> {
    let bad = || {
        Error::Invalid(format!(
            "unrecognised network interface sysctl '{entry}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
        ))
    };
    let (name, value) = entry.trim().split_once('=').ok_or_else(bad)?;
    let parts: Vec<&str> = name.split('.').collect();
    let family = ["ipv4", "ipv6", "mpls"];
    let good = |part: &&str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    match parts.as_slice() {
        // Docker's client writes it small.
        ["net", second, _, "IFNAME" | "ifname", _]
            if family.contains(second) && parts.iter().all(good) =>
        {
            Ok((name, value))
        }
        _ => Err(bad()),
    }
}

/// Takes the old default routes away, as far as they are there: the container may have changed them. Adds the new ones
/// to the batch.
fn change_routes(
    socket: &mut Socket,
    batch: &mut Batch,
    links: &[link::Link],
    before: &Gateways,
    after: &Gateways,
) -> Result<()> {
    for (old, new) in [(&before.v4, &after.v4), (&before.v6, &after.v6)] {
        if old == new {
            continue;
        }
        // What went by a link that is gone went with it.
        let gone = |link: &&link::Link| old.as_ref().is_some_and(|(name, _)| link.name == *name);
        if let (Some((_, gateway)), Some(link)) = (old, links.iter().find(gone)) {
            let mut old = Batch::new();
            old.push(
                "old default route of the container",
                route::delete(&route::Route::default_by(*gateway, link.index)),
            );
            match socket.transact(old) {
                Err(error) if !error.is_absent() => {
                    return Err(Error::kernel("change the container's default route")(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        if let Some((name, gateway)) = new {
            let index = find(links, name)?.index;
            batch.push(
                "default route of the container",
                route::add_default(*gateway, index),
            );
        }
    }
    Ok(())
}

fn within<T: Send>(
    namespace: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    netns::in_namespace(namespace, work)
        .map_err(Error::io("enter the container's network namespace"))?
}

fn open() -> Result<Socket> {
    Socket::open(Protocol::Route).map_err(Error::kernel("open netlink in the container"))
}

fn list(socket: &mut Socket) -> Result<Vec<link::Link>> {
    link::list(socket).map_err(Error::kernel("look for the container's link"))
}

fn find<'a>(links: &'a [link::Link], name: &str) -> Result<&'a link::Link> {
    links
        .iter()
        .find(|link| link.name == name)
        .ok_or_else(|| Error::Taken("the container's link vanished".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_of_links() {
        assert_eq!(
            check_sysctl("net.ipv4.conf.IFNAME.log_martians=1").unwrap(),
            ("net.ipv4.conf.IFNAME.log_martians", "1")
        );
        for bad in [
            "net.ipv4.conf.IFNAME.log_martians",
            "net.ipv4.conf.eth0.log_martians=1",
            "net.ipv4.ip_forward=1",
            "kernel.x.conf.IFNAME.y=1",
            "net.ipv4.conf/../../x.IFNAME.y=1",
        ] {
            assert!(check_sysctl(bad).is_err(), "{bad}");
        }
    }
}
