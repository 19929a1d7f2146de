//! Limits: memory, CPU, block devices, devices.

use std::collections::BTreeMap;

use crate::go::document;

document! {
    /// What a container may use. Sizes in bytes, times in microseconds unless said.
    pub struct Resources {
        pub cpu_shares: i64 => "CpuShares";
        pub memory: i64 => "Memory";
        /// Billionths of a CPU.
        pub nano_cpus: i64 => "NanoCpus";
        pub cgroup_parent: String => "CgroupParent";
        pub blkio_weight: u16 => "BlkioWeight";
        pub blkio_weight_device: Option<Vec<WeightDevice>> => "BlkioWeightDevice";
        pub blkio_device_read_bps: Option<Vec<ThrottleDevice>> => "BlkioDeviceReadBps";
        pub blkio_device_write_bps: Option<Vec<ThrottleDevice>> => "BlkioDeviceWriteBps";
        pub blkio_device_read_iops: Option<Vec<ThrottleDevice>> => "BlkioDeviceReadIOps";
        pub blkio_device_write_iops: Option<Vec<ThrottleDevice>> => "BlkioDeviceWriteIOps";
        pub cpu_period: i64 => "CpuPeriod";
        pub cpu_quota: i64 => "CpuQuota";
        pub cpu_realtime_period: i64 => "CpuRealtimePeriod";
        pub cpu_realtime_runtime: i64 => "CpuRealtimeRuntime";
        /// `0-2,7`
        pub cpuset_cpus: String => "CpusetCpus";
        pub cpuset_mems: String => "CpusetMems";
        pub devices: Option<Vec<DeviceMapping>> => "Devices";
        /// `c 7:* rmw`
        pub device_cgroup_rules: Option<Vec<String>> => "DeviceCgroupRules";
        pub device_requests: Option<Vec<DeviceRequest>> => "DeviceRequests";
        /// Dropped from 1.42 on; taken from older clients so that it can be refused or ignored knowingly.
        pub kernel_memory: i64 => "KernelMemory" @omitempty;
        pub kernel_memory_tcp: i64 => "KernelMemoryTCP" @omitempty;
        pub memory_reservation: i64 => "MemoryReservation";
        /// Memory and swap together; -1 for no limit.
        pub memory_swap: i64 => "MemorySwap";
        pub memory_swappiness: Option<i64> => "MemorySwappiness";
        pub oom_kill_disable: Option<bool> => "OomKillDisable";
        /// 0 and -1 for no limit.
        pub pids_limit: Option<i64> => "PidsLimit";
        pub ulimits: Option<Vec<Ulimit>> => "Ulimits";
        /// Windows only.
        pub cpu_count: i64 => "CpuCount";
        /// Windows only.
        pub cpu_percent: i64 => "CpuPercent";
        /// Windows only.
        pub io_maximum_iops: u64 => "IOMaximumIOps";
        /// Windows only.
        pub io_maximum_bandwidth: u64 => "IOMaximumBandwidth";
    }
}

document! {
    /// A block device's share.
    pub struct WeightDevice {
        pub path: String => "Path";
        pub weight: u16 => "Weight";
    }
}

document! {
    /// A block device's limit a second.
    pub struct ThrottleDevice {
        pub path: String => "Path";
        pub rate: u64 => "Rate";
    }
}

document! {
    /// A device of the host in the container.
    pub struct DeviceMapping {
        pub path_on_host: String => "PathOnHost";
        pub path_in_container: String => "PathInContainer";
        /// Of `rwm`.
        pub cgroup_permissions: String => "CgroupPermissions";
    }
}

document! {
    /// Devices that a driver provides.
    pub struct DeviceRequest {
        pub driver: String => "Driver";
        /// -1 for all.
        pub count: i64 => "Count";
        pub device_ids: Option<Vec<String>> => "DeviceIDs";
        /// Any of these sets, all of each.
        pub capabilities: Option<Vec<Vec<String>>> => "Capabilities";
        pub options: Option<BTreeMap<String, String>> => "Options";
    }
}

document! {
    /// A limit of `setrlimit(2)`; -1 for none.
    pub struct Ulimit {
        pub name: String => "Name";
        pub hard: i64 => "Hard";
        pub soft: i64 => "Soft";
    }
}
