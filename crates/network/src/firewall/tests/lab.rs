//! A host with bridges, containers on them, and someone outside: network namespaces that end with the test.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use onggi_model::{ContainerId, Port};
use onggi_netlink::{Batch, Protocol, Socket, address, link, route};
use onggi_sys::netns;

use crate::endpoint::{Endpoint, Published};
use crate::firewall::{Bridge, Firewall, GatewayMode};

/// How long a connection that should come about may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a packet that should be dropped is waited for.
const IMPATIENCE: Duration = Duration::from_millis(300);

/// Addresses of the host on the wire, and of the one outside.
pub(super) const HOST: [&str; 2] = ["10.9.0.1", "fd99::1"];
pub(super) const OUTSIDE: [&str; 2] = ["10.9.0.2", "fd99::2"];

pub(super) struct Lab {
    pub(super) host: OwnedFd,
    pub(super) outside: OwnedFd,
}

/// Runs a test in the namespace of a host.
pub(super) fn in_a_lab(test: impl FnOnce(&Lab) + Send) {
    let lab = Lab {
        host: netns::fresh().unwrap(),
        outside: netns::fresh().unwrap(),
    };
    netns::in_namespace(lab.host.as_fd(), || {
        for path in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            std::fs::write(format!("/proc/sys/net/{path}"), "1").unwrap();
        }
        // The strictest of the kernel's own checks of senders.
        std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1").unwrap();
        // Bridged packets go round the chains of IP, as on most hosts.
        for path in ["iptables", "ip6tables"] {
            let _ = std::fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{path}"), "0");
        }
        run("ip", "link set lo up");
        plug("wan0", 0, &lab.outside);
        give("wan0", &HOST.map(net), None);
        serve(&lab.outside, &OUTSIDE.map(net), Some(HOST.map(ip)));
        test(&lab);
    })
    .unwrap();
}

/// A network: its bridge, and the firewall's view of it. `10.N.0.0/24` and `fdN::/64`.
pub(super) fn bridge(number: u8) -> Bridge {
    Bridge {
        name: format!("br{number}"),
        v4: vec![Ipv4Net::new([10, number, 0, 0].into(), 24).unwrap()],
        v6: vec![Ipv6Net::new(format!("fd{number:02}::").parse().unwrap(), 64).unwrap()],
        icc: true,
        masquerade_v4: true,
        masquerade_v6: true,
        internal: false,
        mode_v4: GatewayMode::Nat,
        mode_v6: GatewayMode::Nat,
    }
}

/// Addresses in the network with this number.
pub(super) fn at(number: u8, host: u8) -> [IpAddr; 2] {
    [
        ip(&format!("10.{number}.0.{host}")),
        ip(&format!("fd{number:02}::{host}")),
    ]
}

/// Makes the bridge's link, behind its rules.
pub(super) fn make(firewall: &mut Firewall, bridge: Bridge, number: u8) {
    let name = bridge.name.clone();
    firewall.add_bridge(bridge).unwrap();
    run("ip", &format!("link add {name} type bridge"));
    for switch in ["route_localnet", "src_valid_mark"] {
        std::fs::write(format!("/proc/sys/net/ipv4/conf/{name}/{switch}"), "1").unwrap();
    }
    give(
        &name,
        &at(number, 1).map(|ip| IpNet::new(ip, prefix(ip)).unwrap()),
        None,
    );
}

/// A container on the bridge, with servers on TCP and UDP port 80.
pub(super) struct Container {
    pub(super) netns: OwnedFd,
    pub(super) endpoint: Endpoint,
}

pub(super) fn container(firewall: &mut Firewall, number: u8, host: u8) -> Container {
    let netns = netns::fresh().unwrap();
    let [v4, v6] = at(number, host);
    let id = ContainerId::random().unwrap();
    let endpoint: Endpoint = serde_json::from_value(serde_json::json!({
        "container": id.as_str(), "network": "n", "network_id": "n", "endpoint_id": id.as_str(),
        "ipv4": format!("{v4}/24"), "ipv6": format!("{v6}/64"), "mac": "02:42:00:00:00:02",
    }))
    .unwrap();
    let name = format!("br{number}");
    firewall.isolate(&name, &endpoint.host_link()).unwrap();
    let mut socket = Socket::open(Protocol::Route).unwrap();
    let master = link::find(&mut socket, &name).unwrap().unwrap().index;
    plug(&endpoint.host_link(), master, &netns);
    let nets = [v4, v6].map(|ip| IpNet::new(ip, prefix(ip)).unwrap());
    serve(&netns, &nets, Some(at(number, 1)));
    Container { netns, endpoint }
}

/// A run of published ports.
pub(super) fn published(port: &str, ip: &str, host_port: u16, length: u16) -> Published {
    Published {
        port: Port::parse(port).unwrap(),
        host_ip: ip.parse().unwrap(),
        host_port,
        length,
    }
}

/// The address that the server sees of a client in this namespace.
pub(super) fn seen(from: &OwnedFd, to: IpAddr, port: u16) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(peer) = ask(from, to, port, Duration::from_secs(3)) {
            return peer;
        }
        assert!(
            Instant::now() < deadline,
            "{to} port {port} was not reached"
        );
    }
}

/// Whether no connection comes about.
pub(super) fn closed(from: &OwnedFd, to: IpAddr, port: u16) -> bool {
    ask(from, to, port, IMPATIENCE).is_none()
}

/// The address that the server sees of a UDP client in this namespace.
pub(super) fn seen_by_udp(from: &OwnedFd, to: IpAddr, port: u16) -> String {
    netns::in_namespace(from.as_fd(), || {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let socket = UdpSocket::bind((any(to), 0)).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(1)))
                .unwrap();
            let mut buffer = [0; 64];
            let _ = socket.send_to(b"x", (to, port));
            if let Ok((length, _)) = socket.recv_from(&mut buffer) {
                return String::from_utf8_lossy(&buffer[..length]).into_owned();
            }
            assert!(
                Instant::now() < deadline,
                "{to} UDP port {port} was not reached"
            );
        }
    })
    .unwrap()
}

fn ask(from: &OwnedFd, to: IpAddr, port: u16, limit: Duration) -> Option<String> {
    netns::in_namespace(from.as_fd(), || {
        let stream = TcpStream::connect_timeout(&SocketAddr::new(to, port), limit).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut line = String::new();
        BufReader::new(stream)
            .read_line(&mut line)
            .ok()
            .filter(|length| *length > 0)?;
        Some(line.trim().to_owned())
    })
    .unwrap()
}

/// Addresses, a default route, and servers that say who asks.
fn serve(namespace: &OwnedFd, nets: &[IpNet; 2], gateway: Option<[IpAddr; 2]>) {
    netns::in_namespace(namespace.as_fd(), || {
        run("ip", "link set lo up");
        give("eth0", nets, gateway);
        let listener = TcpListener::bind("[::]:80").unwrap();
        std::thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                if let Ok(peer) = client.peer_addr() {
                    let _ = writeln!(client, "{}", peer.ip().to_canonical());
                }
            }
        });
        let socket = UdpSocket::bind("[::]:80").unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((_, client)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(client.ip().to_canonical().to_string().as_bytes(), client);
            }
        });
    })
    .unwrap();
}

fn plug(name: &str, master: u32, namespace: &OwnedFd) {
    let mut socket = Socket::open(Protocol::Route).unwrap();
    let mut batch = Batch::new();
    let veth = link::Veth {
        name,
        mtu: 1500,
        master,
        state: link::State::Up,
        peer: "eth0",
        peer_mac: crate::mac::Mac::random().0,
        namespace: namespace.as_fd(),
    };
    batch.push("wire", link::add_veth(&veth));
    socket.transact(batch).unwrap();
}

fn give(name: &str, nets: &[IpNet; 2], gateway: Option<[IpAddr; 2]>) {
    let mut socket = Socket::open(Protocol::Route).unwrap();
    let index = link::find(&mut socket, name).unwrap().unwrap().index;
    let mut batch = Batch::new();
    for net in nets {
        batch.push("address", address::add(index, *net));
    }
    batch.push("up", link::set_state(index, link::State::Up));
    for gateway in gateway.into_iter().flatten() {
        batch.push("route", route::add_default(gateway, index));
    }
    socket.transact(batch).unwrap();
}

pub(super) fn run(program: &str, arguments: &str) -> String {
    let arguments = arguments.split_whitespace();
    let output = Command::new(program).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn any(like: IpAddr) -> IpAddr {
    ip(if like.is_ipv4() { "0.0.0.0" } else { "::" })
}

fn prefix(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 24 } else { 64 }
}

fn net(text: &str) -> IpNet {
    IpNet::new(ip(text), prefix(ip(text))).unwrap()
}
