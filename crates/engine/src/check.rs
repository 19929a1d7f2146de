//! `system check`: whether everything on disk is whole and somebody's, and putting right what is not.
//!
//! Each part proves what is its own: the store its catalogue and blobs, `image` the layers, `volume` its directories.
//! Here is what is between them: the containers. Nobody waits for it longer than it takes to list names.

use std::collections::BTreeSet;

use onggi_api::system::{StoreCheck, StoreChecked};
use onggi_image::LayerReport;
use onggi_store::{ChainId, Depth, Problem, Report};
use onggi_volume::Defect;

use crate::Engine;
use crate::container::Record;
use crate::error::Result;

/// How a check is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Only names, sizes and counts: no content is read.
    pub quick: bool,
    /// Put right what is wrong.
    pub repair: bool,
}

/// What all parts found.
struct Found {
    store: Report,
    layers: LayerReport,
    volumes: Vec<Defect>,
    containers: Vec<String>,
}

impl Engine {
    /// Looks at everything there is on disk, and repairs it when asked to.
    ///
    /// # Errors
    /// What the catalogue or the disk says when they cannot be read. Of two repairs the second one waits.
    pub async fn check(&self, options: CheckOptions) -> Result<StoreCheck> {
        let engine = self.clone();
        onggi_rt::blocking("check the store", move || {
            let before = engine.look(options.quick)?;
            if !options.repair || before.lines().is_empty() {
                return engine.told(options, before, Vec::new(), Vec::new());
            }
            let found = before.lines();
            let done = engine.put_right(&before)?;
            for line in &done {
                tracing::warn!("repair: {line}");
            }
            let after = engine.look(options.quick)?;
            engine.told(options, after, found, done)
        })
        .await?
    }

    fn look(&self, quick: bool) -> Result<Found> {
        let inner = &self.inner;
        let depth = match quick {
            true => Depth::Names,
            false => Depth::Content,
        };
        Ok(Found {
            store: inner.store.check(depth)?,
            layers: match quick {
                true => LayerReport::default(),
                false => inner.images.check_layers()?,
            },
            volumes: inner.volumes.check()?,
            containers: self.containers_without_root()?,
        })
    }

    /// Containers and roots that have lost each other.
    fn containers_without_root(&self) -> Result<Vec<String>> {
        self.inner.store.read(|tx| {
            let records = tx.list::<Record>()?;
            let records: BTreeSet<String> = records.into_iter().map(|(id, _)| id).collect();
            let roots: BTreeSet<String> = tx.roots()?.into_iter().map(|(id, _)| id).collect();
            let lost = records.difference(&roots);
            let lost = lost.map(|id| format!("container {id} has lost its root: remove it"));
            let alone = roots.difference(&records);
            let alone = alone.map(|id| format!("the root {id} belongs to no container"));
            Ok(lost.chain(alone).collect())
        })
    }

    fn put_right(&self, found: &Found) -> Result<Vec<String>> {
        let inner = &self.inner;
        let mut done = self.drop_lonely_roots()?;
        // Layers first: their blobs are needed, and what cannot be made again takes its images along.
        let missing = found
            .store
            .problems
            .iter()
            .filter_map(|problem| match problem {
                Problem::Missing(path) => Some(path.clone()),
                _ => None,
            });
        let mut broken = inner.images.layers_at(&missing.collect())?;
        broken.extend(
            found
                .layers
                .broken
                .iter()
                .map(|layer| layer.chain_id.clone()),
        );
        let layers = match broken.is_empty() {
            true => onggi_image::LayerRepair::default(),
            false => {
                let used = self.layers_in_use()?;
                inner
                    .images
                    .repair_layers(&broken, &|layer| used.contains(layer))?
            }
        };
        done.extend(layers.done);
        done.extend(inner.store.repair(&found.store, &layers.lost)?);
        for defect in &found.volumes {
            done.extend(inner.volumes.repair(defect)?);
        }
        Ok(done)
    }

    fn drop_lonely_roots(&self) -> Result<Vec<String>> {
        self.inner.store.write(|tx| {
            let records = tx.list::<Record>()?;
            let records: BTreeSet<String> = records.into_iter().map(|(id, _)| id).collect();
            let mut done = Vec::new();
            for (id, _) in tx.roots()? {
                if !records.contains(&id) {
                    tx.remove_root(&id)?;
                    done.push(format!("removed the root {id}"));
                }
            }
            Ok(done)
        })
    }

    /// The layers that roots of running containers stand on.
    fn layers_in_use(&self) -> Result<BTreeSet<ChainId>> {
        let mut used = BTreeSet::new();
        for container in self.inner.containers.all() {
            if !container.record().state.is_active() {
                continue;
            }
            let root = self.inner.store.root(container.record().id.as_str())?;
            let mut next = root.and_then(|root| root.top);
            while let Some(layer) = next {
                next = self
                    .inner
                    .store
                    .layer(&layer)?
                    .and_then(|record| record.parent);
                used.insert(layer);
            }
        }
        Ok(used)
    }

    fn told(
        &self,
        options: CheckOptions,
        last: Found,
        found: Vec<String>,
        done: Vec<String>,
    ) -> Result<StoreCheck> {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let partials = self.inner.store.partials()?;
        let usage = last.store.usage;
        Ok(StoreCheck {
            defects: last.lines(),
            found,
            done,
            checked: StoreChecked {
                images: count(usage.images),
                blobs: count(usage.blobs),
                blob_bytes: count(usage.blob_bytes),
                hashed: !options.quick,
                layers: count(usage.layers),
                compared: count(last.layers.compared),
                containers: count(usage.roots),
                volumes: count(self.inner.volumes.list().len() as u64),
                partials: count(partials.len() as u64),
                partial_bytes: count(partials.iter().map(|partial| partial.size).sum()),
            },
        })
    }
}

impl Found {
    fn lines(&self) -> Vec<String> {
        let store = self.store.problems.iter().map(ToString::to_string);
        let layers = self.layers.broken.iter().map(|layer| {
            format!(
                "layer {} is not what its blob holds: {} of {}",
                layer.chain_id,
                layer.difference.what,
                layer.directory.join(&layer.difference.path).display()
            )
        });
        let volumes = self.volumes.iter().map(ToString::to_string);
        let containers = self.containers.iter().cloned();
        store
            .chain(layers)
            .chain(volumes)
            .chain(containers)
            .collect()
    }
}
