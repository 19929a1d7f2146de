//! Columns of `stats`.

use onggi_api::container::{CpuStats, MemoryStats, Stats};
use onggi_model::units::{bytes_size, human_size_with_precision};

use crate::format::rows::Options;
use crate::format::{Column, column};
use crate::text::short_id;

/// What a container uses, as it is shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage {
    /// How the user called it.
    pub(crate) container: String,
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) cpu: f64,
    pub(crate) memory: f64,
    pub(crate) limit: f64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) read: u64,
    pub(crate) written: u64,
    pub(crate) pids: u64,
    /// Nothing is known at the moment.
    pub(crate) unknown: bool,
}

impl Usage {
    /// What is shown of a document.
    pub(crate) fn of(container: &str, stats: &Stats) -> Self {
        let mut usage = Usage {
            container: container.to_owned(),
            name: stats.name.clone(),
            id: stats.id.clone(),
            cpu: cpu(&stats.precpu_stats, &stats.cpu_stats),
            memory: memory(&stats.memory_stats) as f64,
            limit: stats.memory_stats.limit as f64,
            pids: stats.pids_stats.current,
            ..Usage::default()
        };
        for interface in stats.networks.values() {
            usage.received += interface.rx_bytes;
            usage.sent += interface.tx_bytes;
        }
        let entries = stats.blkio_stats.io_service_bytes_recursive.iter();
        for entry in entries.flatten() {
            match entry.op.bytes().next() {
                Some(b'r' | b'R') => usage.read += entry.value,
                Some(b'w' | b'W') => usage.written += entry.value,
                _ => {}
            }
        }
        usage
    }

    fn known(&self, text: impl FnOnce() -> String) -> serde_json::Value {
        if self.unknown {
            "--".into()
        } else {
            text().into()
        }
    }
}

/// All columns.
pub(crate) const COLUMNS: &[Column<Usage>] = &[
    column("BlockIO", "BLOCK I/O", |u, _| {
        u.known(|| pair(u.read, u.written))
    }),
    column("CPUPerc", "CPU %", |u, _| u.known(|| percent(u.cpu))),
    column("Container", "CONTAINER", |u, _| u.container.clone().into()),
    column("ID", "CONTAINER ID", id),
    column("MemPerc", "MEM %", |u, _| {
        u.known(|| {
            percent(if u.limit > 0.0 {
                u.memory / u.limit * 100.0
            } else {
                0.0
            })
        })
    }),
    column("MemUsage", "MEM USAGE / LIMIT", |u, _| match u.unknown {
        true => "-- / --".into(),
        false => format!("{} / {}", bytes_size(u.memory), bytes_size(u.limit)).into(),
    }),
    column("Name", "NAME", |u, _| match u.name.strip_prefix('/') {
        Some(name) if !name.is_empty() => name.into(),
        _ => "--".into(),
    }),
    column("NetIO", "NET I/O", |u, _| {
        u.known(|| pair(u.received, u.sent))
    }),
    column("PIDs", "PIDS", |u, _| u.known(|| u.pids.to_string())),
];

/// The table of `stats`.
pub(crate) const DEFAULT: &str = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

fn id(usage: &Usage, options: &Options) -> serde_json::Value {
    match options.no_trunc {
        true => usage.id.clone().into(),
        false => short_id(&usage.id).into(),
    }
}

fn percent(value: f64) -> String {
    format!("{value:.2}%")
}

fn pair(one: u64, other: u64) -> String {
    let text = |bytes: u64| human_size_with_precision(bytes as f64, 3);
    format!("{} / {}", text(one), text(other))
}

/// The share of one processor, in percent, between two samples.
fn cpu(before: &CpuStats, now: &CpuStats) -> f64 {
    let own = now.cpu_usage.total_usage as f64 - before.cpu_usage.total_usage as f64;
    let machine = now.system_cpu_usage as f64 - before.system_cpu_usage as f64;
    let cpus = match now.online_cpus {
        0 => now.cpu_usage.percpu_usage.len() as f64,
        cpus => f64::from(cpus),
    };
    if own > 0.0 && machine > 0.0 {
        own / machine * cpus * 100.0
    } else {
        0.0
    }
}

/// Memory in use without the page cache that can be had back at once.
fn memory(stats: &MemoryStats) -> u64 {
    let names = ["total_inactive_file", "inactive_file"];
    let cache = names.iter().find_map(|name| stats.stats.get(*name));
    match cache {
        Some(cache) if *cache < stats.usage => stats.usage - cache,
        _ => stats.usage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_dockers() {
        let sample = |own, machine| {
            let mut stats = CpuStats::default();
            stats.cpu_usage.total_usage = own;
            (stats.system_cpu_usage, stats.online_cpus) = (machine, 2);
            stats
        };
        assert_eq!(
            percent(cpu(&sample(100, 1000), &sample(150, 1200))),
            "50.00%"
        );
        assert_eq!(percent(cpu(&sample(0, 0), &sample(0, 1200))), "0.00%");
        let mut stats = MemoryStats {
            usage: 100,
            ..MemoryStats::default()
        };
        assert_eq!(memory(&stats), 100);
        stats.stats.insert("inactive_file".to_owned(), 30);
        assert_eq!(memory(&stats), 70);
        stats.stats.insert("total_inactive_file".to_owned(), 40);
        assert_eq!(memory(&stats), 60);
    }
}
