//! Living with the host: restarts, other firewalls, bad days, and leaving nothing behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;

use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use machine::{
    HOST, OUTSIDE, connect, connect_here, echoes, eventually, on_a_machine, request, run, seen_from,
};
use onggi_model::{ContainerId, ErrorKind, Fault};
use onggi_netlink::nft::{self, Family, TableFlags};
use onggi_netlink::{Batch, Protocol, Socket};
use onggi_network::{Config, Error, Networks};
use onggi_sys::netns;

/// Where the process that stands for a daemon finds its data root, and the container that is running.
const ROOT: &str = "ONGGI_TEST_NETWORK_ROOT";
const LIVE: &str = "ONGGI_TEST_NETWORK_LIVE";

/// Not a test of its own: what [`no_connection_notices_a_daemon_that_is_killed`] kills.
#[test]
fn a_daemon_to_be_killed() {
    let (Ok(root), Ok(live)) = (std::env::var(ROOT), std::env::var(LIVE)) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = std::sync::Arc::new(onggi_store::Store::open(root.as_ref()).unwrap());
        let networks = Networks::open(Config::default(), store).await.unwrap();
        let live: ContainerId = live.parse().unwrap();
        networks
            .reconcile(std::slice::from_ref(&live))
            .await
            .unwrap();
        let other = ContainerId::random().unwrap();
        networks
            .allocate(&other, vec![request(&["9999:80"])])
            .await
            .unwrap();
        std::io::stdout().write_all(b"ready\n").unwrap();
        std::future::pending::<()>().await;
    });
}

#[test]
fn no_connection_notices_a_daemon_that_is_killed() {
    on_a_machine(async |machine| {
        let networks = machine.open(Config::default()).await;
        let web = machine.run(&networks, &["8080:80"]).await;
        let (mut kept, _) = connect(&machine.outside, HOST, 8080).unwrap();
        drop(networks);
        let (stop, made, failed) = (
            AtomicBool::new(false),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        let knock = |to: Ipv4Addr| {
            let begin = Instant::now();
            for turn in 1_u32.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let good = connect_here(to, 8080).is_some();
                made.fetch_add(1, Ordering::Relaxed);
                failed.fetch_add(usize::from(!good), Ordering::Relaxed);
                // 100 a second from each side.
                let due = begin + Duration::from_millis(10) * turn;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| netns::in_namespace(machine.outside.as_fd(), || knock(HOST)).unwrap());
            scope.spawn(|| {
                netns::in_namespace(machine.host.as_fd(), || knock(Ipv4Addr::LOCALHOST)).unwrap();
            });
            for round in 0..20 {
                let mut daemon = Command::new(std::env::current_exe().unwrap())
                    .args(["a_daemon_to_be_killed", "--exact", "--nocapture"])
                    .env(ROOT, &machine.root)
                    .env(LIVE, web.id().as_str())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                let mut lines = BufReader::new(daemon.stdout.take().unwrap()).lines();
                let ready = lines.any(|line| line.unwrap().contains("ready"));
                daemon.kill().unwrap();
                daemon.wait().unwrap();
                assert!(ready, "the daemon did not come up in round {round}");
                assert!(
                    echoes(&mut kept, &round.to_string()),
                    "the kept connection broke in round {round}"
                );
            }
            stop.store(true, Ordering::Relaxed);
        });
        let (made, failed) = (made.into_inner(), failed.into_inner());
        assert!(made > 200, "only {made} connections were tried");
        assert_eq!(failed, 0, "of {made}");
        let networks = machine.open(Config::default()).await;
        assert_eq!(
            networks
                .endpoints(&networks.get("bridge").unwrap().id)
                .len(),
            2
        );
        networks
            .reconcile(std::slice::from_ref(web.id()))
            .await
            .unwrap();
        assert_eq!(
            networks.endpoints(&networks.get("bridge").unwrap().id),
            [web.endpoint]
        );
    });
}

#[test]
fn reopening_changes_nothing() {
    on_a_machine(async |machine| {
        let networks = machine.open(Config::default()).await;
        let documents = networks.list();
        let web = machine
            .run(&networks, &["8080:80", "127.0.0.1:53:80/udp"])
            .await;
        let state = || {
            (
                run("nft", "-a list ruleset"),
                run("ip", "-o link"),
                run("ip", "route"),
            )
        };
        let before = state();
        drop(networks);
        let networks = machine.open(Config::default()).await;
        networks
            .reconcile(std::slice::from_ref(web.id()))
            .await
            .unwrap();
        // All handles are the same: no rule, set or element was made anew. Only the owner has changed.
        assert_eq!(before, state());
        assert_eq!(documents, networks.list());
        // The ports are still known to be taken.
        let other = ContainerId::random().unwrap();
        let error = networks
            .allocate(&other, vec![request(&["8080:80"])])
            .await
            .unwrap_err();
        assert!(onggi_model::chain(&error).ends_with("port is already allocated"));
        assert_eq!(
            networks.allocate(&other, vec![request(&[])]).await.unwrap()[0]
                .address_v4()
                .unwrap(),
            Ipv4Addr::new(172, 17, 0, 3)
        );
    });
}

#[test]
fn a_second_engine_in_the_namespace_is_refused() {
    on_a_machine(async |machine| {
        let _networks = machine.open(Config::default()).await;
        let root = machine.root.join("second");
        let store = std::sync::Arc::new(onggi_store::Store::open(&root).unwrap());
        let error = Networks::open(Config::default(), store).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("another engine"), "{error}");
    });
}

#[test]
fn nothing_is_left_after_a_clean_shutdown() {
    on_a_machine(async |machine| {
        run("iptables", "-P FORWARD DROP");
        let before = (
            run("nft", "list ruleset"),
            run("ip", "-o link"),
            run("ip", "rule"),
            run("ip", "route"),
        );
        for icc in [true, false] {
            let networks = machine
                .open(Config {
                    icc,
                    ..Config::default()
                })
                .await;
            let id = ContainerId::random().unwrap();
            let endpoint = networks
                .allocate(&id, vec![request(&["8080:80"])])
                .await
                .unwrap();
            let namespace = netns::fresh().unwrap();
            let held = networks.attach(&endpoint, namespace).await.unwrap();
            assert!(run("nft", "list ruleset").contains("table ip onggi"));
            networks.release(&id).await.unwrap();
            drop(held);
            networks.shutdown(true).await.unwrap();
            drop(networks);
            assert_eq!(run("nft", "list ruleset"), before.0);
            eventually("the veth dies with its namespace", || {
                run("ip", "-o link") == before.1
            })
            .await;
            assert_eq!(
                (run("ip", "rule"), run("ip", "route")),
                (before.2.clone(), before.3.clone())
            );
        }
    });
}

#[test]
fn a_forward_policy_of_drop_gets_one_jump() {
    on_a_machine(async |machine| {
        machine::serve(&machine.outside);
        run("iptables", "-P FORWARD DROP");
        run("iptables", "-A FORWARD -s 192.0.2.0/24 -j ACCEPT");
        run("iptables", "-N DOCKER-USER");
        let before = run("iptables", "-S");
        let networks = machine.open(Config::default()).await;
        let web = machine.run(&networks, &["8080:80"]).await;
        assert!(seen_from(&machine.outside, HOST, 8080).is_some());
        assert!(seen_from(&web.namespace, OUTSIDE, 80).is_some());
        assert_eq!(seen_from(&machine.outside, web.address(), 81), None);
        let listed = run("iptables", "-S");
        let forward: Vec<_> = listed
            .lines()
            .filter(|line| line.starts_with("-A FORWARD"))
            .collect();
        assert_eq!(
            forward,
            [
                "-A FORWARD -m comment --comment onggi -j ONGGI-FORWARD",
                "-A FORWARD -s 192.0.2.0/24 -j ACCEPT"
            ]
        );
        // What people drop in DOCKER-USER stays dropped.
        run("iptables", "-A DOCKER-USER -s 10.9.0.2 -j DROP");
        assert_eq!(seen_from(&machine.outside, HOST, 8080), None);
        run("iptables", "-D DOCKER-USER -s 10.9.0.2 -j DROP");
        assert!(seen_from(&machine.outside, HOST, 8080).is_some());
        // Emptied by others, restored by us; once only.
        run("iptables", "-F FORWARD");
        eventually("the jump is back", || {
            run("iptables", "-S FORWARD").contains("ONGGI-FORWARD")
        })
        .await;
        assert!(seen_from(&machine.outside, HOST, 8080).is_some());
        drop(networks);
        let networks = machine.open(Config::default()).await;
        assert_eq!(
            run("iptables", "-S FORWARD")
                .matches("ONGGI-FORWARD")
                .count(),
            1
        );
        run("iptables", "-A FORWARD -s 192.0.2.0/24 -j ACCEPT");
        networks.shutdown(true).await.unwrap();
        assert_eq!(run("iptables", "-S"), before);
    });
}

#[test]
fn a_forward_policy_that_turns_to_drop_later() {
    on_a_machine(async |machine| {
        let networks = machine.open(Config::default()).await;
        let web = machine.run(&networks, &["8080:80"]).await;
        run("iptables", "-P FORWARD DROP");
        eventually("the jump comes", || {
            run("iptables", "-S FORWARD").contains("ONGGI-FORWARD")
        })
        .await;
        assert!(seen_from(&machine.outside, HOST, 8080).is_some());
        // It stays: a firewall that reloads drops again in the next moment.
        run("iptables", "-P FORWARD ACCEPT");
        let other = onggi_network::NetworkRequest {
            name: "other".to_owned(),
            ..Default::default()
        };
        networks.create(other).await.unwrap();
        assert!(run("iptables", "-S FORWARD").contains("ONGGI-FORWARD"));
        assert!(seen_from(&machine.outside, HOST, 8080).is_some());
        // And goes with the next daemon.
        networks.shutdown(false).await.unwrap();
        drop(networks);
        let networks = machine.open(Config::default()).await;
        assert!(!run("iptables", "-S").contains("ONGGI-FORWARD"));
        assert!(seen_from(&machine.outside, HOST, 8080).is_some());
        drop((web, networks));
    });
}

#[test]
fn the_tables_of_others_stay_as_they_are() {
    on_a_machine(async |machine| {
        run("iptables", "-A INPUT -s 192.0.2.1 -j DROP");
        run(
            "iptables",
            "-t nat -A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE",
        );
        run("nft", "add table inet mine");
        run(
            "nft",
            "add set inet mine addresses { type ipv4_addr; flags interval; elements = { 192.0.2.0/28 }; }",
        );
        let theirs = || {
            let tables = ["ip filter", "ip nat", "inet mine"];
            tables.map(|table| run("nft", &format!("-a list table {table}")))
        };
        let before = theirs();
        let networks = machine.open(Config::default()).await;
        let web = machine.run(&networks, &["8080:80"]).await;
        assert_eq!(theirs(), before);
        networks.release(web.id()).await.unwrap();
        networks.shutdown(true).await.unwrap();
        assert_eq!(theirs(), before);
    });
}

#[test]
fn the_flush_of_others_does_not_reach_us() {
    on_a_machine(async |machine| {
        let networks = machine.open(Config::default()).await;
        let web = machine.run(&networks, &["8080:80"]).await;
        run("nft", "flush ruleset");
        // At once where tables can be owned; restored where not.
        eventually("published", || {
            seen_from(&machine.outside, HOST, 8080).is_some()
        })
        .await;
        drop(web);
    });
}

/// As on kernels before 6.9: a table that nobody owns.
#[test]
fn a_table_without_an_owner_is_restored() {
    on_a_machine(async |machine| {
        let mut socket = Socket::open(Protocol::Nftables).unwrap();
        let mut batch = Batch::new();
        let tag = Some("onggi firewall 2");
        batch.push(
            "table",
            nft::add_table(Family::Ip, "onggi", TableFlags::empty(), tag),
        );
        socket.transact(batch).unwrap();
        let networks = machine.open(Config::default()).await;
        let web = machine.run(&networks, &["8080:80"]).await;
        assert!(seen_from(&machine.outside, HOST, 8080).is_some());
        run("nft", "flush map ip onggi publish-any");
        eventually("restored", || {
            seen_from(&machine.outside, HOST, 8080).is_some()
        })
        .await;
        run("nft", "delete table ip onggi");
        eventually("restored", || {
            seen_from(&machine.outside, HOST, 8080).is_some()
        })
        .await;
        assert_eq!(seen_from(&machine.outside, web.address(), 81), None);
    });
}

#[test]
fn a_table_of_another_version_is_replaced() {
    on_a_machine(async |machine| {
        run("nft", "add table ip onggi");
        run(
            "nft",
            "add chain ip onggi forward { type filter hook forward priority 0; policy drop; }",
        );
        let networks = machine.open(Config::default()).await;
        let web = machine.run(&networks, &["8080:80"]).await;
        assert!(seen_from(&machine.outside, HOST, 8080).is_some());
        drop(web);
    });
}

#[test]
fn the_subnet_keeps_out_of_the_hosts_way() {
    on_a_machine(async |machine| {
        run("ip", "route add 172.17.5.0/24 via 10.9.0.2");
        run("ip", "address add 172.18.0.1/32 dev wan0");
        run("ip", "route add 172.19.0.0/16 via 10.9.0.2 table 100");
        let networks = machine.open(Config::default()).await;
        let network = networks.get("bridge").unwrap();
        assert_eq!(
            network.ipam.config[0].subnet,
            "172.20.0.0/16".parse().unwrap()
        );
        assert_eq!(network.options["com.docker.network.bridge.name"], "onggi0");
        assert_eq!(
            networks.host_gateways(),
            [std::net::IpAddr::from([172, 20, 0, 1])]
        );
        // It stays where it is when the obstacle goes, as long as the bridge is there and after.
        run("ip", "route del 172.17.5.0/24");
        networks.shutdown(true).await.unwrap();
        drop(networks);
        let networks = machine.open(Config::default()).await;
        assert_eq!(
            networks.get("bridge").unwrap().ipam.config,
            network.ipam.config
        );
        assert_eq!(networks.get(&network.id[..8]).unwrap().name, "bridge");
    });
}

#[test]
fn a_bridge_address_of_the_users_choice() {
    on_a_machine(async |machine| {
        let with = |bip: &str| Config {
            bip: Some(bip.parse().unwrap()),
            ..Config::default()
        };
        let networks = machine.open(with("10.200.0.9/29")).await;
        let ids: Vec<_> = (0..6).map(|_| ContainerId::random().unwrap()).collect();
        let mut given = Vec::new();
        for id in &ids[..5] {
            given.push(
                networks.allocate(id, vec![request(&[])]).await.unwrap()[0]
                    .address_v4()
                    .unwrap()
                    .octets()[3],
            );
        }
        assert_eq!(given, [10, 11, 12, 13, 14]);
        let error = networks
            .allocate(&ids[5], vec![request(&[])])
            .await
            .unwrap_err();
        assert!(
            error.to_string().starts_with(
                "no available IPv4 addresses on this network's address pools: bridge ("
            )
        );
        drop(networks);
        // Another subnet is refused while containers are in this one, taken when they are gone.
        let error = Networks::open(with("10.201.0.1/24"), machine.store())
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Taken(_)), "{error}");
        let networks = machine.open(with("10.200.0.9/29")).await;
        networks.reconcile(&[]).await.unwrap();
        drop(networks);
        let networks = machine.open(with("10.201.0.1/24")).await;
        let web = machine.run(&networks, &["8080:80"]).await;
        assert_eq!(web.address(), Ipv4Addr::new(10, 201, 0, 2));
        assert!(seen_from(&machine.outside, HOST, 8080).is_some());
        assert!(!run("ip", "address show dev onggi0").contains("10.200"));
        let error = Networks::open(
            with("10.202.0.0/24"),
            std::sync::Arc::new(onggi_store::Store::open(&machine.root.join("other")).unwrap()),
        )
        .await
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
    });
}

#[test]
fn a_bridge_of_others_is_used_and_kept() {
    on_a_machine(async |machine| {
        run("ip", "link add br7 type bridge");
        run("ip", "address add 10.77.0.1/24 dev br7");
        let config = Config {
            bridge: "br7".to_owned(),
            ..Config::default()
        };
        let networks = machine.open(config).await;
        let web = machine.run(&networks, &["8080:80"]).await;
        assert_eq!(web.address(), Ipv4Addr::new(10, 77, 0, 2));
        assert!(seen_from(&machine.outside, HOST, 8080).is_some());
        networks.release(web.id()).await.unwrap();
        networks.shutdown(true).await.unwrap();
        assert!(run("ip", "link").contains("br7"));
        drop(networks);
        let config = Config {
            bridge: "wan0".to_owned(),
            ..Config::default()
        };
        let error = Networks::open(config, machine.store()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "bridge wan0 cannot be used: there is a veth of this name"
        );
    });
}

#[test]
fn no_bridge_at_all() {
    on_a_machine(async |machine| {
        let config = Config {
            bridge: "none".to_owned(),
            ..Config::default()
        };
        let networks = machine.open(config).await;
        let names: Vec<_> = networks
            .list()
            .into_iter()
            .map(|network| network.name)
            .collect();
        assert_eq!(names, ["host", "none"]);
        let error = networks
            .allocate(&ContainerId::random().unwrap(), vec![request(&[])])
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::NotFound, "network bridge not found")
        );
        assert_eq!(run("nft", "list ruleset"), "");
        assert!(!run("ip", "link").contains("onggi0"));
    });
}

#[test]
fn what_a_container_had_is_given_back_when_it_starts_again() {
    on_a_machine(async |machine| {
        let networks = machine.open(Config::default()).await;
        let web = machine.run(&networks, &["8080:80"]).await;
        // The monitor that held the port is on its way out; the next start waits for it.
        let (id, held) = (web.id().clone(), web.held);
        let releaser = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(held);
        });
        let again = networks
            .allocate(&id, vec![request(&["8080:80"])])
            .await
            .unwrap();
        releaser.join().unwrap();
        assert_eq!(again[0].address_v4().unwrap(), Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(seen_from(&machine.outside, HOST, 8080), None);
        // An endpoint of the past cannot be attached.
        let error = networks
            .attach(std::slice::from_ref(&web.endpoint), netns::fresh().unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        networks.release(&id).await.unwrap();
        networks.release(&id).await.unwrap();
    });
}
