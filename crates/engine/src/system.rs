//! The engine about itself and its machine: `info`, `version`.

use std::collections::BTreeMap;

use onggi_api::event::Message;
use onggi_api::system::{
    Commit, Component, FirewallInfo, IndexInfo, Info, NetworkAddressPool, PlatformInfo, Plugins,
    RegistryConfig, Runtime, SwarmInfo, Version,
};
use onggi_api::version::ApiVersion;
use onggi_model::{Platform, Timestamp};
use tokio::sync::mpsc;

use crate::config::{BUILT_IN, Config, DOCKERS, Defaults, Live, SeccompProfile};
use crate::container::Status;
use crate::error::{Error, Result};
use crate::events::{self, EventsOptions};
use crate::{CGROUP_PARENT, Engine, machine};

/// Our own version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Engine {
    /// What `version` prints of the server.
    pub async fn version(&self) -> Version {
        let uname = rustix::system::uname();
        let kernel = uname.release().to_string_lossy().into_owned();
        let platform = Platform::host();
        let details = [
            ("ApiVersion", ApiVersion::NEWEST.to_string()),
            ("Arch", platform.architecture.clone()),
            ("BuildTime", String::new()),
            ("Experimental", "false".to_owned()),
            ("GitCommit", String::new()),
            ("GoVersion", String::new()),
            ("KernelVersion", kernel.clone()),
            ("MinAPIVersion", ApiVersion::OLDEST.to_string()),
            ("Os", platform.os.clone()),
        ];
        let details = details.map(|(name, value)| (name.to_owned(), value));
        Version {
            platform: PlatformInfo {
                name: "onggi".to_owned(),
            },
            version: VERSION.to_owned(),
            api_version: ApiVersion::NEWEST.to_string(),
            min_api_version: ApiVersion::OLDEST.to_string(),
            os: platform.os,
            arch: platform.architecture,
            components: vec![Component {
                name: "Engine".to_owned(),
                version: VERSION.to_owned(),
                details: Some(details.into()),
            }],
            kernel_version: kernel,
            ..Version::default()
        }
    }

    /// What `info` prints of the server.
    ///
    /// # Errors
    /// What the catalogue says when it cannot be read.
    pub async fn info(&self) -> Result<Info> {
        let config = &self.inner.config;
        let live = self.live();
        let states: Vec<_> = self
            .inner
            .containers
            .all()
            .iter()
            .map(|c| c.record().state.status)
            .collect();
        let count = |fits: &dyn Fn(Status) -> bool| {
            i64::try_from(states.iter().filter(|&&s| fits(s)).count()).unwrap_or(i64::MAX)
        };
        let images = self.inner.store.images()?.len();
        let uname = rustix::system::uname();
        let (system, system_version) = os_release();
        let cgroups = &self.inner.cgroups;
        let v2 = self.is_v2();
        let mut info = Info {
            id: self.inner.id.clone(),
            containers: count(&|_| true),
            containers_running: count(&|s| s == Status::Running),
            containers_paused: count(&|s| s == Status::Paused),
            containers_stopped: count(&|s| !matches!(s, Status::Running | Status::Paused)),
            images: i64::try_from(images).unwrap_or(i64::MAX),
            driver: self.inner.snapshots.driver().name().to_owned(),
            driver_status: Some(machine::driver_status(&config.data_root)),
            plugins: Plugins {
                volume: Some(vec![onggi_volume::DRIVER.to_owned()]),
                network: Some(
                    ["bridge", "host", "macvlan", "null"]
                        .map(str::to_owned)
                        .to_vec(),
                ),
                authorization: None,
                log: Some(
                    crate::log::options::names()
                        .into_iter()
                        // It keeps no log, and Docker does not count it.
                        .filter(|name| *name != "none")
                        .map(str::to_owned)
                        .collect(),
                ),
            },
            memory_limit: cgroups.has("memory"),
            swap_limit: cgroups
                .open(CGROUP_PARENT)
                .is_ok_and(|group| group.limits_swap()),
            cpu_cfs_period: cgroups.has("cpu"),
            cpu_cfs_quota: cgroups.has("cpu"),
            cpu_shares: cgroups.has("cpu"),
            cpu_set: cgroups.has("cpuset"),
            pids_limit: cgroups.has("pids"),
            ipv4_forwarding: read("/proc/sys/net/ipv4/ip_forward").trim() == "1",
            debug: live.debug,
            nfd: open_descriptors(),
            oom_kill_disable: cgroups.has("memory") && !v2,
            // The nearest thing we have to goroutines: threads.
            ngoroutines: threads(),
            system_time: Timestamp::now().to_string(),
            logging_driver: match config.defaults.log.kind.as_str() {
                "" => "json-file".to_owned(),
                driver => driver.to_owned(),
            },
            cgroup_driver: "cgroupfs".to_owned(),
            cgroup_version: if v2 { "2" } else { "1" }.to_owned(),
            nevents_listener: i64::try_from(self.inner.events.listeners()).unwrap_or(i64::MAX),
            kernel_version: uname.release().to_string_lossy().into_owned(),
            operating_system: system,
            os_version: system_version,
            os_type: "linux".to_owned(),
            architecture: uname.machine().to_string_lossy().into_owned(),
            index_server_address: "https://index.docker.io/v1/".to_owned(),
            registry_config: Some(self.registry_config()),
            ncpu: std::thread::available_parallelism()
                .map_or(1, |n| i64::try_from(n.get()).unwrap_or(i64::MAX)),
            mem_total: memory_total(),
            docker_root_dir: config.data_root.display().to_string(),
            http_proxy: without_password(&config.proxies.http),
            https_proxy: without_password(&config.proxies.https),
            no_proxy: config.proxies.none.clone(),
            default_address_pools: (!config.address_pools.is_empty()).then(|| pools(config)),
            name: uname.nodename().to_string_lossy().into_owned(),
            labels: Some(live.labels.clone()),
            server_version: VERSION.to_owned(),
            runtimes: runtimes(&live),
            default_runtime: match live.default_runtime.as_str() {
                "" => "onggi".to_owned(),
                name => name.to_owned(),
            },
            swarm: SwarmInfo {
                local_node_state: "inactive".to_owned(),
                ..SwarmInfo::default()
            },
            live_restore_enabled: live.live_restore,
            init_binary: "onggi-init".to_owned(),
            runc_commit: Commit {
                id: VERSION.to_owned(),
            },
            init_commit: Commit {
                id: VERSION.to_owned(),
            },
            security_options: Some(security_options(v2, &config.defaults)),
            firewall_backend: Some(FirewallInfo {
                driver: "nftables".to_owned(),
                info: None,
            }),
            cdi_spec_dirs: Some(
                config
                    .cdi_spec_dirs
                    .iter()
                    .map(|folder| folder.display().to_string())
                    .collect(),
            ),
            discovered_devices: machine::devices(&config.cdi_spec_dirs),
            ..Info::default()
        };
        let mut warnings = machine::warnings(&info);
        match self.inner.networks.crowded().await {
            Ok(said) => warnings.extend(said.into_iter().map(|text| format!("WARNING: {text}"))),
            Err(error) => tracing::debug!("{}", onggi_model::chain(&error)),
        }
        info.warnings = Some(warnings).filter(|warnings| !warnings.is_empty());
        Ok(info)
    }

    fn registry_config(&self) -> RegistryConfig {
        let config = self.live();
        // As dockerd writes them, whatever the configuration says.
        let mirrors: Vec<String> = config
            .registry_mirrors
            .iter()
            .map(|mirror| format!("{}/", mirror.trim_end_matches('/')))
            .collect();
        let index = |name: &str, mirrors: &[String], secure, official| {
            let name = name.to_owned();
            (
                name.clone(),
                IndexInfo {
                    name,
                    mirrors: Some(mirrors.to_vec()),
                    secure,
                    official,
                },
            )
        };
        let (ranges, names): (Vec<_>, Vec<_>) = config
            .insecure_registries
            .iter()
            .partition(|registry| registry.contains('/'));
        let loopback = ["::1/128", "127.0.0.0/8"].map(str::to_owned);
        let insecure = names.into_iter().map(|name| index(name, &[], false, false));
        RegistryConfig {
            insecure_registry_cidrs: Some(
                loopback
                    .into_iter()
                    .chain(ranges.into_iter().cloned())
                    .collect(),
            ),
            index_configs: insecure
                .chain([index("docker.io", &mirrors, true, true)])
                .collect(),
            mirrors: Some(mirrors),
        }
    }

    /// Past and coming events.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that does not exist.
    pub async fn events(&self, options: EventsOptions) -> Result<mpsc::Receiver<Message>> {
        options
            .filters
            .check(&events::FILTERS)
            .map_err(|fault| Error::of(&fault))?;
        Ok(self.inner.events.subscribe(options))
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn pools(config: &Config) -> Vec<NetworkAddressPool> {
    let pool = |(base, size): &(String, u8)| NetworkAddressPool {
        base: base.clone(),
        size: i64::from(*size),
    };
    config.address_pools.iter().map(pool).collect()
}

/// The runtimes there are, by name.
fn runtimes(live: &Live) -> BTreeMap<String, Runtime> {
    let own = |(name, runtime): (&String, &crate::Runtime)| {
        let runtime = Runtime {
            path: runtime.path.display().to_string(),
            runtime_args: Some(runtime.args.clone()).filter(|args| !args.is_empty()),
            ..Runtime::default()
        };
        (name.clone(), runtime)
    };
    let built_in = [BUILT_IN]
        .into_iter()
        .chain(DOCKERS.into_iter().filter(|name| live.is_stand_in(name)))
        .map(|name| {
            let path = "onggi-runtime (built in)".to_owned();
            (
                name.to_owned(),
                Runtime {
                    path,
                    ..Runtime::default()
                },
            )
        });
    live.runtimes.iter().map(own).chain(built_in).collect()
}

/// A proxy's password is nobody's business.
fn without_password(url: &str) -> String {
    match url
        .split_once("://")
        .and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?)))
    {
        Some((scheme, (_, host))) => format!("{scheme}://xxxxx:xxxxx@{host}"),
        None => url.to_owned(),
    }
}

/// `PRETTY_NAME` and `VERSION_ID` of os-release(5).
fn os_release() -> (String, String) {
    let text = match read("/etc/os-release") {
        text if text.is_empty() => read("/usr/lib/os-release"),
        text => text,
    };
    let value = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default()
            .trim_matches(['"', '\''])
            .to_owned()
    };
    match value("PRETTY_NAME") {
        name if name.is_empty() => ("Linux".to_owned(), value("VERSION_ID")),
        name => (name, value("VERSION_ID")),
    }
}

fn memory_total() -> i64 {
    let text = read("/proc/meminfo");
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<i64>().ok())
        .unwrap_or_default()
        * 1024
}

fn open_descriptors() -> i64 {
    // One of them is the listing itself.
    std::fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count() as i64 - 1)
}

fn threads() -> i64 {
    std::fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.count() as i64)
}

fn security_options(v2: bool, defaults: &Defaults) -> Vec<String> {
    let profile = match &defaults.seccomp {
        SeccompProfile::Builtin => "builtin".to_owned(),
        SeccompProfile::Unconfined => "unconfined".to_owned(),
        SeccompProfile::File(path, _) => path.display().to_string(),
    };
    let mut options = Vec::new();
    if crate::spec::security::has_apparmor() {
        options.push("name=apparmor".to_owned());
    }
    options.push(format!("name=seccomp,profile={profile}"));
    if defaults.no_new_privileges {
        options.push("name=no-new-privileges".to_owned());
    }
    if v2 {
        options.push("name=cgroupns".to_owned());
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_keep_their_secrets() {
        assert_eq!(
            without_password("http://u:p@proxy:3128"),
            "http://xxxxx:xxxxx@proxy:3128"
        );
        assert_eq!(without_password("http://proxy:3128"), "http://proxy:3128");
        assert_eq!(without_password(""), "");
    }

    #[test]
    fn the_machine_is_measured() {
        assert!(memory_total() > 1 << 20);
        assert!(open_descriptors() >= 0 && threads() >= 1);
        assert!(!os_release().0.is_empty());
    }
}
