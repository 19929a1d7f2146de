//! How many containers a service has, and what they may use.

use serde::Deserialize;
use std::time::Duration;

use super::{Texts, values};

/// `deploy`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Deploy {
    /// `mode`
    pub mode: String,
    /// `endpoint_mode`
    pub endpoint_mode: String,
    /// `replicas`
    pub replicas: Option<u32>,
    /// `labels`: of the service of a swarm.
    pub labels: Texts,
    /// `resources`
    pub resources: Resources,
    /// `restart_policy`
    pub restart_policy: Option<RestartPolicy>,
    /// `placement`
    pub placement: Option<serde_json::Value>,
    /// `update_config`
    pub update_config: Option<UpdateConfig>,
    /// `rollback_config`
    pub rollback_config: Option<serde_json::Value>,
}

/// How containers take the place of others.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct UpdateConfig {
    /// `order`: `stop-first` or `start-first`.
    pub order: String,
    /// `parallelism`
    pub parallelism: Option<u32>,
    /// `delay`
    #[serde(deserialize_with = "values::duration")]
    pub delay: Option<Duration>,
}

/// `deploy.resources`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// `limits`
    pub limits: Limits,
    /// `reservations`
    pub reservations: Reservations,
}

/// `deploy.resources.limits`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// `cpus`
    #[serde(deserialize_with = "values::float")]
    pub cpus: f64,
    /// `memory`
    #[serde(deserialize_with = "values::size")]
    pub memory: i64,
    /// `pids`
    pub pids: i64,
}

/// `deploy.resources.reservations`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Reservations {
    /// `cpus`
    #[serde(deserialize_with = "values::float")]
    pub cpus: f64,
    /// `memory`
    #[serde(deserialize_with = "values::size")]
    pub memory: i64,
    /// `devices`
    pub devices: Vec<DeviceClaim>,
    /// `generic_resources`
    pub generic_resources: Vec<serde_json::Value>,
}

/// Devices that a driver provides.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct DeviceClaim {
    /// `capabilities`
    pub capabilities: Vec<String>,
    /// `driver`
    pub driver: String,
    /// `count`; -1 for all.
    pub count: i64,
    /// `device_ids`
    pub device_ids: Option<Vec<String>>,
    /// `options`
    pub options: Texts,
}

/// `deploy.restart_policy`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RestartPolicy {
    /// `condition`
    pub condition: String,
    /// `max_attempts`
    pub max_attempts: i64,
    /// `delay`
    #[serde(deserialize_with = "values::duration")]
    pub delay: Option<Duration>,
    /// `window`
    #[serde(deserialize_with = "values::duration")]
    pub window: Option<Duration>,
}
