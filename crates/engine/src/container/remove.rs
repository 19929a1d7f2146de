//! `rm`: a container and all that is its own.

use std::sync::Arc;

use onggi_api::container::RemoveOptions;
use onggi_model::ContainerId;
use onggi_network::Networks;
use tracing::{info, warn};

use super::network::Withdrawn;
use super::record::Status;
use super::{Container, Record};
use crate::Engine;
use crate::engine::Inner;
use crate::error::{Error, Result};

impl Engine {
    /// Removes a container.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it runs and `force` is not given, or its removal is under way.
    pub async fn container_remove(&self, id: &str, options: RemoveOptions) -> Result<()> {
        if options.link {
            return self.remove_link(id).await;
        }
        let container = self.inner.containers.find(id)?;
        let status = container.record().state.status;
        if matches!(status, Status::Removing | Status::Removed) {
            return Err(in_progress(id));
        }
        if !options.force {
            if container.record().state.is_active() {
                return Err(is_active(&container.id, status));
            }
            return self.remove(&container, options).await;
        }
        // From here on nobody starts it: what a user starts meanwhile is refused.
        let _doom = container.doom().ok_or_else(|| in_progress(id))?;
        // A start that was under way before is waited for.
        drop(container.writer.lock().await);
        if container.record().state.is_active() {
            let kill = Some(onggi_model::Signal::KILL);
            self.stop(&container, kill, Some(0))
                .await
                .map_err(|fault| {
                    fault.context(format_args!(
                        "cannot remove container \"{}\": could not kill",
                        container.id
                    ))
                })?;
        }
        self.remove(&container, options).await
    }

    /// Removes a container that does not run. What is on disk is renamed away; the store frees it behind the
    /// answer.
    pub(crate) async fn remove(
        &self,
        container: &Arc<Container>,
        options: RemoveOptions,
    ) -> Result<()> {
        if !container.record().state.is_active() {
            self.finish_log(&container.id).await;
        }
        let _writer = container.writer.lock().await;
        let record = container.record();
        let id = container.id.clone();
        match record.state.status {
            // `--rm` was faster.
            Status::Removed => return Ok(()),
            status if record.state.is_active() => return Err(is_active(&id, status)),
            _ => {}
        }
        // What the kernel refuses to let go goes with the next daemon; until then nobody else gets the address.
        let withdrawn = self.withdraw_network(container).await;
        // Not on disk: should the daemon die now, it is not removed, and nobody was told that it is.
        let mut leaving = (*record).clone();
        leaving.state.status = Status::Removing;
        leaving.remove_volumes = options.volumes;
        container.publish(leaving);
        let gone = container.record();
        let forgotten =
            onggi_rt::blocking_here("remove a container", || forget(&self.inner, &gone));
        let volumes = match forgotten.map_err(Error::from).flatten() {
            Ok(volumes) => volumes,
            Err(fault) => {
                container.publish((*record).clone());
                return Err(fault);
            }
        };
        if withdrawn == Withdrawn::Yes {
            self.inner.networks.forget(&id);
        }
        let _ = std::fs::remove_dir_all(self.exec_directory(&id));
        self.execs_ended(&id);
        self.inner.execs.forget(&id);
        if record.host_config.auto_remove {
            // Before it cannot be found any more.
            self.inner.departed.remember(record);
        }
        self.inner.containers.remove(&id);
        let mut last = (*container.record()).clone();
        last.state.status = Status::Removed;
        container.publish(last);
        for volume in volumes {
            self.volume_gone(&volume);
        }
        info!(container = %id, "removed");
        self.container_event(&container.record(), "destroy", []);
        Ok(())
    }
}

fn in_progress(id: &str) -> Error {
    Error::conflict(format!("removal of container {id} is already in progress"))
}

fn is_active(id: &ContainerId, status: Status) -> Error {
    let is = match status {
        Status::Paused => "paused",
        Status::Restarting => "restarting",
        _ => "running",
    };
    Error::conflict(format!(
        "cannot remove container \"{id}\": container is {is}: stop the container before removing or force remove"
    ))
}

/// The container goes from the catalogue, with its anonymous volumes if they are to go: all or nothing. Names of the
/// volumes that went.
fn forget(inner: &Inner, record: &Record) -> Result<Vec<String>> {
    // Its monitor has removed the group, unless the kernel would not let go of it then.
    if let Ok(group) = inner
        .cgroups
        .open(&crate::spec::cgroup_path(record, &inner.cgroups))
        && let Err(fault) = group.remove()
    {
        warn!(container = %record.id, "its control group stays: {}", onggi_model::chain(&fault));
    }
    let anonymous = record
        .volumes()
        .filter(|(_, volume)| record.remove_volumes && volume.anonymous);
    let names = anonymous.map(|(_, volume)| volume.name.as_str());
    let doomed = match inner.volumes.doom_unheld(names, record.id.as_str()) {
        Ok(doomed) => Some(doomed),
        Err(fault) => {
            // A volume that cannot go must not keep the container: it is there to be removed by its name.
            warn!(container = %record.id, "{}", onggi_model::chain(&fault));
            None
        }
    };
    inner.store.write(|tx| -> Result<()> {
        inner.snapshots.remove_in(tx, &record.id)?;
        tx.delete::<Record>(record.id.as_str())?;
        Networks::forget_in(tx, &record.id).map_err(|fault| Error::of(&fault))?;
        if let Some(doomed) = &doomed {
            doomed.forget_in(tx)?;
        }
        Ok(())
    })?;
    let mut gone = Vec::new();
    if let Some(doomed) = doomed {
        gone = doomed.names().to_vec();
        doomed.done();
    }
    inner.volumes.release(record.id.as_str());
    Ok(gone)
}
