//! What a container uses: samples of its counters, and its processes.

use std::collections::BTreeMap;

use crate::go::{Empty, document};

document! {
    /// One sample, and the processor's share of the one before.
    pub struct Stats {
        pub id: String => "id" @omitempty;
        /// With a leading slash.
        pub name: String => "name" @omitempty;
        pub os_type: String => "os_type" @omitempty;
        /// RFC 3339.
        pub read: String => "read";
        pub cpu_stats: CpuStats => "cpu_stats";
        pub memory_stats: MemoryStats => "memory_stats";
        /// By interface.
        pub networks: BTreeMap<String, NetworkStats> => "networks" @omitempty;
        pub pids_stats: PidsStats => "pids_stats";
        pub blkio_stats: BlkioStats => "blkio_stats";
        /// Windows only.
        pub num_procs: u32 => "num_procs";
        /// Windows only.
        pub storage_stats: Empty => "storage_stats";
        /// When the sample before was taken.
        pub preread: String => "preread";
        pub precpu_stats: CpuStats => "precpu_stats";
    }
}

document! {
    /// Processor time.
    pub struct CpuStats {
        pub cpu_usage: CpuUsage => "cpu_usage";
        /// Of the whole machine, in nanoseconds, idling included.
        pub system_cpu_usage: u64 => "system_cpu_usage" @omitempty;
        pub online_cpus: u32 => "online_cpus" @omitempty;
        pub throttling_data: ThrottlingData => "throttling_data";
    }
}

document! {
    /// Processor time of the container, in nanoseconds.
    pub struct CpuUsage {
        pub total_usage: u64 => "total_usage";
        /// cgroup v1 only.
        pub percpu_usage: Vec<u64> => "percpu_usage" @omitempty;
        pub usage_in_kernelmode: u64 => "usage_in_kernelmode";
        pub usage_in_usermode: u64 => "usage_in_usermode";
    }
}

document! {
    /// What a quota of processor time did.
    pub struct ThrottlingData {
        pub periods: u64 => "periods";
        pub throttled_periods: u64 => "throttled_periods";
        /// Nanoseconds.
        pub throttled_time: u64 => "throttled_time";
    }
}

document! {
    /// Memory, in bytes.
    pub struct MemoryStats {
        pub usage: u64 => "usage" @omitempty;
        /// cgroup v1 only.
        pub max_usage: u64 => "max_usage" @omitempty;
        /// Of `memory.stat`.
        pub stats: BTreeMap<String, u64> => "stats" @omitempty;
        pub failcnt: u64 => "failcnt" @omitempty;
        pub limit: u64 => "limit" @omitempty;
    }
}

document! {
    /// One interface.
    pub struct NetworkStats {
        pub rx_bytes: u64 => "rx_bytes";
        pub rx_packets: u64 => "rx_packets";
        pub rx_errors: u64 => "rx_errors";
        pub rx_dropped: u64 => "rx_dropped";
        pub tx_bytes: u64 => "tx_bytes";
        pub tx_packets: u64 => "tx_packets";
        pub tx_errors: u64 => "tx_errors";
        pub tx_dropped: u64 => "tx_dropped";
    }
}

document! {
    /// Tasks.
    pub struct PidsStats {
        pub current: u64 => "current" @omitempty;
        pub limit: u64 => "limit" @omitempty;
    }
}

document! {
    /// Block devices. On cgroup v2 there are bytes only.
    pub struct BlkioStats {
        pub io_service_bytes_recursive: Option<Vec<BlkioEntry>> => "io_service_bytes_recursive";
        pub io_serviced_recursive: Option<Vec<BlkioEntry>> => "io_serviced_recursive";
        pub io_queue_recursive: Option<Vec<BlkioEntry>> => "io_queue_recursive";
        pub io_service_time_recursive: Option<Vec<BlkioEntry>> => "io_service_time_recursive";
        pub io_wait_time_recursive: Option<Vec<BlkioEntry>> => "io_wait_time_recursive";
        pub io_merged_recursive: Option<Vec<BlkioEntry>> => "io_merged_recursive";
        pub io_time_recursive: Option<Vec<BlkioEntry>> => "io_time_recursive";
        pub sectors_recursive: Option<Vec<BlkioEntry>> => "sectors_recursive";
    }
}

document! {
    /// One number of one device.
    pub struct BlkioEntry {
        pub major: u64 => "major";
        pub minor: u64 => "minor";
        pub op: String => "op";
        pub value: u64 => "value";
    }
}

document! {
    /// The processes of a container, as ps(1) lists them.
    pub struct TopResponse {
        pub processes: Option<Vec<Vec<String>>> => "Processes";
        pub titles: Option<Vec<String>> => "Titles";
    }
}

document! {
    /// What pruning removed.
    pub struct PruneResponse {
        pub containers_deleted: Option<Vec<String>> => "ContainersDeleted";
        /// Bytes.
        pub space_reclaimed: u64 => "SpaceReclaimed";
    }
}
