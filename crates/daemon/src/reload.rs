//! SIGHUP: the file is read again, and what the table marks as reloadable is taken up.
//!
//! A file that does not hold changes nothing. What changed and needs a restart is said by name.

use onggi_engine::{Engine, Live};
use onggi_image::Images;
use tracing::{info, warn};

use crate::config::Config;
use crate::flags::Flags;
use crate::logging::SetLevel;

/// What a reload reaches.
pub(crate) struct Reload {
    pub flags: Flags,
    pub config: Config,
    pub set_level: SetLevel,
    pub registry: onggi_registry::Client,
    pub images: Images,
}

impl Reload {
    /// Reads the file again.
    pub(crate) fn run(&mut self, engine: &Engine) {
        info!("SIGHUP: reading the configuration again");
        match Config::load(&self.flags) {
            Ok(config) => self.take_up(config, engine),
            Err(fault) => warn!(
                "the configuration stays as it was: {}",
                onggi_model::chain(&fault)
            ),
        }
    }

    fn take_up(&mut self, new: Config, engine: &Engine) {
        for warning in &new.warnings {
            warn!("{warning}");
        }
        if let Err(fault) = self.registry.reconfigure(new.registry.clone()) {
            warn!(
                "the configuration stays as it was: {}",
                onggi_model::chain(&fault)
            );
            return;
        }
        self.images
            .set_concurrent_downloads(new.concurrent_downloads);
        self.images.set_concurrent_uploads(new.concurrent_uploads);
        (self.set_level)(&new.log.level);
        if let Err(fault) = engine.reload(new.live.clone(), attributes(&new)) {
            warn!("the configuration stays as it was: {fault}");
            return;
        }
        let old = std::mem::replace(&mut self.config, new);
        let fixed = |config: &Config| {
            // Two documents that differ elsewhere differ here.
            let config = Config {
                live: Live::default(),
                registry: onggi_registry::Config::default(),
                concurrent_downloads: 0,
                concurrent_uploads: 0,
                shutdown_timeout: 0,
                log: old.log.clone(),
                warnings: Vec::new(),
                ..config.clone()
            };
            format!("{config:?}")
        };
        if fixed(&old) != fixed(&self.config) {
            warn!(
                "some of what changed is taken up by a restart of onggid only: containers run on meanwhile"
            );
        }
    }
}

/// What dockerd tells with its event.
fn attributes(config: &Config) -> Vec<(String, String)> {
    let json = |list: &[String]| serde_json::Value::from(list).to_string();
    let live = &config.live;
    let runtimes: Vec<_> = live
        .runtimes
        .iter()
        .map(|(name, runtime)| format!("{name}:{{{}}}", runtime.path.display()))
        .collect();
    let or = |value: &str, default: &str| match value {
        "" => default.to_owned(),
        value => value.to_owned(),
    };
    let pairs = [
        ("debug", live.debug.to_string()),
        ("default-ipc-mode", or(&live.ipc_mode, "private")),
        ("default-runtime", or(&live.default_runtime, "onggi")),
        ("default-shm-size", live.shm_size.to_string()),
        ("insecure-registries", json(&live.insecure_registries)),
        ("labels", json(&live.labels)),
        ("live-restore", live.live_restore.to_string()),
        (
            "max-concurrent-downloads",
            config.concurrent_downloads.to_string(),
        ),
        (
            "max-concurrent-uploads",
            config.concurrent_uploads.to_string(),
        ),
        (
            "max-download-attempts",
            config.registry.attempts.to_string(),
        ),
        ("registry-mirrors", json(&live.registry_mirrors)),
        ("runtimes", runtimes.join(" ")),
        ("shutdown-timeout", config.shutdown_timeout.to_string()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
}
