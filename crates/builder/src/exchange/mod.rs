//! What builders tell each other of steps that were done: the cache as a manifest, in a registry or a directory, whose configuration says
//! which keys lead to which layers, and whose layers are theirs.
//!
//! Keys are made of content (see `cache`), and a layer is named by the chain of tars that leads to it: so a build goes from
//! step to step by what another one said, and fetches layers only when something is done on them.

mod export; // given to a registry, or to be put into a directory
mod import; // taken from one
mod layout; // as files of a directory
mod options; // --cache-from and --cache-to

use std::collections::{BTreeMap, BTreeSet};

use onggi_image::Layer;
use onggi_model::Digest;
use onggi_oci::image::{Descriptor, ImageConfig, media_type};
use onggi_store::ChainId;
use serde::{Deserialize, Serialize};

use crate::Error;
pub use export::Exported;
pub use import::Imports;
pub use layout::{Gathered, Layout};
pub use options::{CacheSource, CacheTarget, Compression, Local, Mode, Place};

/// The type of a configuration that is a cache of ours.
pub const CONFIG: &str = "application/vnd.onggi.buildcache.v1+json";
/// What BuildKit's caches have in the place of [`CONFIG`].
const BUILDKIT: &str = "application/vnd.buildkit.cacheconfig.v0";

/// The configuration of a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Document {
    /// The layers that steps left, each behind the one below it.
    pub(crate) layers: Vec<KnownLayer>,
    /// The steps.
    pub(crate) steps: Vec<KnownStep>,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownLayer {
    /// Its name with all below it.
    pub(crate) chain: Digest,
    /// The one below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) below: Option<Digest>,
    /// The digest of its tar.
    pub(crate) diff: Digest,
    /// Its blob; the manifest says more of it.
    pub(crate) blob: Digest,
    /// Bytes of its files.
    pub(crate) size: u64,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownStep {
    /// What it is known by.
    pub(crate) keys: BTreeSet<String>,
    /// The layer it left; none where it changed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) layer: Option<Digest>,
    /// When it was done, RFC 3339.
    pub(crate) created: String,
    /// What it is to people.
    pub(crate) description: String,
}

/// What a cache says, checked as far as it can be without its layers.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) layers: BTreeMap<ChainId, Layer>,
    pub(crate) steps: BTreeMap<String, KnownStep>,
}

impl Known {
    /// Reads a cache of ours: its configuration, and the blobs that its manifest names.
    ///
    /// # Errors
    /// What contradicts itself.
    pub(crate) fn read(config: &[u8], blobs: Vec<Descriptor>) -> Result<Self, Error> {
        let document: Document = serde_json::from_slice(config)
            .map_err(|error| Error::new(format!("the cache cannot be read: {error}")))?;
        let blobs: BTreeMap<Digest, Descriptor> = blobs
            .into_iter()
            .map(|blob| (blob.digest.clone(), blob))
            .collect();
        let mut known = Self::default();
        for layer in document.layers {
            let below = layer.below.map(ChainId::from);
            let chain_id = ChainId::new(below.as_ref(), &layer.diff);
            if *chain_id.as_digest() != layer.chain {
                return Err(Error::new(format!(
                    "the cache contradicts itself: {} is not the layer it is said to be",
                    layer.chain
                )));
            }
            let Some(blob) = blobs.get(&layer.blob) else {
                return Err(Error::new(format!(
                    "the cache contradicts itself: its manifest lacks {}",
                    layer.blob
                )));
            };
            known.add(chain_id, layer.diff, blob.clone(), layer.size);
        }
        for step in document.steps {
            known.add_step(step);
        }
        Ok(known)
    }

    /// Reads what an image says of the steps it was made of.
    pub(crate) fn of_image(config: ImageConfig, blobs: Vec<Descriptor>) -> Self {
        let mut known = Self::default();
        let chain = ChainId::chain(&config.rootfs.diff_ids);
        let diffs = config.rootfs.diff_ids.into_iter().zip(blobs);
        for (chain_id, (diff_id, blob)) in chain.iter().zip(diffs) {
            known.add(chain_id.clone(), diff_id, blob, 0);
        }
        for step in config.build_cache {
            let layer = match step.layer.map(|at| chain.get(at)) {
                // What an image says of itself is not believed: the layer is one of its own, or nothing.
                Some(None) => continue,
                found => found.flatten().map(|layer| layer.as_digest().clone()),
            };
            known.add_step(KnownStep {
                keys: step.keys.into_iter().collect(),
                layer,
                created: step.created,
                description: step.description,
            });
        }
        known
    }

    fn add(&mut self, chain_id: ChainId, diff_id: Digest, mut blob: Descriptor, size: u64) {
        blob.media_type = media_type::as_docker(&blob.media_type).to_owned();
        // Only the registry that gave the cache is asked, and nothing it says besides is handed on.
        let blob = Descriptor::new(blob.media_type, blob.digest, blob.size);
        let layer = Layer {
            chain_id: chain_id.clone(),
            diff_id,
            blob,
            size,
        };
        self.layers.insert(chain_id, layer);
    }

    fn add_step(&mut self, step: KnownStep) {
        for key in &step.keys {
            self.steps.insert(key.clone(), step.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(letter: char) -> Digest {
        Digest::parse(&format!("sha256:{}", letter.to_string().repeat(64))).expect("a digest")
    }

    fn document() -> Document {
        let (low, high) = (digest('a'), digest('b'));
        let below = ChainId::new(None, &low);
        let layer = ChainId::new(Some(&below), &high);
        Document {
            layers: vec![KnownLayer {
                chain: layer.as_digest().clone(),
                below: Some(below.as_digest().clone()),
                diff: high,
                blob: digest('c'),
                size: 7,
            }],
            steps: vec![KnownStep {
                keys: ["one".to_owned(), "two".to_owned()].into(),
                layer: Some(layer.as_digest().clone()),
                created: String::new(),
                description: "RUN x".to_owned(),
            }],
        }
    }

    #[test]
    fn a_cache_is_found_by_each_of_its_keys() {
        let blob = Descriptor::new(media_type::LAYER_GZIP, digest('c'), 5);
        let bytes = serde_json::to_vec(&document()).expect("a document");
        let known = Known::read(&bytes, vec![blob]).expect("a cache");
        assert_eq!(known.steps["one"], known.steps["two"]);
        let layer = known.layers.values().next().expect("a layer");
        assert_eq!(layer.blob.media_type, media_type::DOCKER_LAYER_GZIP);
        assert_eq!(layer.size, 7);
    }

    #[test]
    fn a_cache_that_contradicts_itself_is_none() {
        let blob = || Descriptor::new(media_type::LAYER, digest('c'), 5);
        let read = |document: &Document, blobs| {
            let bytes = serde_json::to_vec(document).expect("a document");
            Known::read(&bytes, blobs)
                .map(drop)
                .map_err(|e| e.to_string())
        };
        let mut moved = document();
        moved.layers[0].below = None;
        let refused = read(&moved, vec![blob()]).expect_err("a layer of another chain");
        assert!(refused.contains("contradicts itself"), "{refused}");
        let refused = read(&document(), Vec::new()).expect_err("no blob");
        assert!(refused.contains("its manifest lacks"), "{refused}");
        let refused = Known::read(b"[]", Vec::new()).expect_err("no document");
        assert!(refused.to_string().contains("cannot be read"), "{refused}");
        assert_eq!(read(&document(), vec![blob()]), Ok(()));
    }
}
