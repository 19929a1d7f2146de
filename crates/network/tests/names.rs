//! The embedded DNS in namespaces: a container asks 127.0.0.11, upstreams are servers of our own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "names/hostile.rs"]
mod hostile; // containers and upstreams that mean harm, or know no better

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use onggi_dns::Query;
use onggi_model::ContainerId;
use onggi_network::{Names, Place, Settings};
use onggi_testkit::{LIMIT, NameAnswer, NameServer, Namespace, wait_until};

const RESOLVER: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 11), 53);
/// Addresses of upstreams.
const UPSTREAM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 54);
/// What an upstream says.
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// A host, a container that is in a network, and another one's name there.
struct Scene {
    names: Names,
    container: ContainerId,
    inside: Namespace,
    host: Namespace,
    folder: tempfile::TempDir,
}

fn place(host: u8, name: &str) -> Place {
    Place {
        network_id: "1f".repeat(32),
        network: "net".to_owned(),
        addresses: vec![[172, 18, 0, host].into()],
        names: vec![name.to_owned(), "app".to_owned()],
        leads_outside: true,
        ..Place::default()
    }
}

/// Runs `test` on a host of its own: its threads, and so the daemon's sockets, are in that namespace.
fn on_a_host(servers: &[Ipv4Addr], test: impl AsyncFnOnce(&Scene) + Send) {
    let (host, inside) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let on_host = host.try_clone().unwrap();
    on_host
        .run(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let folder = tempfile::tempdir().unwrap();
                let names = Names::on_host(folder.path().join("names"), folder.path().into());
                let container = ContainerId::random().unwrap();
                names.attach(&container, place(2, "web"));
                names.attach(&ContainerId::random().unwrap(), place(3, "db"));
                let settings = Settings {
                    servers: servers.iter().copied().map(IpAddr::V4).collect(),
                    ..Settings::default()
                };
                names.set_container(&container, settings);
                let netns = inside.fd().try_clone_to_owned().unwrap();
                let sockets = Names::open(netns).await.unwrap();
                names.serve(&container, sockets).unwrap();
                let scene = Scene {
                    names,
                    container,
                    inside,
                    host,
                    folder,
                };
                test(&scene).await;
                scene.names.remove(&scene.container).await;
                assert_eq!(scene.sockets(), 0);
            });
        })
        .unwrap();
}

impl Scene {
    /// What a container hears: response code and data of the answers.
    fn ask(&self, name: &str, kind: u16) -> Reply {
        let message = question(name, kind);
        let ask = || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            socket.connect(RESOLVER).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(2)))
                .unwrap();
            // As libc does: a lost question is asked again.
            for _ in 0..10 {
                socket.send(&message).unwrap();
                let mut bytes = [0; 4096];
                if let Ok(count) = socket.recv(&mut bytes) {
                    return Reply::read(&bytes[..count]);
                }
            }
            panic!("{name}: nobody answers");
        };
        self.inside.run(ask).unwrap()
    }

    fn ask_by_tcp(&self, name: &str, kind: u16) -> Reply {
        let message = question(name, kind);
        let ask = || {
            let mut stream = TcpStream::connect(RESOLVER).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let length = u16::try_from(message.len()).unwrap();
            // Two at once: they are answered one after the other.
            let frame = [&length.to_be_bytes(), &message[..]].concat();
            stream
                .write_all(&[&frame[..], &frame[..]].concat())
                .unwrap();
            let mut replies = [(); 2].map(|()| {
                let mut length = [0; 2];
                stream.read_exact(&mut length).unwrap();
                let mut bytes = vec![0; u16::from_be_bytes(length).into()];
                stream.read_exact(&mut bytes).unwrap();
                Reply::read(&bytes)
            });
            assert_eq!(replies[0].code, replies[1].code);
            std::mem::take(&mut replies[1])
        };
        self.inside.run(ask).unwrap()
    }

    /// Sockets of the resolver in the container's namespace.
    fn sockets(&self) -> usize {
        let look = || {
            let read =
                |file| std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap();
            let is_ours = |line: &&str| {
                let words: Vec<&str> = line.split_ascii_whitespace().collect();
                words[1].starts_with("0B00007F:") && matches!(words[3], "07" | "0A")
            };
            let count = |file| read(file).lines().filter(is_ours).count();
            count("udp") + count("tcp")
        };
        self.inside.run(look).unwrap()
    }

    fn server(&self, inside: bool, address: Ipv4Addr, far: Ipv4Addr) -> NameServer {
        let namespace = if inside { &self.inside } else { &self.host };
        NameServer::start(namespace, address, move |name| match name {
            "gone.example" => NameAnswer::Unknown,
            "broken.example" => NameAnswer::Failure,
            "big.example" => NameAnswer::Addresses(vec![far.into(); 100]),
            _ => NameAnswer::one(far),
        })
        .unwrap()
    }
}

#[derive(Debug, Default)]
struct Reply {
    code: u8,
    count: usize,
    truncated: bool,
    data: Vec<u8>,
}

impl Reply {
    fn read(bytes: &[u8]) -> Self {
        Self {
            code: bytes[3] & 15,
            count: usize::from(u16::from_be_bytes([bytes[6], bytes[7]])),
            truncated: bytes[2] & 2 != 0,
            data: bytes.to_vec(),
        }
    }

    fn has(&self, address: [u8; 4]) -> bool {
        self.data.windows(4).any(|window| window == address)
    }
}

fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0".to_vec();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    Query::parse(&bytes).unwrap();
    bytes
}

const A: u16 = 1;
const PTR: u16 = 12;
const AAAA: u16 = 28;

#[test]
fn a_container_hears_the_names_of_its_network() {
    on_a_host(&[UPSTREAM], async |scene| {
        let upstream = scene.server(true, UPSTREAM, FAR);
        for name in ["db", "DB", "db.net"] {
            let reply = scene.ask(name, A);
            assert!(
                reply.code == 0 && reply.count == 1 && reply.has([172, 18, 0, 3]),
                "{reply:?}"
            );
        }
        let reply = scene.ask_by_tcp("db", A);
        assert!(reply.has([172, 18, 0, 3]), "{reply:?}");
        let both = scene.ask("app", A);
        assert!(
            both.has([172, 18, 0, 2]) && both.has([172, 18, 0, 3]),
            "{both:?}"
        );
        let none = scene.ask("db", AAAA);
        assert_eq!((none.code, none.count), (0, 0));
        let back = scene.ask("3.0.18.172.in-addr.arpa", PTR);
        assert!(
            back.count == 1
                && back
                    .data
                    .windows(7)
                    .any(|window| window == b"\x02db\x03net"),
            "{back:?}"
        );
        assert_eq!(upstream.asked(), Vec::<String>::new());
    });
}

#[test]
fn an_image_may_have_port_53_itself() {
    on_a_host(&[], async |scene| {
        let own = NameServer::start(&scene.inside, Ipv4Addr::UNSPECIFIED, |_| {
            NameAnswer::one(FAR)
        });
        let _own = own.unwrap();
        assert!(scene.ask("db", A).has([172, 18, 0, 3]));
    });
}

#[test]
fn names_come_and_go_while_it_runs() {
    on_a_host(&[UPSTREAM], async |scene| {
        let _upstream =
            NameServer::start(&scene.inside, UPSTREAM, |_| NameAnswer::Unknown).unwrap();
        let other = ContainerId::random().unwrap();
        assert_eq!(scene.ask("new", A).code, 3);
        scene.names.attach(&other, place(9, "new"));
        assert!(scene.ask("new", A).has([172, 18, 0, 9]));
        let file = scene.folder.path().join("names").join("1f".repeat(32));
        let kept = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let is_kept = || kept(&file).contains("172.18.0.9 new app\n").then_some(());
        wait_until("the name in the monitors' file", LIMIT, is_kept).unwrap();
        scene.names.detach(&other, &place(9, "new").network_id);
        assert_eq!(scene.ask("new", A).code, 3);
        let is_gone = || (!kept(&file).contains("new")).then_some(());
        wait_until("its end there", LIMIT, is_gone).unwrap();
    });
}

/// Who answers from the files never sees some of the names.
#[test]
fn files_are_written_when_all_is_known() {
    on_a_host(&[], async |scene| {
        let file = scene.folder.path().join("names").join("1f".repeat(32));
        let kept = || std::fs::read_to_string(&file).unwrap_or_default();
        let has = |name: &str| kept().contains(name).then_some(());
        wait_until("the first names", LIMIT, || has(" db ")).unwrap();
        let before = kept();
        let (one, other) = (scene.names.hold(), scene.names.hold());
        for host in 10..60 {
            let id = ContainerId::random().unwrap();
            scene.names.attach(&id, place(host, &format!("n{host}")));
        }
        drop(one);
        assert_eq!(kept(), before);
        drop(other);
        wait_until("all names", LIMIT, || has(" n59 ")).unwrap();
        assert_eq!(kept().lines().count(), 52);
    });
}

#[test]
fn other_names_are_asked_of_upstreams() {
    on_a_host(&[UPSTREAM], async |scene| {
        let upstream = scene.server(true, UPSTREAM, FAR);
        assert!(scene.ask("www.example", A).has([192, 0, 2, 1]));
        assert_eq!(scene.ask("gone.example", A).code, 3);
        assert_eq!(scene.ask("broken.example", A).code, 2);
        let big = scene.ask("big.example", A);
        assert!(big.truncated, "{big:?}");
        let whole = scene.ask_by_tcp("big.example", A);
        assert_eq!((whole.count, whole.truncated), (100, false));
        // What was said is kept for as long as it lives.
        drop(upstream);
        assert!(scene.ask("WWW.example", A).has([192, 0, 2, 1]));
        assert_eq!(scene.ask("new.example", A).code, 2);
    });
}

#[test]
fn a_dead_upstream_is_passed_over() {
    on_a_host(&[OTHER, UPSTREAM], async |scene| {
        let silent = NameServer::start(&scene.inside, OTHER, |_| NameAnswer::Silence).unwrap();
        let _upstream = scene.server(true, UPSTREAM, FAR);
        for name in ["a.example", "b.example"] {
            assert!(scene.ask(name, A).has([192, 0, 2, 1]));
        }
        let first = || {
            silent
                .asked()
                .contains(&"a.example".to_owned())
                .then_some(())
        };
        wait_until("the question at the first one", LIMIT, first).unwrap();
        // Nobody listens there any more: the kernel says so at once.
        drop(silent);
        assert!(scene.ask("c.example", A).has([192, 0, 2, 1]));
    });
}

#[test]
fn nobody_answers() {
    on_a_host(&[OTHER], async |scene| {
        assert_eq!(scene.ask("a.example", A).code, 2)
    });
}

#[test]
fn loopback_servers_of_the_host_are_asked_from_the_host() {
    on_a_host(&[], async |scene| {
        let _first = scene.server(false, UPSTREAM, FAR);
        let _second = scene.server(false, OTHER, Ipv4Addr::new(192, 0, 2, 2));
        let etc = scene.folder.path().join("etc");
        std::fs::create_dir(&etc).unwrap();
        for (server, answer) in [(UPSTREAM, 1), (OTHER, 2)] {
            std::fs::write(etc.join("new"), format!("nameserver {server}\n")).unwrap();
            std::fs::rename(etc.join("new"), etc.join("resolv.conf")).unwrap();
            let reply = scene.ask("www.example", A);
            assert!(reply.has([192, 0, 2, answer]), "{server} {reply:?}");
        }
    });
}

#[test]
fn internal_networks_hear_of_own_names_alone() {
    on_a_host(&[UPSTREAM], async |scene| {
        let upstream = scene.server(true, UPSTREAM, FAR);
        let inner = Place {
            leads_outside: false,
            ..place(2, "web")
        };
        scene.names.attach(&scene.container, inner);
        assert!(scene.ask("db", A).has([172, 18, 0, 3]));
        assert_eq!(scene.ask("www.example", A).code, 3);
        assert_eq!(upstream.asked(), Vec::<String>::new());
    });
}

#[test]
fn nonsense_and_floods_are_outlived() {
    on_a_host(&[OTHER], async |scene| {
        let _silent = NameServer::start(&scene.inside, OTHER, |_| NameAnswer::Silence).unwrap();
        let flood = || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            for length in 0..100_usize {
                let _ = socket.send_to(&vec![0xc0; length], RESOLVER);
            }
            for number in 0..2000 {
                let _ = socket.send_to(&question(&format!("n{number}.example"), A), RESOLVER);
            }
            // Connections that say nothing.
            let idle: Vec<TcpStream> = (0..20)
                .map(|_| TcpStream::connect(RESOLVER).unwrap())
                .collect();
            idle
        };
        let _idle = scene.inside.run(flood).unwrap();
        assert!(scene.ask("db", A).has([172, 18, 0, 3]));
        assert!(scene.ask_by_tcp("db", A).has([172, 18, 0, 3]));
    });
}

#[test]
fn sockets_are_handed_on() {
    on_a_host(&[], async |scene| {
        let netns = scene.inside.fd().as_fd().try_clone_to_owned().unwrap();
        // As after a restart: new sockets and rules take the place of the old ones.
        let sockets = Names::open(netns).await.unwrap();
        let kept = sockets.duplicates().unwrap();
        drop(sockets);
        scene.names.stop(&scene.container).await;
        let again = onggi_network::Sockets::from_descriptors(kept).unwrap();
        scene.names.serve(&scene.container, again).unwrap();
        assert!(scene.names.serves(&scene.container));
        assert!(scene.ask("db", A).has([172, 18, 0, 3]));
    });
}
