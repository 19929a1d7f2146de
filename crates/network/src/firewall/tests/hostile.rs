//! Others flush the tables while packets fly: nothing passes between networks, and published ports answer again.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onggi_sys::netns;

use super::lab::{HOST, Lab, any, at, bridge, container, in_a_lab, ip, make, published, run, seen};
use super::{firewall, loose_firewall};
use crate::firewall::Firewall;

#[test]
fn flushes_open_nothing() {
    in_a_lab(|lab| flush(lab, firewall(), false));
    in_a_lab(|lab| flush(lab, loose_firewall(), true));
}

fn flush(lab: &Lab, mut firewall: Firewall, loose: bool) {
    {
        make(&mut firewall, bridge(1), 1);
        make(&mut firewall, bridge(2), 2);
        let mut web = container(&mut firewall, 1, 2);
        let stranger = container(&mut firewall, 2, 2);
        web.endpoint.ports = vec![
            published("80/tcp", "0.0.0.0", 8080, 1),
            published("80/tcp", "::", 8080, 1),
        ];
        firewall.publish(&web.endpoint).unwrap();
        for host in HOST {
            seen(&lab.outside, ip(host), 8080);
        }
        let victims = [0, 1].map(|family| {
            let victim = netns::in_namespace(web.netns.as_fd(), || {
                UdpSocket::bind((at(1, 2)[family], 999)).unwrap()
            });
            let victim = victim.unwrap();
            victim.set_nonblocking(true).unwrap();
            victim
        });
        // It does hear what is sent to it.
        let own = netns::in_namespace(web.netns.as_fd(), || UdpSocket::bind("[::]:0").unwrap());
        own.unwrap().send_to(b"x", (at(1, 2)[1], 999)).unwrap();
        assert!(victims[1].recv(&mut [0]).is_ok());
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for family in [0, 1] {
                let (over, netns) = (&over, &stranger.netns);
                scope.spawn(move || {
                    let sender = netns::in_namespace(netns.as_fd(), || {
                        UdpSocket::bind((any(at(2, 2)[family]), 0)).unwrap()
                    });
                    let sender = sender.unwrap();
                    while !over.load(Ordering::Relaxed) {
                        let _ = sender.send_to(b"x", (at(1, 2)[family], 999));
                        std::thread::sleep(Duration::from_micros(100));
                    }
                });
            }
            for _ in 0..50 {
                run("nft", "flush ruleset");
                // What the daemon does when it is told of the change.
                let restored = firewall
                    .restore(std::iter::once(&web.endpoint), &[])
                    .unwrap();
                assert_eq!(restored, loose, "an owned table is skipped");
            }
            over.store(true, Ordering::Relaxed);
        });
        for victim in &victims {
            assert!(victim.recv(&mut [0]).is_err(), "a packet passed");
        }
        for host in HOST {
            seen(&lab.outside, ip(host), 8080);
        }
    }
}
