//! Who reaches whom with several networks of both families, by real packets.

mod gate; // the host's own input rules
mod hostile; // others flush the tables
mod lab; // a host, containers, someone outside

use lab::{
    HOST, Lab, OUTSIDE, at, bridge, closed, container, in_a_lab, ip, make, published, run, seen,
    seen_by_udp,
};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::config::Config;
use crate::firewall::{Bridge, Firewall, GatewayMode};

fn firewall() -> Firewall {
    let mut firewall = Firewall::open(Vec::new(), &Config::default()).unwrap();
    firewall.restore(std::iter::empty(), &[]).unwrap();
    firewall
}

/// As on a kernel that lets others flush our tables.
fn loose_firewall() -> Firewall {
    let mut firewall = Firewall::open(Vec::new(), &Config::default()).unwrap();
    firewall.disown();
    firewall.restore(std::iter::empty(), &[]).unwrap();
    firewall
}

#[test]
fn networks_meet_at_published_ports_only() {
    for firewall in [firewall, loose_firewall] {
        in_a_lab(move |lab| meet_at_published_ports(lab, firewall()));
    }
}

/// A network of one family each, right behind the one before: as the default pools give them out.
fn neighbour_of(number: u8) -> Bridge {
    Bridge {
        name: format!("next{number}"),
        v4: vec![Ipv4Net::new([172, 16 + number, 0, 0].into(), 16).unwrap()],
        v6: vec![Ipv6Net::new(format!("fd00:0:0:{number:x}::").parse().unwrap(), 64).unwrap()],
        ..bridge(number)
    }
}

#[test]
fn tables_with_adjacent_subnets_are_made_at_once() {
    for firewall in [firewall, loose_firewall] {
        in_a_lab(move |_| {
            let mut firewall = firewall();
            for number in (1..10).rev() {
                firewall.add_bridge(neighbour_of(number)).unwrap();
            }
            let whole = || run("nft", "-s list ruleset");
            let before = whole();
            assert!(before.contains("172.17.0.0/16, 172.18.0.0/16"), "{before}");
            firewall.lose_tables();
            assert!(!whole().contains("onggi"));
            assert!(firewall.restore(std::iter::empty(), &[]).unwrap());
            assert_eq!(whole(), before);
            // Some of the middle.
            for number in [3, 4, 6] {
                firewall.remove_bridge(&neighbour_of(number).name).unwrap();
            }
            for number in [4, 3, 6] {
                firewall.add_bridge(neighbour_of(number)).unwrap();
            }
            assert!(!firewall.restore(std::iter::empty(), &[]).unwrap());
            assert_eq!(whole(), before);
        });
    }
}

fn meet_at_published_ports(lab: &Lab, mut firewall: Firewall) {
    {
        make(&mut firewall, bridge(1), 1);
        make(&mut firewall, bridge(2), 2);
        let mut web = container(&mut firewall, 1, 2);
        let neighbour = container(&mut firewall, 1, 3);
        let stranger = container(&mut firewall, 2, 2);
        web.endpoint.ports = vec![
            published("80/tcp", "0.0.0.0", 8080, 1),
            published("80/tcp", "::", 8080, 1),
            published("80/udp", "0.0.0.0", 8080, 1),
            published("80/udp", "::", 8080, 1),
            published("80/tcp", HOST[0], 8081, 1),
            published("80/tcp", HOST[1], 8081, 1),
        ];
        firewall.publish(&web.endpoint).unwrap();
        for family in [0, 1] {
            let own = at(1, 2)[family];
            let host = ip(HOST[family]);
            assert_eq!(
                seen(&neighbour.netns, own, 80),
                at(1, 3)[family].to_string()
            );
            for other in [&stranger.netns, &lab.outside] {
                assert!(closed(other, own, 80), "{own}");
            }
            // The outside keeps its address; networks come as the host.
            for port in [8080, 8081] {
                assert_eq!(seen(&lab.outside, host, port), OUTSIDE[family]);
                for client in [&web, &neighbour, &stranger] {
                    assert_eq!(
                        seen(&client.netns, host, port),
                        at(1, 1)[family].to_string()
                    );
                }
                seen(&lab.host, host, port);
            }
            assert_eq!(
                seen(&stranger.netns, at(2, 1)[family], 8080),
                at(1, 1)[family].to_string()
            );
            assert_eq!(seen_by_udp(&lab.outside, host, 8080), OUTSIDE[family]);
            assert_eq!(
                seen_by_udp(&stranger.netns, host, 8080),
                at(1, 1)[family].to_string()
            );
            // Out under the host's address.
            assert_eq!(seen(&web.netns, ip(OUTSIDE[family]), 80), HOST[family]);
        }
        assert_eq!(seen(&lab.host, ip("127.0.0.1"), 8080), "10.1.0.1");
        firewall.unpublish(&web.endpoint).unwrap();
        for host in HOST {
            assert!(closed(&lab.outside, ip(host), 8080));
            assert!(closed(&stranger.netns, ip(host), 8080));
        }
    }
    firewall.remove().unwrap();
    assert!(!run("ip", "rule").contains("59"));
}

#[test]
fn internal_networks_and_those_without_icc() {
    in_a_lab(|lab| {
        let mut firewall = firewall();
        let internal = Bridge {
            internal: true,
            ..bridge(1)
        };
        let apart = Bridge {
            icc: false,
            ..bridge(2)
        };
        make(&mut firewall, internal, 1);
        make(&mut firewall, apart, 2);
        let inside = container(&mut firewall, 1, 2);
        let with_it = container(&mut firewall, 1, 3);
        let mut alone = container(&mut firewall, 2, 2);
        let lonely = container(&mut firewall, 2, 3);
        alone.endpoint.ports = vec![
            published("80/tcp", "0.0.0.0", 8080, 1),
            published("80/tcp", "::", 8080, 1),
        ];
        firewall.publish(&alone.endpoint).unwrap();
        for family in [0, 1] {
            let host = ip(HOST[family]);
            seen(&with_it.netns, at(1, 2)[family], 80);
            seen(&lab.host, at(1, 2)[family], 80);
            assert!(closed(&inside.netns, ip(OUTSIDE[family]), 80));
            assert!(closed(&lab.outside, at(1, 2)[family], 80));
            assert!(closed(&inside.netns, host, 8080), "published elsewhere");
            assert!(closed(&lonely.netns, at(1, 2)[family], 80));

            assert!(closed(&lonely.netns, at(2, 2)[family], 80));
            seen(&lonely.netns, host, 8080);
            seen(&alone.netns, host, 8080);
            seen(&lonely.netns, ip(OUTSIDE[family]), 80);
            seen(&lab.host, at(2, 3)[family], 80);
        }
        drop(inside);
    });
}

#[test]
fn gateway_modes() {
    in_a_lab(|lab| {
        let mut firewall = firewall();
        let open = Bridge {
            mode_v4: GatewayMode::NatUnprotected,
            mode_v6: GatewayMode::NatUnprotected,
            ..bridge(1)
        };
        let routed = Bridge {
            mode_v4: GatewayMode::Routed,
            mode_v6: GatewayMode::Routed,
            ..bridge(2)
        };
        make(&mut firewall, open, 1);
        make(&mut firewall, routed, 2);
        let open = container(&mut firewall, 1, 2);
        let mut routed = container(&mut firewall, 2, 2);
        let shut = container(&mut firewall, 2, 3);
        routed.endpoint.ports = vec![
            published("79/tcp", "0.0.0.0", 0, 3),
            published("79/tcp", "::", 0, 3),
        ];
        firewall.publish(&routed.endpoint).unwrap();
        for family in [0, 1] {
            assert_eq!(seen(&lab.outside, at(1, 2)[family], 80), OUTSIDE[family]);
            assert_eq!(seen(&open.netns, ip(OUTSIDE[family]), 80), HOST[family]);
            // Where everything is known by its own address, it leaves by it too.
            assert_eq!(seen(&lab.outside, at(2, 2)[family], 80), OUTSIDE[family]);
            assert_eq!(
                seen(&routed.netns, ip(OUTSIDE[family]), 80),
                at(2, 2)[family].to_string()
            );
            assert_eq!(
                seen(&open.netns, at(2, 2)[family], 80),
                at(1, 2)[family].to_string()
            );
            assert!(closed(&lab.outside, at(2, 3)[family], 80));
            ping(lab, at(2, 3)[family].to_string());
        }
        firewall.unpublish(&routed.endpoint).unwrap();
        assert!(closed(&lab.outside, at(2, 2)[0], 80));
        assert!(closed(&lab.outside, at(2, 2)[1], 80));
        drop(shut);
    });
}

fn ping(lab: &Lab, to: String) {
    use std::os::fd::AsFd;
    if std::process::Command::new("ping")
        .arg("-V")
        .output()
        .is_err()
    {
        return;
    }
    onggi_sys::netns::in_namespace(lab.outside.as_fd(), || {
        run("ping", &format!("-c 1 -w 20 {to}"));
    })
    .unwrap();
}

#[test]
fn runs_of_ports() {
    in_a_lab(|lab| {
        let mut firewall = firewall();
        make(&mut firewall, bridge(1), 1);
        let mut game = container(&mut firewall, 1, 2);
        game.endpoint.ports = ["0.0.0.0", "::", HOST[0], HOST[1]]
            .into_iter()
            .zip([10, 10, 20_000, 20_000])
            .flat_map(|(host, from)| {
                if from == 10 {
                    // Onto itself.
                    vec![
                        published("10/udp", host, 10, 40_000),
                        published("10/tcp", host, 10, 300),
                    ]
                } else {
                    // Shifted by 19,990.
                    vec![published("10/tcp", host, from, 300)]
                }
            })
            .collect();
        firewall.publish(&game.endpoint).unwrap();
        for family in [0, 1] {
            let host = ip(HOST[family]);
            assert_eq!(seen(&lab.outside, host, 80), OUTSIDE[family]);
            assert_eq!(seen_by_udp(&lab.outside, host, 80), OUTSIDE[family]);
            assert_eq!(seen(&lab.outside, host, 20_070), OUTSIDE[family]);
            assert!(closed(&lab.outside, host, 20_071));
        }
        let table = run("nft", "list map ip onggi ranges-any");
        assert!(table.contains("udp . 10-40009"), "{table}");
        // Again is no change; a restart finds the same.
        assert!(
            !firewall
                .restore(std::iter::once(&game.endpoint), &[])
                .unwrap()
        );
        firewall.unpublish(&game.endpoint).unwrap();
        firewall.unpublish(&game.endpoint).unwrap();
        assert!(closed(&lab.outside, ip(HOST[0]), 80));
        assert!(!firewall.restore(std::iter::empty(), &[]).unwrap());
    });
}

#[test]
fn a_thousand_networks_are_elements() {
    in_a_lab(|_| {
        let mut firewall = firewall();
        let many: Vec<Bridge> = (0..1000_u16)
            .map(|number| Bridge {
                name: format!("br{number}"),
                v4: vec![
                    format!("10.{}.{}.0/24", number / 256, number % 256)
                        .parse()
                        .unwrap(),
                ],
                v6: vec![format!("fd00:{number:x}::/64").parse().unwrap()],
                ..bridge(1)
            })
            .collect();
        firewall.add_bridge(many[0].clone()).unwrap();
        let rules = |family: &str| {
            let chains = ["forward", "prerouting", "output", "postrouting", "answers"];
            chains.map(|chain| run("nft", &format!("list chain {family} onggi {chain}")))
        };
        let before = (rules("ip"), rules("ip6"));
        for bridge in &many[1..] {
            firewall.add_bridge(bridge.clone()).unwrap();
        }
        assert_eq!((rules("ip"), rules("ip6")), before);
        assert!(!firewall.restore(std::iter::empty(), &[]).unwrap());
        assert!(run("nft", "list set ip onggi bridges").contains("br999"));
        for bridge in &many {
            firewall.remove_bridge(&bridge.name).unwrap();
        }
        for set in ["bridges", "inside", "hidden"] {
            let set = run("nft", &format!("list set ip onggi {set}"));
            assert!(!set.contains("elements"), "{set}");
        }
        // The last network of IPv6 is gone, and its table goes when it is next looked at.
        firewall.restore(std::iter::empty(), &[]).unwrap();
        assert!(!run("nft", "list tables").contains("ip6 onggi"));
        firewall.remove().unwrap();
        assert!(!run("nft", "list ruleset").contains("onggi"));
    });
}

#[test]
fn jumps_where_others_drop() {
    in_a_lab(|lab| {
        for family in ["ip", "ip6"] {
            run("nft", &format!("add table {family} filter"));
            let command = "{ type filter hook forward priority 0; policy drop; }";
            run(
                "nft",
                &format!("add chain {family} filter FORWARD {command}"),
            );
        }
        let mut firewall = firewall();
        make(&mut firewall, bridge(1), 1);
        make(&mut firewall, bridge(2), 2);
        let mut web = container(&mut firewall, 1, 2);
        web.endpoint.ports = vec![
            published("80/tcp", "0.0.0.0", 8080, 1),
            published("80/tcp", "::", 8080, 1),
        ];
        firewall.publish(&web.endpoint).unwrap();
        for family in [0, 1] {
            assert_eq!(seen(&lab.outside, ip(HOST[family]), 8080), OUTSIDE[family]);
            assert_eq!(seen(&web.netns, ip(OUTSIDE[family]), 80), HOST[family]);
        }
        for family in ["ip", "ip6"] {
            let forward = run("nft", &format!("list chain {family} filter FORWARD"));
            assert_eq!(
                forward.matches("jump ONGGI-FORWARD").count(),
                1,
                "{forward}"
            );
            let ours = || run("nft", &format!("list chain {family} filter ONGGI-FORWARD"));
            assert_eq!(ours().matches("accept").count(), 4);
        }
        // Those who have DOCKER-USER are asked before.
        run("nft", "add chain ip filter DOCKER-USER");
        run("nft", "add rule ip filter DOCKER-USER tcp dport 80 drop");
        firewall
            .restore(std::iter::once(&web.endpoint), &[])
            .unwrap();
        assert!(closed(&lab.outside, ip(HOST[0]), 8080));
        seen(&lab.outside, ip(HOST[1]), 8080);
        firewall.remove_bridge("br2").unwrap();
        let ours = run("nft", "list chain ip filter ONGGI-FORWARD");
        assert_eq!(ours.matches("accept").count(), 2, "{ours}");
        // Firewalls that reload let everything pass for a moment: the jump stays.
        let policy = |policy| {
            run(
                "nft",
                &format!("chain ip filter FORWARD {{ policy {policy}; }}"),
            );
        };
        let jumps = || {
            let forward = run("nft", "list chain ip filter FORWARD");
            forward.matches("jump ONGGI-FORWARD").count()
        };
        let restore = |firewall: &mut Firewall| {
            firewall
                .restore(std::iter::once(&web.endpoint), &[])
                .unwrap()
        };
        policy("accept");
        assert!(!restore(&mut firewall));
        assert_eq!(jumps(), 1);
        policy("drop");
        assert!(!restore(&mut firewall));
        // The next daemon takes it away where it is not needed.
        policy("accept");
        drop(firewall);
        let mut firewall = Firewall::open(vec![bridge(1)], &Config::default()).unwrap();
        assert!(restore(&mut firewall));
        assert_eq!(jumps(), 0);
        policy("drop");
        assert!(restore(&mut firewall));
        assert_eq!(jumps(), 1);
        firewall.remove().unwrap();
        let all = run("nft", "list ruleset");
        assert!(!all.to_lowercase().contains("onggi"), "{all}");
    });
}

#[test]
fn switched_off_nothing_is_made() {
    in_a_lab(|lab| {
        let config = Config {
            iptables: false,
            ..Config::default()
        };
        let mut firewall = Firewall::open(Vec::new(), &config).unwrap();
        firewall.restore(std::iter::empty(), &[]).unwrap();
        make(&mut firewall, bridge(1), 1);
        let mut web = container(&mut firewall, 1, 2);
        assert!(!run("nft", "list tables").contains("table ip onggi"));
        // Without rules the host routes as it is told to.
        seen(&lab.outside, at(1, 2)[0], 80);
        assert!(closed(&lab.outside, at(1, 2)[1], 80));
        web.endpoint.ports = vec![published("80/tcp", "::", 8080, 1)];
        firewall.publish(&web.endpoint).unwrap();
        seen(&lab.outside, ip(HOST[1]), 8080);
        firewall.unpublish(&web.endpoint).unwrap();
        web.endpoint.ports = vec![published("80/tcp", "0.0.0.0", 8080, 1)];
        let error = firewall.publish(&web.endpoint).unwrap_err().to_string();
        assert!(error.contains("--iptables=false"), "{error}");
    });
}
