//! `pause` and `unpause`: a container's processes are frozen where they are, by their control group.
//!
//! The kernel's state leads, the record follows: a daemon that died in between finds out at boot.

use std::sync::Arc;

use onggi_cgroup::Group;
use onggi_model::{ErrorKind, Fault as _};

use super::record::Status;
use super::{Container, Record};
use crate::error::{Error, Result};
use crate::{Engine, spec};

impl Engine {
    /// Freezes every process of a container.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it does not run, is paused or is restarting; `Internal` where the kernel cannot
    /// freeze it.
    pub async fn container_pause(&self, id: &str) -> Result<()> {
        let container = self.inner.containers.find(id)?;
        let _writer = container.writer.lock().await;
        let record = container.record();
        let id = &container.id;
        match record.state.status {
            Status::Running => {}
            Status::Paused => {
                return Err(Error::conflict(format!("container {id} is already paused")));
            }
            Status::Restarting => return Err(restarting(&container)),
            _ => return Err(not_running(&container)),
        }
        self.with_group(&record, Group::freeze)
            .await
            .map_err(|fault| match fault.kind() {
                // It has just ended.
                ErrorKind::NotFound => not_running(&container),
                _ => fault.context(format_args!("cannot pause container {id}")),
            })?;
        let paused = self
            .commit(&container, |record| {
                record.state.status = Status::Paused;
                record.state.health_stopped();
            })
            .await;
        if let Err(fault) = paused {
            // What is not on record does not stay frozen.
            let _ = self.with_group(&record, |group| group.thaw()).await;
            return Err(fault);
        }
        self.container_event(&container.record(), "pause", []);
        Ok(())
    }

    /// Lets a paused container go on.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it is not paused; `Internal` where the kernel refuses.
    pub async fn container_unpause(&self, id: &str) -> Result<()> {
        let container = self.inner.containers.find(id)?;
        if self.resume(&container).await? {
            return Ok(());
        }
        match container.record().state.is_running() {
            true => Err(Error::conflict(format!(
                "Container {} is not paused",
                container.id
            ))),
            false => Err(not_running(&container)),
        }
    }

    /// Lets it go on where it is paused, and says whether it was.
    pub(crate) async fn resume(&self, container: &Arc<Container>) -> Result<bool> {
        let _writer = container.writer.lock().await;
        let record = container.record();
        if record.state.status != Status::Paused {
            return Ok(false);
        }
        match self.with_group(&record, |group| group.thaw()).await {
            // It has just ended.
            Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(true),
            other => other.map_err(|fault| {
                fault.context(format_args!("cannot unpause container {}", container.id))
            })?,
        }
        self.commit(container, |record| record.state.status = Status::Running)
            .await?;
        self.container_event(&container.record(), "unpause", []);
        self.watch_health(container);
        Ok(true)
    }

    /// Whether the kernel holds a container's processes.
    pub(crate) async fn is_frozen(&self, record: &Record) -> bool {
        self.with_group(record, |group| group.is_frozen())
            .await
            .unwrap_or(false)
    }

    /// Does something with the control group of a running container; `NotFound` where it has just ended.
    pub(crate) async fn with_group<T: Send + 'static>(
        &self,
        record: &Record,
        act: impl FnOnce(&Group) -> Result<T, onggi_cgroup::Error> + Send + 'static,
    ) -> Result<T> {
        let inner = self.inner.clone();
        let path = spec::cgroup_path(record, &self.inner.cgroups);
        onggi_rt::blocking("use a control group", move || {
            inner.cgroups.open(&path).and_then(|group| act(&group))
        })
        .await?
        .map_err(|error| match error {
            error if error.is_gone() => Error::not_found(onggi_model::chain(&error)),
            error => Error::internal(onggi_model::chain(&error)),
        })
    }
}

/// Docker's answer where there is no process.
pub(crate) fn not_running(container: &Container) -> Error {
    Error::conflict(format!("container {} is not running", container.id))
}

/// Docker's answer between two runs.
pub(crate) fn restarting(container: &Container) -> Error {
    Error::conflict(format!(
        "container {} is restarting, wait until the container is running",
        container.id
    ))
}
