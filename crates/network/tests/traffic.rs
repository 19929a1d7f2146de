//! Who reaches whom, and as whom: publishing, isolation, NAT, on the real kernel.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;

use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use machine::{HOST, OUTSIDE, on_a_machine, request, run, seen_by_udp, seen_from, udp};
use onggi_model::ContainerId;
use onggi_network::{Config, Networks};
use onggi_sys::netns;

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

async fn open(machine: &machine::Machine) -> Networks {
    machine.open(Config::default()).await
}

/// Whether bridged packets pass IPv4's chains is a switch of the host's, which others set.
fn set_bridge_filter(value: &str) {
    let _ = std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", value);
}

#[test]
fn a_published_port_is_reached_from_everywhere() {
    for value in ["1", "0"] {
        on_a_machine(async |machine| {
            set_bridge_filter(value);
            reach_a_published_port(machine).await;
        });
    }
}

async fn reach_a_published_port(machine: &machine::Machine) {
    let networks = open(machine).await;
    let gateway = Ipv4Addr::new(172, 17, 0, 1);
    let web = machine.run(&networks, &["8080:80"]).await;
    let other = machine.run(&networks, &[]).await;
    assert_eq!(web.address(), Ipv4Addr::new(172, 17, 0, 2));
    let seen = |from, to| seen_from(from, to, 8080);
    // The host, on all its addresses.
    assert_eq!(seen(&machine.host, LOOPBACK).as_deref(), Some("172.17.0.1"));
    assert_eq!(
        seen(&machine.host, Ipv4Addr::new(127, 9, 9, 9)).as_deref(),
        Some("172.17.0.1")
    );
    assert_eq!(seen(&machine.host, gateway).as_deref(), Some("172.17.0.1"));
    assert!(seen(&machine.host, HOST).is_some());
    // The outside keeps its address.
    assert_eq!(seen(&machine.outside, HOST).as_deref(), Some("10.9.0.2"));
    // Containers of the same bridge, by any address of the host; the container itself too.
    for container in [&other, &web] {
        assert_eq!(
            seen(&container.namespace, gateway).as_deref(),
            Some("172.17.0.1")
        );
        assert_eq!(
            seen(&container.namespace, HOST).as_deref(),
            Some("172.17.0.1")
        );
    }
    // The detour by the host must not teach the container another way to the host (ICMP redirects).
    let listener = std::net::TcpListener::bind((HOST, 7000)).unwrap();
    let _accepting = std::thread::spawn(move || {
        listener
            .accept()
            .map(|(mut client, _)| client.write_all(b"host\n"))
    });
    assert_eq!(
        seen_from(&other.namespace, HOST, 7000).as_deref(),
        Some("host")
    );
    // Directly, by the container's own address and port.
    assert_eq!(
        seen_from(&other.namespace, web.address(), 80).as_deref(),
        Some("172.17.0.3")
    );
    assert_eq!(
        seen_from(&machine.host, web.address(), 81).as_deref(),
        Some("172.17.0.1")
    );
    // Nothing of it for a container's own loopback.
    assert_eq!(seen_from(&other.namespace, LOOPBACK, 8080), None);
    networks.release(web.id()).await.unwrap();
    assert_eq!(seen(&machine.outside, HOST), None);
    assert_eq!(seen(&machine.host, LOOPBACK), None);
}

#[test]
fn the_outside_reaches_only_what_is_published_to_it() {
    on_a_machine(async |machine| {
        let networks = open(machine).await;
        let private = machine
            .run(&networks, &["127.0.0.1:8080:80", "10.9.0.1:8081:81"])
            .await;
        assert!(seen_from(&machine.host, LOOPBACK, 8080).is_some());
        assert_eq!(seen_from(&machine.outside, HOST, 8080), None);
        assert!(seen_from(&machine.outside, HOST, 8081).is_some());
        assert_eq!(seen_from(&machine.host, LOOPBACK, 8081), None);
        // The container's own address, also at a published port.
        for port in [80, 81] {
            assert_eq!(seen_from(&machine.outside, private.address(), port), None);
        }
        // 127.0.0.1 by the wire, from someone whose own loopback is out of the way.
        netns::in_namespace(machine.outside.as_fd(), || {
            run("ip", "address del 127.0.0.1/8 dev lo");
            std::fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").unwrap();
            run("ip", "route add 127.0.0.1/32 via 10.9.0.1 src 10.9.0.2");
        })
        .unwrap();
        assert_eq!(seen_from(&machine.outside, LOOPBACK, 8080), None);
        assert!(
            run("nft", "list chain ip onggi guard")
                .contains("iifname != \"lo\" ip daddr 127.0.0.0/8 drop")
        );
        drop(private);
    });
}

#[test]
fn containers_reach_the_outside_as_the_host() {
    on_a_machine(async |machine| {
        machine::serve(&machine.outside);
        let networks = open(machine).await;
        let container = machine.run(&networks, &[]).await;
        assert_eq!(
            seen_from(&container.namespace, OUTSIDE, 80).as_deref(),
            Some("10.9.0.1")
        );
        assert_eq!(
            seen_by_udp(&udp(&container.namespace), OUTSIDE, 80).as_deref(),
            Some("10.9.0.1")
        );
    });
}

#[test]
fn without_icc_only_published_ports_connect_containers() {
    for value in ["1", "0"] {
        on_a_machine(async |machine| {
            set_bridge_filter(value);
            live_without_icc(machine).await;
        });
    }
}

async fn live_without_icc(machine: &machine::Machine) {
    machine::serve(&machine.outside);
    let networks = machine
        .open(Config {
            icc: false,
            ..Config::default()
        })
        .await;
    let web = machine.run(&networks, &["8080:80"]).await;
    let other = machine.run(&networks, &[]).await;
    assert_eq!(seen_from(&other.namespace, web.address(), 80), None);
    assert_eq!(seen_from(&other.namespace, web.address(), 81), None);
    assert!(seen_from(&other.namespace, HOST, 8080).is_some());
    assert!(seen_from(&machine.outside, HOST, 8080).is_some());
    assert!(seen_from(&other.namespace, OUTSIDE, 80).is_some());
    assert!(seen_from(&machine.host, web.address(), 81).is_some());
    // Not by way of the router either.
    netns::in_namespace(other.namespace.as_fd(), || {
        run("ip", "route add 172.17.0.2/32 via 172.17.0.1");
    })
    .unwrap();
    assert_eq!(seen_from(&other.namespace, web.address(), 81), None);
    // The same containers, after the daemon comes back with icc, and again without.
    drop(networks);
    let networks = open(machine).await;
    assert!(seen_from(&other.namespace, web.address(), 81).is_some());
    drop(networks);
    let networks = machine
        .open(Config {
            icc: false,
            ..Config::default()
        })
        .await;
    assert_eq!(seen_from(&other.namespace, web.address(), 81), None);
    assert!(run("nft", "list set bridge onggi isolated").contains(&web.endpoint.endpoint_id[..7]));
    networks.release(web.id()).await.unwrap();
    assert!(!run("nft", "list set bridge onggi isolated").contains(&web.endpoint.endpoint_id[..7]));
}

#[test]
fn udp_flows_follow_the_publication() {
    on_a_machine(async |machine| {
        let networks = open(machine).await;
        let client = udp(&machine.outside);
        // Tracked before the port is published, and sending on.
        assert_eq!(seen_by_udp(&client, HOST, 5353), None);
        let first = machine.run(&networks, &["5353:80/udp"]).await;
        assert_eq!(
            seen_by_udp(&client, HOST, 5353).as_deref(),
            Some("10.9.0.2")
        );
        assert!(seen_by_udp(&udp(&machine.host), LOOPBACK, 5353).is_some());
        // Another container takes over; the flow goes to it at once.
        networks.release(first.id()).await.unwrap();
        let _spacer = machine.run(&networks, &[]).await;
        let before = first.address();
        drop(first.held);
        let second = machine.run(&networks, &["5353:80/udp"]).await;
        assert_ne!(before, second.address());
        assert_eq!(
            seen_by_udp(&client, HOST, 5353).as_deref(),
            Some("10.9.0.2")
        );
    });
}

#[test]
fn a_new_container_at_an_old_address_is_reached_at_once() {
    on_a_machine(async |machine| {
        let networks = open(machine).await;
        let _other = machine.run(&networks, &[]).await;
        for _ in 0..5 {
            let container = machine.run(&networks, &[]).await;
            assert_eq!(container.address(), Ipv4Addr::new(172, 17, 0, 3));
            assert!(seen_from(&machine.host, container.address(), 80).is_some());
            assert!(seen_from(&_other.namespace, container.address(), 80).is_some());
            networks.release(container.id()).await.unwrap();
        }
    });
}

#[test]
fn ports_that_are_taken() {
    on_a_machine(async |machine| {
        let networks = open(machine).await;
        let web = machine.run(&networks, &["8080:80"]).await;
        let id = ContainerId::random().unwrap();
        let error = networks
            .allocate(&id, vec![request(&["127.0.0.1:8080:80"])])
            .await
            .unwrap_err();
        let text = onggi_model::chain(&error);
        assert!(
            text.starts_with("driver failed programming external connectivity on endpoint test ("),
            "{text}"
        );
        assert!(
            text.ends_with("): Bind for 127.0.0.1:8080 failed: port is already allocated"),
            "{text}"
        );
        let listener = std::net::TcpListener::bind((LOOPBACK, 9090)).unwrap();
        let error = networks
            .allocate(&id, vec![request(&["9090:80"])])
            .await
            .unwrap_err();
        let text = onggi_model::chain(&error);
        let end =
            "failed to bind host port for 0.0.0.0:9090:172.17.0.3:80/tcp: address already in use";
        assert!(text.ends_with(end), "{text}");
        drop(listener);
        // What failed has kept nothing.
        let endpoint = networks
            .allocate(&id, vec![request(&["9090:80", "80", "81"])])
            .await
            .unwrap();
        assert_eq!(
            endpoint[0].address_v4().unwrap(),
            Ipv4Addr::new(172, 17, 0, 3)
        );
        assert!(
            endpoint[0].ports[1].host_port >= 32_768
                && endpoint[0].ports[2].host_port == endpoint[0].ports[1].host_port + 1
        );
        // The host's processes cannot take a published port, as long as somebody holds the sockets.
        assert!(std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).is_err());
        networks.release(web.id()).await.unwrap();
        drop(web.held);
        assert!(std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).is_ok());
    });
}

#[test]
fn a_container_sees_what_docker_shows_it() {
    on_a_machine(async |machine| {
        let networks = open(machine).await;
        let container = machine.run(&networks, &[]).await;
        netns::in_namespace(container.namespace.as_fd(), || {
            let shown = run("ip", "-4 address show dev eth0");
            assert!(shown.contains("inet 172.17.0.2/16 brd 172.17.255.255 scope global eth0"), "{shown}");
            assert!(run("ip", "link show dev eth0").contains(&container.endpoint.mac.to_string()));
            assert_eq!(run("ip", "-6 address show dev eth0"), "");
            assert!(run("ip", "address show dev lo").contains("127.0.0.1/8"));
            assert_eq!(
                run("ip", "route"),
                "default via 172.17.0.1 dev eth0 \n172.17.0.0/16 dev eth0 proto kernel scope link src 172.17.0.2 \n"
            );
        })
        .unwrap();
        let alone = netns::fresh().unwrap();
        networks.loopback(alone.try_clone().unwrap()).await.unwrap();
        netns::in_namespace(alone.as_fd(), || {
            assert!(run("ip", "link show up").contains("lo:"))
        })
        .unwrap();
    });
}
