//! What a container is made of, as far as this machine is concerned.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::container::{Mount, PortMap, Resources};
use crate::go::{self, document};

crate::go::never_zero!([u32; 2], RestartPolicyMode);

document! {
    /// The part of a container's configuration that depends on the machine.
    pub struct HostConfig {
        /// `source:destination[:options]`
        pub binds: Option<Vec<String>> => "Binds";
        pub container_id_file: String => "ContainerIDFile";
        pub log_config: LogConfig => "LogConfig";
        /// `bridge`, `host`, `none`, `container:ID` or a network's name.
        pub network_mode: String => "NetworkMode";
        pub port_bindings: Option<PortMap> => "PortBindings";
        pub restart_policy: RestartPolicy => "RestartPolicy";
        pub auto_remove: bool => "AutoRemove";
        pub volume_driver: String => "VolumeDriver";
        pub volumes_from: Option<Vec<String>> => "VolumesFrom";
        /// Height and width.
        pub console_size: [u32; 2] => "ConsoleSize";
        pub annotations: Option<BTreeMap<String, String>> => "Annotations" @omitempty;
        pub cap_add: Option<Vec<String>> => "CapAdd" via StrSlice;
        pub cap_drop: Option<Vec<String>> => "CapDrop" via StrSlice;
        /// `host` or `private`.
        pub cgroupns_mode: String => "CgroupnsMode";
        pub dns: Option<Vec<String>> => "Dns";
        pub dns_options: Option<Vec<String>> => "DnsOptions";
        pub dns_search: Option<Vec<String>> => "DnsSearch";
        /// `host:address`
        pub extra_hosts: Option<Vec<String>> => "ExtraHosts";
        pub group_add: Option<Vec<String>> => "GroupAdd";
        pub ipc_mode: String => "IpcMode";
        pub cgroup: String => "Cgroup";
        pub links: Option<Vec<String>> => "Links";
        pub oom_score_adj: i64 => "OomScoreAdj";
        pub pid_mode: String => "PidMode";
        pub privileged: bool => "Privileged";
        pub publish_all_ports: bool => "PublishAllPorts";
        pub readonly_rootfs: bool => "ReadonlyRootfs";
        pub security_opt: Option<Vec<String>> => "SecurityOpt";
        pub storage_opt: Option<BTreeMap<String, String>> => "StorageOpt" @omitempty;
        pub tmpfs: Option<BTreeMap<String, String>> => "Tmpfs" @omitempty;
        pub uts_mode: String => "UTSMode";
        pub userns_mode: String => "UsernsMode";
        /// Bytes.
        pub shm_size: i64 => "ShmSize";
        pub sysctls: Option<BTreeMap<String, String>> => "Sysctls" @omitempty;
        pub runtime: String => "Runtime" @omitempty;
        /// Windows only.
        pub isolation: String => "Isolation";
        pub resources: Resources => "" @flatten;
        pub mounts: Option<Vec<Mount>> => "Mounts" @omitempty;
        /// `None`: the engine's own.
        pub masked_paths: Option<Vec<String>> => "MaskedPaths";
        /// `None`: the engine's own.
        pub readonly_paths: Option<Vec<String>> => "ReadonlyPaths";
        /// `None`: as the daemon is configured.
        pub init: Option<bool> => "Init" @omitempty;
        /// Ours alone: `restart`, or nothing.
        pub on_unhealthy: String => "OnUnhealthy" @omitempty;
    }
}

impl std::ops::Deref for HostConfig {
    type Target = Resources;
    fn deref(&self) -> &Resources {
        &self.resources
    }
}

impl std::ops::DerefMut for HostConfig {
    fn deref_mut(&mut self) -> &mut Resources {
        &mut self.resources
    }
}

document! {
    /// Where output is logged.
    pub struct LogConfig {
        /// `json-file`, `local`, `none`, ...
        pub kind: String => "Type";
        pub config: Option<BTreeMap<String, String>> => "Config";
    }
}

document! {
    /// Where on the host a port is published.
    pub struct PortBinding {
        /// Empty for all.
        pub host_ip: String => "HostIp";
        /// A number, a range, or empty for any.
        pub host_port: String => "HostPort";
    }
}

document! {
    /// What happens when a container ends.
    pub struct RestartPolicy {
        pub name: RestartPolicyMode => "Name";
        /// For `on-failure`; 0 for no limit.
        pub maximum_retry_count: i64 => "MaximumRetryCount";
    }
}

/// When a container is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestartPolicyMode {
    /// Never.
    #[default]
    No,
    /// Whenever it ends, and when the daemon starts.
    Always,
    /// When it ends with an exit code other than 0.
    OnFailure,
    /// As `Always`, but not if a user stopped it.
    UnlessStopped,
}

impl RestartPolicyMode {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Always => "always",
            Self::OnFailure => "on-failure",
            Self::UnlessStopped => "unless-stopped",
        }
    }
}

impl fmt::Display for RestartPolicyMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RestartPolicyMode {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RestartPolicyMode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match std::borrow::Cow::<'de, str>::deserialize(from)?.as_ref() {
            "" | "no" => Ok(Self::No),
            "always" => Ok(Self::Always),
            "on-failure" => Ok(Self::OnFailure),
            "unless-stopped" => Ok(Self::UnlessStopped),
            other => Err(go::refuse(format_args!(
                "invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
            ))),
        }
    }
}

document! {
    /// The body of `POST /containers/{id}/update`.
    pub struct UpdateRequest {
        pub resources: Resources => "" @flatten;
        pub restart_policy: Option<RestartPolicy> => "RestartPolicy" @omitempty;
        /// Ours alone: `restart` or `no`.
        pub on_unhealthy: String => "OnUnhealthy" @omitempty;
    }
}

document! {
    /// What an update has to say.
    pub struct UpdateResponse {
        pub warnings: Option<Vec<String>> => "Warnings";
    }
}
