//! Counters as Docker's document: the fields it has on cgroup v1, and those it has on v2.

use std::collections::BTreeMap;

use onggi_api::container::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, PidsStats, Stats, ThrottlingData,
};
use onggi_cgroup::{BlockEntry, CpuStats as Cpu};
use onggi_model::Timestamp;

use super::sample::{Machine, Sample};
use crate::container::Record;

/// The lines of `memory.stat` that Docker passes on: v1.
const MEMORY_V1: [&str; 32] = [
    "active_anon",
    "active_file",
    "cache",
    "dirty",
    "hierarchical_memory_limit",
    "hierarchical_memsw_limit",
    "inactive_anon",
    "inactive_file",
    "mapped_file",
    "pgfault",
    "pgmajfault",
    "pgpgin",
    "pgpgout",
    "rss",
    "rss_huge",
    "total_active_anon",
    "total_active_file",
    "total_cache",
    "total_dirty",
    "total_inactive_anon",
    "total_inactive_file",
    "total_mapped_file",
    "total_pgfault",
    "total_pgmajfault",
    "total_pgpgin",
    "total_pgpgout",
    "total_rss",
    "total_rss_huge",
    "total_unevictable",
    "total_writeback",
    "unevictable",
    "writeback",
];

/// The same on v2.
const MEMORY_V2: [&str; 31] = [
    "active_anon",
    "active_file",
    "anon",
    "anon_thp",
    "file",
    "file_dirty",
    "file_mapped",
    "file_writeback",
    "inactive_anon",
    "inactive_file",
    "kernel_stack",
    "pgactivate",
    "pgdeactivate",
    "pgfault",
    "pglazyfree",
    "pglazyfreed",
    "pgmajfault",
    "pgrefill",
    "pgscan",
    "pgsteal",
    "shmem",
    "slab",
    "slab_reclaimable",
    "slab_unreclaimable",
    "sock",
    "thp_collapse_alloc",
    "thp_fault_alloc",
    "unevictable",
    "workingset_activate",
    "workingset_nodereclaim",
    "workingset_refault",
];

/// The document of a container: its last sample, and the processor's share of the one before.
pub(super) fn of(record: &Record, before: Option<&Sample>, last: Option<&Sample>) -> Stats {
    let mut document = Stats {
        id: record.id.to_string(),
        name: format!("/{}", record.name),
        os_type: "linux".to_owned(),
        read: Timestamp::ZERO.to_string(),
        preread: Timestamp::ZERO.to_string(),
        ..Stats::default()
    };
    let Some(last) = last else { return document };
    document.read = last.read.to_string();
    document.cpu_stats = cpu(&last.group.cpu, &last.machine, last.machine.cpu);
    document.memory_stats = memory(last);
    document.networks = last.networks.clone();
    document.pids_stats = pids(last);
    document.blkio_stats = block(last);
    if let Some(before) = before {
        // The machine's clock of processor time ticks a hundred times a second, which is coarse between samples that
        // are close: what passed by the clock passed on every processor.
        let passed = last.taken.duration_since(before.taken).as_nanos();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        let passed = passed.saturating_mul(u64::from(last.machine.cpus));
        let system = last.machine.cpu.saturating_sub(passed);
        document.preread = before.read.to_string();
        document.precpu_stats = cpu(&before.group.cpu, &before.machine, system);
    }
    document
}

fn cpu(cpu: &Cpu, machine: &Machine, system: u64) -> CpuStats {
    CpuStats {
        cpu_usage: CpuUsage {
            total_usage: cpu.total,
            percpu_usage: cpu.per_cpu.clone(),
            usage_in_kernelmode: cpu.system,
            usage_in_usermode: cpu.user,
        },
        system_cpu_usage: system,
        online_cpus: machine.cpus,
        throttling_data: ThrottlingData {
            periods: cpu.periods,
            throttled_periods: cpu.throttled_periods,
            throttled_time: cpu.throttled_time,
        },
    }
}

fn memory(sample: &Sample) -> MemoryStats {
    let memory = &sample.group.memory;
    let names: &[&str] = if sample.v2 { &MEMORY_V2 } else { &MEMORY_V1 };
    let all = &memory.details;
    let detail = |&name: &&str| {
        let value = match name {
            // Newer kernels tell the two kinds apart.
            "workingset_refault" | "workingset_activate" => {
                let parts = ["", "_anon", "_file"].map(|kind| all.get(&format!("{name}{kind}")));
                parts.into_iter().flatten().sum()
            }
            name => all.get(name).copied().unwrap_or(0),
        };
        (name.to_owned(), value)
    };
    let details: BTreeMap<String, u64> = match all.is_empty() {
        true => BTreeMap::new(),
        false => names.iter().map(detail).collect(),
    };
    let machine = sample.machine.memory;
    MemoryStats {
        usage: memory.usage,
        // Docker tells it on v1 only.
        max_usage: memory.max_usage.filter(|_| !sample.v2).unwrap_or(0),
        stats: details,
        failcnt: memory.fail_count.unwrap_or(0),
        limit: memory.limit.map_or(machine, |limit| limit.min(machine)),
    }
}

fn pids(sample: &Sample) -> PidsStats {
    let pids = &sample.group.pids;
    PidsStats {
        current: pids.current,
        limit: match (pids.limit, sample.v2) {
            (Some(limit), _) => limit,
            // "No limit" is nothing on v1, and the largest number on v2.
            (None, false) => 0,
            (None, true) => u64::MAX,
        },
    }
}

fn block(sample: &Sample) -> BlkioStats {
    let list = |entries: &[BlockEntry]| {
        let entry = |entry: &BlockEntry| BlkioEntry {
            major: entry.major,
            minor: entry.minor,
            op: entry.op.clone(),
            value: entry.value,
        };
        entries.iter().map(entry).collect::<Vec<_>>()
    };
    let block = &sample.group.block;
    if sample.v2 {
        let bytes = list(&block.bytes);
        return BlkioStats {
            io_service_bytes_recursive: (!bytes.is_empty()).then_some(bytes),
            ..BlkioStats::default()
        };
    }
    let none = || Some(Vec::new());
    BlkioStats {
        io_service_bytes_recursive: Some(list(&block.bytes)),
        io_serviced_recursive: Some(list(&block.operations)),
        io_queue_recursive: none(),
        io_service_time_recursive: none(),
        io_wait_time_recursive: none(),
        io_merged_recursive: none(),
        io_time_recursive: none(),
        sectors_recursive: none(),
    }
}
