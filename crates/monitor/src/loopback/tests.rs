//! Ports at `[::1]` of a namespace of the test's own, passed on to servers on its IPv4 loopback.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use onggi_sys::netns;

use super::*;

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(30);

fn in_a_namespace(test: impl FnOnce() + Send) {
    let own = netns::fresh().unwrap();
    netns::in_namespace(own.as_fd(), || {
        onggi_sys::loopback::up().unwrap();
        test();
    })
    .unwrap();
}

/// As the daemon holds a port: bound to all addresses, and to no other's use.
fn hold(kind: SocketType, ip: &str) -> (OwnedFd, u16) {
    let socket =
        rustix::net::socket_with(AddressFamily::INET6, kind, SocketFlags::CLOEXEC, None).unwrap();
    sockopt::set_ipv6_v6only(&socket, true).unwrap();
    let address = SocketAddr::new(ip.parse().unwrap(), 0);
    rustix::net::bind(&socket, &address).unwrap();
    let address: SocketAddr = rustix::net::getsockname(&socket)
        .unwrap()
        .try_into()
        .unwrap();
    (socket, address.port())
}

fn forward(protocol: Protocol, port: u16, to: SocketAddr) -> Forward {
    Forward {
        protocol,
        port,
        length: 1,
        to,
    }
}

/// Runs the loop beside what a client does.
fn beside<T: Send>(
    loopback: &mut Loopback,
    held: &[OwnedFd],
    client: impl FnOnce() -> T + Send,
) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let said = client();
            over.store(true, Ordering::Relaxed);
            said
        });
        let began = Instant::now();
        let mut scratch = Scratch::default();
        while !over.load(Ordering::Relaxed) && !client.is_finished() {
            assert!(began.elapsed() < LIMIT, "the client does not end");
            let mut list = Interests::default();
            loopback.interests(&mut list);
            list.until(Instant::now() + Duration::from_millis(5));
            let mut events = Vec::new();
            list.wait(&mut events);
            for _ in events {
                loopback.handle(&mut scratch);
            }
            loopback.advance(held);
        }
        client.join().unwrap()
    })
}

#[test]
fn tcp_is_passed_on() {
    in_a_namespace(|| {
        let (held, port) = hold(SocketType::STREAM, "::");
        let held = [held];
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap();
        let echo = netns::current().unwrap();
        std::thread::spawn(move || {
            let _ = echo;
            for stream in server.incoming() {
                let mut stream = stream.unwrap();
                let mut all = Vec::new();
                // All of it first: both pipes and all buffers fill up on the way.
                stream.read_to_end(&mut all).unwrap();
                stream.write_all(&all).unwrap();
            }
        });
        let mut loopback = Loopback::new().unwrap();
        loopback.settle(vec![forward(Protocol::Tcp, port, to)], &held);
        assert!(loopback.missing.is_none());
        let client = || {
            let large: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 251) as u8).collect();
            for _ in 0..3 {
                let mut stream = TcpStream::connect(("::1", port)).unwrap();
                stream.write_all(&large).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                let mut back = Vec::new();
                stream.read_to_end(&mut back).unwrap();
                assert!(back == large, "{} of {}", back.len(), large.len());
            }
        };
        let own = netns::current().unwrap();
        beside(&mut loopback, &held, || {
            netns::in_namespace(own.as_fd(), client).unwrap();
        });
        assert!(loopback.relays.is_empty() && loopback.pipes_are_gone());

        // Nobody takes the port while it is held; whoever comes next gets it at once, whatever is left of connections.
        assert!(TcpListener::bind(("::", port)).is_err());
        assert!(TcpListener::bind(("::1", port)).is_err());
        loopback.settle(Vec::new(), &held);
        assert!(TcpStream::connect(("::1", port)).is_err());
        drop(held);
        TcpListener::bind(("::", port)).unwrap();
    });
}

#[test]
fn a_port_without_a_server_says_so() {
    in_a_namespace(|| {
        let (held, port) = hold(SocketType::STREAM, "::1");
        let held = [held];
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut loopback = Loopback::new().unwrap();
        loopback.settle(vec![forward(Protocol::Tcp, port, nobody)], &held);
        let own = netns::current().unwrap();
        let said = beside(&mut loopback, &held, || {
            netns::in_namespace(own.as_fd(), || {
                TcpStream::connect(("::1", port))?.read(&mut [0; 8])
            })
            .unwrap()
        });
        assert_eq!(
            said.unwrap_err().kind(),
            std::io::ErrorKind::ConnectionReset
        );
    });
}

#[test]
fn udp_is_passed_on() {
    in_a_namespace(|| {
        for ip in ["::", "::1"] {
            let (held, port) = hold(SocketType::DGRAM, ip);
            let held = [held];
            let server = UdpSocket::bind("127.0.0.1:0").unwrap();
            let to = server.local_addr().unwrap();
            std::thread::spawn(move || {
                let mut space = vec![0; 65_536];
                while let Ok((count, client)) = server.recv_from(&mut space) {
                    let _ = server.send_to(&space[..count], client);
                }
            });
            let mut loopback = Loopback::new().unwrap();
            loopback.settle(vec![forward(Protocol::Udp, port, to)], &held);
            let client = || {
                let sockets = [0, 1].map(|_| UdpSocket::bind("[::1]:0").unwrap());
                for length in [0, 1, 1400, 60_000] {
                    for (fill, socket) in sockets.iter().enumerate() {
                        let sent = vec![fill as u8; length];
                        socket.send_to(&sent, ("::1", port)).unwrap();
                        let mut space = vec![9; 65_536];
                        let (count, from) = socket.recv_from(&mut space).unwrap();
                        assert_eq!(from.port(), port);
                        assert!(space[..count] == sent);
                    }
                }
            };
            let own = netns::current().unwrap();
            beside(&mut loopback, &held, || {
                netns::in_namespace(own.as_fd(), client).unwrap();
            });
            assert_eq!(loopback.flows.clients(), 2);
            loopback.advance_to(Instant::now() + Duration::from_secs(91));
            assert_eq!(loopback.flows.clients(), 0);
            assert!(UdpSocket::bind(("::1", port)).is_err());
        }
    });
}

#[test]
fn a_port_that_another_still_has_is_taken_when_it_goes() {
    in_a_namespace(|| {
        let before = TcpListener::bind("[::1]:0").unwrap();
        let port = before.local_addr().unwrap().port();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap();
        let mut loopback = Loopback::new().unwrap();
        loopback.settle(vec![forward(Protocol::Tcp, port, to)], &[]);
        assert!(loopback.missing.is_some());
        drop(before);
        let own = netns::current().unwrap();
        let reached = beside(&mut loopback, &[], || {
            netns::in_namespace(own.as_fd(), || {
                let began = Instant::now();
                while TcpStream::connect(("::1", port)).is_err() {
                    assert!(began.elapsed() < LIMIT);
                    std::thread::sleep(Duration::from_millis(1));
                }
                server.accept().unwrap().1.ip().is_ipv4()
            })
            .unwrap()
        });
        assert!(reached);
    });
}

#[test]
fn runs_and_what_cannot_be_listened_on() {
    let to: SocketAddr = "[fd00::2]:65534".parse().unwrap();
    let run = Forward {
        length: 3,
        ..forward(Protocol::Tcp, 80, to)
    };
    let ports: Vec<_> = each(&run).map(|(_, port, to)| (port, to.port())).collect();
    assert_eq!(ports, [(80, 65_534), (81, 65_535)]);
    assert_eq!(
        open(Protocol::Sctp, 80, None).unwrap_err(),
        Errno::PROTONOSUPPORT
    );
}

impl Loopback {
    fn pipes_are_gone(&self) -> bool {
        self.pipes.is_empty()
    }

    fn advance_to(&mut self, time: Instant) {
        self.flows.sweep(time);
    }
}
