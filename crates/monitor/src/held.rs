//! The sockets that keep published ports: bound, never listening, open as long as the container runs.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use onggi_model::Protocol;
use rustix::net::{getsockname, ipproto, sockopt};

use crate::protocol::HeldPorts;

/// Keeps the sockets that hold some of these ports, and those that come along.
pub(crate) fn settle(held: &mut Vec<OwnedFd>, ports: &[HeldPorts], coming: Vec<OwnedFd>) {
    held.retain(|socket| match bound(socket) {
        Some((protocol, address)) => ports.iter().any(|one| {
            one.protocol == protocol
                && one.ip == address.ip()
                && (one.first..=one.last).contains(&address.port())
        }),
        // What cannot be asked stays.
        None => true,
    });
    held.extend(coming);
}

fn bound(socket: &OwnedFd) -> Option<(Protocol, SocketAddr)> {
    let address = SocketAddr::try_from(getsockname(socket).ok()?).ok()?;
    let protocol = match sockopt::socket_protocol(socket).ok()?? {
        ipproto::TCP => Protocol::Tcp,
        ipproto::UDP => Protocol::Udp,
        ipproto::SCTP => Protocol::Sctp,
        _ => return None,
    };
    Some((protocol, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_other_ports_are_closed() {
        let bind = || std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let sockets = [bind(), bind(), bind()];
        let numbers = sockets
            .each_ref()
            .map(|socket| socket.local_addr().unwrap().port());
        let [one, two, three] = sockets.map(OwnedFd::from);
        let hold = |number: u16, protocol: Protocol| HeldPorts {
            protocol,
            ip: "127.0.0.1".parse().unwrap(),
            first: number,
            last: number,
        };
        let mut held = vec![one, two];
        let ports = [
            hold(numbers[0], Protocol::Udp),
            hold(numbers[1], Protocol::Tcp),
            hold(numbers[2], Protocol::Udp),
        ];
        settle(&mut held, &ports, vec![three]);
        let names: Vec<u16> = held
            .iter()
            .map(|one| bound(one).unwrap().1.port())
            .collect();
        assert_eq!(names, [numbers[0], numbers[2]]);
        settle(&mut held, &[], Vec::new());
        assert!(held.is_empty());
    }
}
