//! Host ports: which container has which, and the sockets that keep the host's own processes off them. The sockets are
//! bound and never listen: packets are rewritten before a socket could see them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use onggi_model::Protocol;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::endpoint::{PublishRequest, Published};
use crate::error::PublishError;

/// How long a port that was just given back may still be held by the process that had it.
const LINGER: Duration = Duration::from_secs(1);

/// A port of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct HostPort {
    protocol: Protocol,
    number: u16,
}

/// The ports of the host that containers have.
#[derive(Debug, Default)]
pub(crate) struct HostPorts {
    taken: HashMap<HostPort, Vec<Ipv4Addr>>,
    released: HashMap<HostPort, Instant>,
    /// Where the search for a free one begins, so that a port is not given again at once.
    next: u16,
}

/// What publishing needs to know of the endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    /// The container's address.
    pub(crate) container: Ipv4Addr,
    /// The host's address for requests without one.
    pub(crate) default_host: Ipv4Addr,
    /// The ports to choose from for requests without one.
    pub(crate) range: (u16, u16),
}

impl HostPorts {
    /// Notes the ports of an endpoint that is in the catalogue already.
    pub(crate) fn adopt(&mut self, published: &[Published]) {
        for one in published {
            if let IpAddr::V4(ip) = one.host_ip {
                self.taken.entry(key(one)).or_default().push(ip);
            }
        }
    }

    /// Gives ports back.
    pub(crate) fn release(&mut self, published: &[Published]) {
        let now = Instant::now();
        self.released
            .retain(|_, since| now.duration_since(*since) < LINGER);
        for one in published {
            let IpAddr::V4(ip) = one.host_ip else {
                continue;
            };
            if let Some(addresses) = self.taken.get_mut(&key(one)) {
                if let Some(index) = addresses.iter().position(|taken| *taken == ip) {
                    addresses.swap_remove(index);
                }
                if addresses.is_empty() {
                    self.taken.remove(&key(one));
                }
            }
            self.released.insert(key(one), now);
        }
    }

    /// Takes ports for all requests, or for none.
    pub(crate) fn take(
        &mut self,
        requests: &[PublishRequest],
        target: Target,
    ) -> Result<(Vec<Published>, Vec<OwnedFd>), PublishError> {
        let (mut published, mut sockets) = (Vec::new(), Vec::new());
        for request in requests {
            match self.take_one(request, target) {
                Ok((one, socket)) => {
                    self.adopt(&[one]);
                    published.push(one);
                    sockets.push(socket);
                }
                Err(error) => {
                    drop(sockets);
                    self.release(&published);
                    return Err(error);
                }
            }
        }
        Ok((published, sockets))
    }

    fn take_one(
        &mut self,
        request: &PublishRequest,
        target: Target,
    ) -> Result<(Published, OwnedFd), PublishError> {
        let ip = match request.host.ip {
            None => target.default_host,
            Some(IpAddr::V4(ip)) => ip,
            Some(ip @ IpAddr::V6(_)) => {
                return Err(PublishError::Family {
                    port: request.port,
                    ip,
                });
            }
        };
        let (first, last) = request.host.ports.unwrap_or(target.range);
        // A single port is asked for by number; of a range any will do.
        let fixed = first == last;
        let protocol = request.port.protocol;
        let mut refused = None;
        for number in self.candidates(first, last, request.host.ports.is_none()) {
            let host = HostPort { protocol, number };
            if self.is_taken(host, ip) {
                if fixed {
                    return Err(PublishError::Allocated {
                        ip: ip.into(),
                        port: number,
                    });
                }
                continue;
            }
            match self.hold(host, ip, fixed) {
                Ok(socket) => {
                    if request.host.ports.is_none() {
                        self.next = number.checked_add(1).unwrap_or(first);
                    }
                    let one = Published {
                        port: request.port,
                        host_ip: ip.into(),
                        host_port: number,
                    };
                    return Ok((one, socket));
                }
                Err(Errno::PROTONOSUPPORT | Errno::PROTOTYPE) => {
                    return Err(PublishError::Protocol(protocol));
                }
                Err(errno) => {
                    refused = Some(errno);
                    if errno != Errno::ADDRINUSE {
                        break;
                    }
                }
            }
        }
        Err(match refused {
            None => PublishError::Exhausted,
            Some(Errno::ADDRINUSE) if request.host.ports.is_none() => PublishError::Exhausted,
            Some(errno) => PublishError::Bind {
                ip: ip.into(),
                ports: if fixed {
                    first.to_string()
                } else {
                    format!("{first}-{last}")
                },
                container: target.container,
                port: request.port,
                reason: reason(errno),
            },
        })
    }

    fn candidates(
        &self,
        first: u16,
        last: u16,
        anywhere: bool,
    ) -> impl Iterator<Item = u16> + use<> {
        let start = if anywhere && (first..=last).contains(&self.next) {
            self.next
        } else {
            first
        };
        (start..=last).chain(first..start)
    }

    fn is_taken(&self, host: HostPort, ip: Ipv4Addr) -> bool {
        self.taken.get(&host).is_some_and(|addresses| {
            addresses
                .iter()
                .any(|taken| *taken == ip || taken.is_unspecified() || ip.is_unspecified())
        })
    }

    /// A socket bound to the port. A fixed port whose last holder is still on its way out is waited for.
    fn hold(&self, host: HostPort, ip: Ipv4Addr, fixed: bool) -> Result<OwnedFd, Errno> {
        let deadline = self
            .released
            .get(&host)
            .filter(|_| fixed)
            .map(|since| *since + LINGER);
        loop {
            match bind(host, ip) {
                Err(Errno::ADDRINUSE)
                    if deadline.is_some_and(|deadline| Instant::now() < deadline) =>
                {
                    std::thread::sleep(Duration::from_millis(2));
                }
                other => return other,
            }
        }
    }
}

fn key(one: &Published) -> HostPort {
    HostPort {
        protocol: one.port.protocol,
        number: one.host_port,
    }
}

/// The number that IP gives a transport.
pub(crate) fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// Without SO_REUSEADDR: a port that a listener of the host has must not be taken from it.
fn bind(host: HostPort, ip: Ipv4Addr) -> Result<OwnedFd, Errno> {
    let (kind, protocol) = match host.protocol {
        Protocol::Tcp => (Type::STREAM, socket2::Protocol::TCP),
        Protocol::Udp => (Type::DGRAM, socket2::Protocol::UDP),
        Protocol::Sctp => (
            Type::STREAM,
            socket2::Protocol::from(i32::from(protocol_number(Protocol::Sctp))),
        ),
    };
    let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let socket = Socket::new(Domain::IPV4, kind, Some(protocol)).map_err(errno)?;
    socket
        .bind(&SocketAddr::V4(SocketAddrV4::new(ip, host.number)).into())
        .map_err(errno)?;
    if host.protocol == Protocol::Udp {
        // Should a packet get here after all, it is not kept for long.
        let _ = socket.set_recv_buffer_size(0);
    }
    Ok(socket.into())
}

/// The words in which Go gives these errors to Docker's users.
fn reason(errno: Errno) -> String {
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
    use onggi_model::Port;

    const TARGET: Target = Target {
        container: Ipv4Addr::new(172, 17, 0, 2),
        default_host: Ipv4Addr::LOCALHOST,
        range: (42_000, 42_002),
    };

    fn request(port: &str, ip: &str, host: &str) -> PublishRequest {
        PublishRequest::new(Port::parse(port).unwrap(), ip, host).unwrap()
    }

    fn free_port() -> u16 {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().port()
    }

    #[test]
    fn a_port_is_held_until_it_is_given_back() {
        let mut ports = HostPorts::default();
        let number = free_port();
        let text = number.to_string();
        let (published, sockets) = ports.take(&[request("80/tcp", "", &text)], TARGET).unwrap();
        assert_eq!((published[0].host_port, sockets.len()), (number, 1));
        let error = ports
            .take(&[request("81", "0.0.0.0", &text)], TARGET)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("Bind for 0.0.0.0:{number} failed: port is already allocated")
        );
        assert!(std::net::TcpListener::bind(("127.0.0.1", number)).is_err());
        assert!(
            ports.take(&[request("80/udp", "", &text)], TARGET).is_ok(),
            "another transport"
        );
        ports.release(&published);
        drop(sockets);
        assert!(ports.take(&[request("80/tcp", "", &text)], TARGET).is_ok());
    }

    #[test]
    fn ports_of_the_hosts_processes_are_refused_in_dockers_words() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let number = listener.local_addr().unwrap().port();
        let error = HostPorts::default()
            .take(&[request("80/tcp", "0.0.0.0", &number.to_string())], TARGET)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "failed to bind host port for 0.0.0.0:{number}:172.17.0.2:80/tcp: address already in use"
            )
        );
        let error = HostPorts::default()
            .take(&[request("80/tcp", "192.0.2.1", "8080")], TARGET)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to bind host port for 192.0.2.1:8080:172.17.0.2:80/tcp: cannot assign requested address"
        );
    }

    #[test]
    fn all_or_nothing() {
        let mut ports = HostPorts::default();
        let number = free_port().to_string();
        let requests = [request("80", "", &number), request("81", "", &number)];
        assert!(matches!(
            ports.take(&requests, TARGET),
            Err(PublishError::Allocated { .. })
        ));
        assert!(ports.take(&requests[..1], TARGET).is_ok());
    }

    #[test]
    fn free_ports_are_taken_in_turn_until_none_is_left() {
        let mut ports = HostPorts::default();
        let mut given = Vec::new();
        let mut held = Vec::new();
        let target = Target {
            default_host: Ipv4Addr::new(127, 0, 0, 77),
            ..TARGET
        };
        for _ in 0..3 {
            let (published, sockets) = ports.take(&[request("80", "", "")], target).unwrap();
            given.push(published[0]);
            held.extend(sockets);
        }
        assert_eq!(
            given.iter().map(|one| one.host_port).collect::<Vec<_>>(),
            [42_000, 42_001, 42_002]
        );
        assert!(matches!(
            ports.take(&[request("80", "", "")], target),
            Err(PublishError::Exhausted)
        ));
        ports.release(&given[1..2]);
        held.remove(1);
        let (published, _held) = ports
            .take(&[request("80", "", "42000-42002")], target)
            .unwrap();
        assert_eq!(published[0].host_port, 42_001);
    }

    #[test]
    fn ipv6_is_refused() {
        let error = HostPorts::default()
            .take(&[request("80", "::1", "80")], TARGET)
            .unwrap_err();
        assert!(matches!(error, PublishError::Family { .. }));
    }

    #[test]
    fn a_port_on_its_way_out_is_waited_for() {
        let mut ports = HostPorts::default();
        let number = free_port();
        let (published, sockets) = ports
            .take(&[request("80", "", &number.to_string())], TARGET)
            .unwrap();
        ports.release(&published);
        let holder = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(sockets);
        });
        assert!(
            ports
                .take(&[request("80", "", &number.to_string())], TARGET)
                .is_ok()
        );
        holder.join().unwrap();
    }
}
