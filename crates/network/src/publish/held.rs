//! Which ports of the host the monitor of a container holds, and sockets for those that nobody holds.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use onggi_model::Protocol;
use rustix::io::Errno;

use super::{HELD, bind};
use crate::endpoint::Published;

/// Ports of the host that are to be held, at one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldPorts {
    /// Their transport.
    pub protocol: Protocol,
    /// The host's address; 0.0.0.0 and :: for all of a family.
    pub ip: IpAddr,
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// What is to be held of published ports: nothing of more than [`HELD`] that follow each other.
pub(crate) fn of<'a>(published: impl IntoIterator<Item = &'a Published>) -> Vec<HeldPorts> {
    let held = |one: &Published| HeldPorts {
        protocol: one.port.protocol,
        ip: one.host_ip,
        first: *one.host_ports().start(),
        last: *one.host_ports().end(),
    };
    let short = |one: &&Published| one.host_port != 0 && usize::from(one.length) <= HELD;
    published.into_iter().filter(short).map(held).collect()
}

/// Sockets for those of the ports that nobody has. One whose last holder is on its way out is waited for as long.
pub(crate) fn hold_free(ports: &[HeldPorts], patience: Duration) -> Vec<OwnedFd> {
    let deadline = Instant::now() + patience;
    let mut sockets = Vec::new();
    for held in ports {
        for number in held.first..=held.last {
            if sockets.len() >= HELD {
                return sockets;
            }
            let address = SocketAddr::new(held.ip, number);
            loop {
                match bind::bind(held.protocol, address) {
                    Err(Errno::ADDRINUSE) if Instant::now() < deadline => {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    Err(_) => break,
                    Ok(socket) => {
                        sockets.extend(socket);
                        break;
                    }
                }
            }
        }
    }
    sockets
}

#[cfg(test)]
mod tests {
    use super::*;
    use onggi_model::Port;

    #[test]
    fn what_nobody_has_is_held() {
        let taken = std::net::UdpSocket::bind("127.0.0.31:0").unwrap();
        let number = taken.local_addr().unwrap().port();
        let published = |port: u16, host_port: u16, length: u16| Published {
            port: Port::new(port, Protocol::Udp),
            host_ip: "127.0.0.31".parse().unwrap(),
            host_port,
            length,
        };
        let all = [
            published(80, 0, 1),
            published(1, number, 1),
            published(1, 2, 2_000),
        ];
        let ports = of(&all);
        assert_eq!(ports.len(), 1, "routed ports and long runs are not held");
        assert!(hold_free(&ports, Duration::ZERO).is_empty());
        drop(taken);
        let held = hold_free(&ports, Duration::ZERO);
        assert_eq!(held.len(), 1);
        assert!(std::net::UdpSocket::bind(("127.0.0.31", number)).is_err());
    }
}
