//! What the daemon's configuration gives to containers that say nothing. Written into the record at `create`, so that
//! a container keeps what it was made with and `inspect` shows it.

use onggi_api::container::HostConfig;

use super::Record;
use crate::Engine;
use crate::config::{BUILT_IN, Defaults, Live};

/// Docker's size of `/dev/shm`.
const SHM_SIZE: i64 = 64 << 20;

/// The log driver; its options where the container has the default driver, each that the container does not set.
pub(crate) fn log(defaults: &Defaults, host: &mut HostConfig) {
    let driver = match defaults.log.kind.as_str() {
        "" => "json-file",
        driver => driver,
    };
    let log = &mut host.log_config;
    if log.kind.is_empty() {
        driver.clone_into(&mut log.kind);
    }
    let options = log.config.get_or_insert_default();
    if log.kind == driver {
        for (name, value) in defaults.log.config.iter().flatten() {
            options.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// Everything else.
pub(crate) fn settle(defaults: &Defaults, live: &Live, host: &mut HostConfig) {
    let or = |value: &mut String, default: &str, last: &str| {
        if value.is_empty() {
            let default = if default.is_empty() { last } else { default };
            default.clone_into(value);
        }
    };
    or(&mut host.ipc_mode, &live.ipc_mode, "private");
    or(&mut host.runtime, &live.default_runtime, BUILT_IN);
    if live.is_stand_in(&host.runtime) {
        // What runs it is on record, whatever is configured later.
        BUILT_IN.clone_into(&mut host.runtime);
    }
    or(&mut host.cgroup_parent, &defaults.cgroup_parent, "");
    if host.cgroupns_mode.is_empty() && !host.privileged {
        host.cgroupns_mode.clone_from(&defaults.cgroupns_mode);
    }
    if host.shm_size == 0 {
        host.shm_size = match live.shm_size {
            0 => SHM_SIZE,
            size => size,
        };
    }
    if !defaults.ulimits.is_empty() {
        let ulimits = host.ulimits.get_or_insert_default();
        for ulimit in &defaults.ulimits {
            if ulimits.iter().all(|own| own.name != ulimit.name) {
                ulimits.push(ulimit.clone());
            }
        }
    }
}

impl Engine {
    /// Whether an init is to be pid 1. Decided at start, as Docker does: `inspect` shows what the container said.
    pub(crate) fn wants_init(&self, record: &Record) -> bool {
        let default = self.inner.config.defaults.init;
        record.host_config.init.unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use onggi_api::container::{LogConfig, Ulimit};

    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Option<std::collections::BTreeMap<String, String>> {
        let pairs = pairs.iter();
        Some(pairs.map(|&(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    #[test]
    fn log_options_belong_to_the_driver() {
        let defaults = Defaults {
            log: LogConfig {
                kind: "local".to_owned(),
                config: options(&[("max-size", "1m"), ("max-file", "2")]),
            },
            ..Defaults::default()
        };
        for (kind, own, wanted) in [
            ("", &[][..], &[("max-file", "2"), ("max-size", "1m")][..]),
            (
                "local",
                &[("max-size", "9m")],
                &[("max-file", "2"), ("max-size", "9m")],
            ),
            ("json-file", &[], &[]),
        ] {
            let mut host = HostConfig::default();
            host.log_config.kind = kind.to_owned();
            host.log_config.config = options(own);
            log(&defaults, &mut host);
            assert_eq!(host.log_config.config, options(wanted), "{kind}");
        }
    }

    #[test]
    fn a_container_keeps_what_it_says() {
        let ulimit = |name: &str, soft| Ulimit {
            name: name.to_owned(),
            soft,
            hard: soft,
        };
        let defaults = Defaults {
            ulimits: vec![ulimit("nofile", 10), ulimit("core", 0)],
            ..Defaults::default()
        };
        let mut host = HostConfig::default();
        host.resources.ulimits = Some(vec![ulimit("nofile", 99)]);
        settle(&defaults, &Live::default(), &mut host);
        let found: Vec<_> = host.ulimits.iter().flatten().collect();
        assert_eq!(found, [&ulimit("nofile", 99), &ulimit("core", 0)]);
        assert_eq!((host.shm_size, &host.ipc_mode[..]), (SHM_SIZE, "private"));
    }

    #[test]
    fn dockers_runtime_is_ours_until_it_is_configured() {
        let mut live = Live::default();
        let settled = |live: &Live| {
            let mut host = HostConfig {
                runtime: "runc".to_owned(),
                ..HostConfig::default()
            };
            settle(&Defaults::default(), live, &mut host);
            host.runtime
        };
        assert_eq!(settled(&live), BUILT_IN);
        assert!(crate::config::built_in_instead(&live, "runc").is_some());
        assert!(crate::config::built_in_instead(&live, BUILT_IN).is_none());
        live.runtimes
            .insert("runc".to_owned(), crate::Runtime::default());
        assert_eq!(settled(&live), "runc");
        assert!(crate::config::built_in_instead(&live, "runc").is_none());
    }
}
