//! The messages against the real kernel, in network namespaces of their own; `ip` and `nft` are the second opinion.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::Command;

use ipnet::IpNet;
use onggi_netlink::nft::{
    self, Base, Comparison, ConntrackKey, Data, DataType, Element, Expression, Family, FibResult,
    Field, Hook, Inverted, Kind, MetaKey, NatKind, PayloadBase, Place, Policy, Register, Set,
    TableFlags, Verdict,
};
use onggi_netlink::{Batch, Error, Protocol, Socket, address, conntrack, link, route, rule};
use onggi_sys::netns;

/// Runs a test on a thread in a new network namespace, which dies with the thread.
fn in_fresh_namespace(test: impl FnOnce() + Send) {
    let namespace = netns::fresh().unwrap();
    netns::in_namespace(namespace.as_fd(), test).unwrap();
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn send(socket: &mut Socket, message: onggi_netlink::Message) -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.push("test", message);
    socket.transact(batch)
}

#[test]
fn a_bridge_with_a_veth_whose_peer_is_born_elsewhere() {
    in_fresh_namespace(|| {
        let other = netns::fresh().unwrap();
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let mut batch = Batch::new();
        batch
            .push(
                "bridge",
                link::add_bridge("onggi0", [2, 1, 2, 3, 4, 5], 1400),
            )
            .push("alias", link::set_alias("onggi0", "onggi: test"))
            .push(
                "switch",
                link::set_ipv4("onggi0", &[link::Ipv4Switch::RouteLocalnet]),
            );
        socket.transact(batch).unwrap();
        let bridge = link::find(&mut socket, "onggi0").unwrap().unwrap();
        assert_eq!(
            (bridge.kind.as_deref(), bridge.mac),
            (Some("bridge"), Some([2, 1, 2, 3, 4, 5]))
        );
        assert_eq!(
            (bridge.alias.as_deref(), bridge.up, bridge.mtu),
            (Some("onggi: test"), true, 1400)
        );
        assert_eq!(
            std::fs::read_to_string("/proc/sys/net/ipv4/conf/onggi0/route_localnet").unwrap(),
            "1\n"
        );
        let own = net("172.17.0.1/16");
        send(&mut socket, address::add(bridge.index, own)).unwrap();
        assert!(
            address::list(&mut socket)
                .unwrap()
                .contains(&address::Address {
                    index: bridge.index,
                    net: own
                })
        );
        assert!(
            route::list(&mut socket)
                .unwrap()
                .iter()
                .any(|route| route.destination == own.trunc())
        );

        let mut batch = Batch::new();
        batch
            .push(
                "veth",
                link::add_veth(&link::Veth {
                    name: "veth1",
                    mtu: 1400,
                    master: bridge.index,
                    state: link::State::Down,
                    peer: "eth0",
                    peer_mac: [2, 9, 9, 9, 9, 9],
                    namespace: other.as_fd(),
                }),
            )
            .push("hairpin", link::set_hairpin("veth1"))
            .push("up", link::set_state_by_name("veth1", link::State::Up));
        socket.transact(batch).unwrap();
        let port = link::find(&mut socket, "veth1").unwrap().unwrap();
        assert_eq!((port.master, port.up), (Some(bridge.index), true));
        assert!(output("ip", &["-d", "link", "show", "veth1"]).contains("hairpin on"));

        netns::in_namespace(other.as_fd(), || {
            let mut socket = Socket::open(Protocol::Route).unwrap();
            let peer = link::find(&mut socket, "eth0").unwrap().unwrap();
            assert_eq!(
                (peer.mac, peer.mtu, peer.up),
                (Some([2, 9, 9, 9, 9, 9]), 1400, false)
            );
            let mut batch = Batch::new();
            batch
                .push(
                    "notify",
                    link::set_ipv4("eth0", &[link::Ipv4Switch::ArpNotify]),
                )
                .push("address", address::add(peer.index, net("172.17.0.2/16")))
                .push("up", link::set_state(peer.index, link::State::Up))
                .push("route", route::add_default(ip("172.17.0.1"), peer.index));
            socket.transact(batch).unwrap();
            assert!(output("ip", &["route"]).contains("default via 172.17.0.1 dev eth0"));
        })
        .unwrap();
        // The name is taken now, and the kernel says so in its own words.
        let error = send(
            &mut socket,
            link::add_bridge("onggi0", [2, 1, 2, 3, 4, 5], 1400),
        )
        .unwrap_err();
        assert!(error.is_present(), "{error}");
        send(&mut socket, link::delete(bridge.index)).unwrap();
        assert_eq!(link::find(&mut socket, "onggi0").unwrap(), None);
        let error = send(&mut socket, link::delete(bridge.index)).unwrap_err();
        assert!(error.is_absent(), "{error}");
    });
}

#[test]
fn addresses_and_routes_of_ipv6() {
    in_fresh_namespace(|| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        send(
            &mut socket,
            link::add_bridge("wire0", [2, 1, 2, 3, 4, 5], 1500),
        )
        .unwrap();
        send(&mut socket, link::set_no_own_ipv6("wire0")).unwrap();
        let index = link::find(&mut socket, "wire0").unwrap().unwrap().index;
        send(&mut socket, address::add(index, net("fd00::2/64"))).unwrap();
        // It can be used at once: nobody is asked.
        std::net::UdpSocket::bind("[fd00::2]:0").unwrap();
        let known = |socket: &mut Socket| address::list(socket).unwrap();
        assert!(known(&mut socket).contains(&address::Address {
            index,
            net: net("fd00::2/64")
        }));
        let routes = [
            route::Route::default_by(ip("fd00::1"), index),
            route::Route {
                destination: net("fd01::/64"),
                gateway: None,
                index: Some(index),
                table: 1000,
            },
            route::Route {
                destination: net("10.5.0.0/24"),
                ..route::Route::default_through(false, index)
            },
        ];
        for route in &routes {
            send(&mut socket, route::add(route)).unwrap();
            assert!(route::list(&mut socket).unwrap().contains(route));
            assert!(
                send(&mut socket, route::add(route))
                    .unwrap_err()
                    .is_present()
            );
        }
        assert!(output("ip", &["-6", "route"]).contains("default via fd00::1 dev wire0"));
        for route in &routes {
            send(&mut socket, route::delete(route)).unwrap();
            assert!(!route::list(&mut socket).unwrap().contains(route));
        }
        send(&mut socket, address::delete(index, net("fd00::2/64"))).unwrap();
        assert!(
            !known(&mut socket)
                .iter()
                .any(|one| one.net == net("fd00::2/64"))
        );
    });
}

#[test]
fn links_on_the_wire_of_another() {
    in_fresh_namespace(|| {
        let other = netns::fresh().unwrap();
        let mut socket = Socket::open(Protocol::Route).unwrap();
        send(
            &mut socket,
            link::add_bridge("wire0", [2, 1, 2, 3, 4, 5], 1500),
        )
        .unwrap();
        let parent = link::find(&mut socket, "wire0").unwrap().unwrap().index;
        for (name, mode) in [
            ("eth0", link::MacvlanMode::Bridge),
            ("eth1", link::MacvlanMode::Private),
        ] {
            let macvlan = link::Macvlan {
                name,
                parent,
                mode,
                mtu: Some(1400),
                mac: [2, 7, 7, 7, 7, 7],
                namespace: other.as_fd(),
            };
            send(&mut socket, link::add_macvlan(&macvlan)).unwrap();
        }
        netns::in_namespace(other.as_fd(), || {
            let mut socket = Socket::open(Protocol::Route).unwrap();
            let made = link::find(&mut socket, "eth0").unwrap().unwrap();
            assert_eq!(made.kind.as_deref(), Some("macvlan"));
            assert_eq!(
                (made.mac, made.mtu, made.up),
                (Some([2, 7, 7, 7, 7, 7]), 1400, false)
            );
            assert!(output("ip", &["-d", "link", "show", "eth1"]).contains("macvlan mode private"));
            send(&mut socket, link::set_name(made.index, "net0")).unwrap();
            assert!(link::find(&mut socket, "net0").unwrap().is_some());
        })
        .unwrap();
    });
}

#[test]
fn rules_and_prohibited_networks() {
    in_fresh_namespace(|| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let rules = [
            rule::Rule {
                priority: 97,
                action: rule::Action::SkipMarked {
                    mark: 1 << 29,
                    target: 99,
                },
            },
            rule::Rule {
                priority: 98,
                action: rule::Action::LookUpForwarded(0x6f6e_6767),
            },
            rule::Rule {
                priority: 99,
                action: rule::Action::Nothing,
            },
        ];
        for (family, option) in [(Family::Ip, "-4"), (Family::Ip6, "-6")] {
            for rule in rules {
                send(&mut socket, rule::add(family, rule)).unwrap();
            }
            let shown = output("ip", &[option, "rule"]);
            assert!(
                shown.contains("97:\tfrom all fwmark 0x20000000/0x20000000 goto 99"),
                "{shown}"
            );
            assert!(shown.contains("98:\tnot from all iif lo lookup"), "{shown}");
            assert_eq!(rule::list(&mut socket, family).unwrap(), rules);
        }
        for net in [net("10.1.0.0/24"), net("fd00::/64")] {
            send(&mut socket, route::add_prohibit(net, 0x6f6e_6767)).unwrap();
            let known = route::prohibited(&mut socket, 0x6f6e_6767).unwrap();
            assert!(known.contains(&net), "{known:?}");
            send(&mut socket, route::delete_prohibit(net, 0x6f6e_6767)).unwrap();
            let known = route::prohibited(&mut socket, 0x6f6e_6767).unwrap();
            assert!(!known.contains(&net), "{known:?}");
        }
        for family in [Family::Ip, Family::Ip6] {
            for rule in rules {
                send(&mut socket, rule::delete(family, rule)).unwrap();
            }
            assert_eq!(rule::list(&mut socket, family).unwrap(), []);
        }
    });
}

const A: Register = Register::word(0);
const B: Register = Register::word(1);
const C: Register = Register::word(2);
const D: Register = Register::word(4);
const E: Register = Register::word(5);

fn table_with_everything(batch: &mut Batch) {
    let family = Family::Ip;
    batch
        .push(
            "table",
            nft::add_table(family, "t", TableFlags::empty(), Some("a table")),
        )
        .push(
            "map",
            nft::add_set(
                family,
                "t",
                &Set {
                    name: "publish",
                    key: &[Field::Protocol, Field::Ipv4Address, Field::Service],
                    data: DataType::Fields(&[Field::Ipv4Address, Field::Service]),
                    ranges: false,
                },
            ),
        )
        .push(
            "ranges",
            nft::add_set(
                family,
                "t",
                &Set {
                    name: "ranges",
                    key: &[Field::Protocol, Field::Service],
                    data: DataType::Fields(&[Field::Ipv4Address]),
                    ranges: true,
                },
            ),
        )
        .push(
            "nets",
            nft::add_set(
                family,
                "t",
                &Set {
                    name: "nets",
                    key: &[Field::Ipv4Address],
                    data: DataType::None,
                    ranges: true,
                },
            ),
        )
        .push(
            "links",
            nft::add_set(
                family,
                "t",
                &Set {
                    name: "links",
                    key: &[Field::LinkName],
                    data: DataType::Verdict,
                    ranges: false,
                },
            ),
        )
        .push(
            "nat",
            nft::add_chain(
                family,
                "t",
                "nat",
                Some(Base {
                    kind: Kind::Nat,
                    hook: Hook::Prerouting,
                    priority: -100,
                    policy: Policy::Accept,
                }),
            ),
        )
        .push(
            "post",
            nft::add_chain(
                family,
                "t",
                "post",
                Some(Base {
                    kind: Kind::Nat,
                    hook: Hook::Postrouting,
                    priority: 100,
                    policy: Policy::Accept,
                }),
            ),
        )
        .push(
            "forward",
            nft::add_chain(
                family,
                "t",
                "forward",
                Some(Base {
                    kind: Kind::Filter,
                    hook: Hook::Forward,
                    priority: 0,
                    policy: Policy::Drop,
                }),
            ),
        )
        .push("plain", nft::add_chain(family, "t", "plain", None));
}

#[test]
fn one_table_with_everything() {
    in_fresh_namespace(|| {
        let mut socket = Socket::open(Protocol::Nftables).unwrap();
        let mut batch = Batch::new();
        table_with_everything(&mut batch);
        let publish = Element {
            key: nft::concatenate(&[&[6], &[10, 0, 0, 1], &8080_u16.to_be_bytes()]),
            last: None,
            ends: false,
            data: Some(Data::Value(nft::concatenate(&[
                &[172, 17, 0, 2],
                &80_u16.to_be_bytes(),
            ]))),
            tag: Some("a container".to_owned()),
        };
        let range = Element {
            key: nft::concatenate(&[&[17], &7000_u16.to_be_bytes()]),
            last: Some(nft::concatenate(&[&[17], &7999_u16.to_be_bytes()])),
            ends: false,
            data: Some(Data::Value(vec![172, 17, 0, 3])),
            tag: None,
        };
        let mut name = b"onggi0".to_vec();
        name.resize(16, 0);
        let links = Element {
            key: name.clone(),
            last: None,
            ends: false,
            data: Some(Data::Verdict(Verdict::Goto("plain".to_owned()))),
            tag: None,
        };
        let nets = nft::interval(vec![10, 0, 0, 0], &[10, 0, 0, 255], None, None);
        for (set, elements) in [
            ("publish", vec![publish.clone()]),
            ("ranges", vec![range.clone()]),
            ("links", vec![links]),
            ("nets", nets),
        ] {
            batch.extend(
                "elements",
                nft::add_elements(Family::Ip, "t", set, &elements),
            );
        }
        let dnat = [
            Expression::Fib {
                result: FibResult::AddressType,
                to: A,
            },
            Expression::Compare {
                from: A,
                comparison: Comparison::Equal,
                value: 2_u32.to_ne_bytes().to_vec(),
            },
            Expression::Meta {
                key: MetaKey::TransportProtocol,
                to: A,
            },
            Expression::Payload {
                base: PayloadBase::Network,
                offset: 16,
                length: 4,
                to: B,
            },
            Expression::Payload {
                base: PayloadBase::Transport,
                offset: 2,
                length: 2,
                to: C,
            },
            Expression::Map {
                map: "publish".to_owned(),
                from: A,
                to: D,
            },
            Expression::Nat {
                kind: NatKind::Destination,
                family: Family::Ip,
                address: D,
                port: Some(E),
            },
        ];
        let masquerade = [
            Expression::Payload {
                base: PayloadBase::Network,
                offset: 12,
                length: 4,
                to: A,
            },
            Expression::Bitwise {
                from: A,
                to: A,
                mask: vec![255, 255, 0, 0],
                xor: vec![0; 4],
            },
            Expression::Compare {
                from: A,
                comparison: Comparison::NotEqual,
                value: vec![172, 17, 0, 0],
            },
            Expression::Masquerade,
        ];
        let forward = [
            Expression::Conntrack {
                key: ConntrackKey::State,
                to: A,
            },
            Expression::Bitwise {
                from: A,
                to: A,
                mask: 6_u32.to_ne_bytes().to_vec(),
                xor: vec![0; 4],
            },
            Expression::Compare {
                from: A,
                comparison: Comparison::NotEqual,
                value: vec![0; 4],
            },
            Expression::Counter,
            Expression::Meta {
                key: MetaKey::Mark,
                to: A,
            },
            Expression::Bitwise {
                from: A,
                to: A,
                mask: (!0x100_u32).to_ne_bytes().to_vec(),
                xor: 0x100_u32.to_ne_bytes().to_vec(),
            },
            Expression::SetMark { from: A },
            Expression::Verdict(Verdict::Accept),
        ];
        let by_link = [
            Expression::Meta {
                key: MetaKey::InName,
                to: A,
            },
            Expression::VerdictMap {
                map: "links".to_owned(),
                from: A,
            },
        ];
        let by_net = [
            Expression::Payload {
                base: PayloadBase::Network,
                offset: 12,
                length: 4,
                to: A,
            },
            Expression::Lookup {
                set: "nets".to_owned(),
                from: A,
                inverted: Inverted::Yes,
            },
            Expression::Immediate {
                to: B,
                value: vec![1, 2, 3, 4],
            },
            Expression::Verdict(Verdict::Jump("plain".to_owned())),
        ];
        for (chain, place, rule, tag) in [
            ("nat", Place::Last, &dnat[..], None),
            ("post", Place::Last, &masquerade, None),
            ("forward", Place::Last, &forward, Some("second")),
            ("forward", Place::First, &by_link, Some("first")),
            ("forward", Place::Last, &by_net, None),
        ] {
            batch.push(
                "rule",
                nft::add_rule(Family::Ip, "t", chain, place, rule, tag),
            );
        }
        socket.transact(batch).unwrap();

        let listed = output("nft", &["list", "ruleset"]);
        for line in [
            "comment \"a table\"",
            "type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service",
            "tcp . 10.0.0.1 . 8080 comment \"a container\" : 172.17.0.2 . 80",
            "udp . 7000-7999 : 172.17.0.3",
            "elements = { 10.0.0.0/24 }",
            "\"onggi0\" : goto plain",
            "fib daddr type local dnat ip to meta l4proto . ip daddr . th dport map @publish",
            "ip saddr != 172.17.0.0/16 masquerade",
            "type filter hook forward priority filter; policy drop;",
            "iifname vmap @links comment \"first\"\n",
            "ct state established,related counter packets 0 bytes 0 meta mark set meta mark | 0x00000100 accept comment \"second\"",
            "ip saddr != @nets",
        ] {
            assert!(listed.contains(line), "{line}\n{listed}");
        }

        let table = nft::table(&mut socket, Family::Ip, "t").unwrap().unwrap();
        assert_eq!((table.owner, table.tag.as_deref()), (None, Some("a table")));
        assert_eq!(
            nft::elements(&mut socket, Family::Ip, "t", "publish").unwrap(),
            std::slice::from_ref(&publish)
        );
        assert_eq!(
            nft::elements(&mut socket, Family::Ip, "t", "ranges").unwrap(),
            [range]
        );
        let mut sets = nft::sets(&mut socket, Family::Ip, "t").unwrap();
        sets.sort();
        assert_eq!(sets, ["links", "nets", "publish", "ranges"]);
        let chains = nft::chains(&mut socket, Family::Ip, "t").unwrap();
        assert_eq!(
            chains
                .iter()
                .find(|chain| chain.name == "forward")
                .unwrap()
                .policy,
            Some(Policy::Drop)
        );
        let rules = nft::rules(&mut socket, Family::Ip, "t").unwrap();
        let forward: Vec<_> = rules
            .iter()
            .filter(|rule| rule.chain == "forward")
            .collect();
        assert_eq!(forward[0].tag.as_deref(), Some("first"));
        assert_eq!(forward[0].expressions, ["meta", "lookup"]);

        // All or nothing: the second message fails, so the first has not happened.
        let mut batch = Batch::new();
        batch.extend(
            "delete",
            nft::delete_elements(Family::Ip, "t", "publish", std::slice::from_ref(&publish)),
        );
        batch.push(
            "delete chain nothing",
            nft::delete_chain(Family::Ip, "t", "nothing"),
        );
        let error = socket.transact(batch).unwrap_err();
        assert!(
            error.is_absent() && error.to_string().starts_with("delete chain nothing: "),
            "{error}"
        );
        assert_eq!(
            nft::elements(&mut socket, Family::Ip, "t", "publish")
                .unwrap()
                .len(),
            1
        );
        let mut batch = Batch::new();
        batch.extend(
            "again",
            nft::add_elements(Family::Ip, "t", "publish", std::slice::from_ref(&publish)),
        );
        socket.transact(batch).unwrap();
        let mut other = publish.clone();
        other.data = Some(Data::Value(nft::concatenate(&[
            &[172, 17, 0, 9],
            &80_u16.to_be_bytes(),
        ])));
        let mut batch = Batch::new();
        batch.extend(
            "other",
            nft::add_elements(Family::Ip, "t", "publish", &[other]),
        );
        assert!(socket.transact(batch).is_err());

        let mut batch = Batch::new();
        batch
            .push(
                "rule",
                nft::delete_rule(Family::Ip, "t", "forward", forward[0].handle),
            )
            .push("flush", nft::flush_chain(Family::Ip, "t", "nat"));
        batch.extend(
            "delete",
            nft::delete_elements(Family::Ip, "t", "publish", &[publish]),
        );
        socket.transact(batch).unwrap();
        assert_eq!(
            nft::elements(&mut socket, Family::Ip, "t", "publish").unwrap(),
            []
        );
        send(&mut socket, nft::delete_table(Family::Ip, "t")).unwrap();
        assert_eq!(output("nft", &["list", "ruleset"]), "");
    });
}

#[test]
fn a_thousand_elements_are_one_transaction() {
    in_fresh_namespace(|| {
        let mut socket = Socket::open(Protocol::Nftables).unwrap();
        let mut batch = Batch::new();
        table_with_everything(&mut batch);
        let elements: Vec<_> = (1..=5000_u16)
            .map(|port| Element {
                key: nft::concatenate(&[&[6], &[10, 0, 0, 1], &port.to_be_bytes()]),
                last: None,
                ends: false,
                data: Some(Data::Value(nft::concatenate(&[
                    &[172, 17, 0, 2],
                    &port.to_be_bytes(),
                ]))),
                tag: Some("x".repeat(64)),
            })
            .collect();
        batch.extend(
            "elements",
            nft::add_elements(Family::Ip, "t", "publish", &elements),
        );
        socket.transact(batch).unwrap();
        assert_eq!(
            nft::elements(&mut socket, Family::Ip, "t", "publish")
                .unwrap()
                .len(),
            5000
        );
    });
}

#[test]
fn an_owned_table_survives_its_owner_and_is_adopted() {
    in_fresh_namespace(|| {
        let owned = TableFlags::OWNER | TableFlags::PERSIST;
        let mut first = Socket::open(Protocol::Nftables).unwrap();
        match send(&mut first, nft::add_table(Family::Ip, "t", owned, None)) {
            Ok(()) => {}
            // Before 6.9 the kernel does not know the flag, and says so; the table is then made without.
            Err(error) => {
                assert_eq!(error.errno(), Some(rustix::io::Errno::OPNOTSUPP));
                return;
            }
        }
        let mut second = Socket::open(Protocol::Nftables).unwrap();
        assert!(
            nft::table(&mut second, Family::Ip, "t")
                .unwrap()
                .unwrap()
                .owner
                .is_some()
        );
        assert!(send(&mut second, nft::add_table(Family::Ip, "t", owned, None)).is_err());
        output("nft", &["flush", "ruleset"]);
        assert!(nft::table(&mut second, Family::Ip, "t").unwrap().is_some());
        drop(first);
        let orphan = nft::table(&mut second, Family::Ip, "t").unwrap().unwrap();
        assert_eq!((orphan.flags, orphan.owner), (TableFlags::PERSIST, None));
        send(&mut second, nft::add_table(Family::Ip, "t", owned, None)).unwrap();
        assert_eq!(
            nft::table(&mut second, Family::Ip, "t")
                .unwrap()
                .unwrap()
                .flags,
            owned
        );
    });
}

#[test]
fn tracked_flows_are_forgotten() {
    in_fresh_namespace(|| {
        let mut route = Socket::open(Protocol::Route).unwrap();
        send(&mut route, link::set_state_by_name("lo", link::State::Up)).unwrap();
        let mut nft_socket = Socket::open(Protocol::Nftables).unwrap();
        let mut batch = Batch::new();
        table_with_everything(&mut batch);
        // The first rule that needs it switches tracking on.
        let state = [Expression::Conntrack {
            key: ConntrackKey::State,
            to: A,
        }];
        batch.push(
            "rule",
            nft::add_rule(Family::Ip, "t", "forward", Place::Last, &state, None),
        );
        nft_socket.transact(batch).unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sender
            .send_to(b"x", receiver.local_addr().unwrap())
            .unwrap();
        let port = receiver.local_addr().unwrap().port();
        let mut socket = Socket::open(Protocol::Conntrack).unwrap();
        let ours = |flow: &conntrack::Flow| flow.protocol == 17 && flow.original.3 == port;
        assert_eq!(
            conntrack::forget(&mut socket, |flow| flow.protocol == 6).unwrap(),
            0
        );
        assert_eq!(conntrack::forget(&mut socket, ours).unwrap(), 1);
        assert_eq!(conntrack::forget(&mut socket, ours).unwrap(), 0);
    });
}
