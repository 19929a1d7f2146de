//! `GET /info`.

use std::collections::BTreeMap;

use crate::go::document;

document! {
    /// The daemon, its machine and its configuration.
    pub struct Info {
        pub id: String => "ID";
        pub containers: i64 => "Containers";
        pub containers_running: i64 => "ContainersRunning";
        pub containers_paused: i64 => "ContainersPaused";
        pub containers_stopped: i64 => "ContainersStopped";
        pub images: i64 => "Images";
        /// The storage driver.
        pub driver: String => "Driver";
        /// Pairs of label and value.
        pub driver_status: Option<Vec<[String; 2]>> => "DriverStatus";
        pub plugins: Plugins => "Plugins";
        pub memory_limit: bool => "MemoryLimit";
        pub swap_limit: bool => "SwapLimit";
        pub cpu_cfs_period: bool => "CpuCfsPeriod";
        pub cpu_cfs_quota: bool => "CpuCfsQuota";
        pub cpu_shares: bool => "CPUShares";
        pub cpu_set: bool => "CPUSet";
        pub pids_limit: bool => "PidsLimit";
        pub ipv4_forwarding: bool => "IPv4Forwarding";
        pub debug: bool => "Debug";
        /// Open descriptors.
        pub nfd: i64 => "NFd";
        pub oom_kill_disable: bool => "OomKillDisable";
        /// Go's threads; ours are tasks.
        pub ngoroutines: i64 => "NGoroutines";
        /// RFC 3339.
        pub system_time: String => "SystemTime";
        pub logging_driver: String => "LoggingDriver";
        pub cgroup_driver: String => "CgroupDriver";
        /// `1` or `2`.
        pub cgroup_version: String => "CgroupVersion" @omitempty;
        pub nevents_listener: i64 => "NEventsListener";
        pub kernel_version: String => "KernelVersion";
        pub operating_system: String => "OperatingSystem";
        pub os_version: String => "OSVersion";
        pub os_type: String => "OSType";
        /// As `uname -m` has it.
        pub architecture: String => "Architecture";
        pub index_server_address: String => "IndexServerAddress";
        pub registry_config: Option<RegistryConfig> => "RegistryConfig";
        pub ncpu: i64 => "NCPU";
        /// Bytes.
        pub mem_total: i64 => "MemTotal";
        pub generic_resources: Option<Vec<serde_json::Value>> => "GenericResources";
        pub docker_root_dir: String => "DockerRootDir";
        pub http_proxy: String => "HttpProxy";
        pub https_proxy: String => "HttpsProxy";
        pub no_proxy: String => "NoProxy";
        /// The host's name.
        pub name: String => "Name";
        pub labels: Option<Vec<String>> => "Labels";
        pub experimental_build: bool => "ExperimentalBuild";
        pub server_version: String => "ServerVersion";
        pub runtimes: BTreeMap<String, Runtime> => "Runtimes";
        pub default_runtime: String => "DefaultRuntime";
        pub swarm: SwarmInfo => "Swarm";
        pub live_restore_enabled: bool => "LiveRestoreEnabled";
        pub isolation: String => "Isolation";
        pub init_binary: String => "InitBinary";
        pub containerd_commit: Commit => "ContainerdCommit";
        pub runc_commit: Commit => "RuncCommit";
        pub init_commit: Commit => "InitCommit";
        pub security_options: Option<Vec<String>> => "SecurityOptions";
        pub product_license: String => "ProductLicense" @omitempty;
        pub default_address_pools: Option<Vec<NetworkAddressPool>> => "DefaultAddressPools" @omitempty;
        pub firewall_backend: Option<FirewallInfo> => "FirewallBackend" @omitempty;
        pub cdi_spec_dirs: Option<Vec<String>> => "CDISpecDirs";
        pub discovered_devices: Option<Vec<DeviceInfo>> => "DiscoveredDevices" @omitempty;
        pub nri: Option<NriInfo> => "NRI" @omitempty;
        pub containerd: Option<Containerd> => "Containerd" @omitempty;
        pub warnings: Option<Vec<String>> => "Warnings";
    }
}

document! {
    /// What drivers there are.
    pub struct Plugins {
        pub volume: Option<Vec<String>> => "Volume";
        pub network: Option<Vec<String>> => "Network";
        pub authorization: Option<Vec<String>> => "Authorization";
        pub log: Option<Vec<String>> => "Log";
    }
}

document! {
    /// How registries are reached.
    pub struct RegistryConfig {
        pub insecure_registry_cidrs: Option<Vec<String>> => "InsecureRegistryCIDRs";
        pub index_configs: BTreeMap<String, IndexInfo> => "IndexConfigs";
        pub mirrors: Option<Vec<String>> => "Mirrors";
    }
}

document! {
    /// How one registry is reached.
    pub struct IndexInfo {
        pub name: String => "Name";
        pub mirrors: Option<Vec<String>> => "Mirrors";
        pub secure: bool => "Secure";
        pub official: bool => "Official";
    }
}

document! {
    /// A runtime users can name.
    pub struct Runtime {
        pub path: String => "path" @omitempty;
        pub runtime_args: Option<Vec<String>> => "runtimeArgs" @omitempty;
        pub kind: String => "runtimeType" @omitempty;
        pub options: Option<BTreeMap<String, serde_json::Value>> => "options" @omitempty;
        pub status: Option<BTreeMap<String, String>> => "status" @omitempty;
    }
}

document! {
    /// Whether this is a node of a cluster.
    pub struct SwarmInfo {
        pub node_id: String => "NodeID";
        pub node_addr: String => "NodeAddr";
        /// `inactive`, `pending`, `active`, `error`, `locked`.
        pub local_node_state: String => "LocalNodeState";
        pub control_available: bool => "ControlAvailable";
        pub error: String => "Error";
        pub remote_managers: Option<Vec<serde_json::Value>> => "RemoteManagers";
        pub nodes: i64 => "Nodes" @omitempty;
        pub managers: i64 => "Managers" @omitempty;
        pub cluster: Option<serde_json::Value> => "Cluster" @omitempty;
        pub warnings: Option<Vec<String>> => "Warnings" @omitempty;
    }
}

document! {
    /// The commit a part was built from.
    pub struct Commit {
        pub id: String => "ID";
    }
}

document! {
    /// Where new networks take their ranges from.
    pub struct NetworkAddressPool {
        pub base: String => "Base";
        pub size: i64 => "Size";
    }
}

document! {
    /// How the firewall is programmed.
    pub struct FirewallInfo {
        pub driver: String => "Driver";
        /// Pairs of label and value.
        pub info: Option<Vec<[String; 2]>> => "Info" @omitempty;
    }
}

document! {
    /// A device a driver offers.
    pub struct DeviceInfo {
        pub source: String => "Source";
        pub id: String => "ID";
    }
}

document! {
    /// The Node Resource Interface.
    pub struct NriInfo {
        /// Pairs of label and value.
        pub info: Option<Vec<[String; 2]>> => "Info" @omitempty;
    }
}

document! {
    /// The containerd behind the daemon; we have none.
    pub struct Containerd {
        pub address: String => "Address" @omitempty;
        pub namespaces: ContainerdNamespaces => "Namespaces";
    }
}

document! {
    /// Its namespaces.
    pub struct ContainerdNamespaces {
        pub containers: String => "Containers";
        pub plugins: String => "Plugins";
    }
}
