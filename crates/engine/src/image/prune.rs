//! `image prune`: images that no container uses.

use onggi_api::image::{DeleteItem, PruneResponse};
use onggi_image::{Image, RemoveOptions};
use onggi_model::Filters;

use crate::Engine;
use crate::error::{Error, Result};

/// The filters of pruning.
const FILTERS: [&str; 4] = ["dangling", "label", "label!", "until"];

impl Engine {
    /// Removes images that no container uses, and says what that freed: those without a name, with the filter
    /// `dangling=false` all.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that does not exist or cannot be meant; `Conflict` while another prune is at
    /// work.
    pub async fn image_prune(&self, filters: Filters) -> Result<PruneResponse> {
        filters.check(&FILTERS).map_err(|fault| Error::of(&fault))?;
        let dangling = filters
            .boolean("dangling")
            .map_err(|fault| Error::of(&fault))?
            .unwrap_or(true);
        let Ok(_alone) = self.inner.pruning.try_lock() else {
            return Err(Error::conflict("a prune operation is already running"));
        };
        let engine = self.clone();
        let pruned = onggi_rt::blocking("prune images", move || {
            let store = engine.inner.images.store();
            let before = store.usage()?;
            let mut gone = Vec::new();
            let mut wanted = Filters::default();
            for key in ["label", "label!", "until"] {
                for value in filters.values(key) {
                    wanted.add(key, value);
                }
            }
            for image in engine.inner.images.list(&wanted)? {
                if dangling && !image.tags.is_empty() {
                    continue;
                }
                if engine.uses(image.id()).is_empty() {
                    gone.extend(engine.prune_one(&image));
                }
            }
            let after = store.usage()?;
            let bytes = |usage: onggi_store::Usage| usage.blob_bytes + usage.layer_bytes;
            let mut freed = bytes(before).saturating_sub(bytes(after));
            if wanted.is_empty() {
                // They have neither labels nor an age that anyone knows.
                freed += store.discard_partials()?;
            }
            Ok::<_, Error>((gone, freed))
        });
        let (gone, freed) = pruned.await??;
        let reclaimed = [("reclaimed".to_owned(), freed.to_string())].into();
        self.inner.events.publish("image", "prune", "", reclaimed);
        Ok(PruneResponse {
            images_deleted: (!gone.is_empty()).then_some(gone),
            space_reclaimed: freed,
        })
    }

    /// Takes the names of an image one by one, and the image with the last. One that came into use meanwhile stays.
    fn prune_one(&self, image: &Image) -> Vec<DeleteItem> {
        let names = match image.tags.is_empty() {
            true => vec![image.id().to_string()],
            false => image.tags.clone(),
        };
        let mut gone = Vec::new();
        for name in names {
            let images = &self.inner.images;
            match images.remove(&name, RemoveOptions::default(), &|image| self.uses(image)) {
                Ok(deleted) => {
                    gone.extend(deleted.into_iter().map(|one| self.deleted(image, one)));
                }
                Err(error) => {
                    tracing::debug!(name, error = onggi_model::chain(&error), "not pruned");
                }
            }
        }
        gone
    }
}
