//! Volumes as the API speaks of them. What containers do with theirs is in `container/mounts`.

mod transfer; // out, in and under another name

use std::sync::Arc;

use onggi_api::volume::{self as api, CreateRequest, List, PruneReport, UsageData};
use onggi_model::{ErrorKind, Fault as _, Filters};
use onggi_volume::{ANONYMOUS_LABEL, DRIVER, Maker, NewVolume, Volume};
use tracing::info;

use crate::Engine;
use crate::error::{Error, Result};

/// The filters that `volume ls` knows.
const FILTERS: [&str; 4] = ["dangling", "driver", "label", "name"];
/// The filters that `volume prune` knows.
const PRUNE_FILTERS: [&str; 3] = ["all", "label", "label!"];

impl Engine {
    /// Makes a volume, or finds the one of this name.
    ///
    /// # Errors
    /// `InvalidParameter` for names and options that cannot be; `NotFound` for a driver that is not there.
    pub async fn volume_create(&self, request: CreateRequest) -> Result<api::Volume> {
        if request.cluster_volume_spec.is_some() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this \
                 node to swarm and try again. Leave ClusterVolumeSpec away for a volume of this machine.",
            ));
        }
        let inner = self.inner.clone();
        let new = NewVolume {
            name: request.name,
            driver: request.driver,
            labels: request.labels.unwrap_or_default(),
            options: request.driver_opts.unwrap_or_default(),
        };
        let created = onggi_rt::blocking("create a volume", move || {
            inner.volumes.create(&new, Maker::User)
        })
        .await??;
        if created.is_new {
            info!(volume = created.volume.name, "created");
            self.volume_event("create", &created.volume.name, []);
        }
        Ok(self.volume_document(&created.volume))
    }

    /// One volume.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn volume_inspect(&self, name: &str) -> Result<api::Volume> {
        Ok(self.volume_document(&*self.inner.volumes.get(name)?))
    }

    /// The volumes that fit, by name.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that does not exist.
    pub async fn volume_list(&self, filters: Filters) -> Result<List> {
        filters.check(&FILTERS).map_err(|fault| Error::of(&fault))?;
        let dangling = filters
            .boolean("dangling")
            .map_err(|fault| Error::of(&fault))?;
        let fits = |volume: &Volume, holders: usize| {
            filters.pattern("name", &volume.name)
                && filters.exact("driver", DRIVER)
                && filters.labels("label", |key| volume.labels.get(key).map(String::as_str))
                && dangling.is_none_or(|wanted| wanted == (holders == 0))
        };
        let volumes = self.inner.volumes.list();
        let fitting = volumes.iter().filter(|(volume, n)| fits(volume, *n));
        Ok(List {
            volumes: fitting
                .map(|(volume, _)| self.volume_document(volume))
                .collect(),
            warnings: None,
        })
    }

    /// Removes a volume. With `force` one that is not there is fine.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where containers hold it.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        match self.remove_volume(name.to_owned()).await {
            Err(fault) if force && fault.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    async fn remove_volume(&self, name: String) -> Result<()> {
        let (inner, removed) = (self.inner.clone(), name.clone());
        onggi_rt::blocking("remove a volume", move || inner.volumes.remove(&removed)).await??;
        self.volume_gone(&name);
        Ok(())
    }

    /// Tells that a volume was removed.
    pub(crate) fn volume_gone(&self, name: &str) {
        info!(volume = name, "removed");
        self.volume_event("destroy", name, []);
    }

    /// Removes the volumes that no container holds: the anonymous ones, with the filter `all` the others too.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that does not exist.
    pub async fn volume_prune(&self, filters: Filters) -> Result<PruneReport> {
        filters
            .check(&PRUNE_FILTERS)
            .map_err(|fault| Error::of(&fault))?;
        let all = filters.boolean("all").map_err(|fault| Error::of(&fault))?;
        let fits = |volume: &Volume| {
            let label = |key: &str| volume.labels.get(key).map(String::as_str);
            // One with options is a file system of others: Docker spares it, too.
            volume.options.is_empty()
                && (all == Some(true) || volume.labels.contains_key(ANONYMOUS_LABEL))
                && filters.labels("label", label)
                && (!filters.contains("label!") || !filters.labels("label!", label))
        };
        let mut report = PruneReport::default();
        for (volume, holders) in self.inner.volumes.list() {
            if holders > 0 || !fits(&volume) {
                continue;
            }
            let size = self.volume_size(&volume).await?;
            match self.remove_volume(volume.name.clone()).await {
                Ok(()) => {
                    let deleted = report.volumes_deleted.get_or_insert_default();
                    deleted.push(volume.name.clone());
                    report.space_reclaimed = report.space_reclaimed.saturating_add(size);
                }
                // Somebody took it, or was faster.
                Err(fault) if matches!(fault.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                }
                // The others go.
                Err(fault) => tracing::warn!(volume = volume.name, "{fault}"),
            }
        }
        let attributes = [("reclaimed".to_owned(), report.space_reclaimed.to_string())];
        self.inner
            .events
            .publish("volume", "prune", "", attributes.into());
        Ok(report)
    }

    /// All volumes with what they hold and how many containers hold them: the volumes of `system df`.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn volume_usage(&self) -> Result<Vec<api::Volume>> {
        let mut volumes = self.inner.volumes.list();
        // As Docker's list: a file system of others takes no room here, and may not answer.
        volumes.retain(|(volume, _)| volume.options.is_empty());
        let names: Vec<String> = volumes.iter().map(|(v, _)| v.name.clone()).collect();
        let inner = self.inner.clone();
        let measured =
            onggi_rt::blocking("measure volumes", move || inner.volumes.usages(&names)).await?;
        let measured = volumes.iter().zip(measured);
        Ok(measured
            .filter_map(|((volume, holders), size)| {
                let mut document = self.volume_document(volume);
                document.usage_data = Some(UsageData {
                    ref_count: i64::try_from(*holders).unwrap_or(i64::MAX),
                    size: match size {
                        Ok(size) => i64::try_from(size).unwrap_or(i64::MAX),
                        // It went meanwhile.
                        Err(_) if self.inner.volumes.get(&volume.name).is_err() => return None,
                        // As Docker says that it does not know.
                        Err(_) => -1,
                    },
                });
                Some(document)
            })
            .collect())
    }

    async fn volume_size(&self, volume: &Arc<Volume>) -> Result<u64> {
        let (inner, volume) = (self.inner.clone(), volume.clone());
        let size = onggi_rt::blocking("measure a volume", move || {
            inner.volumes.usage(&volume.name)
        });
        Ok(size.await??)
    }

    fn volume_document(&self, volume: &Volume) -> api::Volume {
        let some = |map: &std::collections::BTreeMap<String, String>| {
            (!map.is_empty()).then(|| map.clone())
        };
        api::Volume {
            created_at: volume.created.whole_seconds(),
            driver: DRIVER.to_owned(),
            labels: some(&volume.labels),
            mountpoint: self.inner.volumes.path(&volume.name).display().to_string(),
            name: volume.name.clone(),
            options: some(&volume.options),
            scope: "local".to_owned(),
            usage_data: None,
        }
    }

    /// Tells listeners that `action` happened to a volume.
    pub(crate) fn volume_event(
        &self,
        action: &str,
        name: &str,
        more: impl IntoIterator<Item = (String, String)>,
    ) {
        let driver = ("driver".to_owned(), DRIVER.to_owned());
        let attributes = std::iter::once(driver).chain(more).collect();
        self.inner
            .events
            .publish("volume", action, name, attributes);
    }
}
