//! A container of a stopped dockerd becomes one of ours: its documents a record, what it wrote the top of its root.
//!
//! What cannot be had here is refused as `create` refuses it. What is read is the business of `crate::adopt`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use onggi_api::container::{Config, HostConfig, NetworkingConfig};
use onggi_api::network::EndpointSettings;
use onggi_model::{ContainerId, Digest, Timestamp, check_container_name};
use serde_json::Value;
use tracing::warn;

use super::mounts::{self, Bind, Origin, VolumeMount, Wanted, What};
use super::record::Status;
use super::{Container, Record, State, create, merge};
use crate::adopt::{DataRoot, ForeignContainer, Had, cannot};
use crate::error::{Error, Result};
use crate::spec::network::Mode;
use crate::{Engine, spec};

/// The log driver whose files are Docker's.
const JSON_FILE: &str = "json-file";

impl Engine {
    /// Takes one container over. It keeps its ID, name and everything it was made with.
    ///
    /// # Errors
    /// Whatever stands in the way; then nothing of it is here.
    pub(crate) async fn adopt_container(
        &self,
        root: &Arc<DataRoot>,
        foreign: ForeignContainer,
    ) -> Result<Had> {
        let id = ContainerId::parse(&foreign.id).map_err(|fault| Error::of(&fault))?;
        let known = self.inner.containers.all();
        if known.iter().any(|container| container.id == id) {
            return Ok(Had::present("it stays as it is"));
        }
        let record = self.foreign_record(&id, foreign)?;
        let name = record.name.clone();
        self.inner.containers.reserve(&name, &id)?;
        match self.store_foreign(root.clone(), record).await {
            Ok(container) => {
                self.inner.containers.insert(container.clone());
                self.container_event(&container.record(), "create", []);
                let record = container.record();
                Ok(Had::taken(match record.state.status {
                    Status::Created => "never started".to_owned(),
                    _ => format!("exited ({})", record.state.exit_code),
                }))
            }
            Err(fault) => {
                self.inner.containers.release(&name);
                Err(fault)
            }
        }
    }

    fn foreign_record(&self, id: &ContainerId, foreign: ForeignContainer) -> Result<Record> {
        let document = foreign.document?;
        refuse(id, &document)?;
        let bytes = serde_json::to_vec(&document["Config"]).unwrap_or_default();
        let config: Config = onggi_api::decode(&bytes).map_err(|fault| Error::of(&fault))?;
        let mut host_config: HostConfig =
            onggi_api::decode(&foreign.host_config).map_err(|fault| Error::of(&fault))?;
        let text = |key: &str| document[key].as_str().unwrap_or_default();
        let name = text("Name").trim_start_matches('/').to_owned();
        check_container_name(&name).map_err(|fault| Error::of(&fault))?;
        let image = Digest::parse(text("Image")).map_err(|fault| Error::of(&fault))?;
        if self.inner.store.image(&image)?.is_none() {
            return Err(cannot(format!("its image {} is not here", image.short())));
        }
        self.refuse_absent(&host_config)?;
        let networking = self.foreign_places(id, &document, &host_config)?;
        super::defaults::log(&self.inner.config.defaults, &mut host_config);
        spec::conflicts::check(&config, &host_config)?;
        create::check_fields(&config, &host_config)?;
        self.live().check_runtime(&host_config.runtime)?;
        let (path, args) = merge::command(&config)?;
        crate::health::settle(&config, &mut host_config)?;
        self.settle(&mut host_config);
        for warning in spec::settle_limits(self, &mut host_config)? {
            warn!(container = %id, "{warning}");
        }
        spec::security::disable_labels(&mut host_config);
        let (state, exits) = state(&document["State"]);
        let joined = spec::network::settle(self, &config, &host_config, &networking)?;
        if matches!(Mode::of(&host_config), Mode::Named(_)) {
            // The places in the networks have them too.
            host_config.links = None;
        }
        let record = Record {
            is_step: false,
            created: Timestamp::parse(text("Created")).unwrap_or_else(|_| Timestamp::now()),
            mounts: Vec::new(),
            secrets: Default::default(),
            wanted: self.foreign_mounts(&config, &host_config, &document["MountPoints"])?,
            remove_volumes: false,
            networking: NetworkingConfig::default(),
            image,
            endpoints: Vec::new(),
            joined: Some(joined),
            state,
            restart_count: number(&document["RestartCount"]),
            short_runs: 0,
            exits,
            stopped_by_user: document["HasBeenManuallyStopped"] == true,
            unhealthy: false,
            stays_down: true,
            boot_id: String::new(),
            id: id.clone(),
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

    /// Refuses what leans on something that is not here.
    fn refuse_absent(&self, host: &HostConfig) -> Result<()> {
        let modes = [
            ("network", &host.network_mode),
            ("IPC namespace", &host.ipc_mode),
            ("PID namespace", &host.pid_mode),
        ];
        for (what, mode) in modes {
            if let Some(other) = mode.strip_prefix("container:")
                && self.inner.containers.find(other).is_err()
            {
                let short: String = other.chars().take(12).collect();
                return Err(cannot(format!(
                    "it lives in the {what} of the container {short}, which is not here"
                )));
            }
        }
        Ok(())
    }

    /// Its places in networks, as they were asked for.
    fn foreign_places(
        &self,
        id: &ContainerId,
        document: &Value,
        host: &HostConfig,
    ) -> Result<NetworkingConfig> {
        let own = match Mode::of(host) {
            Mode::Host | Mode::None | Mode::Container(_) => return Ok(NetworkingConfig::default()),
            Mode::Bridge => None,
            Mode::Named(name) => Some(name),
        };
        let networks = &self.inner.networks;
        let known = |name: &str, network_id: &str| {
            let same = networks.list().into_iter().find(|one| one.id == network_id);
            let found = same.map_or_else(|| networks.get(name), Ok);
            found
                .map(|network| network.name)
                .map_err(|_| cannot(format!("it is in the network {name:?}, which is not here")))
        };
        if let Some(own) = own {
            known(&own, &own)?;
        }
        let mut places = BTreeMap::new();
        let foreign = document["NetworkSettings"]["Networks"].as_object();
        for (name, place) in foreign.into_iter().flatten() {
            let name = known(name, place["NetworkID"].as_str().unwrap_or_default())?;
            let bytes = serde_json::to_vec(place).unwrap_or_default();
            let place_ours: EndpointSettings =
                onggi_api::decode(&bytes).map_err(|fault| Error::of(&fault))?;
            let mut wishes = crate::network::wishes(place_ours);
            // What it had, but for what newer ones were asked for.
            let wanted = place["DesiredMacAddress"].as_str();
            wishes.mac_address = wanted.unwrap_or_default().to_owned();
            if let Some(aliases) = &mut wishes.aliases {
                // It is added to those of everyone.
                aliases.retain(|alias| *alias != id.short());
            }
            wishes.ipam_config = wishes
                .ipam_config
                .filter(|asked| *asked != Default::default());
            places.insert(name, Some(wishes));
        }
        Ok(NetworkingConfig {
            endpoints_config: Some(places),
        })
    }

    /// What it has mounted: as it was asked for, with the volumes that were made for it.
    fn foreign_mounts(
        &self,
        config: &Config,
        host: &HostConfig,
        points: &Value,
    ) -> Result<Vec<Wanted>> {
        // Those of other containers are among the points.
        let mut own = host.clone();
        own.volumes_from = None;
        let mut all = mounts::resolve(self, config, &own)?;
        for (target, point) in points.as_object().into_iter().flatten() {
            let text = |key: &str| point[key].as_str().unwrap_or_default().to_owned();
            let known = all.iter_mut().find(|wanted| wanted.target == *target);
            let what = match (text("Type").as_str(), known) {
                ("volume", known) => {
                    let name = text("Name");
                    if !matches!(text("Driver").as_str(), "" | "local") {
                        return Err(cannot(format!(
                            "its volume {name:?} is with the driver {:?}, which is not here",
                            text("Driver")
                        )));
                    }
                    if self.inner.volumes.get(&name).is_err() {
                        return Err(cannot(format!("its volume {name:?} is not here")));
                    }
                    let volume = VolumeMount {
                        name,
                        driver: "local".to_owned(),
                        origin: Origin::Bare,
                        ..VolumeMount::default()
                    };
                    if let Some(known) = known {
                        if let What::Volume(asked) = &mut known.what {
                            let anonymous = asked.anonymous;
                            *asked = VolumeMount {
                                anonymous,
                                ..volume
                            };
                        }
                        continue;
                    }
                    What::Volume(volume)
                }
                ("bind", None) => What::Bind(Bind {
                    source: text("Source"),
                    propagation: match text("Propagation").as_str() {
                        "" => "rprivate".to_owned(),
                        other => other.to_owned(),
                    },
                    recursive: true,
                    recursively_readonly: point["RW"] != true,
                    create: true,
                }),
                _ => continue,
            };
            all.push(Wanted {
                target: target.clone(),
                what,
                readonly: point["RW"] != true,
                mode: String::new(),
            });
        }
        Ok(all)
    }

    /// The container with its root in one transaction, its files on the disk before.
    async fn store_foreign(&self, from: Arc<DataRoot>, record: Record) -> Result<Arc<Container>> {
        let (inner, engine) = (self.inner.clone(), self.clone());
        onggi_rt::blocking("adopt a container", move || {
            let mut record = record;
            let image = inner.store.image(&record.image)?;
            let top = image.as_ref().and_then(|image| image.layers.last());
            let (upper, parent) = from.upper(&record.id)?;
            if parent.as_ref() != top {
                return Err(cannot("it stands on other layers than its image's"));
            }
            let root = inner.snapshots.prepare(&record.id, top)?;
            root.take(&upper)?;
            if record.host_config.log_config.kind == JSON_FILE {
                copy_log(&from.container(&record.id), &engine, &record.id)?;
            }
            let made = mounts::Made::prepare(&inner, &mut record, top)?;
            inner.store.flush()?;
            inner.store.write(|tx| -> Result<()> {
                root.commit(tx)?;
                let names = record.volumes().map(|(_, volume)| volume.name.as_str());
                inner.volumes.settle_in(tx, names)?;
                Ok(tx.put(record.id.as_str(), &record)?)
            })?;
            made.keep();
            Ok(Container::new(record))
        })
        .await?
    }
}

/// Refuses what no daemon could take over.
fn refuse(id: &ContainerId, document: &Value) -> Result<()> {
    let driver = document["Driver"].as_str().unwrap_or_default();
    if driver != "overlay2" {
        return Err(cannot(format!(
            "its files are with the storage driver {driver:?}, only overlay2 can be adopted"
        )));
    }
    if document["Managed"] == true {
        return Err(cannot("it is a task of a swarm service"));
    }
    let state = &document["State"];
    if state["Dead"] == true || state["RemovalInProgress"] == true {
        return Err(cannot("it was being removed"));
    }
    let pid: u64 = number(&state["Pid"]);
    if pid > 0 && runs(id, pid) {
        return Err(cannot(format!(
            "it still runs as process {pid} (live-restore): stop it with the other engine first"
        )));
    }
    Ok(())
}

/// Whether the process is still the container's: pids are used again.
fn runs(id: &ContainerId, pid: u64) -> bool {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    groups.contains(id.as_str())
}

/// Where it stands, and how often it has exited.
fn state(document: &Value) -> (State, u64) {
    let time = |key: &str| {
        let text = document[key].as_str().unwrap_or_default();
        Timestamp::parse(text).unwrap_or_default()
    };
    let started_at = time("StartedAt");
    if started_at.is_zero() {
        return (State::default(), 0);
    }
    // Its daemon did not see the end.
    let lost = document["Running"] == true || document["Restarting"] == true;
    let state = State {
        status: Status::Exited,
        exit_code: match document["ExitCode"].as_i64() {
            _ if lost => 255,
            code => code.and_then(|code| code.try_into().ok()).unwrap_or(0),
        },
        error: document["Error"].as_str().unwrap_or_default().to_owned(),
        oom_killed: document["OOMKilled"] == true,
        started_at,
        finished_at: match time("FinishedAt") {
            at if lost || at.is_zero() => Timestamp::now(),
            at => at,
        },
        ..State::default()
    };
    (state, 1)
}

fn number<T: TryFrom<u64> + Default>(value: &Value) -> T {
    let number = value.as_u64().and_then(|number| T::try_from(number).ok());
    number.unwrap_or_default()
}

/// The log, with what was rotated.
fn copy_log(from: &Path, engine: &Engine, id: &ContainerId) -> Result<()> {
    let log = engine.log_path(id);
    let Some(name) = log.file_name().and_then(|name| name.to_str()) else {
        return Ok(());
    };
    let folder = engine.container_directory(id);
    let entries = std::fs::read_dir(from).map_err(|error| Error::io(from.display(), error))?;
    for entry in entries.flatten() {
        let file = entry.file_name();
        let is_log = file.to_str().is_some_and(|file| file.starts_with(name));
        if is_log && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            std::fs::copy(entry.path(), folder.join(&file))
                .map_err(|error| Error::io(entry.path().display(), error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn states_are_carried_over() {
        let at = |document: Value| {
            let (state, exits) = state(&document);
            (state.status, state.exit_code, state.oom_killed, exits)
        };
        let zero = "0001-01-01T00:00:00Z";
        assert_eq!(
            at(json!({"StartedAt": zero, "FinishedAt": zero, "ExitCode": 0})),
            (Status::Created, 0, false, 0)
        );
        let (start, end) = ("2026-01-02T03:04:05.6Z", "2026-01-02T03:05:05.6Z");
        assert_eq!(
            at(json!({"StartedAt": start, "FinishedAt": end, "ExitCode": 137, "OOMKilled": true})),
            (Status::Exited, 137, true, 1)
        );
        assert_eq!(
            at(json!({"StartedAt": start, "FinishedAt": zero, "ExitCode": 0, "Running": true})),
            (Status::Exited, 255, false, 1)
        );
    }

    #[test]
    fn what_cannot_be_taken_says_why() {
        let id = ContainerId::parse(&"a".repeat(64)).unwrap();
        let says = |document: Value| refuse(&id, &document).unwrap_err().to_string();
        assert!(says(json!({"Driver": "aufs"})).contains("storage driver \"aufs\""));
        assert!(says(json!({"Driver": "overlay2", "Managed": true})).contains("swarm"));
        let dead = json!({"Driver": "overlay2", "State": {"Dead": true}});
        assert!(says(dead).contains("being removed"));
        // A pid that is somebody else's by now.
        let state = json!({"Running": true, "Pid": std::process::id()});
        refuse(&id, &json!({"Driver": "overlay2", "State": state})).unwrap();
    }
}
