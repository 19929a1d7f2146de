//! The volumes of a container along its life: made and filled when it is made, mounted while it runs, given back when it
//! goes.

use std::sync::Arc;

use onggi_snapshot::Seed;
use onggi_store::ChainId;
use onggi_volume::{Maker, NewVolume, Volume};
use tracing::warn;

use super::{Origin, VolumeMount, Wanted, What};
use crate::Engine;
use crate::container::{Container, Record};
use crate::engine::Inner;
use crate::error::{Error, Result};

/// The volumes that were made for a container that is being made. Dropped before it is on record, they go.
pub(crate) struct Made {
    inner: Arc<Inner>,
    container: String,
    new: Vec<Arc<Volume>>,
    kept: bool,
}

impl Made {
    /// Makes what the record asks for, and names and lists it there.
    pub(crate) fn prepare(
        inner: &Arc<Inner>,
        record: &mut Record,
        top: Option<&ChainId>,
    ) -> Result<Self> {
        let mut made = Self {
            inner: inner.clone(),
            container: record.id.to_string(),
            new: Vec::new(),
            kept: false,
        };
        for wanted in &mut record.wanted {
            if let What::Volume(volume) = &mut wanted.what {
                made.make(volume)?;
                fill(inner, &wanted.target, volume, top)?;
            }
        }
        let points = record.wanted.iter();
        record.mounts = points
            .filter_map(|wanted| wanted.to_point(&inner.volumes))
            .collect();
        Ok(made)
    }

    fn make(&mut self, volume: &mut VolumeMount) -> Result<()> {
        if volume.origin == Origin::Inherited {
            if !self.inner.volumes.hold(&volume.name, &self.container) {
                return Err(Error::not_found(format!(
                    "get {}: no such volume",
                    volume.name
                )));
            }
            return Ok(());
        }
        let new = NewVolume {
            name: volume.name.clone(),
            driver: volume.driver.clone(),
            labels: volume.labels.clone(),
            options: volume.options.clone(),
        };
        let created = self
            .inner
            .volumes
            .create(&new, Maker::Container(&self.container))?;
        volume.name.clone_from(&created.volume.name);
        if created.is_new {
            self.new.push(created.volume);
        }
        Ok(())
    }

    /// The container is on record: its volumes stay. Those that are new.
    pub(crate) fn keep(mut self) -> Vec<Arc<Volume>> {
        self.kept = true;
        std::mem::take(&mut self.new)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let volumes = &self.inner.volumes;
        volumes.release(&self.container);
        for volume in &self.new {
            // Another container may have taken it meanwhile: then it stays.
            if let Err(fault) = volumes.remove(&volume.name) {
                warn!(volume = volume.name, "{}", onggi_model::chain(&fault));
            }
        }
    }
}

/// The image's files, for a volume that is empty.
fn fill(inner: &Inner, target: &str, volume: &VolumeMount, top: Option<&ChainId>) -> Result<()> {
    if matches!(volume.origin, Origin::Bare | Origin::Inherited) {
        return Ok(());
    }
    inner.volumes.fill(&volume.name, &volume.subpath, |into| {
        match inner.snapshots.seed(top, target, into)? {
            Seed::Copied => Ok(true),
            Seed::NotDirectory if volume.origin == Origin::Declared => Err(Error::invalid(
                format!("cannot mount volume over existing file, file exists {target}"),
            )),
            Seed::Nothing | Seed::NotDirectory => Ok(false),
        }
    })
}

impl Engine {
    /// Makes what a container is about to mount ready.
    pub(crate) async fn mount_volumes(&self, container: &Arc<Container>) -> Result<()> {
        let (inner, record) = (self.inner.clone(), container.record());
        if record.wanted.is_empty() {
            return Ok(());
        }
        onggi_rt::blocking("mount volumes", move || -> Result<()> {
            for wanted in &record.wanted {
                wanted.prepare()?;
                if let What::Volume(volume) = &wanted.what {
                    let mounted = inner.volumes.mount(&volume.name, record.id.as_str());
                    mounted.map_err(|fault| {
                        let path = inner.volumes.path(&volume.name);
                        Error::of(&fault).context(format_args!(
                            "error while mounting volume '{}'",
                            path.display()
                        ))
                    })?;
                }
            }
            Ok(())
        })
        .await??;
        let record = container.record();
        for (wanted, volume) in record.volumes() {
            self.volume_event("mount", &volume.name, mount_attributes(&record, wanted));
        }
        Ok(())
    }

    /// The container does not run any more.
    pub(crate) async fn unmount_volumes(&self, container: &Arc<Container>) {
        let record = container.record();
        if record.volumes().next().is_none() {
            return;
        }
        let (inner, ended) = (self.inner.clone(), record.clone());
        let unmounted = onggi_rt::blocking("unmount volumes", move || {
            for (_, volume) in ended.volumes() {
                if let Err(fault) = inner.volumes.unmount(&volume.name, ended.id.as_str()) {
                    warn!(volume = volume.name, "{}", onggi_model::chain(&fault));
                }
            }
        });
        if let Err(fault) = unmounted.await {
            warn!(container = %container.id, "{fault}");
        }
        for (_, volume) in record.volumes() {
            let attributes = [("container".to_owned(), record.id.to_string())];
            self.volume_event("unmount", &volume.name, attributes);
        }
    }

    /// Takes up who holds what, as the records say it. Volumes keep no list of their own.
    pub(crate) fn volumes_found(&self, record: &Record) {
        let volumes = &self.inner.volumes;
        for (_, volume) in record.volumes() {
            if !volumes.hold(&volume.name, record.id.as_str()) {
                warn!(container = %record.id, volume = volume.name, "the volume is gone");
            }
            if record.state.is_running() {
                volumes.runs_with(&volume.name, record.id.as_str());
            }
        }
    }
}

fn mount_attributes(record: &Record, wanted: &Wanted) -> [(String, String); 4] {
    [
        ("container", record.id.to_string()),
        ("destination", wanted.target.clone()),
        ("propagation", String::new()),
        ("read/write", (!wanted.readonly).to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
}
