//! Names while no daemon answers: the sockets stay, the monitor answers on them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use onggi_dns::{Network, View};
use onggi_monitor::protocol::{FromMonitor, Outgoing, ToMonitor, VERSION};
use onggi_sys::netns;
use onggi_testkit::{NameAnswer, NameServer, Namespace};

use crate::fixture::{Monitor, wait_for};

pub(crate) const TESTS: &[(&str, fn())] = &[("names_without_a_daemon", names_without_a_daemon)];

const UPSTREAM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);

fn question(name: &str) -> Vec<u8> {
    let mut bytes = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0".to_vec();
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    bytes
}

/// The response code and the last four bytes, which are an address where there is one.
fn heard(reply: &[u8]) -> (u8, [u8; 4]) {
    (reply[3] & 15, *reply.last_chunk().unwrap())
}

fn ask(netns: &OwnedFd, resolver: SocketAddr, name: &str) -> (u8, [u8; 4]) {
    let ask = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(resolver).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        for _ in 0..10 {
            socket.send(&question(name)).unwrap();
            let mut bytes = [0; 512];
            if let Ok(count) = socket.recv(&mut bytes) {
                return heard(&bytes[..count]);
            }
        }
        panic!("nobody answers");
    };
    netns::in_namespace(netns.as_fd(), ask).unwrap()
}

fn ask_by_tcp(netns: &OwnedFd, resolver: SocketAddr, names: &[&str]) -> Vec<(u8, [u8; 4])> {
    let ask = || {
        let mut stream = TcpStream::connect(resolver).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        for name in names {
            let question = question(name);
            let frame = [&(question.len() as u16).to_be_bytes(), &question[..]].concat();
            stream.write_all(&frame).unwrap();
        }
        let mut replies = Vec::new();
        for _ in names {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut bytes = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut bytes).unwrap();
            replies.push(heard(&bytes));
        }
        replies
    };
    netns::in_namespace(netns.as_fd(), ask).unwrap()
}

fn names_without_a_daemon() {
    let monitor = Monitor::start();
    let (mut control, _) = monitor.control();
    control.say(&ToMonitor::Create(Box::new(
        monitor.launch(&["sleep", "1000"]),
    )));
    let (answer, mut descriptors) = control.hear_all();
    assert!(matches!(answer, FromMonitor::Created { .. }), "{answer:?}");
    let netns = descriptors.pop().unwrap();
    let (udp, tcp) = netns::in_namespace(netns.as_fd(), || {
        onggi_sys::loopback::up().unwrap();
        (
            UdpSocket::bind("127.0.0.11:0").unwrap(),
            TcpListener::bind("127.0.0.11:0").unwrap(),
        )
    })
    .unwrap();
    udp.set_nonblocking(true).unwrap();
    tcp.set_nonblocking(true).unwrap();
    let (udp_address, tcp_address) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
    let inside = Namespace::from(netns.try_clone().unwrap());
    let upstream = NameServer::start(&inside, UPSTREAM, |name| match name {
        "gone.example" => NameAnswer::Unknown,
        _ => NameAnswer::one(Ipv4Addr::new(192, 0, 2, 1)),
    })
    .unwrap();

    let table = monitor.folder.path().join("names");
    std::fs::write(&table, "1111 172.18.0.2 web\n2222 172.18.0.3 db\n").unwrap();
    let view = View {
        networks: vec![Network {
            name: "net".to_owned(),
            id: "1f".to_owned(),
            table: table.clone(),
            links: Vec::new(),
        }],
        servers: Some(vec![Ipv4Addr::new(127, 0, 0, 99).into(), UPSTREAM.into()]),
        forwards: true,
        ..View::default()
    };
    let resolve = ToMonitor::Resolve {
        view: Box::new(view.clone()),
    };
    let fds = [udp.as_fd(), tcp.as_fd(), netns.as_fd()].map(|fd| fd.try_clone_to_owned().unwrap());
    Outgoing::new(&resolve, fds.into())
        .unwrap()
        .send_all(&control.socket)
        .unwrap();
    control.start();

    // While the daemon is there, questions are its own.
    let send = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&question("db"), udp_address).unwrap();
    };
    netns::in_namespace(netns.as_fd(), send).unwrap();
    wait_for("the daemon reads the question", || {
        udp.recv_from(&mut [0; 512]).is_ok()
    });

    drop(control);
    assert_eq!(ask(&netns, udp_address, "db"), (0, [172, 18, 0, 3]));
    assert_eq!(ask(&netns, udp_address, "WEB.net"), (0, [172, 18, 0, 2]));
    assert_eq!(ask(&netns, udp_address, "www.example"), (0, [192, 0, 2, 1]));
    assert_eq!(ask(&netns, udp_address, "gone.example").0, 3);
    let replies = ask_by_tcp(
        &netns,
        tcp_address,
        &["db", "www.example", "gone.example", "web"],
    );
    assert_eq!(replies[0], (0, [172, 18, 0, 3]));
    assert_eq!((replies[1], replies[2].0), ((0, [192, 0, 2, 1]), 3));
    assert_eq!(replies[3], (0, [172, 18, 0, 2]));
    assert!(!upstream.asked().contains(&"db".to_owned()));
    // The file is read anew for each question.
    std::fs::write(&table, "3333 172.18.0.9 db\n").unwrap();
    assert_eq!(ask(&netns, udp_address, "db"), (0, [172, 18, 0, 9]));
    // Nonsense does no harm.
    let nonsense = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for length in 0..64 {
            socket.send_to(&vec![0xc0; length], udp_address).unwrap();
        }
        TcpStream::connect(tcp_address)
            .unwrap()
            .write_all(&[0xff; 100])
            .unwrap();
    };
    netns::in_namespace(netns.as_fd(), nonsense).unwrap();

    // The next daemon gets the sockets back, and until it says so the monitor answers.
    let mut control = monitor.connect();
    control.say(&ToMonitor::Control { version: VERSION });
    let (state, descriptors) = control.hear_all();
    assert!(matches!(state, FromMonitor::State { .. }), "{state:?}");
    let [again, _, _]: [OwnedFd; 3] = descriptors.try_into().unwrap();
    assert_eq!(UdpSocket::from(again).local_addr().unwrap(), udp_address);
    assert_eq!(ask(&netns, udp_address, "db"), (0, [172, 18, 0, 9]));
    let shut = View {
        forwards: false,
        ..view
    };
    control.say(&ToMonitor::Resolve {
        view: Box::new(shut),
    });
    drop(control);
    wait_for("the new view counts", || {
        ask(&netns, udp_address, "www.example").0 == 3
    });

    let (mut control, _) = monitor.control();
    control.say(&ToMonitor::Signal { signal: 9 });
    assert_eq!(control.finish().code, 137);
    // Nothing of the monitor's holds the namespace: its sockets are gone with the container, before it says so.
    drop((udp, tcp));
    let refused = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(udp_address).unwrap();
        let _ = socket.send(b"x");
        let sent = socket.send(b"x");
        sent.is_err()
    };
    assert!(netns::in_namespace(netns.as_fd(), refused).unwrap());
    monitor.gone();
}
