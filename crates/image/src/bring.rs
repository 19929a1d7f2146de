//! Single layers from a registry, without an image: what the steps of builds left elsewhere.

use std::sync::Arc;

use onggi_registry::Source;
use onggi_store::ChainId;

use crate::Error;
use crate::images::Images;
use crate::jobs::{Below, Order};
use crate::made::Layer;

/// A layer that could not be had.
#[derive(Debug)]
pub struct Missing {
    /// Which.
    pub layer: ChainId,
    /// Why.
    pub error: Error,
}

impl Images {
    /// Brings those of these layers, base first and each on the one before, that are not here with their blobs: from the
    /// registry that `source` names, or of a blob that is here. Every byte is checked. What comes stays as long as a
    /// lease, or what it becomes part of.
    ///
    /// # Errors
    /// The first layer that could not be had.
    pub async fn bring(
        &self,
        layers: &[Layer],
        source: impl Fn(&Layer) -> Option<Source>,
    ) -> Result<(), Missing> {
        let store = &self.inner.store;
        let lease = Arc::new(store.lease());
        let mut below = Below::Nothing;
        let mut jobs = Vec::new();
        for layer in layers {
            let missing = |error: Error| Missing {
                layer: layer.chain_id.clone(),
                error,
            };
            let is_here = store.has_layer(&layer.chain_id);
            let is_here = is_here.map_err(|error| missing(error.into()))?;
            let is_whole = store.has_blob(&layer.blob.digest);
            let is_whole = is_whole.map_err(|error| missing(error.into()))?;
            let from = source(layer);
            // A layer that came otherwise is fetched all the same where it can be: what is built of it can be pushed.
            if is_here && (is_whole || from.is_none()) {
                below = Below::Layer(layer.chain_id.clone());
                continue;
            }
            let order = Order {
                source: from,
                blob: layer.blob.clone(),
                diff_id: layer.diff_id.clone(),
                chain_id: layer.chain_id.clone(),
                parent: below,
                lease: lease.clone(),
            };
            let (job, _) = self.inner.jobs.start(&self.inner, order);
            jobs.push((layer, job.clone()));
            below = Below::Job(job);
        }
        for (layer, job) in jobs {
            job.done().await.map_err(|error| Missing {
                layer: layer.chain_id.clone(),
                error,
            })?;
        }
        Ok(())
    }
}
