//! Networks, volumes, configs and secrets of a project.

use serde::Deserialize;

use super::Texts;

/// A network.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Its real name.
    pub name: String,
    /// `driver`
    pub driver: String,
    /// `driver_opts`
    pub driver_opts: Texts,
    /// `ipam`
    pub ipam: Ipam,
    /// Is it made elsewhere?
    pub external: bool,
    /// `internal`
    pub internal: bool,
    /// `attachable`
    pub attachable: bool,
    /// `enable_ipv4`
    pub enable_ipv4: Option<bool>,
    /// `enable_ipv6`
    pub enable_ipv6: Option<bool>,
    /// `labels`
    pub labels: Texts,
}

/// Where a network's addresses come from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ipam {
    /// `driver`
    pub driver: String,
    /// `config`
    pub config: Vec<IpamRange>,
    /// `options`
    pub options: Texts,
}

/// One range of addresses.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IpamRange {
    /// `subnet`
    pub subnet: String,
    /// `gateway`
    pub gateway: String,
    /// `ip_range`
    pub ip_range: String,
    /// `aux_addresses`
    pub aux_addresses: Texts,
}

/// A volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// Its real name.
    pub name: String,
    /// `driver`
    pub driver: String,
    /// `driver_opts`
    pub driver_opts: Texts,
    /// Is it made elsewhere?
    pub external: bool,
    /// `labels`
    pub labels: Texts,
}

/// A config or a secret: where its content is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Content {
    /// Its real name.
    pub name: String,
    /// A file.
    pub file: Option<String>,
    /// A variable of Compose's environment.
    pub environment: Option<String>,
    /// The content itself.
    pub content: Option<String>,
    /// Is it kept elsewhere?
    pub external: bool,
    /// `driver`
    pub driver: String,
    /// `template_driver`
    pub template_driver: String,
}
