//! The counters of one container and of the machine, at one moment.

use std::collections::BTreeMap;
use std::time::Instant;

use onggi_api::container::NetworkStats;
use onggi_cgroup::{Cgroups, Counted};
use onggi_model::Timestamp;

use crate::container::Record;
use crate::spec;
use crate::spec::network::Mode;

/// What is counted of a container.
pub(super) struct Sample {
    /// By the clock that nobody sets.
    pub(super) taken: Instant,
    pub(super) read: Timestamp,
    pub(super) group: onggi_cgroup::Stats,
    pub(super) networks: BTreeMap<String, NetworkStats>,
    pub(super) machine: Machine,
    /// One hierarchy for all controllers.
    pub(super) v2: bool,
}

/// What is counted of the machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    /// Nanoseconds of all processors, idling included.
    pub(super) cpu: u64,
    pub(super) cpus: u32,
    /// Bytes.
    pub(super) memory: u64,
}

impl Machine {
    pub(super) fn now() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let (cpu, cpus) = processors(&read("/proc/stat"));
        let memory = read("/proc/meminfo");
        let kib = memory
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
        Self {
            cpu,
            cpus,
            memory: kib.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024,
        }
    }
}

/// Nanoseconds of all processors and their number, from proc_stat(5): user, nice, system, idle, iowait, irq, softirq.
fn processors(text: &str) -> (u64, u32) {
    /// USER_HZ, which is 100 on every Linux.
    const TICK: u64 = 10_000_000;
    let mut total = 0;
    let mut cpus = 0;
    for line in text.lines().take_while(|line| line.starts_with("cpu")) {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("cpu") => {
                let ticks = words.take(7).filter_map(|word| word.parse::<u64>().ok());
                total = ticks.sum::<u64>().saturating_mul(TICK);
            }
            _ => cpus += 1,
        }
    }
    (total, cpus)
}

impl Sample {
    /// `None` where the container has just ended.
    pub(super) fn take(
        cgroups: &Cgroups,
        record: &Record,
        machine: &Machine,
        counted: Counted,
    ) -> Option<Self> {
        let group = cgroups
            .stats(&spec::cgroup_path(record, cgroups), counted)
            .ok()?;
        let networks = match Mode::of(&record.host_config) {
            // The host's interfaces are not the container's.
            Mode::Host => BTreeMap::new(),
            _ if counted == Counted::Processor => BTreeMap::new(),
            _ => {
                let path = format!("/proc/{}/net/dev", record.state.pid);
                interfaces(&std::fs::read_to_string(path).unwrap_or_default())
            }
        };
        Some(Self {
            taken: Instant::now(),
            read: Timestamp::now(),
            group,
            networks,
            machine: machine.clone(),
            v2: cgroups.layout() == onggi_cgroup::Layout::V2,
        })
    }
}

/// The interfaces of `/proc/PID/net/dev` but for loopback.
fn interfaces(text: &str) -> BTreeMap<String, NetworkStats> {
    let interface = |line: &str| {
        let (name, counters) = line.split_once(':')?;
        let n: Vec<u64> = counters
            .split_ascii_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let name = name.trim();
        if name == "lo" || n.len() < 12 {
            return None;
        }
        let stats = NetworkStats {
            rx_bytes: n[0],
            rx_packets: n[1],
            rx_errors: n[2],
            rx_dropped: n[3],
            tx_bytes: n[8],
            tx_packets: n[9],
            tx_errors: n[10],
            tx_dropped: n[11],
        };
        Some((name.to_owned(), stats))
    };
    text.lines().filter_map(interface).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_the_machine() {
        let text = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu1 0 0 0\nintr 5\n";
        assert_eq!(processors(text), (28 * 10_000_000, 2));
        let now = Machine::now();
        assert!(now.cpu > 0 && now.cpus > 0 && now.memory > 0, "{now:?}");
    }

    #[test]
    fn counters_of_interfaces() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed\n    lo: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n  eth0: 396 4 1 2 0 0 0 0 42 1 3 4 0 0 0 0\n";
        let interfaces = interfaces(text);
        assert_eq!(interfaces.len(), 1);
        let eth0 = &interfaces["eth0"];
        assert_eq!(
            (
                eth0.rx_bytes,
                eth0.rx_packets,
                eth0.rx_errors,
                eth0.rx_dropped
            ),
            (396, 4, 1, 2)
        );
        assert_eq!(
            (
                eth0.tx_bytes,
                eth0.tx_packets,
                eth0.tx_errors,
                eth0.tx_dropped
            ),
            (42, 1, 3, 4)
        );
    }
}
