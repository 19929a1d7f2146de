//! One container in full.

use std::collections::BTreeMap;

use crate::container::{Config, HostConfig, MountPoint, PortMap};
use crate::go::document;
use crate::image::Descriptor;
use crate::network::EndpointSettings;

document! {
    /// Everything about a container.
    pub struct Inspect {
        pub id: String => "Id";
        /// RFC 3339.
        pub created: String => "Created";
        pub path: String => "Path";
        pub args: Vec<String> => "Args";
        pub state: State => "State";
        /// The image's id.
        pub image: String => "Image";
        pub resolv_conf_path: String => "ResolvConfPath";
        pub hostname_path: String => "HostnamePath";
        pub hosts_path: String => "HostsPath";
        pub log_path: String => "LogPath";
        /// With a leading slash.
        pub name: String => "Name";
        pub restart_count: i64 => "RestartCount";
        pub driver: String => "Driver";
        pub platform: String => "Platform";
        pub mount_label: String => "MountLabel";
        pub process_label: String => "ProcessLabel";
        pub app_armor_profile: String => "AppArmorProfile";
        pub exec_ids: Option<Vec<String>> => "ExecIDs";
        pub host_config: HostConfig => "HostConfig";
        /// Engines with storage drivers of the old kind.
        pub graph_driver: Option<DriverData> => "GraphDriver" @omitempty;
        /// Engines with snapshots; since 1.52.
        pub storage: Option<Storage> => "Storage" @omitempty;
        /// Bytes written by the container, if asked for.
        pub size_rw: Option<i64> => "SizeRw" @omitempty;
        /// Bytes of the whole root file system, if asked for.
        pub size_root_fs: Option<i64> => "SizeRootFs" @omitempty;
        pub mounts: Vec<MountPoint> => "Mounts";
        pub config: Config => "Config";
        pub network_settings: NetworkSettings => "NetworkSettings";
        /// The manifest the container was made from.
        pub image_manifest_descriptor: Option<Descriptor> => "ImageManifestDescriptor" @omitempty;
    }
}

document! {
    /// Where a container stands.
    pub struct State {
        /// `created`, `running`, `paused`, `restarting`, `removing`, `exited`, `dead`.
        pub status: String => "Status";
        pub running: bool => "Running";
        pub paused: bool => "Paused";
        pub restarting: bool => "Restarting";
        pub oom_killed: bool => "OOMKilled";
        pub dead: bool => "Dead";
        pub pid: u32 => "Pid";
        pub exit_code: i32 => "ExitCode";
        pub error: String => "Error";
        /// RFC 3339.
        pub started_at: String => "StartedAt";
        /// RFC 3339.
        pub finished_at: String => "FinishedAt";
        pub health: Option<Health> => "Health" @omitempty;
        /// Ours alone: what is known where `OOMKilled` is true.
        pub oom: Option<Oom> => "OOM" @omitempty;
    }
}

document! {
    /// What the kernel's memory killer did.
    pub struct Oom {
        /// Bytes the container may take.
        pub limit: Option<u64> => "Limit" @omitempty;
        /// The most it took, in bytes.
        pub peak: Option<u64> => "Peak" @omitempty;
        /// Name of the process that was killed.
        pub victim: String => "Victim" @omitempty;
        /// Its number on the host.
        pub pid: u32 => "Pid" @omitempty;
        /// Whose memory ran out: `container`, `parent` (a group above it), `machine`; empty where nobody knows.
        pub scope: String => "Scope" @omitempty;
    }
}

document! {
    /// How the health check went.
    pub struct Health {
        /// `starting`, `healthy`, `unhealthy`, `none`.
        pub status: String => "Status";
        pub failing_streak: i64 => "FailingStreak";
        /// The newest last.
        pub log: Option<Vec<HealthcheckResult>> => "Log";
    }
}

document! {
    /// One run of the health check.
    pub struct HealthcheckResult {
        /// RFC 3339.
        pub start: String => "Start";
        /// RFC 3339.
        pub end: String => "End";
        pub exit_code: i32 => "ExitCode";
        pub output: String => "Output";
    }
}

document! {
    /// A storage driver and its own data.
    pub struct DriverData {
        pub data: Option<BTreeMap<String, String>> => "Data";
        pub name: String => "Name";
    }
}

document! {
    /// Where the root file system lives.
    pub struct Storage {
        pub root_fs: Option<RootFsStorage> => "RootFS" @omitempty;
    }
}

document! {
    /// The root file system.
    pub struct RootFsStorage {
        pub snapshot: Option<Snapshot> => "Snapshot" @omitempty;
    }
}

document! {
    /// The driver of the root file system's snapshot.
    pub struct Snapshot {
        pub name: String => "Name" @omitempty;
    }
}

document! {
    /// A container's networks.
    pub struct NetworkSettings {
        pub sandbox_id: String => "SandboxID";
        pub sandbox_key: String => "SandboxKey";
        /// What is published; `null` for a port that is only exposed.
        pub ports: PortMap => "Ports";
        /// By network name.
        pub networks: BTreeMap<String, EndpointSettings> => "Networks";
    }
}
