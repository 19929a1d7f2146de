//! A project with types: what its canonical document says, ready to be turned into requests. Nothing is filled in here that
//! the document does not say.

mod application; // the project
mod build; // how its image is built
mod deploy; // how many containers, with which limits
mod parts; // networks, volumes, configs, secrets of the project
mod values; // sizes and durations as the document writes them
mod wiring; // networks, ports, volumes of a service

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

pub use application::Application;
pub use build::Build;
pub use deploy::{
    Deploy, DeviceClaim, Limits, Reservations, Resources, RestartPolicy, UpdateConfig,
};
pub use parts::{Content, Ipam, IpamRange, Network, Volume};
pub use wiring::{
    BindOptions, Blkio, BlkioRate, BlkioWeight, Device, FileMount, ImageOptions, NetworkLink, Port,
    TmpfsOptions, Ulimit, VolumeMount, VolumeOptions,
};

/// A map of texts.
pub type Texts = BTreeMap<String, String>;

/// A service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Its name; not a key of its own.
    #[serde(skip)]
    pub name: String,
    /// `annotations`
    pub annotations: Texts,
    /// `attach`: does `up` show what it writes?
    pub attach: Option<bool>,
    /// `build`
    pub build: Option<Build>,
    /// `blkio_config`
    pub blkio_config: Option<Blkio>,
    /// `cap_add`
    pub cap_add: Option<Vec<String>>,
    /// `cap_drop`
    pub cap_drop: Option<Vec<String>>,
    /// `cgroup`: `host` or `private`.
    pub cgroup: String,
    /// `cgroup_parent`
    pub cgroup_parent: String,
    /// `command`, as words; an empty list is the image's none.
    pub command: Option<Vec<String>>,
    /// `configs`
    pub configs: Vec<FileMount>,
    /// `container_name`
    pub container_name: String,
    /// `cpu_count`
    pub cpu_count: i64,
    /// `cpu_percent`
    pub cpu_percent: f64,
    /// `cpu_shares`
    pub cpu_shares: i64,
    /// `cpu_quota`
    pub cpu_quota: i64,
    /// `cpu_period`
    pub cpu_period: i64,
    /// `cpu_rt_period`, microseconds.
    pub cpu_rt_period: i64,
    /// `cpu_rt_runtime`, microseconds.
    pub cpu_rt_runtime: i64,
    /// `cpus`
    pub cpus: f64,
    /// `cpuset`
    pub cpuset: String,
    /// `credential_spec`
    pub credential_spec: Option<serde_json::Value>,
    /// `depends_on`
    pub depends_on: BTreeMap<String, DependsOn>,
    /// `deploy`
    pub deploy: Option<Deploy>,
    /// `device_cgroup_rules`
    pub device_cgroup_rules: Option<Vec<String>>,
    /// `devices`
    pub devices: Vec<Device>,
    /// `dns`
    pub dns: Option<Vec<String>>,
    /// `dns_opt`
    pub dns_opt: Option<Vec<String>>,
    /// `dns_search`
    pub dns_search: Option<Vec<String>>,
    /// `domainname`
    pub domainname: String,
    /// `entrypoint`
    pub entrypoint: Option<Vec<String>>,
    /// `environment`; without a value the image's variable is taken away.
    pub environment: BTreeMap<String, Option<String>>,
    /// `expose`
    pub expose: Vec<String>,
    /// `external_links`
    pub external_links: Vec<String>,
    /// `extra_hosts`
    pub extra_hosts: BTreeMap<String, Vec<String>>,
    /// `gpus`
    pub gpus: Vec<DeviceClaim>,
    /// `group_add`
    pub group_add: Option<Vec<String>>,
    /// `healthcheck`
    pub healthcheck: Option<Healthcheck>,
    /// `hostname`
    pub hostname: String,
    /// `image`
    pub image: String,
    /// `init`
    pub init: Option<bool>,
    /// `ipc`
    pub ipc: String,
    /// `isolation`
    pub isolation: String,
    /// `labels`
    pub labels: Texts,
    /// `links`
    pub links: Vec<String>,
    /// `logging`
    pub logging: Option<Logging>,
    /// `mac_address`
    pub mac_address: String,
    /// `mem_limit`
    #[serde(deserialize_with = "values::size")]
    pub mem_limit: i64,
    /// `mem_reservation`
    #[serde(deserialize_with = "values::size")]
    pub mem_reservation: i64,
    /// `mem_swappiness`
    #[serde(deserialize_with = "values::size_some")]
    pub mem_swappiness: Option<i64>,
    /// `memswap_limit`
    #[serde(deserialize_with = "values::size")]
    pub memswap_limit: i64,
    /// `models`
    pub models: BTreeMap<String, serde_json::Value>,
    /// `network_mode`
    pub network_mode: String,
    /// `networks`
    pub networks: BTreeMap<String, Option<NetworkLink>>,
    /// `oom_kill_disable`
    pub oom_kill_disable: bool,
    /// `oom_score_adj`
    pub oom_score_adj: i64,
    /// `pid`
    pub pid: Option<String>,
    /// `pids_limit`
    pub pids_limit: i64,
    /// `platform`
    pub platform: String,
    /// `ports`
    pub ports: Vec<Port>,
    /// `post_start`
    pub post_start: Vec<Hook>,
    /// `pre_stop`
    pub pre_stop: Vec<Hook>,
    /// `privileged`
    pub privileged: bool,
    /// `profiles`
    pub profiles: Vec<String>,
    /// `provider`
    pub provider: Option<serde_json::Value>,
    /// `pull_policy`
    pub pull_policy: String,
    /// `pull_refresh_after`
    pub pull_refresh_after: String,
    /// `read_only`
    pub read_only: bool,
    /// `restart`
    pub restart: String,
    /// `runtime`
    pub runtime: String,
    /// `scale`
    pub scale: Option<u32>,
    /// `secrets`
    pub secrets: Vec<FileMount>,
    /// `security_opt`
    pub security_opt: Option<Vec<String>>,
    /// `shm_size`
    #[serde(deserialize_with = "values::size")]
    pub shm_size: i64,
    /// `stdin_open`
    pub stdin_open: bool,
    /// `stop_grace_period`
    #[serde(deserialize_with = "values::duration")]
    pub stop_grace_period: Option<Duration>,
    /// `stop_signal`
    pub stop_signal: String,
    /// `storage_opt`
    pub storage_opt: Texts,
    /// `sysctls`
    pub sysctls: Texts,
    /// `tmpfs`
    pub tmpfs: Vec<String>,
    /// `tty`
    pub tty: bool,
    /// `ulimits`
    pub ulimits: BTreeMap<String, Ulimit>,
    /// `use_api_socket`
    pub use_api_socket: bool,
    /// `user`
    pub user: String,
    /// `userns_mode`
    pub userns_mode: String,
    /// `uts`
    pub uts: String,
    /// `volumes`
    pub volumes: Vec<VolumeMount>,
    /// `volumes_from`
    pub volumes_from: Vec<String>,
    /// `working_dir`
    pub working_dir: String,
}

/// When a service may start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Condition {
    /// The other one was started.
    #[default]
    #[serde(rename = "service_started")]
    Started,
    /// Its health check passes.
    #[serde(rename = "service_healthy")]
    Healthy,
    /// It ended, and well.
    #[serde(rename = "service_completed_successfully")]
    Completed,
}

impl Condition {
    /// Compose's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "service_started",
            Self::Healthy => "service_healthy",
            Self::Completed => "service_completed_successfully",
        }
    }

    /// Reads Compose's word; one that is not known asks for nothing more than a start.
    pub fn parse(text: &str) -> Self {
        match text {
            "service_healthy" => Self::Healthy,
            "service_completed_successfully" => Self::Completed,
            _ => Self::Started,
        }
    }
}

/// What a service waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct DependsOn {
    /// What must be true of the other one.
    pub condition: Condition,
    /// Is the service started again when the other one is?
    pub restart: bool,
    /// Does it fail where the other one is not there or not well?
    pub required: bool,
}

impl Default for DependsOn {
    fn default() -> Self {
        Self {
            condition: Condition::Started,
            restart: false,
            required: true,
        }
    }
}

/// `healthcheck`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Healthcheck {
    /// `test`
    pub test: Option<Vec<String>>,
    /// `interval`
    #[serde(deserialize_with = "values::duration")]
    pub interval: Option<Duration>,
    /// `timeout`
    #[serde(deserialize_with = "values::duration")]
    pub timeout: Option<Duration>,
    /// `start_period`
    #[serde(deserialize_with = "values::duration")]
    pub start_period: Option<Duration>,
    /// `start_interval`
    #[serde(deserialize_with = "values::duration")]
    pub start_interval: Option<Duration>,
    /// `retries`
    pub retries: Option<i64>,
    /// `disable`
    pub disable: bool,
}

/// `logging`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Logging {
    /// `driver`
    pub driver: String,
    /// `options`
    pub options: BTreeMap<String, Option<String>>,
}

/// A command run in a container after its start, or before its stop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// `command`, as words.
    pub command: Option<Vec<String>>,
    /// `user`
    pub user: String,
    /// `privileged`
    pub privileged: bool,
    /// `working_dir`
    pub working_dir: String,
    /// `environment`
    pub environment: BTreeMap<String, Option<String>>,
}

impl Service {
    /// How many containers it has when nobody says otherwise.
    pub fn replicas(&self) -> u32 {
        let deployed = self.deploy.as_ref().and_then(|deploy| deploy.replicas);
        self.scale.or(deployed).unwrap_or(1)
    }

    /// The image its containers are made from: the one it names, or the one it builds.
    pub fn image_name(&self, project: &str) -> String {
        match self.image.is_empty() {
            false => self.image.clone(),
            true => format!("{project}-{}", self.name),
        }
    }

    /// The name of one of its containers.
    pub fn container_name(&self, project: &str, number: u32) -> String {
        match self.container_name.is_empty() {
            false => self.container_name.clone(),
            true => format!("{project}-{}-{number}", self.name),
        }
    }

    /// The services whose namespaces or volumes it has: it must be made anew when their containers are.
    pub fn shares(&self) -> impl Iterator<Item = &str> {
        let pid = self.pid.as_deref().unwrap_or_default();
        let modes = [self.network_mode.as_str(), self.ipc.as_str(), pid];
        let modes = modes
            .into_iter()
            .filter_map(|mode| mode.strip_prefix("service:"));
        let volumes = self.volumes_from.iter();
        let volumes = volumes.filter(|from| !from.starts_with("container:"));
        let volumes = volumes.filter_map(|from| from.split(':').next());
        modes.chain(volumes)
    }

    /// Does a new container start before the old one ends?
    pub fn starts_first(&self) -> bool {
        let update = self
            .deploy
            .as_ref()
            .and_then(|deploy| deploy.update_config.as_ref());
        update.is_some_and(|update| update.order == "start-first")
    }
}
