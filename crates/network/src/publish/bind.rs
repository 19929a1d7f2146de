//! The host's own sockets: those that keep its processes off published ports, and those of its processes.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

use onggi_model::Protocol;
use onggi_netlink::sockets;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

/// The number that IP gives a transport.
pub(crate) fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// A socket bound to the port; `None` where the kernel has no such sockets, and so nobody can have one. With SO_REUSEADDR
/// for the moment of binding, on TCP: what is left of connections to `[::1]` of the container before does not count, a
/// listener of the host does. From then on nobody shares it.
pub(super) fn bind(protocol: Protocol, address: SocketAddr) -> Result<Option<OwnedFd>, Errno> {
    let (kind, number) = match protocol {
        Protocol::Tcp => (Type::STREAM, socket2::Protocol::TCP),
        Protocol::Udp => (Type::DGRAM, socket2::Protocol::UDP),
        Protocol::Sctp => (
            Type::STREAM,
            socket2::Protocol::from(i32::from(protocol_number(Protocol::Sctp))),
        ),
    };
    let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let socket = match Socket::new(Domain::for_address(address), kind, Some(number)).map_err(errno)
    {
        Err(Errno::PROTONOSUPPORT | Errno::PROTOTYPE | Errno::SOCKTNOSUPPORT) => return Ok(None),
        other => other?,
    };
    if address.is_ipv6() {
        // The port of IPv4 is held, or not, on its own.
        socket.set_only_v6(true).map_err(errno)?;
    }
    let shares = protocol == Protocol::Tcp;
    socket.set_reuse_address(shares).map_err(errno)?;
    socket.bind(&address.into()).map_err(errno)?;
    socket.set_reuse_address(false).map_err(errno)?;
    if protocol == Protocol::Udp {
        // Should a packet get here after all, it is not kept for long.
        let _ = socket.set_recv_buffer_size(0);
    }
    Ok(Some(socket.into()))
}

/// The first of these ports that a socket of the host has. What cannot be asked is taken to be free.
pub(super) fn in_use(protocol: Protocol, ip: IpAddr, ports: &RangeInclusive<u16>) -> Option<u16> {
    let all = sockets::bound(protocol_number(protocol)).ok()?;
    all.into_iter()
        .filter(|one| ports.contains(&one.address.port()) && stands_in_the_way(one, ip))
        .map(|one| one.address.port())
        .min()
}

fn stands_in_the_way(one: &sockets::Bound, ip: IpAddr) -> bool {
    let theirs = one.address.ip();
    if theirs.is_ipv6() && ip.is_ipv4() {
        return theirs.is_unspecified() && !one.only_v6;
    }
    theirs.is_ipv4() == ip.is_ipv4()
        && (theirs == ip || theirs.is_unspecified() || ip.is_unspecified())
}

/// The words in which Go gives these errors to Docker's users.
pub(super) fn reason(errno: Errno) -> String {
    match errno {
        Errno::ADDRINUSE => "address already in use".to_owned(),
        Errno::ADDRNOTAVAIL => "cannot assign requested address".to_owned(),
        Errno::ACCESS => "permission denied".to_owned(),
        Errno::MFILE => "too many open files".to_owned(),
        other => {
            let text = std::io::Error::from(other).to_string();
            text.split(" (os error")
                .next()
                .unwrap_or_default()
                .to_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_the_host_are_seen() {
        let anywhere = std::net::UdpSocket::bind("[::]:0").unwrap();
        let port = anywhere.local_addr().unwrap().port();
        let seen = |ip: &str| in_use(Protocol::Udp, ip.parse().unwrap(), &(port..=port));
        assert_eq!(seen("127.0.0.1"), Some(port), "it takes IPv4 as well");
        assert_eq!(seen("::1"), Some(port));
        drop(anywhere);
        let own = std::net::UdpSocket::bind(("127.0.0.1", port)).unwrap();
        assert_eq!(seen("0.0.0.0"), Some(port));
        assert_eq!(seen("127.0.0.2"), None);
        assert_eq!(seen("::"), None);
        drop(own);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ports = port..=port;
        assert_eq!(
            in_use(Protocol::Tcp, "0.0.0.0".parse().unwrap(), &ports),
            Some(port)
        );
    }
}
