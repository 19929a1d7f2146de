//! A machine made of network namespaces: a host where `Networks` runs, someone outside, and containers. All of it
//! belongs to threads of this process and ends with it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onggi_model::{ContainerId, Port};
use onggi_netlink::{Batch, Protocol, Socket, address, link, route};
use onggi_network::{Config, Endpoint, EndpointRequest, Networks, PublishRequest};
use onggi_store::Store;
use onggi_sys::netns;

/// The host's address on the wire to the outside, and the outside's.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
/// Long enough for a slow machine to connect, short enough to wait for a packet that is dropped.
/// A first packet that is lost while a link comes up is sent again after a second.
const CONNECT: Duration = Duration::from_millis(1500);
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `test` on a machine of its own.
pub(crate) fn on_a_machine(test: impl AsyncFnOnce(&Machine) + Send) {
    let host = netns::fresh().unwrap();
    let outside = netns::fresh().unwrap();
    let root = PathBuf::from(format!(
        "/tmp/onggi-network-{}",
        ContainerId::random().unwrap().short()
    ));
    let machine = Machine {
        host,
        outside,
        root,
    };
    machine.wire();
    netns::in_namespace(machine.host.as_fd(), || {
        // Its threads are made by this one, and so live in the host's namespace.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(test(&machine));
    })
    .unwrap();
    std::fs::remove_dir_all(&machine.root).unwrap();
}

pub(crate) struct Machine {
    pub(crate) host: OwnedFd,
    pub(crate) outside: OwnedFd,
    pub(crate) root: PathBuf,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

impl Machine {
    pub(crate) fn store(&self) -> Arc<Store> {
        Arc::new(Store::open(&self.root).unwrap())
    }

    pub(crate) async fn open(&self, config: Config) -> Networks {
        Networks::open(config, self.store()).await.unwrap()
    }

    fn wire(&self) {
        netns::in_namespace(self.host.as_fd(), || {
            let mut socket = Socket::open(Protocol::Route).unwrap();
            let mut batch = Batch::new();
            let veth = link::Veth {
                name: "wan0",
                mtu: 1500,
                master: 0,
                state: link::State::Up,
                peer: "eth0",
                peer_mac: [2, 0, 0, 0, 0, 9],
                namespace: self.outside.as_fd(),
            };
            batch
                .push("wire", link::add_veth(&veth))
                .push("lo", link::set_state_by_name("lo", link::State::Up));
            socket.transact(batch).unwrap();
            give(&mut socket, "wan0", HOST, None);
        })
        .unwrap();
        netns::in_namespace(self.outside.as_fd(), || {
            let mut socket = Socket::open(Protocol::Route).unwrap();
            let mut batch = Batch::new();
            batch.push("lo", link::set_state_by_name("lo", link::State::Up));
            socket.transact(batch).unwrap();
            // By its default route the outside reaches containers' own addresses, if the host lets it.
            give(&mut socket, "eth0", OUTSIDE, Some(HOST));
        })
        .unwrap();
    }

    /// A container in a namespace of its own, with a server on TCP ports 80 and 81 and UDP port 80.
    pub(crate) async fn run(&self, networks: &Networks, publish: &[&str]) -> Container {
        let id = ContainerId::random().unwrap();
        let endpoint = networks
            .allocate(&id, vec![request(publish)])
            .await
            .unwrap()
            .remove(0);
        let namespace = netns::fresh().unwrap();
        serve(&namespace);
        let held = networks
            .attach(
                std::slice::from_ref(&endpoint),
                namespace.try_clone().unwrap(),
            )
            .await
            .unwrap();
        assert_eq!(held.len(), endpoint.ports.len());
        Container {
            endpoint,
            namespace,
            held,
        }
    }
}

pub(crate) struct Container {
    pub(crate) endpoint: Endpoint,
    pub(crate) namespace: OwnedFd,
    pub(crate) held: Vec<OwnedFd>,
}

impl Container {
    pub(crate) fn id(&self) -> &ContainerId {
        &self.endpoint.container
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        self.endpoint.address_v4().unwrap()
    }

    pub(crate) fn host_port(&self) -> u16 {
        self.endpoint.ports[0].host_port
    }
}

/// `-p` values as a request to the default bridge.
pub(crate) fn request(publish: &[&str]) -> EndpointRequest {
    let ports = publish
        .iter()
        .flat_map(|text| onggi_model::ports::parse_publish(text).unwrap())
        .map(|(port, host): (Port, _)| PublishRequest {
            port,
            host,
            length: 1,
        })
        .collect();
    EndpointRequest {
        network: "bridge".to_owned(),
        name: "test".to_owned(),
        ports,
        ..EndpointRequest::default()
    }
}

fn give(socket: &mut Socket, name: &str, ip: Ipv4Addr, gateway: Option<Ipv4Addr>) {
    let index = link::find(socket, name).unwrap().unwrap().index;
    let mut batch = Batch::new();
    batch
        .push(
            "address",
            address::add(index, ipnet::Ipv4Net::new(ip, 24).unwrap()),
        )
        .push("up", link::set_state(index, link::State::Up));
    if let Some(gateway) = gateway {
        batch.push("route", route::add_default(gateway, index));
    }
    socket.transact(batch).unwrap();
}

/// Servers that say who the client is, then echo lines.
pub(crate) fn serve(namespace: &OwnedFd) {
    netns::in_namespace(namespace.as_fd(), || {
        for port in [80, 81] {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
            std::thread::spawn(move || {
                for client in listener.incoming() {
                    std::thread::spawn(move || answer(client.unwrap()));
                }
            });
        }
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 80)).unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 100];
            while let Ok((_, client)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(client.ip().to_string().as_bytes(), client);
            }
        });
    })
    .unwrap();
}

fn answer(mut client: TcpStream) {
    let peer = client.peer_addr().unwrap().ip();
    let _ = writeln!(client, "{peer}");
    let reader = BufReader::new(client.try_clone().unwrap());
    for line in reader.lines().map_while(Result::ok) {
        if writeln!(client, "{line}").is_err() {
            break;
        }
    }
}

/// Connects from a namespace; gives the address that the server saw, or `None`.
pub(crate) fn seen_from(namespace: &OwnedFd, to: Ipv4Addr, port: u16) -> Option<String> {
    let (_, line) = connect(namespace, to, port)?;
    Some(line)
}

/// Connects from a namespace; gives the connection and the server's first line.
pub(crate) fn connect(
    namespace: &OwnedFd,
    to: Ipv4Addr,
    port: u16,
) -> Option<(BufReader<TcpStream>, String)> {
    netns::in_namespace(namespace.as_fd(), || connect_here(to, port)).unwrap()
}

pub(crate) fn connect_here(to: Ipv4Addr, port: u16) -> Option<(BufReader<TcpStream>, String)> {
    let to = SocketAddr::V4(SocketAddrV4::new(to, port));
    let stream = TcpStream::connect_timeout(&to, CONNECT).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|length| *length > 0)?;
    Some((reader, line.trim().to_owned()))
}

/// Sends a datagram from a namespace; gives the address that the server saw, or `None`.
pub(crate) fn seen_by_udp(socket: &UdpSocket, to: Ipv4Addr, port: u16) -> Option<String> {
    socket.set_read_timeout(Some(CONNECT)).unwrap();
    socket.send_to(b"x", (to, port)).ok()?;
    let mut buffer = [0; 100];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

pub(crate) fn udp(namespace: &OwnedFd) -> UdpSocket {
    netns::in_namespace(namespace.as_fd(), || {
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap()
    })
    .unwrap()
}

/// Says a line on a kept connection and hears it again.
pub(crate) fn echoes(connection: &mut BufReader<TcpStream>, text: &str) -> bool {
    if writeln!(connection.get_mut(), "{text}").is_err() {
        return false;
    }
    let mut line = String::new();
    connection.read_line(&mut line).is_ok() && line.trim() == text
}

/// Runs a program in the host's namespace, which is the calling thread's.
pub(crate) fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program)
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Waits for a condition with a limit.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
