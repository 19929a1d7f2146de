//! Containers: what one is made of ([`Config`], [`HostConfig`]), what it is ([`Inspect`], [`Summary`]), and the
//! options of what can be done to it.

mod config; // portable between machines
mod host; // of this machine
mod inspect; // one container in full
mod mount; // what is mounted
mod options; // query parameters
mod path; // files: what is at a path, what changed
mod ports; // which are exposed, and where they are published
mod resources; // limits
mod stats; // what it uses
mod summary; // a container in a list

pub use config::{
    Config, CreateRequest, CreateResponse, HealthConfig, MovePortsRequest, MovePortsResponse,
    NetworkingConfig,
};
pub use host::{
    HostConfig, LogConfig, PortBinding, RestartPolicy, RestartPolicyMode, UpdateRequest,
    UpdateResponse,
};
pub use inspect::{
    DriverData, Health, HealthcheckResult, Inspect, NetworkSettings, Oom, RootFsStorage, Snapshot,
    State, Storage,
};
pub use mount::{
    BindOptions, Driver, ImageOptions, Mount, MountPoint, TmpfsOptions, VolumeOptions,
};
pub use options::{
    AttachOptions, ListOptions, LogsOptions, RemoveOptions, WaitCondition, WaitError, WaitResponse,
};
pub use path::{CommitResponse, FilesystemChange, PATH_STAT_HEADER, PathStat, file_mode};
pub use ports::{PortList, PortMap, PortRun, PortSet, as_runs};
pub use resources::{
    DeviceMapping, DeviceRequest, Resources, ThrottleDevice, Ulimit, WeightDevice,
};
pub use stats::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats,
    PruneResponse, Stats, ThrottlingData, TopResponse,
};
pub use summary::{HealthSummary, NetworkSettingsSummary, PortSummary, Summary, SummaryHostConfig};
