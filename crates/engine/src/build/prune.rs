//! What is known of builds: how much it is, and what is forgotten.

use std::collections::BTreeSet;

use onggi_api::build::PruneReport;
use onggi_model::{Filters, Timestamp};

use crate::Engine;
use crate::container::prune::until;
use crate::error::Result;

impl Engine {
    /// Forgets steps of builds, and what nobody else needs of what they left. Without `all` those stay that images were
    /// made of. Filters that speak of nothing in the cache, as the labels of `system prune`, let nothing through, as
    /// Docker has it.
    ///
    /// # Errors
    /// `InvalidParameter` for a time that is none.
    pub fn build_prune(&self, filters: &Filters, all: bool) -> Result<PruneReport> {
        let until = until(filters, Timestamp::now())?;
        if filters.contains("label") || filters.contains("label!") {
            return Ok(PruneReport::default());
        }
        let store = &self.inner.store;
        let before = store.usage()?;
        let held: BTreeSet<_> = match all {
            true => BTreeSet::new(),
            false => {
                let images = store.images()?.into_iter();
                images.flat_map(|image| image.layers).collect()
            }
        };
        let mut gone = Vec::new();
        for (key, step) in store.steps()? {
            let is_held = |layer: &onggi_store::StepLayer| held.contains(&layer.chain_id);
            let stays = step.layer.as_ref().is_some_and(is_held)
                || until.is_some_and(|until| step.used > until.seconds());
            if !stays {
                gone.push(key);
            }
        }
        store.write(|tx| {
            gone.iter()
                .try_for_each(|key| tx.remove_step(key).map(drop))
        })?;
        let after = store.usage()?;
        let freed = (before.blob_bytes + before.layer_bytes)
            .saturating_sub(after.blob_bytes + after.layer_bytes);
        Ok(PruneReport {
            caches_deleted: Some(gone).filter(|gone| !gone.is_empty()),
            space_reclaimed: freed,
        })
    }
}
