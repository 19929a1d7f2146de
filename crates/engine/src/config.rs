//! What the engine is told: [`Config`] for its life, [`Live`] until the next reload.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use onggi_api::container::{LogConfig, Ulimit};

use crate::Engine;
use crate::error::{Error, Result};
use crate::log;

/// The runtime that is built in.
pub(crate) const BUILT_IN: &str = "onggi";

/// Docker's names of its default runtime. They mean the built-in one as long as no program is configured by that name.
pub(crate) const DOCKERS: [&str; 2] = ["runc", "io.containerd.runc.v2"];

/// What a user is told who asks for Docker's runtime and gets ours.
pub(crate) fn built_in_instead(live: &Live, asked: &str) -> Option<String> {
    live.is_stand_in(asked).then(|| {
        format!(
            "No runtime '{asked}' is configured: the built-in one, {BUILT_IN}, runs this container. To have the program \
             {asked} run it, name it in the daemon's \"runtimes\""
        )
    })
}

/// What does not change while the engine runs.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Root of persistent state.
    pub data_root: PathBuf,
    /// Root of run-time state.
    pub exec_root: PathBuf,
    /// Resolvers for containers, instead of the host's.
    pub dns: Vec<String>,
    /// Resolver options for containers.
    pub dns_options: Vec<String>,
    /// Search domains for containers.
    pub dns_search: Vec<String>,
    /// Where specifications of CDI devices lie.
    pub cdi_spec_dirs: Vec<PathBuf>,
    /// Proxies of registries, for `info`.
    pub proxies: Proxies,
    /// Pools of subnets, for `info`: base and size.
    pub address_pools: Vec<(String, u8)>,
    /// What containers get that say nothing.
    pub defaults: Defaults,
}

/// Proxies, without their passwords.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// For `http://`.
    pub http: String,
    /// For `https://`.
    pub https: String,
    /// What is reached without one.
    pub none: String,
}

/// What containers get that say nothing.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// Log driver and the options that go with it.
    pub log: LogConfig,
    /// Limits by name.
    pub ulimits: Vec<Ulimit>,
    /// Parent control group; empty for the engine's own.
    pub cgroup_parent: String,
    /// `host` or `private`; empty: by the version of control groups.
    pub cgroupns_mode: String,
    /// An init as pid 1.
    pub init: bool,
    /// No new privileges.
    pub no_new_privileges: bool,
    /// The filter of system calls.
    pub seccomp: SeccompProfile,
}

/// The filter of system calls that containers get.
#[derive(Clone, Debug, Default)]
pub enum SeccompProfile {
    /// The one that is built in.
    #[default]
    Builtin,
    /// None.
    Unconfined,
    /// A file, and its JSON.
    File(PathBuf, String),
}

/// What a reload may change.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Bytes that the cache of builds may take; a tenth of the disk where nobody said, and 0 for no limit.
    pub build_cache: Option<u64>,
    /// Labels of the daemon.
    pub labels: Vec<String>,
    /// Mirrors of docker.io, for `info`.
    pub registry_mirrors: Vec<String>,
    /// Registries without TLS, for `info`.
    pub insecure_registries: Vec<String>,
    /// Whether containers outlive the daemon's stop.
    pub live_restore: bool,
    /// Debug mode, for `info`.
    pub debug: bool,
    /// Size of `/dev/shm`; 0 for Docker's.
    pub shm_size: i64,
    /// `private` or `shareable`; empty for private.
    pub ipc_mode: String,
    /// Runtimes besides the one that is built in.
    pub runtimes: BTreeMap<String, Runtime>,
    /// The runtime of containers that name none; empty for the one that is built in.
    pub default_runtime: String,
    /// Switches by name.
    pub features: BTreeMap<String, bool>,
}

/// An OCI runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// Program: a path, or a name in `$PATH`.
    pub path: PathBuf,
    /// Its arguments before the command.
    pub args: Vec<String>,
}

impl Config {
    /// Whether the values can be meant.
    ///
    /// # Errors
    /// `InvalidParameter` with the reason.
    pub fn check(&self) -> Result<()> {
        log::options::check(&self.defaults.log)
            .map_err(|fault| fault.context("failed to set log opts"))?;
        if let SeccompProfile::File(path, text) = &self.defaults.seccomp {
            onggi_runtime::seccomp::parse_profile::<String>(text, &[]).map_err(|fault| {
                Error::of(&fault).context(format!("seccomp-profile {}", path.display()))
            })?;
        }
        Ok(())
    }
}

impl Live {
    /// Whether the values can be meant.
    ///
    /// # Errors
    /// `InvalidParameter` with the reason.
    pub fn check(&self) -> Result<()> {
        if let Some(name) = self.runtimes.keys().find(|name| *name == BUILT_IN) {
            return Err(Error::invalid(format!(
                "runtime name '{name}' is reserved: it is the one that is built in"
            )));
        }
        let name = &self.default_runtime;
        if !name.is_empty() && !self.knows_runtime(name) {
            return Err(Error::invalid(format!(
                "specified default runtime '{name}' does not exist"
            )));
        }
        Ok(())
    }

    /// Refuses a runtime that is not there.
    pub(crate) fn check_runtime(&self, name: &str) -> Result<()> {
        if name.is_empty() || self.knows_runtime(name) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "unknown or invalid runtime name: {name}"
        )))
    }

    /// A runtime that is not built in: its program, and what comes before the command.
    pub(crate) fn runtime(&self, name: &str) -> Runtime {
        self.runtimes.get(name).cloned().unwrap_or_default()
    }

    /// Whether there is a runtime of this name.
    pub(crate) fn knows_runtime(&self, name: &str) -> bool {
        name == BUILT_IN || self.is_stand_in(name) || self.runtimes.contains_key(name)
    }

    /// Whether the built-in runtime stands in for what Docker calls by this name.
    pub(crate) fn is_stand_in(&self, name: &str) -> bool {
        DOCKERS.contains(&name) && !self.runtimes.contains_key(name)
    }
}

impl Engine {
    /// What holds until the next reload.
    pub fn live(&self) -> Arc<Live> {
        self.inner.live.borrow().clone()
    }

    /// Takes up new values and tells listeners: the event `reload` of the daemon, with `attributes`.
    ///
    /// # Errors
    /// As [`Live::check`]; nothing changes then.
    pub fn reload(
        &self,
        live: Live,
        attributes: impl IntoIterator<Item = (String, String)>,
    ) -> Result<()> {
        live.check()?;
        self.inner.live.send_replace(Arc::new(live));
        let name = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let attributes = attributes.into_iter().chain([("name".to_owned(), name)]);
        self.inner
            .events
            .publish("daemon", "reload", &self.inner.id, attributes.collect());
        Ok(())
    }
}
