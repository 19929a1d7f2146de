//! What a change asks of the kernel where there are many networks: counted in bytes of its answers, not in time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::fd::AsFd;
use std::process::Command;
use std::sync::Arc;

use onggi_store::Store;
use onggi_sys::netns;

use crate::config::{Config, Pool};
use crate::document::NetworkRequest;
use crate::inner::{Inner, Kernel};

const MANY: usize = 60;

impl Inner {
    /// What the kernel has answered so far.
    fn heard(&self) -> u64 {
        let kernel = self.kernel();
        let Kernel {
            route,
            firewall,
            occupied,
        } = kernel.as_ref().unwrap();
        route.received() + firewall.received() + occupied.received()
    }

    fn cost(&self, work: impl FnOnce(&Self)) -> u64 {
        let before = self.heard();
        work(self);
        self.heard() - before
    }
}

#[test]
fn the_last_network_costs_as_much_as_the_first() {
    last_as_first(false);
}

/// Where others drop what passes through, each network has rules in a chain of iptables: to take them away all are looked
/// at, to add them none.
#[test]
fn where_others_drop_too() {
    last_as_first(true);
}

fn run(arguments: &str) -> String {
    let mut command = Command::new("nft");
    let output = command.args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{arguments}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn last_as_first(others_drop: bool) {
    let host = netns::fresh().unwrap();
    netns::in_namespace(host.as_fd(), || {
        if others_drop {
            run("add table ip filter");
            run(
                "add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }",
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let pool = Pool::new("10.128.0.0/16".parse().unwrap(), 24).unwrap();
        let config = Config {
            pools: vec![pool],
            ..Config::default()
        };
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let inner = Inner::open(config, store).unwrap();
        let create = |name: &str| {
            let request = NetworkRequest {
                name: name.to_owned(),
                ..NetworkRequest::default()
            };
            inner.cost(|inner| drop(inner.create(&request).unwrap()))
        };
        let remove = |name: &str| {
            inner.cost(|inner| {
                inner.remove(name).unwrap();
                inner.see_all_off();
            })
        };
        let name = |number: usize| format!("n{number}");
        // What is looked at once is looked at here.
        create("warm");
        let few: Vec<u64> = (0..5).map(|number| create(&name(number))).collect();
        let few_removed = remove("warm");
        for number in 5..MANY {
            create(&name(number));
        }
        let many: Vec<u64> = (MANY..MANY + 5)
            .map(|number| create(&name(number)))
            .collect();
        let many_removed = remove("n7");
        let most = |list: &[u64]| list.iter().copied().max().unwrap();
        assert!(most(&many) <= 2 * most(&few), "{few:?} {many:?}");
        if others_drop {
            let ours = run("list chain ip filter ONGGI-FORWARD");
            // Those of users but one, and the default one.
            assert_eq!(ours.matches("accept").count(), 2 * (MANY + 5));
        } else {
            assert!(
                many_removed <= 2 * few_removed,
                "{few_removed} {many_removed}"
            );
        }
        for number in (0..7).chain(8..MANY + 5) {
            remove(&name(number));
        }
    })
    .unwrap();
}
