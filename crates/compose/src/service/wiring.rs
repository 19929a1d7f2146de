//! What connects a service with the host, the project and the world: networks, ports, volumes, devices, limits.

use serde::Deserialize;

use super::{Texts, values};

/// A service's place in a network.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NetworkLink {
    /// `aliases`
    pub aliases: Vec<String>,
    /// `interface_name`
    pub interface_name: String,
    /// `ipv4_address`
    pub ipv4_address: String,
    /// `ipv6_address`
    pub ipv6_address: String,
    /// `link_local_ips`
    pub link_local_ips: Vec<String>,
    /// `mac_address`
    pub mac_address: String,
    /// `driver_opts`
    pub driver_opts: Texts,
    /// `priority`: the greatest is connected first.
    pub priority: i64,
    /// `gw_priority`: the greatest gives the default route.
    pub gw_priority: i64,
}

/// A published port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Port {
    /// `mode`
    pub mode: String,
    /// `host_ip`
    pub host_ip: String,
    /// `target`
    pub target: u16,
    /// `published`: a number, a range, or empty for any.
    pub published: String,
    /// `protocol`
    pub protocol: String,
}

/// Something mounted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct VolumeMount {
    /// `type`
    #[serde(rename = "type")]
    pub kind: String,
    /// `source`
    pub source: String,
    /// `target`
    pub target: String,
    /// `read_only`
    pub read_only: bool,
    /// `consistency`
    pub consistency: String,
    /// `bind`
    pub bind: BindOptions,
    /// `volume`
    pub volume: VolumeOptions,
    /// `tmpfs`
    pub tmpfs: TmpfsOptions,
    /// `image`
    pub image: ImageOptions,
}

/// `bind` of a mount
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BindOptions {
    /// `propagation`
    pub propagation: String,
    /// `create_host_path`
    pub create_host_path: bool,
    /// `selinux`
    pub selinux: String,
    /// `recursive`: `enabled`, `disabled`, `writable` or `readonly`.
    pub recursive: String,
}

/// `volume` of a mount
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct VolumeOptions {
    /// `nocopy`
    pub nocopy: bool,
    /// `labels`
    pub labels: Texts,
    /// `subpath`
    pub subpath: String,
}

/// `tmpfs` of a mount
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TmpfsOptions {
    /// `size`
    #[serde(deserialize_with = "values::size")]
    pub size: i64,
    /// `mode`
    #[serde(deserialize_with = "values::mode")]
    pub mode: Option<u32>,
}

/// `image` of a mount
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ImageOptions {
    /// `subpath`
    pub subpath: String,
}

/// A config or a secret in a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct FileMount {
    /// Its key in the project.
    pub source: String,
    /// `target`; empty for the usual place.
    pub target: String,
    /// `uid`
    pub uid: String,
    /// `gid`
    pub gid: String,
    /// `mode`
    #[serde(deserialize_with = "values::mode")]
    pub mode: Option<u32>,
}

/// A device of the host, or one that a driver describes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Device {
    /// `source`
    pub source: String,
    /// `target`
    pub target: String,
    /// `permissions`
    pub permissions: String,
}

/// A limit of `setrlimit(2)`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub enum Ulimit {
    /// The same, soft and hard.
    Both(i64),
    /// One of each.
    Each {
        /// `soft`
        soft: i64,
        /// `hard`
        hard: i64,
    },
}

/// `blkio_config`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Blkio {
    /// `weight`
    pub weight: u16,
    /// `weight_device`
    pub weight_device: Vec<BlkioWeight>,
    /// `device_read_bps`
    pub device_read_bps: Vec<BlkioRate>,
    /// `device_read_iops`
    pub device_read_iops: Vec<BlkioRate>,
    /// `device_write_bps`
    pub device_write_bps: Vec<BlkioRate>,
    /// `device_write_iops`
    pub device_write_iops: Vec<BlkioRate>,
}

/// A block device's share.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BlkioWeight {
    /// `path`
    pub path: String,
    /// `weight`
    pub weight: u16,
}

/// A block device's limit a second.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BlkioRate {
    /// `path`
    pub path: String,
    /// `rate`
    #[serde(deserialize_with = "values::size")]
    pub rate: i64,
}
