//! How a service's image is built.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{FileMount, Texts, Ulimit, values};

/// `build`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Build {
    /// `context`
    pub context: String,
    /// `dockerfile`
    pub dockerfile: String,
    /// `dockerfile_inline`
    pub dockerfile_inline: String,
    /// `entitlements`
    pub entitlements: Vec<String>,
    /// `args`; without a value the variable is not set.
    pub args: BTreeMap<String, Option<String>>,
    /// `ssh`
    pub ssh: BTreeMap<String, Option<String>>,
    /// `labels`
    pub labels: Texts,
    /// `cache_from`
    pub cache_from: Vec<String>,
    /// `cache_to`
    pub cache_to: Vec<String>,
    /// `no_cache`
    pub no_cache: bool,
    /// `additional_contexts`
    pub additional_contexts: Texts,
    /// `pull`
    pub pull: bool,
    /// `extra_hosts`
    pub extra_hosts: BTreeMap<String, Vec<String>>,
    /// `isolation`
    pub isolation: String,
    /// `network`
    pub network: String,
    /// `target`
    pub target: String,
    /// `secrets`
    pub secrets: Vec<FileMount>,
    /// `shm_size`
    #[serde(deserialize_with = "values::size")]
    pub shm_size: i64,
    /// `tags`
    pub tags: Vec<String>,
    /// `ulimits`
    pub ulimits: BTreeMap<String, Ulimit>,
    /// `platforms`
    pub platforms: Vec<String>,
    /// `privileged`
    pub privileged: bool,
    /// `provenance`
    pub provenance: String,
    /// `sbom`
    pub sbom: String,
}
