//! Proving the layers: each is unpacked again out of its blob, beside the one that is used, and the two are compared.
//!
//! Names, counts and blobs are `store`'s to prove. A layer whose blob is not kept, or not whole, is told as not compared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use onggi_model::{Digest, chain};
use onggi_oci::image::{ImageConfig, MAX_DOCUMENT_SIZE, Manifest};
use onggi_snapshot::{Difference, LayerDir, difference};
use onggi_store::{ChainId, ImageRecord, LayerRecord};

use crate::Error;
use crate::images::{Images, Inner};
use crate::unpack::{Keep, Reading, unpack};

/// What comparing all layers with their blobs gave.
#[derive(Debug, Clone, Default)]
pub struct LayerReport {
    /// Layers that were compared.
    pub compared: u64,
    /// Layers without a whole blob to compare with.
    pub not_compared: u64,
    /// Those that are not what their blob holds.
    pub broken: Vec<BrokenLayer>,
}

/// A layer that is not what its blob holds.
#[derive(Debug, Clone)]
pub struct BrokenLayer {
    /// Which.
    pub chain_id: ChainId,
    /// Where its files are.
    pub directory: PathBuf,
    /// The first thing that is different.
    pub difference: Difference,
}

/// What became of layers that were not whole.
#[derive(Debug, Clone, Default)]
pub struct LayerRepair {
    /// What was done, a line for each.
    pub done: Vec<String>,
    /// Those that could not be made again.
    pub lost: BTreeSet<ChainId>,
}

impl Images {
    /// Unpacks every layer again and compares. Nothing is changed, and nobody waits.
    ///
    /// # Errors
    /// Internal when the catalogue cannot be read or the disk is full.
    pub fn check_layers(&self) -> Result<LayerReport, Error> {
        let inner = &self.inner;
        let blobs = self.layer_blobs()?;
        let mut report = LayerReport::default();
        for layer in inner.store.layers()? {
            // Each for itself: what is removed meanwhile may go.
            let _lease = inner.store.lease();
            if inner.store.layer(&layer.chain_id)?.is_none() {
                continue;
            }
            match compare(inner, &layer, blobs.get(&layer.chain_id))? {
                Compared::Same => report.compared += 1,
                Compared::Unknown => report.not_compared += 1,
                Compared::Different(difference) => {
                    report.compared += 1;
                    report.broken.push(BrokenLayer {
                        directory: inner.store.layer_path(&layer),
                        chain_id: layer.chain_id,
                        difference,
                    });
                }
            }
        }
        Ok(report)
    }

    /// Makes these layers again out of their blobs, but for those that `in_use` says something stands on that runs.
    ///
    /// # Errors
    /// As [`Images::check_layers`].
    pub fn repair_layers(
        &self,
        broken: &BTreeSet<ChainId>,
        in_use: &dyn Fn(&ChainId) -> bool,
    ) -> Result<LayerRepair, Error> {
        let inner = &self.inner;
        let blobs = self.layer_blobs()?;
        let mut repair = LayerRepair::default();
        // Base first: what a tar does not say is taken from the layers below.
        let mut layers = inner.store.layers()?;
        layers.sort_by_key(|layer| layer.number);
        let _lease = inner.store.lease();
        for layer in layers {
            let chain_id = &layer.chain_id;
            if !broken.contains(chain_id) || inner.store.layer(chain_id)?.is_none() {
                continue;
            }
            if in_use(chain_id) {
                repair.done.push(format!(
                    "left layer {chain_id} as it is: a container runs on it; stop it and repair again"
                ));
                continue;
            }
            match again(inner, &layer, blobs.get(chain_id))? {
                Some(dir) => {
                    inner.snapshots.replace_layer(dir, chain_id)?;
                    repair.done.push(format!("unpacked layer {chain_id} again"));
                }
                None => drop(repair.lost.insert(chain_id.clone())),
            }
        }
        Ok(repair)
    }

    /// The layers whose directory is one of these.
    ///
    /// # Errors
    /// As [`Images::check_layers`].
    pub fn layers_at(&self, directories: &BTreeSet<PathBuf>) -> Result<BTreeSet<ChainId>, Error> {
        let store = &self.inner.store;
        let layers = store.layers()?.into_iter();
        let there = layers.filter(|layer| directories.contains(&store.layer_path(layer)));
        Ok(there.map(|layer| layer.chain_id).collect())
    }

    /// The blob of each layer, as the images' documents and the steps of builds name them. Documents that cannot be read name none.
    fn layer_blobs(&self) -> Result<BTreeMap<ChainId, Digest>, Error> {
        let mut blobs = BTreeMap::new();
        for image in self.inner.store.images()? {
            for (chain_id, blob) in self.blobs_of(&image).unwrap_or_default() {
                if self.inner.store.has_blob(&blob)? {
                    blobs.insert(chain_id, blob);
                }
            }
        }
        // Those that steps of builds left are kept as they are packed.
        for (_, step) in self.inner.store.steps()? {
            if let Some(layer) = step.layer {
                blobs.entry(layer.chain_id).or_insert(layer.blob.digest);
            }
        }
        Ok(blobs)
    }

    fn blobs_of(&self, image: &ImageRecord) -> Result<Vec<(ChainId, Digest)>, Error> {
        let store = &self.inner.store;
        let config = ImageConfig::from_bytes(&store.blob_bytes(&image.id, MAX_DOCUMENT_SIZE)?)?;
        let manifest = store.blob_bytes(&image.manifest, MAX_DOCUMENT_SIZE)?;
        let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|_| Error::Cancelled)?;
        let chain = ChainId::chain(&config.rootfs.diff_ids);
        let layers = manifest.layers.into_iter().map(|layer| layer.digest);
        Ok(chain.into_iter().zip(layers).collect())
    }
}

enum Compared {
    Same,
    Different(Difference),
    Unknown,
}

fn compare(inner: &Inner, layer: &LayerRecord, blob: Option<&Digest>) -> Result<Compared, Error> {
    let Some((dir, implied)) = unpacked(inner, layer, blob)? else {
        return Ok(Compared::Unknown);
    };
    let found = inner.store.layer_path(layer);
    match difference(&dir.path, &found, &implied) {
        Ok(None) => Ok(Compared::Same),
        Ok(Some(difference)) => Ok(Compared::Different(difference)),
        Err(error) => {
            tracing::warn!(layer = %layer.chain_id, %error, "cannot be compared with its blob");
            Ok(Compared::Unknown)
        }
    }
}

/// The layer's files once more, where its blob is whole.
fn again(
    inner: &Inner,
    layer: &LayerRecord,
    blob: Option<&Digest>,
) -> Result<Option<LayerDir>, Error> {
    Ok(unpacked(inner, layer, blob)?.map(|(dir, _)| dir))
}

fn unpacked(
    inner: &Inner,
    layer: &LayerRecord,
    blob: Option<&Digest>,
) -> Result<Option<(LayerDir, Vec<PathBuf>)>, Error> {
    let Some(blob) = blob else { return Ok(None) };
    let unpack = || -> Result<_, Error> {
        let file = inner.store.blob(blob)?;
        let unpacked = unpack(inner, &mut Reading(file), Keep::Nothing)?;
        let implied = unpacked.applied.implied;
        inner
            .snapshots
            .inherit(&unpacked.dir, layer.parent.as_ref(), &implied)?;
        Ok((unpacked.diff_id, unpacked.dir, implied))
    };
    match unpack() {
        Ok((diff_id, dir, implied)) if diff_id == layer.diff_id => Ok(Some((dir, implied))),
        // The blob is not whole: the store's check says so.
        Ok(_) => Ok(None),
        Err(error) if error.is_full() => Err(error),
        Err(error) => {
            tracing::debug!(layer = %layer.chain_id, error = chain(&error), "cannot be unpacked");
            Ok(None)
        }
    }
}
