//! Many networks: their subnets, what a daemon that starts makes of them, containers in several.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use machine::{on_a_machine, request, run, seen_from, serve};
use onggi_model::ContainerId;
use onggi_network::{Config, EndpointRequest, Error, IpamRequest, NetworkRequest, Networks};
use onggi_sys::netns;
use onggi_testkit::{LIMIT, wait_until};

/// A network of this name with nothing special about it.
fn plain(name: &str) -> NetworkRequest {
    NetworkRequest {
        name: name.to_owned(),
        ..NetworkRequest::default()
    }
}

fn wants(network: &str) -> EndpointRequest {
    EndpointRequest {
        network: network.to_owned(),
        ..request(&[])
    }
}

fn pools() -> Config {
    let pool = onggi_network::Pool::new("10.128.0.0/16".parse().unwrap(), 24).unwrap();
    Config {
        pools: vec![pool],
        ..Config::default()
    }
}

#[test]
fn a_hundred_networks_are_made_again_and_removed() {
    on_a_machine(async |machine| {
        let networks = machine.open(pools()).await;
        run("ip", "route add 10.128.7.0/24 via 10.9.0.2");
        let mut subnets = BTreeSet::new();
        for number in 0..100 {
            let made = networks
                .create(plain(&format!("n{number}")))
                .await
                .unwrap()
                .0;
            assert!(subnets.insert(made.ipam.config[0].subnet), "{made:?}");
        }
        let routed = "10.128.7.0/24".parse().unwrap();
        assert!(
            !subnets.contains(&routed),
            "a route of the host is in its way"
        );
        assert!(matches!(
            networks.create(plain("n7")).await,
            Err(Error::Exists(_))
        ));
        drop(networks);
        // Somebody removes one; the next daemon makes it again, and removes what it does not know.
        let bridges = || run("ip", "-o link show type bridge").lines().count();
        let one = run("ip", "-o link show type bridge");
        let one = one
            .lines()
            .find_map(|line| line.split(": ").nth(1).filter(|n| n.starts_with("br-")));
        run("ip", &format!("link delete {}", one.unwrap()));
        run("ip", "link add br-stray type bridge");
        run("ip", "link set br-stray alias onggi:stray");
        let networks = machine.open(pools()).await;
        assert_eq!(bridges(), 102, "one of others stays");
        for number in 0..100 {
            networks.remove(&format!("n{number}")).await.unwrap();
        }
        // A subnet that was just given back is chosen again, by its name and without.
        for subnet in [None, Some("10.128.1.0/24")] {
            let mut request = plain("again");
            request.ipam = subnet
                .map(|subnet| IpamRequest {
                    subnet: Some(subnet.parse().unwrap()),
                    ..IpamRequest::default()
                })
                .into_iter()
                .collect();
            let again = networks.create(request).await.unwrap().0;
            let expected = subnet.unwrap_or("10.128.1.0/24");
            assert_eq!(again.ipam.config[0].subnet.to_string(), expected);
            networks.remove("again").await.unwrap();
        }
        // The bridges go behind the answers.
        let gone = || (bridges() == 2).then_some(());
        wait_until("the bridges to be gone", LIMIT, gone).unwrap();
        assert!(matches!(
            networks.remove("n7").await,
            Err(Error::NoNetwork(_))
        ));
        assert!(matches!(
            networks.remove("host").await,
            Err(Error::Forbidden(_))
        ));
    });
}

#[test]
fn a_container_in_two_networks_reaches_both_and_neither_the_other() {
    on_a_machine(async |machine| {
        let networks = machine.open(Config::default()).await;
        networks.create(plain("left")).await.unwrap();
        networks.create(plain("right")).await.unwrap();
        let (left, left_net) = start(&networks, &["left"]).await;
        let (right, right_net) = start(&networks, &["right"]).await;
        let (both, both_net) = start(&networks, &["left", "right"]).await;
        let address = |endpoint: &onggi_network::Endpoint| endpoint.address_v4().unwrap();
        assert!(seen_from(&both_net, address(&left[0]), 80).is_some());
        assert!(seen_from(&both_net, address(&right[0]), 80).is_some());
        assert!(seen_from(&left_net, address(&both[0]), 80).is_some());
        assert!(seen_from(&left_net, address(&right[0]), 80).is_none());
        assert!(seen_from(&right_net, address(&left[0]), 80).is_none());
        // It leaves one while it runs; the address is free for the next.
        let id = &both[0].container;
        let netns = both_net.try_clone().unwrap();
        let rest = networks
            .detach(id, &both[0].network_id, Some(netns))
            .await
            .unwrap();
        assert_eq!(rest.len(), 1);
        networks.forget_one(id, &both[0].network_id);
        assert!(seen_from(&both_net, address(&left[0]), 80).is_none());
        let next = networks
            .reserve(&ContainerId::random().unwrap(), vec![wants("left")])
            .await
            .unwrap();
        assert_eq!(next[0].ipv4, both[0].ipv4);
        netns::in_namespace(both_net.as_fd(), || {
            assert!(run("ip", "route show default").contains("dev eth1"));
            assert!(!run("ip", "-o link").contains("eth0"));
        })
        .unwrap();
    });
}

async fn start(
    networks: &Networks,
    names: &[&str],
) -> (Vec<onggi_network::Endpoint>, std::os::fd::OwnedFd) {
    let id = ContainerId::random().unwrap();
    let requests = names.iter().map(|name| wants(name)).collect();
    let endpoints = networks.allocate(&id, requests).await.unwrap();
    let namespace = netns::fresh().unwrap();
    serve(&namespace);
    networks
        .attach(&endpoints, namespace.try_clone().unwrap())
        .await
        .unwrap();
    (endpoints, namespace)
}
