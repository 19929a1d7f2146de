//! The handle, what it holds, and the one way a record changes.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use onggi_cgroup::{Cgroups, Features, Layout};
use onggi_image::Images;
use onggi_model::ContainerId;
use onggi_monitor::protocol::Exit;
use onggi_network::{Names, Networks};
use onggi_snapshot::Snapshots;
use onggi_store::{Store, WriteTx};
use onggi_volume::Volumes;

use crate::build::Builds;
use crate::config::{Config, Live};
use crate::container::{Container, Containers, Departed, Record, StopCause, stop_timeout};
use crate::error::{Error, Result};
use crate::events::Bus;
use crate::exec::Execs;
use crate::log::Shipping;
use crate::spec;
use crate::stats::Sampler;

/// The control group that containers are made in, unless they name another.
pub const CGROUP_PARENT: &str = "/onggi";
/// The control group of the monitors.
pub const MONITORS_CGROUP: &str = "/onggi/monitors";

/// The programs that stand beside and inside containers: sealed copies in memory, so that no file of the host is
/// what a container could reach and change (S4), and all containers share their pages.
#[derive(Debug)]
pub struct Programs {
    /// `onggi-monitor`.
    pub monitor: OwnedFd,
    /// `onggi-init`.
    pub init: OwnedFd,
}

/// The engine: cheap to clone, one for all requests.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

/// What the engine holds.
pub(crate) struct Inner {
    pub(crate) config: Config,
    /// What a reload replaces.
    pub(crate) live: tokio::sync::watch::Sender<Arc<Live>>,
    pub(crate) programs: Programs,
    pub(crate) store: Store,
    pub(crate) snapshots: Snapshots,
    pub(crate) images: Images,
    pub(crate) networks: Arc<Networks>,
    /// Names of containers in their networks.
    pub(crate) names: Names,
    pub(crate) volumes: Volumes,
    pub(crate) cgroups: Cgroups,
    /// What the kernel can limit, once somebody asked.
    pub(crate) features: OnceLock<Features>,
    pub(crate) containers: Containers,
    pub(crate) departed: Departed,
    pub(crate) execs: Execs,
    pub(crate) events: Bus,
    pub(crate) shipping: Shipping,
    pub(crate) sampler: Sampler,
    /// What builds have in common.
    pub(crate) builds: Builds,
    /// Held by the one prune of containers that may be at work.
    pub(crate) pruning: tokio::sync::Mutex<()>,
    /// The daemon stops its containers to go: nobody's policy brings one back.
    pub(crate) leaving: AtomicBool,
    /// Turns for starting at boot.
    pub(crate) boots: tokio::sync::Semaphore,
    /// The kernel's boot: pids of another one say nothing.
    pub(crate) boot_id: String,
    /// This installation, for `info`.
    pub(crate) id: String,
}

impl Engine {
    /// Changes the record of a container: in the catalogue first, for readers second. The caller holds its writer.
    pub(crate) async fn commit(
        &self,
        container: &Arc<Container>,
        change: impl FnOnce(&mut Record),
    ) -> Result<()> {
        self.commit_with(container, change, |_| Ok(())).await
    }

    /// As [`Engine::commit`], with more in the same transaction: one sync for both.
    pub(crate) async fn commit_with(
        &self,
        container: &Arc<Container>,
        change: impl FnOnce(&mut Record),
        more: impl FnOnce(&mut WriteTx<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut record = (*container.record()).clone();
        change(&mut record);
        let store = &self.inner.store;
        onggi_rt::blocking_here("commit a container", || {
            store.write(|tx| {
                tx.put(record.id.as_str(), &record)?;
                more(tx)
            })
        })??;
        container.publish(record);
        Ok(())
    }

    /// Tells listeners that `action` happened to a container.
    pub(crate) fn container_event(
        &self,
        record: &Record,
        action: &str,
        more: impl IntoIterator<Item = (String, String)>,
    ) {
        let mut attributes: BTreeMap<String, String> = record
            .config
            .labels
            .iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        attributes.insert("image".to_owned(), record.config.image.clone());
        attributes.insert("name".to_owned(), record.name.clone());
        attributes.extend(more);
        self.inner
            .events
            .publish("container", action, record.id.as_str(), attributes);
    }

    /// Whether all controllers are in one hierarchy.
    pub(crate) fn is_v2(&self) -> bool {
        self.inner.cgroups.layout() == Layout::V2
    }

    /// Where a container's own files are kept.
    pub(crate) fn container_directory(&self, id: &ContainerId) -> PathBuf {
        self.inner
            .config
            .data_root
            .join("containers")
            .join(id.as_str())
    }

    /// Where a running container's socket is.
    pub(crate) fn exec_directory(&self, id: &ContainerId) -> PathBuf {
        self.inner
            .config
            .exec_root
            .join("containers")
            .join(id.as_str())
    }

    /// The log, where the driver keeps one.
    pub(crate) fn log_path(&self, id: &ContainerId) -> PathBuf {
        self.container_directory(id).join(format!("{id}-json.log"))
    }

    /// Where the monitor leaves the exit status.
    pub(crate) fn exit_file(&self, id: &ContainerId) -> PathBuf {
        self.container_directory(id).join("exit.json")
    }

    /// The exit status that a monitor left for us.
    pub(crate) fn read_exit_file(&self, id: &ContainerId) -> Option<Exit> {
        let text = std::fs::read(self.exit_file(id)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Kills everything in the control group of a container and removes it.
    pub(crate) async fn kill_cgroup(&self, record: &Record) -> Result<()> {
        let inner = self.inner.clone();
        let path = spec::cgroup_path(record, &self.inner.cgroups);
        onggi_rt::blocking("kill a control group", move || {
            match inner.cgroups.open(&path) {
                Ok(group) => group.kill().and_then(|()| group.remove()),
                Err(onggi_cgroup::Error::NotFound(_)) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await?
        .map_err(|error| Error::internal(onggi_model::chain(&error)))
    }

    /// The daemon goes. Where nothing runs, nothing of ours stays in the kernel; else all stays for the next daemon.
    pub async fn close(&self) {
        let active = self
            .inner
            .containers
            .all()
            .iter()
            .any(|c| c.record().state.is_active());
        if let Err(fault) = self.inner.networks.shutdown(!active).await {
            tracing::warn!("{}", onggi_model::chain(&fault));
        }
        for path in [MONITORS_CGROUP, CGROUP_PARENT] {
            // Groups that others of us use stay.
            if let Ok(group) = self.inner.cgroups.open(path) {
                let _ = group.remove_if_empty();
            }
        }
    }

    /// Whether the daemon is on its way out and takes its containers along.
    pub(crate) fn is_leaving(&self) -> bool {
        self.inner.leaving.load(Ordering::SeqCst)
    }

    /// Stops all containers, each by its own timeout: what a stop without live-restore does, and the end of the
    /// machine. Gives up after `least`, or later where a container's timeout needs it.
    pub async fn stop_all(&self, least: Duration) {
        // From here on none is started.
        self.inner.leaving.store(true, Ordering::SeqCst);
        let all = self.inner.containers.all();
        let active = all.iter().filter(|c| c.record().state.is_active());
        let timeouts = active.map(|c| stop_timeout(&c.record().config));
        let limit = patience(least, timeouts);
        let stops = all.into_iter().map(|container| {
            let engine = self.clone();
            async move {
                // Those that are being started are waited for.
                drop(container.writer.lock().await);
                if !container.record().state.is_active() {
                    return;
                }
                let stop = engine.stop_for(&container, StopCause::Daemon, None, None);
                if let Err(fault) = stop.await {
                    tracing::warn!(container = %container.id, "{fault}");
                }
            }
        });
        let all = futures_util::future::join_all(stops);
        match limit {
            None => drop(all.await),
            Some(limit) => {
                if tokio::time::timeout(limit, all).await.is_err() {
                    tracing::warn!("containers that would not stop in time go on running");
                }
            }
        }
    }
}

/// How long stopping containers with these timeouts may take: `least`, or what the most patient one needs and a
/// little more. A negative timeout is for ever.
fn patience(least: Duration, timeouts: impl Iterator<Item = i64>) -> Option<Duration> {
    const GRACE: Duration = Duration::from_secs(5);
    timeouts.into_iter().try_fold(least, |limit, seconds| {
        let seconds = u64::try_from(seconds).ok()?;
        Some(limit.max(Duration::from_secs(seconds) + GRACE))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_patient_container_counts() {
        let of = |timeouts: &[i64]| {
            patience(Duration::from_secs(15), timeouts.iter().copied()).map(|limit| limit.as_secs())
        };
        assert_eq!(of(&[]), Some(15));
        assert_eq!(of(&[0, 10]), Some(15));
        assert_eq!(of(&[10, 120, 3]), Some(125));
        assert_eq!(of(&[120, -1]), None);
    }
}
