//! `--publish-policy=host`: what is published obeys the host's own input rules, and who connects is still known.

use super::lab::{
    HOST, OUTSIDE, at, bridge, closed, container, in_a_lab, ip, make, published, run, seen,
    seen_by_udp,
};
use super::loose_firewall;
use crate::config::{Config, PublishPolicy};
use crate::firewall::Firewall;

fn asking(loose: bool) -> Firewall {
    let config = Config {
        publish_policy: PublishPolicy::Host,
        ..Config::default()
    };
    let mut firewall = Firewall::open(Vec::new(), &config).unwrap();
    if loose {
        firewall.disown();
    }
    firewall.restore(std::iter::empty(), &[]).unwrap();
    firewall
}

/// Rules as ufw has them: nothing comes in but answers and what is allowed, here port 22 and whatever is added.
const UFW: &str = "
table inet host {
    chain input {
        type filter hook input priority 0; policy drop;
        iifname lo accept
        ct state established,related accept
        meta l4proto ipv6-icmp accept
        tcp dport 22 accept
    }
}";

fn nft(rules: &str) {
    let path = std::env::temp_dir().join(format!("onggi-rules-{}", std::process::id()));
    std::fs::write(&path, rules).unwrap();
    run("nft", &format!("-f {}", path.display()));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn published_ports_obey_the_host() {
    for loose in [false, true] {
        in_a_lab(move |lab| {
            let mut firewall = asking(loose);
            make(&mut firewall, bridge(1), 1);
            make(&mut firewall, bridge(2), 2);
            let mut web = container(&mut firewall, 1, 2);
            let stranger = container(&mut firewall, 2, 2);
            web.endpoint.ports = ["0.0.0.0", "::"]
                .into_iter()
                .flat_map(|all| {
                    [
                        published("80/tcp", all, 8080, 1),
                        published("80/udp", all, 8080, 1),
                        published("79/tcp", all, 79, 3),
                    ]
                })
                .chain(HOST.map(|one| published("80/tcp", one, 8081, 1)))
                .collect();
            firewall.publish(&web.endpoint).unwrap();
            for family in [0, 1] {
                let host = ip(HOST[family]);
                for port in [8080, 8081, 80] {
                    assert_eq!(seen(&lab.outside, host, port), OUTSIDE[family]);
                }
                assert_eq!(seen_by_udp(&lab.outside, host, 8080), OUTSIDE[family]);
            }
            nft(UFW);
            for family in [0, 1] {
                let host = ip(HOST[family]);
                for port in [8080, 8081, 80] {
                    assert!(closed(&lab.outside, host, port), "{host} {port}");
                    // Neither the host itself nor other networks come in by a wire.
                    seen(&lab.host, host, port);
                    seen(&stranger.netns, host, port);
                }
                assert!(closed(&lab.outside, at(1, 2)[family], 80));
                // Out it goes as ever.
                assert_eq!(seen(&web.netns, ip(OUTSIDE[family]), 80), HOST[family]);
            }
            seen(&lab.host, ip("127.0.0.1"), 8080);
            run("nft", "add rule inet host input tcp dport 8080 accept");
            run("nft", "add rule inet host input udp dport 8080 accept");
            for family in [0, 1] {
                let host = ip(HOST[family]);
                assert_eq!(seen(&lab.outside, host, 8080), OUTSIDE[family]);
                assert_eq!(seen_by_udp(&lab.outside, host, 8080), OUTSIDE[family]);
                assert!(closed(&lab.outside, host, 8081));
            }
            // The next daemon may have Docker's policy: then nobody asks the host.
            drop(firewall);
            let mut firewall = match loose {
                true => loose_firewall(),
                false => super::firewall(),
            };
            firewall.add_bridge(bridge(1)).unwrap();
            firewall.add_bridge(bridge(2)).unwrap();
            firewall
                .restore(std::iter::once(&web.endpoint), &[])
                .unwrap();
            for host in HOST {
                seen(&lab.outside, ip(host), 8081);
            }
            assert!(!run("ip", "link").contains("onggi-gate"));
            assert!(!run("nft", "list table ip onggi").contains("admitted"));
        });
    }
}

#[test]
fn the_gate_goes_with_the_rules() {
    in_a_lab(|_| {
        let mut firewall = asking(false);
        assert!(run("ip", "link").contains("onggi-gate0"));
        assert!(!firewall.restore(std::iter::empty(), &[]).unwrap());
        firewall.remove().unwrap();
        assert!(!run("ip", "link").contains("onggi-gate"));
    });
}
