//! `create`: a container on record, with a root file system that waits.

use std::sync::Arc;

use onggi_api::container::{CreateRequest, CreateResponse, HostConfig, RestartPolicyMode};
use onggi_model::{
    ContainerId, Digest, ErrorKind, Platform, Secret, Timestamp, check_container_name,
};
use onggi_oci::image::ContainerConfig;
use onggi_store::ChainId;
use tracing::info;

use super::{Container, Record, State, merge, mounts};
use crate::error::{Error, Result};
use crate::spec::network::Mode;
use crate::{Engine, spec};

/// A container for a step of a build: on layers instead of an image, with mounts that no request can ask for.
pub(crate) struct NewContainer {
    pub(crate) request: CreateRequest,
    pub(crate) top: Option<ChainId>,
    pub(crate) mounts: Vec<mounts::Wanted>,
    /// Variables that hold secrets.
    pub(crate) secrets: Secret<Vec<String>>,
}

/// What a container begins with.
struct Base<'a> {
    /// Its image.
    id: Digest,
    /// The image's configuration.
    config: &'a ContainerConfig,
    /// Mounts besides those of the request.
    mounts: Vec<mounts::Wanted>,
    is_step: bool,
}

impl Engine {
    /// Makes a container; nothing runs.
    ///
    /// # Errors
    /// `NotFound`: no such image; `Conflict`: the name is taken; `InvalidParameter`, `NotImplemented`: a field that
    /// cannot be had, by name.
    pub async fn container_create(
        &self,
        name: Option<String>,
        platform: Option<String>,
        request: CreateRequest,
    ) -> Result<CreateResponse> {
        let (record, top, warnings) = self.new_record(name, platform, request)?;
        let container = self.enter(record, top.as_ref())?;
        Ok(CreateResponse {
            id: container.id.to_string(),
            warnings,
        })
    }

    /// Makes a container for a step of a build.
    ///
    /// # Errors
    /// As [`Engine::container_create`].
    pub(crate) fn create_for_build(&self, new: NewContainer) -> Result<Arc<Container>> {
        let CreateRequest {
            config,
            host_config,
            networking_config,
        } = new.request;
        let host_config = host_config.unwrap_or_default();
        spec::conflicts::check(&config, &host_config)?;
        check_fields(&config, &host_config)?;
        let nothing = ContainerConfig::default();
        let base = Base {
            id: Digest::sha256([0; 32]),
            config: &nothing,
            mounts: new.mounts,
            is_step: true,
        };
        let request = CreateRequest {
            config,
            host_config: Some(host_config),
            networking_config,
        };
        let mut record = self.settled(None, request, base, &mut Vec::new())?;
        record.secrets = new.secrets;
        self.enter(record, new.top.as_ref())
    }

    /// Puts a new container on record, on top of these layers.
    fn enter(&self, record: Record, top: Option<&ChainId>) -> Result<Arc<Container>> {
        let id = record.id.clone();
        self.inner.containers.reserve(&record.name, &id)?;
        let name = record.name.clone();
        match self.store_new(record, top) {
            Ok((container, volumes)) => {
                self.inner.containers.insert(container.clone());
                for volume in volumes {
                    self.volume_event("create", &volume.name, []);
                }
                info!(container = %id, name, "created");
                self.container_event(&container.record(), "create", []);
                Ok(container)
            }
            Err(fault) => {
                self.inner.containers.release(&name);
                Err(fault)
            }
        }
    }

    /// Checks the request, finds its image and settles every field.
    fn new_record(
        &self,
        name: Option<String>,
        platform: Option<String>,
        request: CreateRequest,
    ) -> Result<(Record, Option<ChainId>, Vec<String>)> {
        let CreateRequest {
            config,
            host_config,
            networking_config,
        } = request;
        let mut host_config = host_config.unwrap_or_default();
        let name = name.filter(|name| !name.is_empty());
        if let Some(name) = &name {
            check_container_name(name).map_err(|fault| Error::of(&fault))?;
        }
        crate::container::defaults::log(&self.inner.config.defaults, &mut host_config);
        spec::conflicts::check(&config, &host_config)?;
        check_fields(&config, &host_config)?;
        self.live().check_runtime(&host_config.runtime)?;
        let image =
            self.inner
                .images
                .get(&config.image)
                .map_err(|fault| match Error::of(&fault) {
                    fault if onggi_model::Fault::kind(&fault) == ErrorKind::NotFound => {
                        Error::not_found(format!("No such image: {}", image_name(&config.image)))
                    }
                    fault => fault,
                })?;
        let mut warnings = Vec::new();
        if let Some(wanted) = platform.filter(|p| !p.is_empty()) {
            let wanted = Platform::parse(&wanted).map_err(|fault| Error::of(&fault))?;
            if !wanted.matches(&image.platform()) {
                return Err(Error::not_found(format!(
                    "image with reference {} was found but its platform ({}) does not match the specified platform ({wanted})",
                    config.image,
                    image.platform()
                )));
            }
        } else if !Platform::host().matches(&image.platform()) {
            warnings.push(format!(
                "The requested image's platform ({}) does not match the detected host platform ({}) \
                 and no specific platform was requested",
                image.platform(),
                Platform::host()
            ));
        }
        let base = Base {
            id: image.id().clone(),
            config: &image.config.config,
            mounts: Vec::new(),
            is_step: false,
        };
        let request = CreateRequest {
            config,
            host_config: Some(host_config),
            networking_config,
        };
        let record = self.settled(name, request, base, &mut warnings)?;
        Ok((record, image.record.layers.last().cloned(), warnings))
    }

    /// Settles every field of a request that can be had.
    fn settled(
        &self,
        name: Option<String>,
        request: CreateRequest,
        base: Base<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Record> {
        let CreateRequest {
            mut config,
            host_config,
            networking_config,
        } = request;
        let mut host_config = host_config.unwrap_or_default();
        let id = ContainerId::random().map_err(|e| Error::io("random bytes", e))?;
        merge::merge(&mut config, base.config);
        let (path, args) = merge::command(&config)?;
        crate::health::settle(&config, &mut host_config)?;
        warnings.extend(crate::config::built_in_instead(
            &self.live(),
            &host_config.runtime,
        ));
        self.settle(&mut host_config);
        warnings.extend(spec::settle_limits(self, &mut host_config)?);
        spec::conflicts::pin_containers(self, &mut host_config);
        spec::security::disable_labels(&mut host_config);
        if config.hostname.is_empty() {
            config.hostname = match Mode::of(&host_config) {
                Mode::Host => rustix::system::uname()
                    .nodename()
                    .to_string_lossy()
                    .into_owned(),
                _ => id.short().to_owned(),
            };
        }
        let name = match name {
            Some(name) => name.trim_start_matches('/').to_owned(),
            None => self.free_name(&id),
        };
        let networking = networking_config.unwrap_or_default();
        let mut joined = spec::network::settle(self, &config, &host_config, &networking)?;
        super::links::settle(self, &name, &mut host_config, &mut joined)?;
        let mut wanted = mounts::resolve(self, &config, &host_config)?;
        wanted.extend(base.mounts);
        let record = Record {
            created: Timestamp::now(),
            mounts: Vec::new(),
            wanted,
            secrets: Secret::default(),
            remove_volumes: false,
            networking,
            joined: Some(joined),
            image: base.id,
            is_step: base.is_step,
            endpoints: Vec::new(),
            state: State::default(),
            restart_count: 0,
            short_runs: 0,
            exits: 0,
            stopped_by_user: false,
            unhealthy: false,
            stays_down: false,
            boot_id: String::new(),
            id,
            name,
            path,
            args,
            config,
            host_config,
        };
        spec::check(self, &record)?;
        super::files::extra_hosts(&record.host_config, &self.inner.networks.host_gateways())?;
        Ok(record)
    }

    /// Writes out the defaults, as `inspect` shows them.
    pub(super) fn settle(&self, host: &mut HostConfig) {
        super::defaults::settle(&self.inner.config.defaults, &self.live(), host);
        if host.network_mode.is_empty() || host.network_mode == "default" {
            host.network_mode = "bridge".to_owned();
        }
        if host.cgroupns_mode.is_empty() {
            let own = self.is_v2() && !host.privileged;
            host.cgroupns_mode = if own { "private" } else { "host" }.to_owned();
        }
        host.log_config.config.get_or_insert_default();
        host.port_bindings.get_or_insert_default();
        if host.masked_paths.is_none() && !host.privileged {
            host.masked_paths = Some(spec::security::masked_paths(host));
        }
        if host.readonly_paths.is_none() && !host.privileged {
            host.readonly_paths = Some(spec::security::readonly_paths(host));
        }
    }

    /// The container and its root in one transaction: neither is there without the other.
    /// So with its volumes: those that were not there before come with it, or not at all.
    fn store_new(
        &self,
        mut record: Record,
        top: Option<&ChainId>,
    ) -> Result<(Arc<Container>, Vec<Arc<onggi_volume::Volume>>)> {
        let inner = &self.inner;
        onggi_rt::blocking_here("create a container", || {
            let root = inner.snapshots.prepare(&record.id, top)?;
            let made = mounts::Made::prepare(inner, &mut record, top)?;
            inner.store.write(|tx| -> Result<()> {
                root.commit(tx)?;
                let names = record.volumes().map(|(_, volume)| volume.name.as_str());
                inner.volumes.settle_in(tx, names)?;
                Ok(tx.put(record.id.as_str(), &record)?)
            })?;
            Ok((Container::new(record), made.keep()))
        })?
    }

    /// A name nobody has: an adjective and a noun of the pottery.
    fn free_name(&self, id: &ContainerId) -> String {
        let mut seed = id
            .as_str()
            .bytes()
            .fold(0_u64, |n, b| n.wrapping_mul(31) + u64::from(b));
        for attempt in 0_u32.. {
            let mut name = crate::container::names::pick(seed);
            if attempt > 0 {
                name = format!("{name}{attempt}");
            }
            if self.inner.containers.find_name(&name).is_none() {
                return name;
            }
            seed = seed.rotate_left(7).wrapping_add(1);
        }
        id.short().to_owned()
    }
}

/// `busybox` is asked for as `busybox:latest`, and missed under that name.
fn image_name(name: &str) -> String {
    match onggi_model::ImageRef::parse(name) {
        Ok(reference) => reference.familiar(),
        Err(_) => name.to_owned(),
    }
}

/// What can be refused before any image is looked at.
pub(super) fn check_fields(config: &onggi_api::container::Config, host: &HostConfig) -> Result<()> {
    if let Some(directory) = Some(&config.working_dir).filter(|d| !d.is_empty())
        && !directory.starts_with('/')
    {
        return Err(Error::invalid(format!(
            "the working directory '{directory}' is invalid, it needs to be an absolute path"
        )));
    }
    if !config.stop_signal.is_empty() {
        onggi_model::Signal::parse(&config.stop_signal).map_err(|fault| Error::of(&fault))?;
    }
    crate::health::check(config)?;
    check_restart_policy(host)?;
    check_log(host)?;
    let refused = [(
        host.storage_opt.as_ref().is_some_and(|o| !o.is_empty()),
        "--storage-opt",
    )];
    if let Some((_, what)) = refused.iter().find(|(asked, _)| *asked) {
        return Err(Error::not_implemented(format!(
            "{what}: not there yet; leave it away"
        )));
    }
    if !matches!(host.isolation.as_str(), "" | "default") {
        return Err(Error::invalid(format!(
            "invalid isolation: \"{}\" - linux only supports 'default'",
            host.isolation
        )));
    }
    Ok(())
}

pub(super) fn check_restart_policy(host: &HostConfig) -> Result<()> {
    let policy = &host.restart_policy;
    if policy.name == RestartPolicyMode::No {
        if policy.maximum_retry_count != 0 {
            return Err(Error::invalid(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'",
            ));
        }
        return Ok(());
    }
    if host.auto_remove {
        return Err(Error::invalid(
            "can't create 'AutoRemove' container with restart policy",
        ));
    }
    if policy.name != RestartPolicyMode::OnFailure && policy.maximum_retry_count != 0 {
        return Err(Error::invalid(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ));
    }
    if policy.maximum_retry_count < 0 {
        return Err(Error::invalid(
            "invalid restart policy: maximum retry count cannot be negative",
        ));
    }
    Ok(())
}

/// Drivers and options that can be had.
fn check_log(host: &HostConfig) -> Result<()> {
    crate::log::options::check(&host.log_config)
}
